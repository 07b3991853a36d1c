//! The breaker of a target: closed, open, half-open.

use super::Change;
use crate::random::{Random, pair};
use crate::{Millis, lock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod window;

use window::{Burst, Window};

/// Weight of failures in a row that opens a breaker; see [`super::Blame::of`] for the weights.
pub const SCORE_TO_OPEN: u32 = 6;
/// Trials that may run at once while a breaker is not closed.
pub const TRIALS: u32 = 2;
/// Trials that must pass before it closes.
pub const PASSES: u32 = 2;
/// When nothing else is left, an open breaker lets one trial through this long after it opened. The time until the next doubles up to
/// [`LAST_RESORT_GAP`]: trouble that lasts is asked for rarely, trouble that has passed to another target keeps nobody waiting.
pub const FIRST_RESORT_GAP: Duration = Duration::from_millis(125);
/// Longest time between two last resorts.
pub const LAST_RESORT_GAP: Duration = Duration::from_secs(1);
/// Longest time a breaker stays open.
pub const LONGEST_OPEN: Duration = Duration::from_secs(300);
/// A breaker that stayed closed this long (or as long as it was open) begins with its first cool-down again.
const STABLE: Duration = Duration::from_secs(60);
/// When to look again while all trials are running.
const RECHECK: Duration = Duration::from_secs(1);

/// Health of one target, shared by all exchanges of the node.
#[derive(Debug)]
pub struct Breaker {
    /// In milliseconds.
    cooldown: AtomicU64,
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    /// Counts openings. An outcome counts only if its attempt began after the last one.
    generation: u64,
    /// Trials that are running.
    trials: u32,
    /// Trials that passed since it opened.
    passed: u32,
    /// Weight of the failures in a row.
    score: u32,
    burst: Burst,
    window: Window,
    /// Openings without a stable time between.
    streak: u32,
    /// How long it was open last.
    opened_for: u64,
    closed_at: Millis,
    last_trial: Millis,
    /// Last resorts since it opened.
    resorts: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Millis,
    },
    HalfOpen,
}

/// What a breaker looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Serves.
    Closed,
    /// Passed over until then.
    Open(Millis),
    /// A few trials find out.
    HalfOpen,
}

/// The right to one attempt. Dropped without a verdict, it gives its trial back.
#[derive(Debug)]
pub struct Ticket {
    breaker: Arc<Breaker>,
    generation: u64,
    trial: bool,
}

impl Breaker {
    /// A closed one. `cooldown` is the first time it stays open; each opening soon after doubles it.
    pub fn new(cooldown: Duration, seed: u64) -> Self {
        Self {
            cooldown: AtomicU64::new(millis(cooldown)),
            seed,
            inner: Mutex::default(),
        }
    }

    /// Another first cool-down, from the next opening on.
    pub fn set_cooldown(&self, cooldown: Duration) {
        self.cooldown.store(millis(cooldown), Ordering::Relaxed);
    }

    /// Admits an attempt, or says when to ask again. `last_resort`: nothing else is left to the exchange.
    ///
    /// # Errors
    /// The moment before which asking again is of no use.
    pub fn admit(self: &Arc<Self>, last_resort: bool, now: Millis) -> Result<Ticket, Millis> {
        let mut inner = lock(&self.inner);
        let opens_at = inner.opens_at(last_resort, now);
        if opens_at > now {
            return Err(opens_at);
        }
        let trial = inner.phase != Phase::Closed;
        match inner.phase {
            Phase::Open { until } if now >= until => inner.phase = Phase::HalfOpen,
            Phase::Open { .. } => inner.resorts = inner.resorts.saturating_add(1),
            Phase::Closed | Phase::HalfOpen => {}
        }
        if trial {
            inner.trials += 1;
            inner.last_trial = now;
        }
        Ok(Ticket {
            breaker: Arc::clone(self),
            generation: inner.generation,
            trial,
        })
    }

    /// When an attempt would be admitted; `now` if at once.
    pub fn opens_at(&self, last_resort: bool, now: Millis) -> Millis {
        lock(&self.inner).opens_at(last_resort, now)
    }

    /// How it looks now.
    pub fn state(&self, now: Millis) -> BreakerState {
        match lock(&self.inner).phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } if now < until => BreakerState::Open(until),
            Phase::Open { .. } | Phase::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Weight of the failures in a row.
    pub fn score(&self) -> u32 {
        lock(&self.inner).score
    }
}

impl Ticket {
    /// This attempt is a trial that has not passed yet.
    pub fn is_trial(&self) -> bool {
        self.trial
    }

    /// The first content came: a trial has passed. Whether the stream then breaks is another question, see [`Self::failed`].
    pub fn passed(&mut self, now: Millis) -> Option<Change> {
        if !std::mem::take(&mut self.trial) {
            return None;
        }
        let mut inner = lock(&self.breaker.inner);
        inner.trials = inner.trials.saturating_sub(1);
        if self.generation != inner.generation || inner.phase == Phase::Closed {
            return None;
        }
        inner.phase = Phase::HalfOpen;
        inner.passed += 1;
        if inner.passed < PASSES {
            return None;
        }
        inner.phase = Phase::Closed;
        // On probation: until an attempt ends well, one failure opens it again.
        inner.score = SCORE_TO_OPEN - 1;
        inner.burst = Burst::default();
        inner.window = Window::default();
        inner.closed_at = now;
        Some(Change::Closed)
    }

    /// The attempt ended well.
    pub fn succeeded(mut self, now: Millis) -> Option<Change> {
        let change = self.passed(now);
        let mut inner = lock(&self.breaker.inner);
        if self.generation == inner.generation && inner.phase == Phase::Closed {
            inner.score = 0;
            inner.burst.success();
            inner.window.count(now, false);
        }
        change
    }

    /// The attempt failed, by the target's own fault, before its first content or after it.
    pub fn failed(mut self, weight: u32, now: Millis) -> Option<Change> {
        let breaker = Arc::clone(&self.breaker);
        let mut inner = lock(&breaker.inner);
        if std::mem::take(&mut self.trial) {
            inner.trials = inner.trials.saturating_sub(1);
        }
        if self.generation != inner.generation {
            return None;
        }
        match inner.phase {
            // A last resort that did not help; the wait goes on as it was.
            Phase::Open { .. } => return None,
            Phase::HalfOpen => {}
            Phase::Closed => {
                inner.score = inner.score.saturating_add(weight);
                inner.window.count(now, true);
                let burst = inner.burst.failure(now);
                if inner.score < SCORE_TO_OPEN && !burst && !inner.window.is_bad(now) {
                    return None;
                }
            }
        }
        Some(inner.open(&breaker, now))
    }
}

impl Inner {
    fn opens_at(&self, last_resort: bool, now: Millis) -> Millis {
        match self.phase {
            Phase::Closed => now,
            Phase::Open { until } if now < until && !last_resort => until,
            Phase::Open { until } if now < until && self.trials > 0 => {
                now.after(RECHECK).min(until)
            }
            Phase::Open { until } if now < until => {
                let gap = FIRST_RESORT_GAP.saturating_mul(1 << self.resorts.min(16));
                let next = self.last_trial.after(gap.min(LAST_RESORT_GAP));
                next.min(until).max(now)
            }
            _ if self.trials >= TRIALS => now.after(RECHECK),
            _ => now,
        }
    }

    fn open(&mut self, breaker: &Breaker, now: Millis) -> Change {
        let stable = now.since(self.closed_at) >= self.opened_for.max(millis(STABLE));
        if self.phase == Phase::Closed && stable {
            self.streak = 0;
        }
        let again = self.streak;
        let first = breaker.cooldown.load(Ordering::Relaxed);
        // An operator's own cool-down may be longer than what we would double to.
        let longest = millis(LONGEST_OPEN).max(first);
        let open = first.saturating_mul(1 << again.min(16)).min(longest);
        self.streak = self.streak.saturating_add(1);
        self.generation += 1;
        self.opened_for = Random::new(pair(breaker.seed, self.generation)).around(open);
        self.passed = 0;
        self.last_trial = now;
        self.resorts = 0;
        let until = now.plus(self.opened_for);
        self.phase = Phase::Open { until };
        Change::Opened { until, again }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.trial {
            let mut inner = lock(&self.breaker.inner);
            inner.trials = inner.trials.saturating_sub(1);
        }
    }
}
