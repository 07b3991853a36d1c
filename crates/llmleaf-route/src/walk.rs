//! One exchange's walk along its chain: whom to try next, how long to wait, when to give up.
//!
//! ```text
//! let mut walk = Walk::new(&fleet, policy, members, &ask, now)?;
//! loop {
//!     match walk.step(now) {
//!         Step::Try(mut attempt) => match call(&walk, &mut attempt) {      // attempt.sent() once the request is on its way
//!             first content  => changes = walk.commit(&mut attempt, now),  // from here on there is no way back
//!             the end        => changes = walk.complete(attempt, usage, now), // for a whole answer it is the commit too
//!             failure after  => changes = attempt.fail(&failure, now),
//!             failure before => changes = walk.failed(attempt, &failure, now),
//!             consumer gone  => drop(attempt),
//!         },
//!         Step::Wait(until) => sleep(until),
//!         Step::GiveUp(why) => answer(why),
//!     }
//! }
//! ```
//!
//! In order: whoever is fit and was not tried, in the order of [`crate::choice`]; then, after a back-off, whoever failed in a way that may
//! pass; then, if only breakers stand in the way, one of those as a last resort. A stated wait is never cut short. What is blocked for a
//! short time only is waited for, as long as the policy allows.
//!
//! Reading order: [`policy`] (what bounds a walk), this file, [`attempt`] (one try and what it holds), [`ratio`] (the cap on repeats), [`give_up`],
//! [`trail`] (what it tells of itself).

pub mod attempt;
mod chain;
pub mod give_up;
pub mod policy;
pub mod ratio;
pub mod trail;

pub use attempt::{Attempt, Spent};
pub use give_up::{GiveUp, Reason};
pub use policy::{Ask, Policy};
pub use ratio::Ratio;
pub use trail::{Refused, Trail};

use crate::Millis;
use crate::choice::{Affinity, Arranging, Order, Served, Wishes as _, arrange};
use crate::fleet::{Fleet, Member};
use crate::health::{Blame, Changes, Ticket};
use crate::random::{Random, pair};
use attempt::{Opening, Permits};
use chain::{Block, Pass, Slot};
use give_up::Kind;
use llmleaf_model::{Failure, FailureKind, Origin, Preferences, Retry};
use std::sync::Arc;
use std::time::Duration;
use trail::LeftOut;

/// First back-off before the same target is tried again; it doubles.
const BACKOFF_MS: u64 = 250;
/// Longest back-off.
const LONGEST_BACKOFF_MS: u64 = 4000;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Try this.
    Try(Attempt),
    /// Ask again then.
    Wait(Millis),
    /// Nothing is left.
    GiveUp(GiveUp),
}

/// The walk of one exchange.
#[derive(Debug)]
pub struct Walk {
    policy: Policy,
    members: Vec<Member>,
    slots: Vec<Slot>,
    affinity: Arc<Affinity>,
    hedges: Arc<Ratio>,
    key: Option<u64>,
    served: Option<Served>,
    /// The one credential that will do.
    pinned: Option<usize>,
    tokens: u64,
    random: Random,
    deadline: Millis,
    /// Waited so far for limits and recoveries.
    waited: u64,
    attempts: u32,
    committed: bool,
    /// The last failure is the answer.
    ended: bool,
    began: Millis,
    order: Order,
    /// The attempt beside another.
    hedged: Option<u32>,
}

impl Walk {
    /// Begins a walk.
    ///
    /// # Errors
    /// The preferences leave nobody.
    pub fn new(
        fleet: &Fleet,
        policy: Policy,
        mut members: Vec<Member>,
        ask: &Ask<'_>,
        now: Millis,
    ) -> Result<Self, Refused> {
        let affinity = Arc::clone(fleet.affinity());
        let served = ask.key.and_then(|key| affinity.recall(key, now));
        let arranging = Arranging {
            members: &members,
            strategy: policy.strategy,
            preferences: ask.preferences,
            key: ask.key,
            served,
            seed: ask.seed,
            now,
        };
        let by = arranging.by();
        let (places, order) = match arrange(&arranging) {
            Ok(arranged) => arranged,
            Err(unmet) => {
                leave_out(&mut members, &[], ask.preferences);
                return Err(trail::refused(&members, by, unmet, now));
            }
        };
        leave_out(&mut members, &places, ask.preferences);
        if policy.hedge {
            fleet.hedges.deposit(now);
        }
        Ok(Self {
            slots: places.into_iter().map(Slot::new).collect(),
            affinity,
            hedges: Arc::clone(&fleet.hedges),
            key: ask.key,
            served,
            pinned: ask.pinned,
            tokens: ask.tokens,
            random: Random::new(pair(ask.seed, 0x77A1)),
            deadline: now.after(policy.deadline),
            waited: 0,
            attempts: 0,
            committed: false,
            ended: false,
            began: now,
            order,
            hedged: None,
            policy,
            members,
        })
    }

    /// What to do next.
    pub fn step(&mut self, now: Millis) -> Step {
        if self.committed || self.ended || self.attempts >= self.policy.attempts {
            return self.give_up(Reason::Failed, now);
        }
        if now >= self.deadline {
            return self.give_up(Reason::Deadline, now);
        }
        let mut soonest: Option<Block> = None;
        for pass in Pass::ALL {
            for index in 0..self.slots.len() {
                let Some(ready) = self.eligible(index, pass, now) else {
                    continue;
                };
                let result = match ready {
                    Ok(()) => self.admit(index, pass == Pass::LastResort, now),
                    Err(block) => Err(block),
                };
                match result {
                    Ok(attempt) => return Step::Try(attempt),
                    Err(block) => {
                        if let Some(slot) = self.slots.get_mut(index) {
                            slot.pass(block, now);
                        }
                        // A wait that is too long hides none that is not.
                        let sooner = soonest.is_none_or(|s| block.until < s.until);
                        if sooner && self.may_wait(block, now) {
                            soonest = Some(block);
                        }
                    }
                }
            }
        }
        match soonest {
            Some(block) => {
                self.waited = self.waits(block, now);
                Step::Wait(block.until)
            }
            None => self.give_up(Reason::Failed, now),
        }
    }

    /// The first content of an attempt came: the exchange is its own from now on.
    pub fn commit(&mut self, attempt: &mut Attempt, now: Millis) -> Changes {
        self.keep(attempt, now);
        attempt.content(now)
    }

    /// An attempt ended well. For a whole answer this is its commit too.
    pub fn complete(&mut self, attempt: Attempt, spent: Spent, now: Millis) -> Changes {
        if !self.committed {
            self.keep(&attempt, now);
        }
        attempt.complete(spent, now)
    }

    fn keep(&mut self, attempt: &Attempt, now: Millis) {
        self.committed = true;
        if let Some((key, member)) = self.key.zip(self.members.get(attempt.member))
            && !member.provider.cache_for.is_zero()
        {
            let served = Served {
                target: member.target.id(),
                credential: attempt.credential,
            };
            let until = now.after(member.provider.cache_for);
            self.affinity.remember(key, served, until);
        }
    }

    /// An attempt failed before its first content: the failure is held against whom it blames, and [`Self::step`] knows what is next.
    pub fn failed(&mut self, attempt: Attempt, failure: &Failure, now: Millis) -> Changes {
        let blame = Blame::of(failure);
        let (slot, credential) = (attempt.slot, attempt.credential);
        let unwatched = attempt.provider().unwatched;
        let changes = attempt.fail(failure, now);
        self.ended |= !goes_on(failure);
        let backoff = self.backoff(slot);
        let tries = self.policy.tries_per_target;
        let Some(slot_state) = self.slots.get_mut(slot) else {
            return changes;
        };
        slot_state.running = false;
        slot_state.troubled |= blame.target > 0;
        if !blame.rotates() {
            slot_state.strikes += 1;
            slot_state.retry_at = now.plus(backoff);
            if unwatched || !may_pass(failure) {
                slot_state.strikes = tries.max(slot_state.strikes);
            }
        } else if unwatched {
            slot_state.spent.push(credential);
        }
        changes
    }

    /// When a second target may be asked beside a running first one, if the policy allows it and the target's pace is known.
    pub fn hedge_at(&self, attempt: &Attempt) -> Option<Millis> {
        if !self.policy.hedge || self.committed {
            return None;
        }
        let target = &self.members.get(attempt.member)?.target;
        Some(attempt.began.after(target.pace().p95()?))
    }

    /// A second attempt beside the running ones: at the next target that is fit, within the budgets. Whichever commits first stays; the
    /// other is dropped.
    pub fn hedge(&mut self, now: Millis) -> Option<Attempt> {
        let spent = self.committed || self.ended || self.attempts >= self.policy.attempts;
        if !self.policy.hedge || spent || now >= self.deadline {
            return None;
        }
        let fresh = |walk: &Self, index: usize| {
            walk.eligible(index, Pass::Fresh, now) == Some(Ok(()))
                && walk.peek(index, now).is_none()
        };
        let index = (0..self.slots.len()).find(|index| fresh(self, *index))?;
        if !self.hedges.withdraw(now) {
            return None;
        }
        self.admit(index, false, now).ok().map(|mut attempt| {
            attempt.hedge = true;
            self.hedged = Some(attempt.number);
            attempt
        })
    }

    /// The chain, as it was given; [`Attempt::member`] is an index into it.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of an attempt.
    pub fn member(&self, attempt: &Attempt) -> Option<&Member> {
        self.members.get(attempt.member)
    }

    /// Attempts so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Until when there must be first content.
    pub fn deadline(&self) -> Millis {
        self.deadline
    }

    /// Nobody's fault: time in which a consumer's body was on its way counts for nothing.
    pub fn extend(&mut self, by: Duration) {
        self.deadline = self.deadline.after(by);
    }

    /// Content has come.
    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// Half of the doubled time for certain, the other half by chance.
    fn backoff(&mut self, slot: usize) -> u64 {
        let strikes = self.slots.get(slot).map_or(0, |s| s.strikes);
        let whole = BACKOFF_MS
            .saturating_mul(1 << strikes.min(16))
            .min(LONGEST_BACKOFF_MS);
        whole / 2 + self.random.below(whole / 2 + 1)
    }

    fn may_wait(&self, block: Block, now: Millis) -> bool {
        let waited = Duration::from_millis(self.waits(block, now));
        block.until < self.deadline
            && (block.kind == Kind::Backoff || waited <= self.policy.max_wait)
    }

    /// All waiting for limits and recoveries, with this one. A back-off is none.
    fn waits(&self, block: Block, now: Millis) -> u64 {
        match block.kind {
            Kind::Backoff => self.waited,
            _ => self.waited.saturating_add(block.until.since(now)),
        }
    }

    fn give_up(&self, reason: Reason, now: Millis) -> Step {
        let blocks = self.slots.iter().enumerate();
        let blocks: Vec<Option<Block>> = blocks.map(|(index, _)| self.peek(index, now)).collect();
        let reason = if self.ended || self.committed {
            Reason::Failed
        } else {
            give_up::reason(reason, &blocks, self.attempts)
        };
        let retry_at = give_up::soonest(&blocks);
        Step::GiveUp(GiveUp { reason, retry_at })
    }
}

impl Walk {
    /// Takes all that an attempt needs, or nothing.
    fn admit(&mut self, index: usize, last_resort: bool, now: Millis) -> Result<Attempt, Block> {
        let slot = self.slots.get(index).ok_or(Block::NEVER)?;
        let member = self.members.get(slot.member).ok_or(Block::NEVER)?;
        let (provider, target) = (&member.provider, &member.target);
        let picked = match self.pinned {
            Some(pinned) if slot.spent.contains(&pinned) => return Err(Block::NEVER),
            Some(pinned) => provider.only(target, pinned, now),
            None => provider.pick(target, self.key, self.served, &slot.spent, now),
        };
        let credential = picked.map_err(Block::from)?;
        // Looked at first and taken last: a trial that limits then forbid would be spent for nothing.
        let opens = target.breaker().opens_at(last_resort, now);
        if opens > now {
            return Err(Block::down(opens));
        }
        let mut permits = Permits::default();
        permits.take(&provider.limiter, self.tokens, now)?;
        permits.take(&target.limiter, self.tokens, now)?;
        let taken = self.take(member, credential, last_resort, now);
        let (ticket, claimed) = taken.inspect_err(|_| permits.refund())?;
        if !self.seen(provider.name()) {
            provider.retries.deposit(now);
        }
        let opening = Opening {
            ticket,
            permits,
            claimed,
        };
        self.attempts += 1;
        let (number, member) = (self.attempts, slot.member);
        let place = attempt::Place {
            member,
            slot: index,
            credential,
            number,
        };
        let attempt = opening.begin(place, provider, target, now);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.running = true;
            slot.attempts += 1;
            slot.last_resort |= last_resort;
        }
        Ok(attempt)
    }

    /// What costs something even if nothing comes of it: a repeat from the provider's cap, a claim, a trial.
    fn take(
        &self,
        member: &Member,
        credential: usize,
        last_resort: bool,
        now: Millis,
    ) -> Result<(Ticket, bool), Block> {
        let provider = &member.provider;
        if self.troubled(provider.name()) && !provider.retries.withdraw(now) {
            return Err(Block::NEVER);
        }
        let claimed = provider.claim(credential, now).map_err(Block::from)?;
        let ticket = member.target.breaker().admit(last_resort, now);
        Ok((ticket.map_err(Block::down)?, claimed))
    }

    /// An attempt of this exchange has failed at this provider by the provider's fault.
    fn troubled(&self, provider: &str) -> bool {
        self.of_provider(provider).any(|slot| slot.troubled)
    }

    /// This exchange has been at this provider before.
    fn seen(&self, provider: &str) -> bool {
        self.of_provider(provider).any(|slot| slot.attempts > 0)
    }

    fn of_provider(&self, provider: &str) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |slot| {
            let member = self.members.get(slot.member);
            member.is_some_and(|m| &**m.provider.name() == provider)
        })
    }
}

/// Says of each member without a place why it has none. Only wishes can be why.
fn leave_out(members: &mut [Member], places: &[usize], preferences: Option<&Preferences>) {
    let Some(preferences) = preferences.filter(|_| places.len() < members.len()) else {
        return;
    };
    for (index, member) in members.iter_mut().enumerate() {
        if places.contains(&index) {
            continue;
        }
        let permits = preferences.permits(member.provider.names(), &member.facts);
        member.left_out = Some(permits.map_or_else(LeftOut::Unmet, |()| LeftOut::NoFallbacks));
    }
}

/// Whether a failure lets the walk go on. A consumer's fault does only where the dialect says that another target may see it otherwise.
fn goes_on(failure: &Failure) -> bool {
    failure.retry != Retry::Never
        && (failure.origin != Origin::Consumer || failure.retry == Retry::NextTarget)
}

/// Whether the same target may fare better a moment later. A whole clock is not waited for twice.
fn may_pass(failure: &Failure) -> bool {
    failure.origin == Origin::Upstream
        && matches!(
            failure.kind,
            FailureKind::Connect
                | FailureKind::Server
                | FailureKind::Overloaded
                | FailureKind::Truncated
                | FailureKind::InvalidResponse
        )
}
