//! Ends that had no room on their way to the thread that writes. Nobody tells them any more; but what was noted of their begin must go, or
//! the next process tells of a crash that was none.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Most that are remembered, as many as begins are.
const MOST: usize = 100_000;

/// What workers say of them.
#[derive(Clone, Default)]
pub(super) struct Missed(Arc<Mutex<Vec<Arc<str>>>>);

impl Missed {
    /// The end of that exchange had no room.
    pub fn add(&self, id: &Arc<str>) {
        let mut missed = self.0.lock();
        if missed.len() < MOST {
            missed.push(Arc::clone(id));
        }
    }

    /// Those since the last time.
    pub fn take(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.0.lock())
    }
}

/// Those whose begin may still be on its way.
#[derive(Default)]
pub(super) struct Early {
    young: HashSet<Arc<str>>,
    old: HashSet<Arc<str>>,
    passed: usize,
}

impl Early {
    /// Its begin was not seen.
    pub fn add(&mut self, id: Arc<str>) {
        if self.young.len() < MOST {
            self.young.insert(id);
        }
    }

    /// A begin comes: whether its end is long past.
    pub fn take(&mut self, id: &str) -> bool {
        self.young.remove(id) || self.old.remove(id)
    }

    /// A note came. After as many as can be on their way, a begin that has not come was never sent.
    pub fn pass(&mut self, room: usize) {
        self.passed += 1;
        if self.passed > room {
            self.passed = 0;
            self.old = std::mem::take(&mut self.young);
        }
    }
}
