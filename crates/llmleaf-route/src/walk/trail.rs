//! What a walk tells of itself to whoever asks why: in which order, and what became of each member of its chain. It is put together when it is
//! asked for, from what the walk keeps anyway.

use super::Walk;
use super::chain::{Block, Slot};
use super::give_up::Kind;
use crate::Millis;
use crate::choice::{Order, Price, Unmet};
use crate::fleet::Member;
use std::sync::Arc;

/// The decisions of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// When the walk began: what every moment is told from.
    pub began: Millis,
    /// By what the order was made.
    pub order: Order,
    /// Milliseconds that were waited for limits and recoveries, back-offs aside.
    pub waited_ms: u64,
    /// Number of the attempt that was made beside a running one.
    pub hedge: Option<u32>,
    /// The members, in the order of trying, and behind them those that the request's own wishes left out. Empty where the first of them served at
    /// once, and nobody asked for more.
    pub stops: Vec<Stop>,
}

/// A member of the chain, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Configured name of the provider.
    pub provider: Arc<str>,
    /// The model's name there.
    pub model: Arc<str>,
    /// Its place in the request's list of models.
    pub group: u16,
    /// What it costs, where that was looked at.
    pub price: Option<Price>,
    /// Attempts made at it.
    pub attempts: u32,
    /// It was tried although it is passed over, since nobody else was left.
    pub last_resort: bool,
    /// Why it was passed over when its turn came.
    pub passed: Option<Passed>,
    /// Why it was no candidate.
    pub left_out: Option<LeftOut>,
}

/// Whose turn came, and who was not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Why.
    pub why: Why,
    /// When.
    pub at: Millis,
    /// Not before then, as it was known at that moment; [`Millis::NEVER`] where nobody can say.
    pub until: Millis,
}

/// Why a member is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It failed again and again: its breaker is open.
    Breaker,
    /// All of its credentials are refused, or their quotas are used up.
    Credentials,
    /// It met its limits, or stated a wait.
    RateLimited,
    /// It is at a limit that this node keeps.
    LocalLimit,
    /// No more of this exchange may go to a provider that failed it.
    Spent,
}

impl Why {
    /// Name in trails.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker_open",
            Self::Credentials => "credentials_exhausted",
            Self::RateLimited => "rate_limited",
            Self::LocalLimit => "local_limit",
            Self::Spent => "retries_spent",
        }
    }

    fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Down => Some(Self::Breaker),
            Kind::Credentials => Some(Self::Credentials),
            Kind::RateLimited => Some(Self::RateLimited),
            Kind::LocalLimit => Some(Self::LocalLimit),
            Kind::Spent => Some(Self::Spent),
            // It failed a moment ago, and its attempts tell that.
            Kind::Backoff => None,
        }
    }
}

/// Why a member of a chain was no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeftOut {
    /// It does not meet a wish.
    Unmet(Unmet),
    /// Another is the request's one choice.
    NoFallbacks,
}

impl LeftOut {
    /// The request's field that leaves it out.
    pub fn field(self) -> &'static str {
        match self {
            Self::Unmet(unmet) => unmet.field(),
            Self::NoFallbacks => "provider.allow_fallbacks",
        }
    }
}

/// A walk that cannot begin: the request's wishes leave nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which wish.
    pub unmet: Unmet,
    /// Whom it left out, and each why.
    pub trail: Trail,
}

impl Slot {
    /// Its turn came, and it was not fit. What stood in the way first is what is told: later turns come of it.
    pub(super) fn pass(&mut self, block: Block, now: Millis) {
        if self.attempts > 0 || self.passed.is_some() {
            return;
        }
        self.passed = Why::of(block.kind).map(|why| Passed {
            why,
            at: now,
            until: block.until,
        });
    }
}

impl Walk {
    /// Its decisions so far.
    pub fn trail(&self) -> Trail {
        let tried = self.slots.iter().filter_map(|slot| {
            let member = self.members.get(slot.member)?;
            Some(Stop {
                attempts: slot.attempts,
                last_resort: slot.last_resort,
                passed: slot.passed,
                ..stop(member)
            })
        });
        let others = self
            .members
            .iter()
            .filter(|member| member.left_out.is_some());
        Trail {
            stops: tried.chain(others.map(stop)).collect(),
            ..self.outline()
        }
    }

    /// The same without the members, which allocates nothing.
    pub fn outline(&self) -> Trail {
        Trail {
            began: self.began,
            order: self.order,
            waited_ms: self.waited,
            hedge: self.hedged,
            stops: Vec::new(),
        }
    }

    /// Whether there is more to tell than that the first candidate served at once.
    pub fn is_eventful(&self) -> bool {
        let plain = |slot: &Slot| slot.passed.is_none() && !slot.last_resort;
        self.attempts != 1
            || self.slots.len() < self.members.len()
            || !self.slots.iter().all(plain)
            || self.slots.first().is_some_and(|first| first.attempts == 0)
    }
}

/// The trail of a walk whose members are all left out.
pub(super) fn refused(members: &[Member], order: Order, unmet: Unmet, now: Millis) -> Refused {
    let trail = Trail {
        began: now,
        order,
        waited_ms: 0,
        hedge: None,
        stops: members.iter().map(stop).collect(),
    };
    Refused { unmet, trail }
}

fn stop(member: &Member) -> Stop {
    Stop {
        provider: Arc::clone(member.provider.name()),
        model: Arc::clone(&member.model),
        group: member.group,
        price: member.facts.price,
        attempts: 0,
        last_resort: false,
        passed: None,
        left_out: member.left_out,
    }
}

#[cfg(test)]
mod tests;
