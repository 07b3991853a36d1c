//! The judge's own account of who is to be left alone until when.

use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_route::Change;
use llmleaf_route::health::Cause;

#[derive(Clone, Copy, Debug, Default)]
pub struct Wall {
    pub until: u64,
    row: u32,
    pub cause: Option<Cause>,
    /// One exchange finds out alone, until then at most.
    claim: Option<(u64, u64)>,
}

/// What a failure is held against, read from the words of the task and not from the product.
pub struct Held {
    pub weight: u32,
    pub lane: Option<Cause>,
    pub credential: bool,
}

pub fn held(failure: &Failure) -> Held {
    let nobody = Held {
        weight: 0,
        lane: None,
        credential: false,
    };
    // Only what is the upstream's own.
    if failure.origin != Origin::Upstream {
        return nobody;
    }
    let stated = failure.retry_after.is_some_and(|wait| wait.as_nanos() > 0);
    match (failure.kind, failure.status) {
        (FailureKind::Credential, Some(401)) => Held {
            credential: true,
            ..nobody
        },
        (FailureKind::Credential, Some(403)) => Held {
            lane: Some(Cause::Refused),
            ..nobody
        },
        (FailureKind::RateLimit, _) => Held {
            lane: Some(Cause::RateLimit),
            ..nobody
        },
        (FailureKind::Quota, _) => Held {
            lane: Some(Cause::Quota),
            ..nobody
        },
        (FailureKind::Unsupported, _) => nobody,
        (kind, _) => Held {
            weight: match kind {
                FailureKind::Connect | FailureKind::Timeout => 3,
                _ => 2,
            },
            lane: stated.then_some(Cause::Stated),
            ..nobody
        },
    }
}

impl Wall {
    pub fn is_clean(&self) -> bool {
        self.row == 0
    }

    pub fn blocks(&self, now: u64) -> bool {
        now < self.until || self.claim.is_some_and(|(_, until)| now < until)
    }

    /// An attempt goes through here. `claims`: after a refusal it must be alone in that.
    pub fn tried(&mut self, serial: u64, claims: bool, now: u64) -> Result<(), String> {
        if now < self.until {
            return Err(format!(
                "tried {} ms before a wait ends ({:?})",
                self.until - now,
                self.cause
            ));
        }
        if self.blocks(now) {
            return Err("tried while another finds out".into());
        }
        if claims && self.row > 0 {
            self.claim = Some((serial, now + 5000));
        }
        Ok(())
    }

    /// Met: what was said of it is within what may be.
    pub fn met(
        &mut self,
        cause: Cause,
        failure: &Failure,
        began: u64,
        said: u64,
        now: u64,
    ) -> Result<(), String> {
        if began >= self.until {
            self.row += 1;
        }
        let stated = failure.retry_after.filter(|wait| wait.as_nanos() > 0);
        let (low, high) = match stated {
            Some(wait) => {
                let wait = (wait.as_millis() as u64).min(3_600_000);
                let wait = if failure.retry_after.unwrap().as_secs() > 3600 {
                    3_600_000
                } else {
                    wait
                };
                (wait, wait)
            }
            None => {
                let (first, longest) = match cause {
                    Cause::RateLimit | Cause::Stated => (1_000, 60_000),
                    Cause::Quota | Cause::Refused => (60_000, 900_000),
                };
                let nominal = (first << (self.row.max(1) - 1).min(16)).min(longest);
                (nominal * 9 / 10, nominal * 11 / 10 + 1)
            }
        };
        let (low, high) = (self.until.max(now + low), self.until.max(now + high));
        if said < low || said > high {
            return Err(format!(
                "{cause:?} of {:?}: to be left alone until {said}, expected {low}..={high}",
                failure.retry_after
            ));
        }
        if said > self.until || self.cause.is_none() {
            self.cause = Some(cause);
        }
        self.until = said;
        Ok(())
    }

    /// Accepted. True when that ends a row.
    pub fn accepted(&mut self, serial: u64, began: u64) -> bool {
        let mine = self.claim.is_some_and(|(claimant, _)| claimant == serial);
        if self.row == 0 || !(mine || began >= self.until) {
            return false;
        }
        *self = Self::default();
        true
    }
}

/// What must have been said of a credential.
pub fn said_of_credential(
    failure: &Failure,
    lane: &mut Wall,
    credential: &mut Wall,
    said: Option<Change>,
    (began, now): (u64, u64),
) -> Result<(), String> {
    let held = held(failure);
    match (said, held.lane, held.credential) {
        (Some(Change::Cooled { until, cause }), Some(expected), _) if cause == expected => {
            lane.met(cause, failure, began, until.0, now)
        }
        (Some(Change::CredentialRefused { until }), None, true) => {
            credential.met(Cause::Refused, failure, began, until.0, now)
        }
        (None, None, false) => Ok(()),
        (said, ..) => Err(format!("{:?} {:?}: {said:?}", failure.kind, failure.status)),
    }
}
