//! Why a walk ended without an answer, and when another may fare better.

use super::chain::Block;
use crate::Millis;

/// The end of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GiveUp {
    /// Why.
    pub reason: Reason,
    /// When the first member of the chain can be tried again; `None`: at once, or nobody knows.
    pub retry_at: Option<Millis>,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Attempts were made, and the last failure is the answer.
    Failed,
    /// The deadline came first.
    Deadline,
    /// Nobody was tried: every target is passed over after failures.
    Down,
    /// Every credential of every target was refused, or its quota is used up.
    Credentials,
    /// Nobody was tried: every target stated a wait that is not over.
    RateLimited,
    /// Nobody was tried: every target is at a limit that this node keeps.
    LocalLimit,
}

impl Reason {
    /// Lower-case slug for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Deadline => "deadline",
            Self::Down => "all_down",
            Self::Credentials => "credentials_exhausted",
            Self::RateLimited => "rate_limited",
            Self::LocalLimit => "local_limit",
        }
    }
}

/// What stands in the way of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Down,
    Credentials,
    RateLimited,
    LocalLimit,
    Backoff,
    Spent,
}

/// The reason of an end, from what stands in the way of each member now.
pub(super) fn reason(reason: Reason, blocks: &[Option<Block>], attempts: u32) -> Reason {
    let all = |kind: Kind| blocks.iter().all(|b| b.is_some_and(|b| b.kind == kind));
    if all(Kind::Credentials) {
        return Reason::Credentials;
    }
    if reason == Reason::Deadline || attempts > 0 {
        return reason;
    }
    let any = |kind: Kind| blocks.iter().flatten().any(|b| b.kind == kind);
    if any(Kind::Down) {
        Reason::Down
    } else if any(Kind::RateLimited) {
        Reason::RateLimited
    } else {
        Reason::LocalLimit
    }
}

/// When the first member can be tried again.
pub(super) fn soonest(blocks: &[Option<Block>]) -> Option<Millis> {
    if blocks.iter().any(Option::is_none) {
        return None;
    }
    let times = blocks.iter().flatten().map(|b| b.until);
    times.min().filter(|until| *until != Millis::NEVER)
}
