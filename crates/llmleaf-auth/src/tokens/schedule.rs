//! When keys are fetched: ahead of their age, again after a failure, and for a key that nobody knows yet; never more often than the
//! floor says, whatever tokens name.

/// Pause after a failure while there are no keys at all, in milliseconds; it doubles.
const COLD_PAUSE: u64 = 1000;
/// Longest pause after a failure, in milliseconds.
const LONGEST_PAUSE: u64 = 60_000;

/// When keys are fetched. Times are milliseconds of the caller's own count.
#[derive(Debug)]
pub struct Schedule {
    /// How old keys may get.
    refresh: u64,
    /// How long after a fetch was begun none is begun.
    floor: u64,
    /// Somebody is fetching.
    flying: bool,
    begun: Option<u64>,
    /// When there were keys last.
    landed: Option<u64>,
    failures: u32,
    /// When they are to be fetched next.
    due: u64,
}

/// What whoever needs keys is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Fetch them; a [`Schedule::land`] is owed.
    Fly,
    /// Wait for who does.
    Wait,
    /// Do without: they were fetched just now.
    No,
}

impl Schedule {
    /// Keys that are there already, or are to be fetched at once.
    pub fn new(refresh_ms: u64, floor_ms: u64) -> Self {
        Self {
            refresh: refresh_ms,
            floor: floor_ms.min(refresh_ms),
            flying: false,
            begun: None,
            landed: None,
            failures: 0,
            due: 0,
        }
    }

    /// Other settings for the same keys.
    pub fn set(&mut self, refresh_ms: u64, floor_ms: u64) {
        let landed = self.landed.unwrap_or_default();
        self.due = self.due.min(landed.saturating_add(refresh_ms));
        self.refresh = refresh_ms;
        self.floor = floor_ms.min(refresh_ms);
    }

    /// Asked every few seconds: whether the caller is to fetch them now.
    pub fn tick(&mut self, now: u64) -> bool {
        let flies = !self.flying && now >= self.due && self.rested(now);
        if flies {
            self.begin(now);
        }
        flies
    }

    /// A token names a key that is not there. The floor counts from when a fetch was begun, whatever came of it: only so does no answer
    /// of the issuer's, and no name that a token has, make for another.
    pub fn wanted(&mut self, now: u64) -> Wanted {
        if self.flying {
            Wanted::Wait
        } else if self.rested(now) {
            self.begin(now);
            Wanted::Fly
        } else {
            Wanted::No
        }
    }

    fn rested(&self, now: u64) -> bool {
        let floor = match self.landed {
            Some(_) => self.floor,
            // Nobody gets in until there are keys.
            None => COLD_PAUSE.min(self.floor),
        };
        self.begun
            .is_none_or(|begun| now >= begun.saturating_add(floor))
    }

    fn begin(&mut self, now: u64) {
        self.flying = true;
        self.begun = Some(now);
    }

    /// What became of fetching. `spread` is any number: nodes that began together do not all come back at the same moment.
    pub fn land(&mut self, fetched: bool, spread: u64, now: u64) {
        self.flying = false;
        if fetched {
            self.landed = Some(now);
            self.failures = 0;
            // Ahead of their age, by up to a fifth.
            let early = spread.checked_rem(self.refresh / 5).unwrap_or_default();
            self.due = now.saturating_add(self.refresh - early);
        } else {
            let pause = COLD_PAUSE << self.failures.min(6);
            self.failures = self.failures.saturating_add(1);
            self.due = now.saturating_add(pause.min(LONGEST_PAUSE));
        }
    }

    /// When there were keys last.
    pub fn landed(&self) -> Option<u64> {
        self.landed
    }

    /// How often fetching has failed since.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute of simulated time in steps of 10 ms, with a token of an unknown key in each, whatever the fetches bring.
    #[test]
    fn f11_a_flood_of_unknown_keys_fetches_once_per_floor() {
        for brings in [true, false] {
            let mut schedule = Schedule::new(3_600_000, 5000);
            assert!(schedule.tick(0));
            schedule.land(true, 7, 1);
            let mut begun = Vec::new();
            for now in (1..60_000).step_by(10) {
                match schedule.wanted(now) {
                    Wanted::Fly => begun.push(now),
                    // Slow: what is asked meanwhile waits.
                    Wanted::Wait if now - begun.last().unwrap() > 2000 => {
                        schedule.land(brings, now, now);
                    }
                    Wanted::Wait | Wanted::No => {}
                }
            }
            assert!(begun.len() <= 12, "{begun:?}");
            assert!(begun.windows(2).all(|pair| pair[1] - pair[0] >= 5000));
        }
    }

    #[test]
    fn keys_are_fetched_ahead_and_again_after_failures() {
        let mut schedule = Schedule::new(100_000, 10_000);
        assert!(schedule.tick(0));
        assert!(!schedule.tick(1), "one at a time");
        assert_eq!(schedule.wanted(1), Wanted::Wait);
        // Cold: again after one second, then two, then four.
        schedule.land(false, 0, 10);
        assert!(!schedule.tick(1000) && schedule.tick(1010));
        schedule.land(false, 0, 1010);
        assert!(!schedule.tick(3000) && schedule.tick(3010));
        schedule.land(true, 19_999, 3020);
        assert_eq!(schedule.landed(), Some(3020));
        // A fifth ahead.
        assert!(!schedule.tick(83_020) && schedule.tick(83_021));
        // Warm failures keep to the floor.
        schedule.land(false, 0, 83_100);
        assert!(!schedule.tick(93_020) && schedule.tick(93_021));
        assert_eq!(schedule.failures(), 1);
    }
}
