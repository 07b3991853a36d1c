//! A cap on what repeats, as a share of what does not: a retry storm never outgrows the traffic that caused it.

use crate::{Millis, lock};
use std::sync::Mutex;

/// One, in the unit of the level.
const ONE: u64 = 1000;

/// A share with a small floor, so that little traffic may repeat too.
#[derive(Debug)]
pub struct Ratio {
    /// Thousandths of one for each deposit.
    share: u64,
    /// Most that is held; it fills by itself too, with one in [`FILL_MS`].
    most: u64,
    inner: Mutex<(u64, Millis)>,
}

/// One more is allowed each time so much time has passed.
const FILL_MS: u64 = 10_000;

impl Ratio {
    /// Of tries that repeat at one provider: a tenth of its exchanges.
    pub fn retries() -> Self {
        Self::new(100, 10)
    }

    /// Of second targets asked beside a first: a twentieth of the exchanges that may.
    pub fn hedges() -> Self {
        Self::new(50, 5)
    }

    fn new(share: u64, most: u64) -> Self {
        let most = most * ONE;
        Self {
            share,
            most,
            inner: Mutex::new((most, Millis(0))),
        }
    }

    /// One that does not repeat.
    pub fn deposit(&self, now: Millis) {
        let mut inner = lock(&self.inner);
        self.fill(&mut inner, now);
        inner.0 = (inner.0 + self.share).min(self.most);
    }

    /// Whether one may repeat; if so it is counted.
    pub fn withdraw(&self, now: Millis) -> bool {
        let mut inner = lock(&self.inner);
        self.fill(&mut inner, now);
        match inner.0.checked_sub(ONE) {
            Some(left) => {
                inner.0 = left;
                true
            }
            None => false,
        }
    }

    fn fill(&self, inner: &mut (u64, Millis), now: Millis) {
        let passed = now.since(inner.1);
        let filled = passed.saturating_mul(ONE) / FILL_MS;
        inner.0 = inner.0.saturating_add(filled).min(self.most);
        // What was too little for a thousandth stays for the next time.
        inner.1 = inner
            .1
            .plus(filled.saturating_mul(FILL_MS) / ONE)
            .max(inner.1);
    }
}
