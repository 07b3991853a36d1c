//! When to ask, and what to make of an answer: the state of one thing that is pulled. Pure; it is told the time.
//!
//! What is asked for is always a whole, and takes effect as a whole or not at all. Whatever goes wrong, the last good one stays.

mod trouble;

#[cfg(test)]
mod tests;

use crate::version::Version;
use llmleaf_route::Millis;
use llmleaf_route::random::Random;
use std::time::Duration;

pub use trouble::{Trouble, Troubles};

/// How something is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// How often.
    pub every: Duration,
    /// A snapshot that is smaller by more than so many hundredths has to be said twice. 100 is never.
    pub max_shrink_percent: u8,
    /// How long a snapshot counts without being confirmed; `None` is for ever.
    pub max_stale: Option<Duration>,
}

/// First pause after a failure while nothing is known yet.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause after a failure, however seldom is asked otherwise.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause that a controller can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Longest entity tag that is kept and sent back, in bytes.
const MAX_ETAG: usize = 512;

/// What came back, head and body.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The entity tag.
    pub etag: Option<String>,
    /// The number of the snapshot, as it was written.
    pub version: Option<String>,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

/// What goes with a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its number.
    pub version: Option<Version>,
    /// How many entries it has.
    pub size: usize,
}

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Nothing: what is in effect was confirmed.
    Same,
    /// Put this in effect, and say with [`Pull::accepted`] or [`Pull::failed`] what came of it.
    Fresh(T, Stamp),
    /// Nothing: it is no good.
    Kept,
}

/// The state of one thing that is pulled.
#[derive(Debug)]
pub struct Pull {
    cadence: Cadence,
    random: Random,
    stamp: Option<Stamp>,
    /// The size of a snapshot that was too small to be believed once.
    held: Option<usize>,
    /// When what is in effect was confirmed last, or taken from where it was kept.
    confirmed: Option<Millis>,
    /// How old it was then, in milliseconds; `None` where nobody knows, which is as old as can be.
    aged: Option<u64>,
    /// Failures since then.
    failures: u32,
    troubles: Troubles,
    next: Millis,
}

impl Pull {
    /// Nothing is known yet; the first time to ask is now.
    pub fn new(cadence: Cadence, seed: u64, now: Millis) -> Self {
        Self {
            cadence,
            random: Random::new(seed),
            stamp: None,
            held: None,
            confirmed: None,
            aged: Some(0),
            failures: 0,
            troubles: Troubles::default(),
            next: now,
        }
    }

    /// What a file remembers is in effect, and was confirmed so long ago; `None` where that cannot be told.
    pub fn restored(&mut self, stamp: Stamp, age: Option<Duration>, now: Millis) {
        self.stamp = Some(stamp);
        self.confirmed = Some(now);
        self.aged = age.map(millis);
    }

    /// The same thing is pulled another way from now on.
    pub fn change(&mut self, cadence: Cadence, now: Millis) {
        self.cadence = cadence;
        self.next = now;
    }

    /// When to ask next.
    pub fn due(&self) -> Millis {
        self.next
    }

    /// The entity tag to send along.
    pub fn etag(&self) -> Option<&str> {
        self.stamp.as_ref()?.etag.as_deref()
    }

    /// What goes with the snapshot in effect.
    pub fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_ref()
    }

    /// When what is in effect was confirmed last.
    pub fn confirmed(&self) -> Option<Millis> {
        self.confirmed
    }

    /// What went wrong so far, and last.
    pub fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// Whether there is nothing that may be believed: nothing at all, or nothing recent enough.
    pub fn is_cold(&self, now: Millis) -> bool {
        if self.confirmed.is_none() {
            return true;
        }
        let max = self.cadence.max_stale;
        max.is_some_and(|max| self.age(now).is_none_or(|age| age >= max))
    }

    /// How long ago what is in effect was confirmed, by this process or one before; `None` where nothing is, or nobody knows.
    pub fn age(&self, now: Millis) -> Option<Duration> {
        let since = now.since(self.confirmed?);
        Some(Duration::from_millis(since.saturating_add(self.aged?)))
    }

    /// When it will be cold without another word.
    pub fn cools(&self) -> Option<Millis> {
        let max = self.cadence.max_stale?;
        let aged = self.aged.map(Duration::from_millis);
        let left = aged.map_or(Duration::ZERO, |aged| max.saturating_sub(aged));
        Some(self.confirmed?.after(left))
    }

    /// Reads an answer. `read` makes of the body what it means, and says how many entries that has.
    pub fn answered<T>(
        &mut self,
        answer: &Answer,
        now: Millis,
        read: impl FnOnce() -> Result<(T, usize), Trouble>,
    ) -> Step<T> {
        match self.look(answer, now, read) {
            Ok(step) => step,
            Err(trouble) => {
                self.failed(trouble, answer.retry_after, now);
                Step::Kept
            }
        }
    }

    fn look<T>(
        &mut self,
        answer: &Answer,
        now: Millis,
        read: impl FnOnce() -> Result<(T, usize), Trouble>,
    ) -> Result<Step<T>, Trouble> {
        match answer.status {
            200..=299 => {}
            304 if self.etag().is_some() => {
                self.held = None;
                self.confirm(now);
                return Ok(Step::Same);
            }
            status => return Err(Trouble::Status(status)),
        }
        let version = match &answer.version {
            Some(text) => Some(text.parse().map_err(|_| Trouble::Version)?),
            None => None,
        };
        let known = self.stamp.as_ref().and_then(|stamp| stamp.version);
        if known > version && known.is_some() {
            return Err(Trouble::Rollback);
        }
        let (value, size) = read()?;
        self.weigh(size)?;
        let etag = answer.etag.clone().filter(|etag| etag.len() <= MAX_ETAG);
        let stamp = Stamp {
            etag,
            version,
            size,
        };
        Ok(Step::Fresh(value, stamp))
    }

    /// A snapshot that is much smaller than the one before is believed when much the same is said a second time: one of another size
    /// confirms nothing, and is held itself.
    fn weigh(&mut self, size: usize) -> Result<(), Trouble> {
        let before = self.stamp.as_ref().map_or(0, |stamp| stamp.size);
        let kept = 100 - u128::from(self.cadence.max_shrink_percent.min(100));
        let is_much_less = |one: usize, other: usize| (one as u128) * 100 < (other as u128) * kept;
        let is_much_the_same = |held| !is_much_less(size, held) && !is_much_less(held, size);
        if is_much_less(size, before) && !self.held.is_some_and(is_much_the_same) {
            self.held = Some(size);
            return Err(Trouble::Shrunk {
                from: before,
                to: size,
            });
        }
        Ok(())
    }

    /// A fresh snapshot is in effect.
    pub fn accepted(&mut self, stamp: Stamp, now: Millis) {
        self.stamp = Some(stamp);
        self.held = None;
        self.confirm(now);
    }

    /// The same snapshot came once more, perhaps under another tag or number.
    pub fn repeated(&mut self, answer: &Answer, now: Millis) {
        let size = self.stamp.as_ref().map_or(0, |stamp| stamp.size);
        if let Step::Fresh((), stamp) = self.answered(answer, now, || Ok(((), size))) {
            self.accepted(stamp, now);
        }
    }

    /// Another address is asked from now on: what is in effect stays, but nothing it is known by counts there.
    pub fn moved(&mut self, now: Millis) {
        self.stamp = None;
        self.held = None;
        self.next = now;
    }

    fn confirm(&mut self, now: Millis) {
        let every = millis(self.cadence.every);
        let wait = if self.confirmed.is_none() {
            // Nodes that began together do not go on together.
            every / 2 + self.random.below(every / 2 + 1)
        } else {
            self.random.around(every)
        };
        self.confirmed = Some(now);
        self.aged = Some(0);
        self.failures = 0;
        self.next = Millis(now.0.saturating_add(wait));
    }

    /// Nothing came of it.
    pub fn failed(&mut self, trouble: Trouble, retry_after: Option<Duration>, now: Millis) {
        self.failures = self.failures.saturating_add(1);
        self.troubles.add(trouble, now);
        let every = self.cadence.every;
        let pause = if self.confirmed.is_some() {
            self.random.around(millis(every.min(LONGEST_PAUSE)))
        } else {
            let doubled = 1u32
                .checked_shl(self.failures.saturating_sub(1))
                .unwrap_or(u32::MAX);
            let most = millis(
                FIRST_PAUSE
                    .saturating_mul(doubled)
                    .min(every)
                    .min(LONGEST_PAUSE),
            );
            most / 2 + self.random.below(most / 2 + 1)
        };
        let asked = retry_after.map_or(0, |wait| {
            let wait = millis(wait.min(LONGEST_ASKED));
            wait.saturating_add(self.random.below(wait / 10 + 1))
        });
        self.next = Millis(now.0.saturating_add(pause.max(asked).max(1)));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
