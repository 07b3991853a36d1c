//! The last exchanges, for the admin surface.

use super::{EndRecord, Sink};
use crate::panics;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most of the last exchanges that are kept.
pub const KEPT: usize = 1024;

#[derive(Default)]
pub(crate) struct Recent(Mutex<VecDeque<Arc<EndRecord>>>);

impl Recent {
    pub fn all(&self) -> Vec<Arc<EndRecord>> {
        self.0.lock().iter().cloned().collect()
    }
}

impl Sink for Recent {
    fn ended(&self, record: &Arc<EndRecord>) {
        let mut recent = self.0.lock();
        panics::inject("ledger", &record.began.request_id);
        let oldest = (recent.len() >= KEPT).then(|| recent.pop_front()).flatten();
        recent.push_back(Arc::clone(record));
        // What it is made of is given back without keeping anybody else.
        drop(recent);
        drop(oldest);
    }
}
