//! A value that plain threads and async tasks can wait on: no polling, no sleep.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub(crate) struct Signal<T> {
    value: Mutex<T>,
    changed: Condvar,
    version: watch::Sender<u64>,
}

impl<T: Default> Default for Signal<T> {
    fn default() -> Self {
        Signal {
            value: Mutex::default(),
            changed: Condvar::new(),
            version: watch::Sender::new(0),
        }
    }
}

impl<T> Signal<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        // A panic elsewhere is reported there; the value is still good enough to look at.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        self.version.send_modify(|version| *version += 1);
        result
    }

    /// Waits until the look finds something; `None` after the timeout.
    pub(crate) fn wait<R>(&self, timeout: Duration, look: impl Fn(&T) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + timeout;
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&value) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let (next, _) = self
                .changed
                .wait_timeout(value, left)
                .unwrap_or_else(PoisonError::into_inner);
            value = next;
        }
    }

    /// Waits until the look finds something.
    pub(crate) async fn changed_to<R>(&self, look: impl Fn(&T) -> Option<R>) -> R {
        let mut version = self.version.subscribe();
        loop {
            // Marked as seen before the look, so that a change after it wakes us.
            version.mark_unchanged();
            if let Some(found) = look(&self.lock()) {
                return found;
            }
            // The sender lives as long as we borrow it.
            let _ = version.changed().await;
        }
    }
}
