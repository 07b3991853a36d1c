//! The spool as the controller's client sees it: batches, and what became of them.

use bytes::Bytes;
use llmleaf_control::outbox::{Next, Pushed, Queue};
use llmleaf_spool::{Delivery, Spool, Verdict};
use std::time::{Duration, Instant};

/// A spool that is pushed.
pub struct Outgoing {
    delivery: Delivery,
    spool: Spool,
    epoch: Instant,
}

impl Outgoing {
    /// From that spool, so many events at a time.
    pub fn new(spool: Spool, most: usize, chance: u64) -> Self {
        Self {
            delivery: Delivery::new(spool.clone(), most, chance),
            spool,
            epoch: Instant::now(),
        }
    }

    fn now_ms(&self) -> u64 {
        millis(self.epoch.elapsed())
    }
}

impl Queue for Outgoing {
    fn bound(&mut self, most: usize) {
        self.delivery.bound(most);
    }

    fn next(&mut self) -> Next {
        let now = self.now_ms();
        match self.delivery.next(now) {
            llmleaf_spool::Next::Push(batch) => Next::Push {
                more: self.spool.gauges(0).waiting > batch.records.len() as u64,
                events: batch.records.into_iter().map(Bytes::from).collect(),
            },
            llmleaf_spool::Next::Wait(until) => {
                Next::Wait(Duration::from_millis(until.saturating_sub(now).max(1)))
            }
            llmleaf_spool::Next::Idle => Next::Idle,
        }
    }

    fn told(&mut self, pushed: Pushed) {
        let verdict = match pushed {
            Pushed::Answered(status, wait) => Verdict::of_status(status, wait.map(millis)),
            Pushed::Unanswered => Verdict::Later(None),
        };
        let now = self.now_ms();
        self.delivery.told(verdict, now);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
