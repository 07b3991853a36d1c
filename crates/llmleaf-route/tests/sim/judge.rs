//! Keeps its own books of what was tried and what came of it, and names the first thing that does not agree with what was promised.

use crate::breaker_book::{BreakerBook, Let};
use crate::lane_book::{Wall, held, said_of_credential};
use crate::limit_book::LimitBook;
use crate::scenario::{MODELS, Scenario};
use crate::tally::Tally;
use llmleaf_model::{Failure, FailureKind, Retry};
use llmleaf_route::choice::Unmet;
use llmleaf_route::health::{BreakerState, Cause};
use llmleaf_route::{
    Attempt, Change, Changes, Clock, Clocks, Fleet, GiveUp, Limits, Millis, Policy, Reason,
    Strategy,
};
use std::sync::Arc;
use std::time::Duration;

/// Which attempt.
pub type Id = usize;

type Verdict = Result<(), String>;

pub struct Judge {
    trace: bool,
    chain: Vec<(usize, usize)>,
    policy: Policy,
    clocks: Clocks,
    attempts: Vec<Record>,
    exchanges: Vec<Book>,
    providers: Vec<ProviderBook>,
    begun: u64,
    hedged: u64,
    compared: u64,
    pub tally: Tally,
}

struct ProviderBook {
    limits: LimitBook,
    /// 401, per credential.
    refused: Vec<Wall>,
    targets: Vec<TargetBook>,
    firsts: u64,
    repeats: u64,
}

struct TargetBook {
    breaker: BreakerBook,
    limits: LimitBook,
    /// Per credential.
    lanes: Vec<Wall>,
    running: u32,
}

#[expect(clippy::struct_excessive_bools, reason = "a book of what happened")]
struct Record {
    exchange: usize,
    member: usize,
    credential: usize,
    began: u64,
    tokens: u64,
    sent: bool,
    content: bool,
    over: bool,
    headers: bool,
    last_bytes: u64,
}

#[derive(Default)]
struct Book {
    began: u64,
    tokens: u64,
    attempts: u32,
    /// Per member of the chain.
    members: Vec<MemberBook>,
    ended: bool,
    committed: bool,
    over: bool,
    waited: u64,
    /// Per member: the request's wishes allow it.
    permitted: Vec<bool>,
}

#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a book of what happened")]
struct MemberBook {
    strikes: u32,
    struck_at: u64,
    /// It will not be asked again whatever the budget.
    out: bool,
    running: bool,
    tried: bool,
    troubled: bool,
}

impl Judge {
    pub fn new(scenario: &Scenario, trace: bool) -> Self {
        let providers = scenario.providers.iter().map(|provider| {
            let spec = &provider.spec;
            let credentials = spec.credentials.len().max(1);
            let walls = || vec![Wall::default(); credentials];
            let target = |model: &&str| TargetBook {
                breaker: BreakerBook::new(spec.cooldown.as_millis() as u64),
                limits: LimitBook::new(limits_of(&spec.model_limits, model)),
                lanes: walls(),
                running: 0,
            };
            ProviderBook {
                limits: LimitBook::new(spec.limits),
                refused: walls(),
                targets: MODELS.iter().map(target).collect(),
                firsts: 0,
                repeats: 0,
            }
        });
        let book = |consumer: &crate::scenario::Consumer| Book {
            tokens: consumer.tokens,
            members: vec![MemberBook::default(); scenario.chain.len()],
            permitted: scenario
                .chain
                .iter()
                .map(|(provider, _)| consumer.permits(*provider))
                .collect(),
            ..Book::default()
        };
        Self {
            trace,
            chain: scenario.chain.clone(),
            policy: scenario.policy,
            clocks: scenario.clocks,
            attempts: Vec::new(),
            exchanges: scenario.consumers.iter().map(book).collect(),
            providers: providers.collect(),
            begun: 0,
            hedged: 0,
            compared: 0,
            tally: Tally::default(),
        }
    }

    fn note(&self, now: u64, exchange: usize, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{now:>8} ms  exchange {exchange:>2}  {}", what());
        }
    }

    pub fn begins(&mut self, exchange: usize, now: u64) {
        self.exchanges[exchange].began = now;
        self.begun += 1;
        self.tally.exchanges += 1;
    }

    pub fn tried(&mut self, exchange: usize, attempt: &Attempt, now: u64) -> Result<Id, String> {
        let id = self.attempts.len();
        let (member, credential) = (attempt.member, attempt.credential);
        let (provider, model) = self.chain[member];
        self.note(now, exchange, || {
            let kind = if attempt.is_trial() {
                " as a trial"
            } else {
                ""
            };
            format!(
                "tries p{provider}/{} with {credential}{kind}",
                MODELS[model]
            )
        });
        self.may_try(exchange, member, attempt, now)?;
        let last_resort = self.takes(id, exchange, member, credential, now)?;
        self.in_turn(exchange, member, (last_resort, attempt.hedge), now)?;
        self.repeats(exchange, provider, now)?;
        let book = &mut self.exchanges[exchange];
        book.attempts += 1;
        let state = &mut book.members[member];
        state.running = true;
        state.tried = true;
        self.tally.attempts += 1;
        let tokens = book.tokens;
        self.attempts.push(Record {
            exchange,
            member,
            credential,
            began: now,
            tokens,
            sent: false,
            content: false,
            over: false,
            headers: false,
            last_bytes: now,
        });
        Ok(id)
    }

    /// Commit point, budgets, back-off.
    fn may_try(&mut self, exchange: usize, member: usize, attempt: &Attempt, now: u64) -> Verdict {
        let book = &self.exchanges[exchange];
        let state = &book.members[member];
        if !book.permitted[member] {
            return Err("tried against the request's wishes".into());
        }
        if book.over || book.committed || book.ended {
            return Err("tried after its end".into());
        }
        if book.attempts >= self.policy.attempts || attempt.number != book.attempts + 1 {
            return Err(format!(
                "attempt {} of {}",
                attempt.number, self.policy.attempts
            ));
        }
        if now >= book.began + self.policy.deadline.as_millis() as u64 {
            return Err("tried after the deadline".into());
        }
        if state.running || state.out || state.strikes >= self.policy.tries_per_target {
            return Err(format!(
                "a member tried too often: {} strikes",
                state.strikes
            ));
        }
        let backoff = match state.strikes {
            0 => 0,
            strikes => (125u64 << (strikes - 1)).min(2000),
        };
        if now < state.struck_at + backoff {
            return Err("tried again without a back-off".into());
        }
        if attempt.hedge {
            self.hedged += 1;
            self.tally.hedges += 1;
            let most = 5.0 + self.begun as f64 * 0.05 + now as f64 / 10_000.0;
            if self.hedged as f64 > most || !book.members.iter().any(|m| m.running) {
                return Err(format!("{} hedges, at most {most}", self.hedged));
            }
        }
        Ok(())
    }

    /// Waits, breaker and limits allow it. True for a last resort.
    fn takes(
        &mut self,
        id: Id,
        exchange: usize,
        member: usize,
        credential: usize,
        now: u64,
    ) -> Result<bool, String> {
        let tokens = self.exchanges[exchange].tokens;
        let (provider, model) = self.chain[member];
        let provider = &mut self.providers[provider];
        let target = &mut provider.targets[model];
        let serial = id as u64;
        target.lanes[credential].tried(serial, false, now)?;
        provider.refused[credential].tried(serial, true, now)?;
        let how = target.breaker.tried(serial, now)?;
        target.limits.admitted(tokens, now)?;
        provider.limits.admitted(tokens, now)?;
        target.running += 1;
        match how {
            Let::Plain => {}
            Let::Trial => self.tally.trials += 1,
            Let::LastResort => self.tally.last_resorts += 1,
        }
        Ok(matches!(how, Let::LastResort))
    }

    /// Nobody who is clearly fit is passed over for a last resort or, in an ordered chain, for a later one.
    fn in_turn(
        &mut self,
        exchange: usize,
        member: usize,
        (last_resort, hedge): (bool, bool),
        now: u64,
    ) -> Verdict {
        let again = self.exchanges[exchange].members[member].tried;
        let ordered = self.policy.strategy == Strategy::Ordered;
        for other in 0..self.chain.len() {
            let passed_over = (ordered && other < member) || last_resort || again;
            if other == member || !passed_over || hedge {
                continue;
            }
            // Going on with another credential comes before going on with another target only where the order says so.
            if again && !ordered && !last_resort {
                continue;
            }
            if again && other > member && self.exchanges[exchange].members[member].strikes == 0 {
                continue;
            }
            if self.clearly_fit(exchange, other, now) {
                return Err(format!("member {other} was fit and is passed over"));
            }
        }
        Ok(())
    }

    fn repeats(&mut self, exchange: usize, provider: usize, now: u64) -> Verdict {
        let members = self.exchanges[exchange].members.iter().zip(&self.chain);
        let own = members.filter(|(_, member)| member.0 == provider);
        let (mut tried, mut troubled) = (false, false);
        for (state, _) in own {
            tried |= state.tried;
            troubled |= state.troubled;
        }
        let book = &mut self.providers[provider];
        book.firsts += u64::from(!tried);
        book.repeats += u64::from(troubled);
        self.tally.repeats += u64::from(troubled);
        let most = 10.0 + book.firsts as f64 * 0.1 + now as f64 / 10_000.0;
        if book.repeats as f64 > most {
            return Err(format!("{} tries repeat, at most {most}", book.repeats));
        }
        Ok(())
    }

    /// By the judge's own books nothing whatever stands in the way of a member that this exchange has not tried.
    fn clearly_fit(&mut self, exchange: usize, member: usize, now: u64) -> bool {
        let book = &self.exchanges[exchange];
        let state = &book.members[member];
        let (provider, model) = self.chain[member];
        let mut same = book.members.iter().zip(&self.chain);
        let troubled = same.any(|(m, at)| at.0 == provider && m.troubled);
        if !book.permitted[member]
            || state.tried
            || state.running
            || state.out
            || state.strikes > 0
            || troubled
        {
            return false;
        }
        let provider = &mut self.providers[provider];
        let target = &mut provider.targets[model];
        let free = |(lane, refused): (&Wall, &Wall)| {
            !lane.blocks(now) && !refused.blocks(now) && refused.is_clean()
        };
        target.breaker.open.is_none()
            && target.lanes.iter().zip(&provider.refused).any(free)
            && target.limits.admits(book.tokens, now)
            && provider.limits.admits(book.tokens, now)
    }

    pub fn sent(&mut self, id: Id) {
        self.attempts[id].sent = true;
    }

    pub fn alive(&mut self, id: Id, now: u64) {
        self.attempts[id].headers = true;
        self.attempts[id].last_bytes = now;
    }

    /// A clock is said to have run out: by its own account it has, and just now.
    pub fn clock(&mut self, id: Id, clock: Clock, now: u64) -> Verdict {
        let record = &self.attempts[id];
        let ms = |duration: std::time::Duration| duration.as_millis() as u64;
        let clocks = &self.clocks;
        let ends = record.began + ms(clocks.total);
        let first = record.began + ms(clocks.first_content);
        let idle = record.last_bytes + ms(clocks.idle);
        let expected = if !record.headers {
            ends.min(first).min(record.began + ms(clocks.headers))
        } else if record.content {
            ends.min(idle)
        } else {
            ends.min(idle).min(first)
        };
        if now == expected {
            return Ok(());
        }
        Err(format!(
            "the {} clock ran out at {now}, expected {expected}",
            clock.as_str()
        ))
    }

    fn place(&mut self, id: Id) -> (&mut ProviderBook, usize, &mut Record) {
        let record = &mut self.attempts[id];
        let (provider, model) = self.chain[record.member];
        (&mut self.providers[provider], model, record)
    }

    pub fn content(&mut self, id: Id, changes: Changes, now: u64) -> Verdict {
        self.tally.commits += 1;
        let exchange = self.attempts[id].exchange;
        self.note(now, exchange, || format!("commits, {changes:?}"));
        self.exchanges[exchange].committed = true;
        let (provider, model, record) = self.place(id);
        record.content = true;
        record.headers = true;
        record.last_bytes = now;
        let target = &mut provider.targets[model];
        let expected = target.breaker.passed(id as u64, now);
        let accepted = accepted(provider, model, id, (record.credential, record.began));
        self.agree(changes, expected, accepted)
    }

    pub fn exhausted(&mut self, id: Id, wait: Duration, said: Changes, now: u64) -> Verdict {
        let (provider, model, record) = self.place(id);
        let lane = &mut provider.targets[model].lanes[record.credential];
        let until = now + wait.as_millis() as u64;
        let news = until > lane.until && until > now;
        if news {
            lane.until = until;
            lane.cause = Some(Cause::RateLimit);
        }
        let until = Millis(until);
        let cause = Cause::RateLimit;
        let credential = news.then_some(Change::Cooled { until, cause });
        if said.credential == credential && said.target.is_none() {
            return Ok(());
        }
        Err(format!("nothing left, {said:?}, expected {credential:?}"))
    }

    fn agree(&mut self, changes: Changes, target: Option<Change>, accepted: bool) -> Verdict {
        self.tally.closed += u64::from(target == Some(Change::Closed));
        self.tally.accepted += u64::from(accepted);
        let credential = accepted.then_some(Change::CredentialAccepted);
        if changes == (Changes { target, credential }) {
            return Ok(());
        }
        Err(format!(
            "{changes:?}, expected {target:?} and {credential:?}"
        ))
    }

    pub fn completed(
        &mut self,
        exchange: usize,
        id: Id,
        used: u64,
        changes: Changes,
        now: u64,
    ) -> Verdict {
        self.note(now, exchange, || {
            format!("completes with {used} tokens, {changes:?}")
        });
        self.tally.completed += 1;
        self.exchanges[exchange].over = true;
        self.release(id, Some(used), false, now);
        let (provider, model, record) = self.place(id);
        let expected = provider.targets[model].breaker.succeeded(id as u64, now);
        let accepted = accepted(provider, model, id, (record.credential, record.began));
        self.agree(changes, expected, accepted)
    }

    /// What it held is given back: its place always, its charges as far as they were not used.
    fn release(&mut self, id: Id, used: Option<u64>, refund: bool, now: u64) {
        let (provider, model, record) = self.place(id);
        assert!(
            !std::mem::replace(&mut record.over, true),
            "an attempt ends once"
        );
        let target = &mut provider.targets[model];
        target.running -= 1;
        for limits in [&mut provider.limits, &mut target.limits] {
            limits.running -= 1;
            if refund {
                limits.refunded(record.tokens, now);
            } else if let Some(used) = used {
                limits.settled(record.tokens, used, now);
            }
        }
    }

    pub fn dropped(&mut self, id: Id, now: u64) {
        let refund = !self.attempts[id].sent;
        self.release(id, None, refund, now);
        let (provider, model, _) = self.place(id);
        provider.targets[model].breaker.dropped(id as u64);
    }

    /// Nobody may serve it, says the product.
    pub fn unmet(&mut self, exchange: usize, unmet: Unmet) -> Verdict {
        let book = &mut self.exchanges[exchange];
        book.over = true;
        self.tally.unmet += 1;
        if unmet == Unmet::Providers && !book.permitted.contains(&true) {
            return Ok(());
        }
        Err(format!("{unmet:?}, but {:?} may", book.permitted))
    }

    pub fn cancelled(&mut self, exchange: usize) {
        self.tally.cancelled += 1;
        self.exchanges[exchange].over = true;
    }

    pub fn failed(
        &mut self,
        exchange: usize,
        id: Id,
        failure: &Failure,
        changes: Changes,
        now: u64,
    ) -> Verdict {
        self.note(now, exchange, || {
            format!(
                "fails: {:?} {:?}, {changes:?}",
                failure.kind, failure.retry_after
            )
        });
        let connect = failure.kind == FailureKind::Connect;
        let record = &self.attempts[id];
        let used = (!record.content).then_some(0);
        let refund = !record.sent || connect;
        let next = self.attempts.len() as u64;
        self.release(id, used, refund, now);
        let weight = held(failure).weight;
        let (provider, model, record) = self.place(id);
        let target = &mut provider.targets[model];
        target
            .breaker
            .failed(id as u64, weight, changes.target, now, next)?;
        let lane = &mut target.lanes[record.credential];
        let credential = &mut provider.refused[record.credential];
        let when = (record.began, now);
        said_of_credential(failure, lane, credential, changes.credential, when)?;
        let member = record.member;
        self.strike(exchange, member, failure, now);
        self.tally.opened += u64::from(changes.target.is_some());
        self.tally.cooled += u64::from(matches!(changes.credential, Some(Change::Cooled { .. })));
        let refused = matches!(changes.credential, Some(Change::CredentialRefused { .. }));
        self.tally.refused += u64::from(refused);
        Ok(())
    }

    fn strike(&mut self, exchange: usize, member: usize, failure: &Failure, now: u64) {
        let book = &mut self.exchanges[exchange];
        if book.committed {
            book.over = true;
            return;
        }
        let held = held(failure);
        let consumer = failure.origin == llmleaf_model::Origin::Consumer;
        book.ended |= failure.retry == Retry::Never;
        let state = &mut book.members[member];
        state.running = false;
        state.troubled |= held.weight > 0;
        if held.credential || (held.lane.is_some() && held.weight == 0) {
            // The turn of another credential, or of the same when its wait is over.
        } else {
            state.strikes += 1;
            state.struck_at = now;
            let timeout = failure.kind == FailureKind::Timeout;
            state.out = consumer || timeout || held.weight == 0;
        }
    }

    pub fn waits(&mut self, exchange: usize, until: u64, now: u64) -> Verdict {
        self.note(now, exchange, || format!("waits until {until}"));
        self.tally.waits += 1;
        let book = &mut self.exchanges[exchange];
        let deadline = book.began + self.policy.deadline.as_millis() as u64;
        if until <= now || until >= deadline {
            return Err(format!("waits until {until}, deadline {deadline}"));
        }
        let tries = self.policy.tries_per_target;
        let backs_off = |m: &MemberBook| m.strikes > 0 && m.strikes < tries && !m.out;
        if !book.members.iter().any(backs_off) {
            book.waited += until - now;
            if book.waited > self.policy.max_wait.as_millis() as u64 {
                return Err(format!("waits for {} ms in all", book.waited));
            }
        }
        self.nobody_fit(exchange, now)
    }

    fn nobody_fit(&mut self, exchange: usize, now: u64) -> Verdict {
        for member in 0..self.chain.len() {
            if self.clearly_fit(exchange, member, now) {
                return Err(format!("member {member} is fit and is not tried"));
            }
        }
        Ok(())
    }

    pub fn gave_up(&mut self, exchange: usize, why: &GiveUp, now: u64) -> Verdict {
        self.note(now, exchange, || format!("gives up: {why:?}"));
        let book = &mut self.exchanges[exchange];
        book.over = true;
        let (ended, attempts) = (book.ended, book.attempts);
        let deadline = book.began + self.policy.deadline.as_millis() as u64;
        self.tally.gave_up[why.reason as usize] += 1;
        if why
            .retry_at
            .is_some_and(|at| at.0 <= now || at == Millis::NEVER)
        {
            return Err("a recovery that is over, or never is".into());
        }
        let by_credentials = self.all_by_credentials(exchange, now);
        let spent = attempts >= self.policy.attempts;
        if why.reason == Reason::Credentials && by_credentials == Some(false) {
            return Err("a credential is usable".into());
        }
        if !ended && by_credentials == Some(true) && why.reason != Reason::Credentials {
            return Err("every credential is used up, and that is not told".into());
        }
        if (why.reason == Reason::Deadline) && (ended || spent || now < deadline) {
            return Err("no deadline is over".into());
        }
        let of_nobody = [Reason::Down, Reason::RateLimited, Reason::LocalLimit];
        if attempts > 0 && of_nobody.contains(&why.reason) {
            return Err("somebody was tried".into());
        }
        if ended || spent || now >= deadline {
            return Ok(());
        }
        self.nobody_fit(exchange, now)
    }

    /// Whether every credential of the chain is refused or out of quota, and nothing else is wrong. `None` where it is a mixture.
    fn all_by_credentials(&self, exchange: usize, now: u64) -> Option<bool> {
        let mut mixed = false;
        let permitted = &self.exchanges[exchange].permitted;
        let chain = self.chain.iter().zip(permitted).filter(|(_, may)| **may);
        for ((provider, model), _) in chain {
            let provider = &self.providers[*provider];
            let target = &provider.targets[*model];
            for (lane, refused) in target.lanes.iter().zip(&provider.refused) {
                let hard = |wall: &Wall| {
                    now < wall.until && wall.cause.is_some_and(|cause| cause.is_of_credential())
                };
                if !lane.blocks(now) && !refused.blocks(now) {
                    return Some(false);
                }
                mixed |= (lane.blocks(now) && !hard(lane)) || (!hard(lane) && !hard(refused));
            }
            mixed |= target.breaker.open.is_some() || target.limits.is_limited();
            mixed |= provider.limits.is_limited();
        }
        (!mixed).then_some(true)
    }

    /// The product's own account of itself agrees with the books.
    pub fn compare(&mut self, fleet: &Fleet, now: u64) -> Verdict {
        self.compared += 1;
        if self.compared.is_multiple_of(8) {
            self.compare_all(fleet, now)?;
        }
        Ok(())
    }

    pub fn compare_all(&mut self, fleet: &Fleet, now: u64) -> Verdict {
        let at = Millis(now);
        for (own, book) in fleet.providers().iter().zip(&mut self.providers) {
            book.limits.compare(&own.limiter().figures(at), now)?;
            for target in own.targets() {
                let Some(model) = MODELS.iter().position(|m| **m == **target.model()) else {
                    return Err(format!("a target nobody asked for: {}", target.model()));
                };
                let book = &mut book.targets[model];
                let view = target.view(at);
                book.limits.compare(&view.limits, now)?;
                let closed = view.state == BreakerState::Closed;
                if closed != book.breaker.open.is_none() || view.pending != book.running {
                    return Err(format!("{view:?}, {} running", book.running));
                }
                for (said, wall) in view.lanes.iter().zip(&book.lanes) {
                    let until = said.map_or(0, |(until, _)| until.0);
                    if until != if wall.until > now { wall.until } else { 0 } {
                        return Err(format!("{view:?}, expected {wall:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// All exchanges are over: nothing is held any longer.
    pub fn ends(&self) -> Verdict {
        let held = self.providers.iter().any(|provider| {
            let mut targets = provider.targets.iter();
            provider.limits.running > 0 || targets.any(|t| t.running > 0 || t.limits.running > 0)
        });
        if held || self.exchanges.iter().any(|book| !book.over) {
            return Err("something is still held".into());
        }
        Ok(())
    }
}

fn accepted(
    provider: &mut ProviderBook,
    model: usize,
    id: Id,
    (credential, began): (usize, u64),
) -> bool {
    provider.targets[model].lanes[credential].accepted(id as u64, began);
    provider.refused[credential].accepted(id as u64, began)
}

fn limits_of(all: &[(Arc<str>, Limits)], model: &str) -> Limits {
    let own = all.iter().find(|(name, _)| **name == *model);
    own.map_or_else(Limits::default, |(_, limits)| *limits)
}
