//! One try: what it holds, and how it ends. However it ends, it gives back what it held.

use super::chain::Block;
use crate::Millis;
use crate::fleet::target::Pending;
use crate::fleet::{Provider, Target};
use crate::health::{Blame, Cause, Change, Changes, Ticket};
use crate::limits::{Limiter, Permit};
use llmleaf_model::{Failure, FailureKind};
use std::sync::Arc;
use std::time::Duration;

/// A try at one target with one credential. It ends by [`super::Walk::complete`], by [`Self::fail`], or by being dropped: then nobody learnt
/// anything, because the consumer went away or another attempt was faster.
#[derive(Debug)]
pub struct Attempt {
    /// Index of its member in the chain as it was given.
    pub member: usize,
    /// Index of the credential to use, in the provider's order.
    pub credential: usize,
    /// 1 for the first attempt of the exchange.
    pub number: u32,
    /// It runs beside another.
    pub hedge: bool,
    pub(super) slot: usize,
    pub(super) began: Millis,
    provider: Arc<Provider>,
    target: Arc<Target>,
    /// Taken when it ends.
    held: Option<Held>,
    /// It alone finds out whether its credential is accepted again.
    claimed: bool,
    sent: bool,
    content_at: Option<Millis>,
}

#[derive(Debug)]
struct Held {
    ticket: Ticket,
    permits: Permits,
    _pending: Pending,
}

/// Of the provider and of the target.
#[derive(Debug, Default)]
pub(super) struct Permits {
    all: [Option<Permit>; 2],
    /// What was used is known.
    settled: bool,
}

impl Permits {
    /// One more, or none at all.
    pub fn take(&mut self, limiter: &Arc<Limiter>, tokens: u64, now: Millis) -> Result<(), Block> {
        match limiter.admit(tokens, now) {
            Ok(permit) => {
                if let Some(free) = self.all.iter_mut().find(|p| p.is_none()) {
                    *free = Some(permit);
                }
                Ok(())
            }
            Err(refusal) => {
                self.refund();
                Err(refusal.into())
            }
        }
    }

    pub fn refund(&mut self) {
        self.all.iter_mut().flatten().for_each(Permit::refund);
    }

    fn settle(&mut self, tokens: u64, now: Millis) {
        let each = self.all.iter_mut().flatten();
        each.for_each(|permit| permit.settle(tokens, now));
        self.settled = true;
    }
}

/// What an exchange used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens in all, as the provider's limits count them; `None` where nobody knows: the estimate stands.
    pub tokens: Option<u64>,
    /// Output tokens.
    pub output: u64,
}

/// Where an attempt stands in its walk.
pub(super) struct Place {
    pub member: usize,
    pub slot: usize,
    pub credential: usize,
    pub number: u32,
}

/// All that an attempt needs.
pub(super) struct Opening {
    pub ticket: Ticket,
    pub permits: Permits,
    pub claimed: bool,
}

impl Opening {
    pub fn begin(
        self,
        place: Place,
        provider: &Arc<Provider>,
        target: &Arc<Target>,
        now: Millis,
    ) -> Attempt {
        let pending = target.pend();
        Attempt {
            member: place.member,
            credential: place.credential,
            number: place.number,
            hedge: false,
            slot: place.slot,
            began: now,
            provider: Arc::clone(provider),
            target: Arc::clone(target),
            held: Some(Held {
                ticket: self.ticket,
                permits: self.permits,
                _pending: pending,
            }),
            claimed: self.claimed,
            sent: false,
            content_at: None,
        }
    }
}

impl Attempt {
    /// The request is on its way: from now on the provider may count it.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// When it began.
    pub fn began(&self) -> Millis {
        self.began
    }

    /// It is one of the few that find out whether a target works again.
    pub fn is_trial(&self) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| held.ticket.is_trial())
    }

    /// The target it is at.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The provider it is at.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// So many tokens were used so far: limits are set right before the end.
    pub fn settle(&mut self, tokens: u64, now: Millis) {
        if let Some(held) = &mut self.held {
            held.permits.settle(tokens, now);
        }
    }

    /// The provider says, without refusing, that nothing is left of a limit for so long: nobody else is to run into it.
    pub fn exhausted(&self, wait: Duration, now: Millis) -> Changes {
        let lane = self.target.lane(self.credential);
        let until = lane.and_then(|lane| lane.hold(wait, now));
        let cause = Cause::RateLimit;
        Changes {
            target: None,
            credential: until.map(|until| Change::Cooled { until, cause }),
        }
    }

    /// The first content came.
    pub(super) fn content(&mut self, now: Millis) -> Changes {
        self.sent = true;
        if self.content_at.is_none() {
            self.content_at = Some(now);
            let took = Duration::from_millis(now.since(self.began));
            self.target.pace().first_content(took, now);
        }
        let target = self.held.as_mut().and_then(|held| held.ticket.passed(now));
        Changes {
            target,
            credential: self.accepted(),
        }
    }

    /// It ended well.
    pub(super) fn complete(mut self, spent: Spent, now: Millis) -> Changes {
        self.sent = true;
        let Some(mut held) = self.held.take() else {
            return Changes::default();
        };
        if let Some(tokens) = spent.tokens {
            held.permits.settle(tokens, now);
        }
        match self.content_at {
            Some(at) => {
                let took = Duration::from_millis(now.since(at));
                self.target.pace().throughput(spent.output, took, now);
            }
            // A whole answer: its time is no time to first content, and is not mixed with those.
            None => {
                let took = Duration::from_millis(now.since(self.began));
                self.target.pace().throughput(spent.output, took, now);
            }
        }
        Changes {
            credential: self.accepted(),
            target: held.ticket.succeeded(now),
        }
    }

    /// It failed, before its first content or after it. What the failure does to the exchange is [`super::Walk::failed`]'s to say.
    pub fn fail(mut self, failure: &Failure, now: Millis) -> Changes {
        let Some(mut held) = self.held.take() else {
            return Changes::default();
        };
        if !self.sent || failure.kind == FailureKind::Connect {
            held.permits.refund();
        } else if !failure.possibly_billed && !held.permits.settled && self.content_at.is_none() {
            held.permits.settle(0, now);
        }
        let blame = if self.provider.unwatched {
            Blame::NONE
        } else {
            Blame::of(failure)
        };
        let mut changes = Changes::default();
        if blame.credential
            && let Some(credential) = self.provider.credentials.get(self.credential)
        {
            let stated = failure.retry_after;
            let refused = &credential.refused;
            let until = refused.cool(Cause::Refused, stated, self.began, now);
            changes.credential = Some(Change::CredentialRefused { until });
        }
        if let Some(cause) = blame.lane
            && let Some(lane) = self.target.lane(self.credential)
        {
            let until = lane.cool(cause, failure.retry_after, self.began, now);
            changes.credential = Some(Change::Cooled { until, cause });
        }
        if blame.target > 0 {
            changes.target = held.ticket.failed(blame.target, now);
        }
        changes
    }

    fn accepted(&mut self) -> Option<Change> {
        if let Some(lane) = self.target.lane(self.credential) {
            lane.accepted(self.began);
        }
        let credential = self.provider.credentials.get(self.credential)?;
        let news = if std::mem::take(&mut self.claimed) {
            credential.refused.confirm()
        } else {
            credential.refused.accepted(self.began)
        };
        news.then_some(Change::CredentialAccepted)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(held) = &mut self.held
            && !self.sent
        {
            held.permits.refund();
        }
    }
}
