//! A token bucket in whole numbers: so many per minute, a minute's worth at once.

use crate::Millis;

/// A level is counted in parts of this many per unit, so that one millisecond at one per minute is one part: nothing is rounded.
const PARTS: i64 = 60_000;
/// Larger rates and charges mean this one; the arithmetic stays far from its bounds.
const LARGEST: u64 = 1_000_000_000_000;

/// A rate. In any stretch of time no more passes than a minute's worth and what flowed in meanwhile; only a single charge larger than
/// a minute's worth goes beyond, and is waited for afterwards.
#[derive(Clone, Debug)]
pub struct Bucket {
    per_min: u64,
    /// In parts; negative is a debt.
    level: i64,
    at: Millis,
}

impl Bucket {
    /// A full one.
    pub fn new(per_min: u64, now: Millis) -> Self {
        let per_min = per_min.min(LARGEST);
        Self {
            per_min,
            level: parts(per_min),
            at: now,
        }
    }

    /// Takes `amount`, or says when it will be there.
    ///
    /// # Errors
    /// See [`Self::free_at`].
    pub fn take(&mut self, amount: u64, now: Millis) -> Result<(), Millis> {
        let free_at = self.free_at(amount, now);
        if free_at > now {
            return Err(free_at);
        }
        self.owe(amount, now);
        Ok(())
    }

    /// When `amount` can be taken: `now` if at once, [`Millis::NEVER`] for a rate of nothing.
    pub fn free_at(&mut self, amount: u64, now: Millis) -> Millis {
        self.flow(now);
        if self.per_min == 0 {
            return Millis::NEVER;
        }
        let missing = parts(amount.min(self.per_min)).saturating_sub(self.level);
        self.when(missing.max(0), now)
    }

    /// Gives back what was taken and not used. What overflows is cut when time flows in next.
    pub fn give_back(&mut self, amount: u64) {
        self.level = self.level.saturating_add(parts(amount));
    }

    /// Takes what was used beyond what was taken, be it there or not.
    pub fn owe(&mut self, amount: u64, now: Millis) {
        // First what has flowed in: else an idle minute that was full already would pay for it too.
        self.flow(now);
        self.level = self
            .level
            .saturating_sub(parts(amount))
            .max(-parts(LARGEST));
    }

    /// The rate.
    pub fn per_min(&self) -> u64 {
        self.per_min
    }

    /// Whole units that could be taken now.
    pub fn remaining(&mut self, now: Millis) -> u64 {
        self.flow(now);
        u64::try_from(self.level / PARTS).unwrap_or_default()
    }

    /// When it will be full again.
    pub fn full_at(&mut self, now: Millis) -> Millis {
        self.flow(now);
        self.when(parts(self.per_min).saturating_sub(self.level), now)
    }

    /// Another rate from now on. What was taken stays taken.
    pub fn set(&mut self, per_min: u64, now: Millis) {
        self.flow(now);
        let taken = parts(self.per_min).saturating_sub(self.level);
        self.per_min = per_min.min(LARGEST);
        self.level = parts(self.per_min).saturating_sub(taken);
    }

    fn flow(&mut self, now: Millis) {
        let passed = i64::try_from(now.since(self.at)).unwrap_or(i64::MAX);
        let rate = i64::try_from(self.per_min).unwrap_or(i64::MAX);
        let level = self.level.saturating_add(passed.saturating_mul(rate));
        self.level = level.min(parts(self.per_min));
        self.at = self.at.max(now);
    }

    fn when(&self, missing: i64, now: Millis) -> Millis {
        let missing = u64::try_from(missing).unwrap_or_default();
        match missing.checked_add(self.per_min.saturating_sub(1)) {
            Some(sum) if self.per_min > 0 => now.plus(sum / self.per_min),
            _ => Millis::NEVER,
        }
    }
}

fn parts(amount: u64) -> i64 {
    i64::try_from(amount.min(LARGEST))
        .unwrap_or(i64::MAX)
        .saturating_mul(PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_at_once_then_as_it_flows() {
        let mut bucket = Bucket::new(60, Millis(0));
        for _ in 0..60 {
            assert_eq!(bucket.take(1, Millis(0)), Ok(()));
        }
        assert_eq!(bucket.take(1, Millis(0)), Err(Millis(1000)));
        assert_eq!(bucket.take(1, Millis(999)), Err(Millis(1000)));
        assert_eq!(bucket.take(1, Millis(1000)), Ok(()));
        assert_eq!(bucket.full_at(Millis(1000)), Millis(61_000));
        assert_eq!(bucket.remaining(Millis(31_000)), 30);
    }

    #[test]
    fn what_is_larger_than_a_minute_waits_for_all_of_it_and_leaves_a_debt() {
        let mut bucket = Bucket::new(100, Millis(0));
        assert_eq!(bucket.take(250, Millis(0)), Ok(()));
        assert_eq!(bucket.remaining(Millis(0)), 0);
        // 150 owed, and 1 more: 151 at 100 a minute.
        assert_eq!(bucket.take(1, Millis(0)), Err(Millis(90_600)));
        bucket.give_back(200);
        assert_eq!(bucket.remaining(Millis(0)), 50);
        bucket.owe(60, Millis(0));
        assert_eq!(bucket.take(1, Millis(0)), Err(Millis(6_600)));
    }

    #[test]
    fn nothing_a_minute_is_never() {
        let mut bucket = Bucket::new(0, Millis(0));
        assert_eq!(bucket.take(1, Millis(5)), Err(Millis::NEVER));
        let mut huge = Bucket::new(u64::MAX, Millis(0));
        assert_eq!(huge.take(u64::MAX, Millis(u64::MAX)), Ok(()));
    }
}
