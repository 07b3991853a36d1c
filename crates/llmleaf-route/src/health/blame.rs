//! Which failure weighs what, and on whom.

use super::cooldown::Cause;
use llmleaf_model::{Failure, FailureKind, Origin};

/// Whom a failure is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// Weight against the target; 0 is none. See [`super::breaker::SCORE_TO_OPEN`].
    pub target: u32,
    /// The lane (this credential at this model) is passed over for a time.
    pub lane: Option<Cause>,
    /// The credential is passed over for a time.
    pub credential: bool,
}

impl Blame {
    /// Nobody's: a consumer's fault, a cancelled exchange, or what the target does not offer.
    pub const NONE: Self = Self {
        target: 0,
        lane: None,
        credential: false,
    };

    /// Whom a failure is held against. Only what is the upstream's own fault ever counts, so that no consumer can harm a target for others.
    pub fn of(failure: &Failure) -> Self {
        // A connection that was lost before it was used is made up for below us, and is no failure here.
        if failure.origin != Origin::Upstream {
            return Self::NONE;
        }
        let stated = failure.retry_after.is_some_and(|wait| !wait.is_zero());
        let target = |weight| Self {
            target: weight,
            lane: stated.then_some(Cause::Stated),
            credential: false,
        };
        let lane = |cause| Self {
            lane: Some(cause),
            ..Self::NONE
        };
        match failure.kind {
            // Nothing can be reached, or a whole clock was waited for: two in a row are enough.
            FailureKind::Connect | FailureKind::Timeout => target(3),
            FailureKind::Server
            | FailureKind::Overloaded
            | FailureKind::Truncated
            | FailureKind::InvalidResponse => target(2),
            FailureKind::RateLimit => lane(Cause::RateLimit),
            FailureKind::Quota => lane(Cause::Quota),
            FailureKind::Credential | FailureKind::Authentication | FailureKind::Permission
                if failure.status == Some(403) =>
            {
                lane(Cause::Refused)
            }
            FailureKind::Credential | FailureKind::Authentication => Self {
                credential: true,
                ..Self::NONE
            },
            FailureKind::Permission => lane(Cause::Refused),
            _ => Self::NONE,
        }
    }

    /// Another credential of the same provider may fare better at once.
    pub fn rotates(self) -> bool {
        self.credential || (self.lane.is_some() && self.target == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn consumers_and_cancels_blame_nobody() {
        let cancelled = Failure::gateway(FailureKind::Cancelled, "gone");
        let unsupported = Failure::upstream(FailureKind::Unsupported, "no");
        let consumer = Failure::new(Origin::Consumer, FailureKind::Server, "odd");
        for failure in [
            Failure::invalid("bad", None),
            cancelled,
            unsupported,
            consumer,
        ] {
            assert_eq!(Blame::of(&failure), Blame::NONE, "{failure:?}");
        }
    }

    #[test]
    fn each_failure_is_held_against_the_narrowest() {
        let of = |kind, status| {
            let mut failure = Failure::upstream(kind, "x");
            failure.status = status;
            Blame::of(&failure)
        };
        assert_eq!(of(FailureKind::Connect, None).target, 3);
        assert_eq!(of(FailureKind::Server, Some(500)).target, 2);
        assert!(of(FailureKind::Credential, Some(401)).credential);
        assert_eq!(
            of(FailureKind::Credential, Some(403)).lane,
            Some(Cause::Refused)
        );
        assert_eq!(
            of(FailureKind::RateLimit, Some(429)),
            Blame {
                lane: Some(Cause::RateLimit),
                ..Blame::NONE
            }
        );
        let mut busy = Failure::upstream(FailureKind::Overloaded, "503");
        busy.retry_after = Some(Duration::from_secs(3));
        let blame = Blame::of(&busy);
        assert_eq!((blame.target, blame.lane), (2, Some(Cause::Stated)));
        assert!(!blame.rotates() && of(FailureKind::Quota, Some(402)).rotates());
    }
}
