//! Failures in short and in longer sight, beside those in a row.

use crate::Millis;

/// Failures that make a burst.
const BURST: usize = 5;
/// Within so many milliseconds.
const BURST_MS: u64 = 2000;
/// And with no more than so many successes between them: five failures a second are nothing to a target that serves a thousand.
const BURST_SUCCESSES: u64 = 20;

/// The last few failures.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// When each was, and how many successes there had been.
    failures: [(Millis, u64); BURST],
    count: usize,
    successes: u64,
}

impl Burst {
    pub fn success(&mut self) {
        self.successes += 1;
    }

    /// One more failure. True when they are too many in too short a time.
    pub fn failure(&mut self, now: Millis) -> bool {
        self.failures.rotate_left(1);
        if let Some(last) = self.failures.last_mut() {
            *last = (now, self.successes);
        }
        self.count = (self.count + 1).min(BURST);
        let oldest = self.failures.first().copied().unwrap_or_default();
        self.count == BURST
            && now.since(oldest.0) <= BURST_MS
            && self.successes - oldest.1 <= BURST_SUCCESSES
    }
}

const SLOTS: usize = 3;
const SLOT_MS: u64 = 10_000;
/// Below so many outcomes no ratio means anything.
const ENOUGH: u32 = 10;

/// Outcomes of the last half minute, in slots of ten seconds.
#[derive(Debug, Default)]
pub(super) struct Window {
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    number: u64,
    all: u32,
    failed: u32,
}

impl Window {
    pub fn count(&mut self, now: Millis, failed: bool) {
        let number = now.0 / SLOT_MS;
        let index = usize::try_from(number % SLOTS as u64).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(index) {
            if slot.number != number {
                *slot = Slot {
                    number,
                    ..Slot::default()
                };
            }
            slot.all = slot.all.saturating_add(1);
            slot.failed = slot.failed.saturating_add(u32::from(failed));
        }
    }

    /// Half of enough outcomes failed.
    pub fn is_bad(&self, now: Millis) -> bool {
        let number = now.0 / SLOT_MS;
        let live = self
            .slots
            .iter()
            .filter(|slot| number - slot.number.min(number) < SLOTS as u64);
        let (all, failed) = live.fold((0u32, 0u32), |(all, failed), slot| {
            (
                all.saturating_add(slot.all),
                failed.saturating_add(slot.failed),
            )
        });
        all >= ENOUGH && failed.saturating_mul(2) >= all
    }
}
