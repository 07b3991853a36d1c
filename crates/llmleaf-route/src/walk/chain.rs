//! The members of a walk: who may be tried in which pass, and what stands in the way.

use super::Walk;
use super::give_up::Kind;
use super::trail::Passed;
use crate::Millis;
use crate::health::Cause;
use crate::limits::Refusal;

/// One member's part in the walk, in the order of trying.
#[derive(Debug)]
pub(super) struct Slot {
    pub member: usize,
    /// Failures of its own that no other credential mends.
    pub strikes: u32,
    pub retry_at: Millis,
    /// Attempts made.
    pub attempts: u32,
    /// An attempt runs.
    pub running: bool,
    /// The provider itself failed here: more of this exchange at that provider counts as repeating.
    pub troubled: bool,
    /// Credentials that failed in this exchange, where nobody else remembers it.
    pub spent: Vec<usize>,
    /// It was not fit when its turn came first.
    pub passed: Option<Passed>,
    /// It was tried since nobody else was left.
    pub last_resort: bool,
}

impl Slot {
    pub fn new(member: usize) -> Self {
        Self {
            member,
            strikes: 0,
            retry_at: Millis(0),
            attempts: 0,
            running: false,
            troubled: false,
            spent: Vec::new(),
            passed: None,
            last_resort: false,
        }
    }
}

/// What stands in the way, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub until: Millis,
    pub kind: Kind,
}

impl Block {
    pub const NEVER: Self = Self {
        until: Millis::NEVER,
        kind: Kind::Spent,
    };

    pub fn down(until: Millis) -> Self {
        Self {
            until,
            kind: Kind::Down,
        }
    }
}

impl From<(Millis, Cause)> for Block {
    fn from((until, cause): (Millis, Cause)) -> Self {
        let kind = if cause.is_of_credential() {
            Kind::Credentials
        } else {
            Kind::RateLimited
        };
        Self { until, kind }
    }
}

impl From<Refusal> for Block {
    fn from(refusal: Refusal) -> Self {
        Self {
            until: refusal.until,
            kind: Kind::LocalLimit,
        }
    }
}

/// The rounds of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Who has not failed.
    Fresh,
    /// Who failed in a way that may pass.
    Again,
    /// Who is passed over by our own guess only.
    LastResort,
}

impl Pass {
    pub const ALL: [Self; 3] = [Self::Fresh, Self::Again, Self::LastResort];
}

impl Walk {
    /// Whether a slot's turn is in this pass; `Err`: it is, but not yet.
    pub(super) fn eligible(
        &self,
        index: usize,
        pass: Pass,
        now: Millis,
    ) -> Option<Result<(), Block>> {
        let slot = self.slots.get(index)?;
        let struck = slot.strikes > 0;
        let in_turn = match pass {
            Pass::Fresh => !struck,
            Pass::Again => struck,
            Pass::LastResort => true,
        };
        if slot.running || !in_turn || slot.strikes >= self.policy.tries_per_target.max(1) {
            return None;
        }
        if struck && now < slot.retry_at {
            return Some(Err(Block {
                until: slot.retry_at,
                kind: Kind::Backoff,
            }));
        }
        Some(Ok(()))
    }

    /// What stands in the way of a slot, without taking anything. A breaker counts with its last resort, since a next exchange may
    /// use that.
    pub(super) fn peek(&self, index: usize, now: Millis) -> Option<Block> {
        let member = self.members.get(self.slots.get(index)?.member)?;
        let (provider, target) = (&member.provider, &member.target);
        let credential = provider.blocked(target, now).map(Block::from);
        let opens = target.breaker().opens_at(true, now);
        let down = (opens > now).then(|| Block::down(opens));
        let limits = [&provider.limiter, &target.limiter];
        let limits = limits.map(|l| l.blocked(self.tokens, now).map(Block::from));
        // All of them must be gone: the latest counts.
        let all = credential
            .into_iter()
            .chain(down)
            .chain(limits.into_iter().flatten());
        all.max_by_key(|block| block.until)
    }
}
