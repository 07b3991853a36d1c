//! The cool-down that the exchange still uses; [`crate::walk`] and [`crate::health`] take its place.

use crate::Millis;
use llmleaf_model::{Failure, FailureKind, Origin};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Failures in a row after which a target is passed over.
const FAILURES_TO_COOL: u32 = 3;

/// Longest wait that an upstream may impose: a garbled header must not remove a target for good.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Health of one target, shared by all exchanges of the node. Passive: nothing is probed.
#[derive(Debug, Default)]
pub struct Health {
    /// Failures in a row.
    failures: AtomicU32,
    /// Passed over until then; 0 is never.
    until: AtomicU64,
}

impl Health {
    /// How long the target is still to be passed over.
    pub fn cooling(&self, now: Millis) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        until
            .checked_sub(now.0)
            .filter(|left| *left > 0)
            .map(Duration::from_millis)
    }

    /// An attempt ended well.
    pub fn success(&self) {
        // Loads are cheaper than stores on a line that all threads share, and health is the rule.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.until.load(Ordering::Relaxed) != 0 {
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// An attempt failed. Only what is the upstream's own fault counts; the latest deadline wins.
    pub fn failure(&self, failure: &Failure, now: Millis, cooldown: Duration) {
        if failure.origin != Origin::Upstream || failure.kind == FailureKind::Unsupported {
            return;
        }
        let failures = self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        let wait = match failure.retry_after {
            Some(wait) => wait.min(LONGEST_WAIT),
            None if failures >= FAILURES_TO_COOL => cooldown,
            None => return,
        };
        self.until.fetch_max(now.after(wait).0, Ordering::Relaxed);
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_secs(15);

    #[test]
    fn only_the_upstreams_own_faults_count() {
        let health = Health::default();
        for _ in 0..10 {
            health.failure(&Failure::invalid("bad", None), Millis(1), COOLDOWN);
            health.failure(
                &Failure::gateway(FailureKind::Cancelled, "gone"),
                Millis(1),
                COOLDOWN,
            );
            health.failure(
                &Failure::upstream(FailureKind::Unsupported, "no"),
                Millis(1),
                COOLDOWN,
            );
        }
        assert_eq!((health.failures(), health.cooling(Millis(1))), (0, None));
        for _ in 0..3 {
            assert_eq!(health.cooling(Millis(1)), None);
            health.failure(
                &Failure::upstream(FailureKind::Server, "500"),
                Millis(1),
                COOLDOWN,
            );
        }
        assert_eq!(health.cooling(Millis(1)), Some(COOLDOWN));
        assert_eq!(health.cooling(Millis(15_001)), None);
        health.success();
        assert_eq!((health.failures(), health.cooling(Millis(2))), (0, None));
    }

    #[test]
    fn a_stated_wait_counts_at_once_and_the_latest_wins() {
        let health = Health::default();
        let mut limited = Failure::upstream(FailureKind::RateLimit, "429");
        limited.retry_after = Some(Duration::from_secs(40));
        health.failure(&limited, Millis(0), COOLDOWN);
        limited.retry_after = Some(Duration::from_secs(2));
        health.failure(&limited, Millis(0), COOLDOWN);
        assert_eq!(health.cooling(Millis(0)), Some(Duration::from_secs(40)));
        limited.retry_after = Some(Duration::MAX);
        health.failure(&limited, Millis(0), COOLDOWN);
        assert_eq!(health.cooling(Millis(0)), Some(LONGEST_WAIT));
    }
}
