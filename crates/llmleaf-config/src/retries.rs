//! How often and how long an exchange may try.

use std::time::Duration;

use crate::read::{Reading, Table};

/// How often and how long, all of it set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts of one exchange, all targets and credentials together.
    pub attempts: u32,
    /// Attempts at one target that fail by its own fault; 1 is no trying again.
    pub tries_per_target: u32,
    /// From the beginning of an exchange to its first content, all attempts and waits together.
    pub deadline: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 8,
            tries_per_target: 2,
            deadline: Duration::from_secs(600),
        }
    }
}

impl Retries {
    /// These, except where `nearer` says otherwise.
    #[must_use]
    pub fn with(&self, nearer: &RetryOverrides) -> Self {
        Self {
            attempts: nearer.attempts.unwrap_or(self.attempts),
            tries_per_target: nearer.tries_per_target.unwrap_or(self.tries_per_target),
            deadline: nearer.deadline.unwrap_or(self.deadline),
        }
    }
}

/// The keys as written: only what is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryOverrides {
    /// `attempts`
    pub attempts: Option<u32>,
    /// `tries_per_target`
    pub tries_per_target: Option<u32>,
    /// `deadline_ms`
    pub deadline: Option<Duration>,
}

/// Longest deadline: a week.
const MAX_MS: u64 = 7 * 24 * 3600 * 1000;

/// Reads the keys of a table that has them beside others.
pub(crate) fn read(cx: &Reading<'_>, table: &mut Table<'_>) -> RetryOverrides {
    let small = |n: u64| u32::try_from(n).ok();
    RetryOverrides {
        attempts: table.whole(cx, "attempts", 1..=64).and_then(small),
        tries_per_target: table.whole(cx, "tries_per_target", 1..=16).and_then(small),
        deadline: table.millis(cx, "deadline_ms", 1..=MAX_MS),
    }
}
