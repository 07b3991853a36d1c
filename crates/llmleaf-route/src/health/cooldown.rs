//! A time to be passed over: stated by the upstream, or a guess that doubles.

use crate::Millis;
use crate::random::{Random, pair};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Longest wait that an upstream may impose: a garbled header must not remove a target for good.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How long others keep away while one exchange finds out whether a refused credential is accepted again.
const CLAIM: Duration = Duration::from_secs(5);

/// Why somebody is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too many requests or tokens (429).
    RateLimit,
    /// Money or quota is used up (402, and 429 that says so).
    Quota,
    /// Not allowed here (403), or not accepted at all (401).
    Refused,
    /// The upstream stated a wait with a failure of another kind.
    Stated,
}

impl Cause {
    /// Lower-case slug for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Refused => "refused",
            Self::Stated => "stated_wait",
        }
    }

    /// Whether it is the credential, and not the moment, that stands in the way.
    pub fn is_of_credential(self) -> bool {
        matches!(self, Self::Quota | Self::Refused)
    }

    /// First and longest guess, where the upstream states no wait.
    fn ladder(self) -> (Duration, Duration) {
        match self {
            Self::RateLimit | Self::Stated => (Duration::from_secs(1), Duration::from_secs(60)),
            Self::Quota | Self::Refused => (Duration::from_secs(60), Duration::from_secs(900)),
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::RateLimit),
            2 => Some(Self::Quota),
            3 => Some(Self::Refused),
            4 => Some(Self::Stated),
            _ => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::RateLimit => 1,
            Self::Quota => 2,
            Self::Refused => 3,
            Self::Stated => 4,
        }
    }
}

/// A time to be passed over. Lock-free: it is read for every request.
#[derive(Debug, Default)]
pub struct Cooldown {
    /// Passed over until then; 0 is never.
    until: AtomicU64,
    /// Somebody finds out, alone, whether that was long enough; others wait until then.
    claimed_until: AtomicU64,
    /// Coolings in a row without an accepted request between.
    streak: AtomicU32,
    cause: AtomicU8,
    seed: u64,
}

impl Cooldown {
    /// With a seed for the guesses' jitter.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Until when, and why, if now is too early.
    pub fn blocked(&self, now: Millis) -> Option<(Millis, Cause)> {
        let until = self.until.load(Ordering::Relaxed);
        let until = until.max(self.claimed_until.load(Ordering::Relaxed));
        if until <= now.0 {
            return None;
        }
        Some((Millis(until), self.cause().unwrap_or(Cause::Stated)))
    }

    /// Why it cooled last, until an accepted request clears it.
    pub fn cause(&self) -> Option<Cause> {
        Cause::from_code(self.cause.load(Ordering::Relaxed))
    }

    /// An attempt that began at `began` met a reason to keep away. A stated wait is kept to the letter, up to [`LONGEST_WAIT`]; none, or
    /// one of nothing, becomes a guess that doubles with each cooling in a row. The latest deadline wins.
    pub fn cool(
        &self,
        cause: Cause,
        stated: Option<Duration>,
        began: Millis,
        now: Millis,
    ) -> Millis {
        // Of many attempts that met one and the same wall, the first makes the guess longer for the next time, and no other.
        let known = self.until.load(Ordering::Relaxed);
        let streak = if began.0 >= known {
            self.streak.fetch_add(1, Ordering::Relaxed)
        } else {
            self.streak.load(Ordering::Relaxed).saturating_sub(1)
        };
        let until = match stated.filter(|wait| !wait.is_zero()) {
            Some(wait) => now.after(wait.min(LONGEST_WAIT)),
            None => {
                let (first, longest) = cause.ladder();
                let guess = first.saturating_mul(1 << streak.min(16)).min(longest);
                let millis = u64::try_from(guess.as_millis()).unwrap_or(u64::MAX);
                let mut random = Random::new(pair(self.seed, now.0));
                now.plus(random.around(millis))
            }
        };
        let before = self.until.fetch_max(until.0, Ordering::Relaxed);
        if before <= until.0 {
            self.cause.store(cause.code(), Ordering::Relaxed);
        }
        Millis(before.max(until.0))
    }

    /// The upstream says that nothing is left for so long, and has refused nothing yet. Until when, if that is news.
    pub fn hold(&self, wait: Duration, now: Millis) -> Option<Millis> {
        let until = now.after(wait.min(LONGEST_WAIT));
        let before = self.until.fetch_max(until.0, Ordering::Relaxed);
        if before >= until.0 || until <= now {
            return None;
        }
        self.cause.store(Cause::RateLimit.code(), Ordering::Relaxed);
        Some(until)
    }

    /// Nothing is remembered that still matters.
    pub fn is_quiet(&self, now: Millis) -> bool {
        self.streak.load(Ordering::Relaxed) == 0 && self.blocked(now).is_none()
    }

    /// A request was accepted. True when that ends a row of coolings.
    pub fn accepted(&self, began: Millis) -> bool {
        // Loads are cheaper than stores on a line that all threads share, and health is the rule.
        if self.streak.load(Ordering::Relaxed) == 0 {
            return false;
        }
        // One that went out before the wall was met says nothing of what is behind it.
        let until = self.until.load(Ordering::Relaxed);
        if began.0 < until {
            return false;
        }
        self.streak.store(0, Ordering::Relaxed);
        self.cause.store(0, Ordering::Relaxed);
        true
    }

    /// Takes the right to find out, alone, whether a time that has passed was long enough. `None`: not now. `Some(false)`: there was
    /// nothing to find out.
    pub fn claim(&self, now: Millis) -> Option<bool> {
        if self.streak.load(Ordering::Relaxed) == 0 {
            return Some(false);
        }
        let claimed = self.claimed_until.load(Ordering::Relaxed);
        let free = self.blocked(now).is_none()
            && self
                .claimed_until
                .compare_exchange(
                    claimed,
                    now.after(CLAIM).0,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        free.then_some(true)
    }

    /// The one who claimed was accepted: nobody needs to keep away any longer. True when that is news.
    pub fn confirm(&self) -> bool {
        if self.streak.swap(0, Ordering::Relaxed) == 0 {
            return false;
        }
        self.until.store(0, Ordering::Relaxed);
        self.claimed_until.store(0, Ordering::Relaxed);
        self.cause.store(0, Ordering::Relaxed);
        true
    }
}
