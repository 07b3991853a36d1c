//! Plays a scenario: virtual time, fake providers, the real machines.

use crate::chance::Chance;
use crate::exchange::{Act, Script, script};
use crate::judge::{Id, Judge};
use crate::scenario::{MODELS, Scenario};
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::choice::{Facts, Price};
use llmleaf_route::walk::Step;
use llmleaf_route::{
    Ask, Attempt, Candidate, Fleet, Member, Millis, ProviderSpec, Spent, Walk, Watch,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

pub struct World {
    chance: Chance,
    pub scenario: Scenario,
    pub fleet: Fleet,
    pub judge: Judge,
    exchanges: Vec<Exchange>,
    /// (when, order, exchange)
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    order: u64,
    pub now: u64,
}

#[derive(Default)]
struct Exchange {
    walk: Option<Walk>,
    lives: Vec<Live>,
    wake: u64,
    done: bool,
    committed: bool,
}

struct Live {
    attempt: Attempt,
    id: Id,
    watch: Watch,
    script: Script,
    next: usize,
    began: u64,
    sent_at: u64,
}

impl Live {
    /// When something happens to it, if nothing else does.
    fn due(&self) -> u64 {
        let act = self.script.get(self.next).map(|(at, _)| self.began + at);
        act.unwrap_or(u64::MAX).min(self.watch.deadline().0.0)
    }
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut chance = Chance::new(seed);
        let scenario = Scenario::new(&mut chance);
        if trace {
            eprintln!("{scenario:#?}");
        }
        let specs: Vec<ProviderSpec> = scenario.providers.iter().map(|p| p.spec.clone()).collect();
        let fleet = Fleet::new(&specs, seed, Millis(0));
        let judge = Judge::new(&scenario, trace);
        let mut world = Self {
            exchanges: scenario
                .consumers
                .iter()
                .map(|_| Exchange::default())
                .collect(),
            queue: BinaryHeap::new(),
            order: 0,
            now: 0,
            chance,
            fleet,
            judge,
            scenario,
        };
        for index in 0..world.scenario.consumers.len() {
            world.schedule(world.scenario.consumers[index].arrives, index);
        }
        world
    }

    pub fn run(&mut self) -> Result<(), String> {
        while let Some(Reverse((at, _, index))) = self.queue.pop() {
            assert!(at >= self.now, "time goes forward");
            self.now = at;
            let mut exchange = std::mem::take(&mut self.exchanges[index]);
            let result = self.drive(index, &mut exchange);
            if !exchange.done {
                let next = self.next_event(index, &exchange);
                self.schedule(next, index);
            }
            self.exchanges[index] = exchange;
            result.map_err(|why| format!("at {at} ms, exchange {index}: {why}"))?;
            self.judge.compare(&self.fleet, self.now)?;
        }
        self.judge.ends()?;
        crate::after::settles(self)
    }

    fn schedule(&mut self, at: u64, index: usize) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, index)));
    }

    fn next_event(&self, index: usize, exchange: &Exchange) -> u64 {
        let lives = exchange.lives.iter().map(Live::due);
        let cancels = self.scenario.consumers[index].cancels;
        let waits = exchange.lives.is_empty().then_some(exchange.wake);
        let hedge = match (&exchange.walk, exchange.lives.as_slice()) {
            (Some(walk), [only]) => walk.hedge_at(&only.attempt).map(|at| at.0),
            _ => None,
        };
        let all = lives
            .chain(cancels)
            .chain(waits)
            .chain(hedge.filter(|at| *at > self.now));
        all.min().expect("something happens").max(self.now)
    }

    /// The chain as members, with prices for whoever sorts by them.
    pub fn members(&self) -> Vec<Member> {
        let chain = self.scenario.chain.iter().zip(&self.scenario.weights);
        chain
            .enumerate()
            .filter_map(|(index, (member, weight))| {
                let mut member = self.member(*member, *weight)?;
                let price = Price {
                    input: 1 + (index as u64 * 7) % 4,
                    ..Price::default()
                };
                member.facts = Facts {
                    price: Some(price),
                    ..Facts::default()
                };
                Some(member)
            })
            .collect()
    }

    pub fn member(&self, (provider, model): (usize, usize), weight: u32) -> Option<Member> {
        let candidate = Candidate {
            provider,
            model: MODELS[model].into(),
        };
        self.fleet.member(&candidate, weight, Millis(self.now))
    }

    fn drive(&mut self, index: usize, exchange: &mut Exchange) -> Result<(), String> {
        if exchange.walk.is_none() {
            let consumer = &self.scenario.consumers[index];
            let preferences = consumer.preferences();
            let ask = Ask {
                tokens: consumer.tokens,
                key: consumer.key,
                pinned: None,
                preferences: preferences.as_ref(),
                seed: consumer.seed,
            };
            let policy = self.scenario.policy;
            let walk = Walk::new(&self.fleet, policy, self.members(), &ask, Millis(self.now));
            self.judge.begins(index, self.now);
            match walk {
                Ok(walk) => exchange.walk = Some(walk),
                Err(refused) => {
                    exchange.done = true;
                    return self.judge.unmet(index, refused.unmet);
                }
            }
        }
        let consumer = &self.scenario.consumers[index];
        if consumer.cancels.is_some_and(|at| at <= self.now) {
            for live in exchange.lives.drain(..) {
                self.judge.dropped(live.id, self.now);
                drop(live.attempt);
            }
            exchange.done = true;
            self.judge.cancelled(index);
            return Ok(());
        }
        let mut at = 0;
        while at < exchange.lives.len() && !exchange.done {
            if !self.live(index, exchange, at)? {
                at += 1;
            }
        }
        self.hedge(index, exchange)?;
        while exchange.lives.is_empty() && !exchange.done && exchange.wake <= self.now {
            self.step(index, exchange)?;
        }
        Ok(())
    }

    fn step(&mut self, index: usize, exchange: &mut Exchange) -> Result<(), String> {
        let walk = exchange.walk.as_mut().expect("it began");
        match walk.step(Millis(self.now)) {
            Step::Try(attempt) => {
                let live = self.begin(index, attempt)?;
                exchange.lives.push(live);
            }
            Step::Wait(until) => {
                self.judge.waits(index, until.0, self.now)?;
                exchange.wake = until.0;
            }
            Step::GiveUp(why) => {
                self.judge.gave_up(index, &why, self.now)?;
                exchange.done = true;
            }
        }
        Ok(())
    }

    fn begin(&mut self, index: usize, attempt: Attempt) -> Result<Live, String> {
        let id = self.judge.tried(index, &attempt, self.now)?;
        let provider = self.scenario.chain[attempt.member].0;
        let script = script(
            &mut self.chance,
            &self.scenario.providers[provider],
            &self.scenario.consumers[index],
            attempt.credential,
            self.now,
        );
        Ok(Live {
            id,
            watch: Watch::new(self.scenario.clocks, Millis(self.now)),
            script,
            next: 0,
            began: self.now,
            sent_at: self.now + self.chance.range(0, 4),
            attempt,
        })
    }

    fn hedge(&mut self, index: usize, exchange: &mut Exchange) -> Result<(), String> {
        let (Some(walk), [only]) = (exchange.walk.as_mut(), exchange.lives.as_slice()) else {
            return Ok(());
        };
        let due = walk.hedge_at(&only.attempt);
        if due.is_some_and(|at| at.0 <= self.now)
            && let Some(second) = walk.hedge(Millis(self.now))
        {
            let live = self.begin(index, second)?;
            exchange.lives.push(live);
        }
        Ok(())
    }

    /// Lets everything that is due happen to one attempt. True when it is gone.
    fn live(&mut self, index: usize, exchange: &mut Exchange, at: usize) -> Result<bool, String> {
        loop {
            let live = &mut exchange.lives[at];
            if live.sent_at <= self.now {
                live.attempt.sent();
                self.judge.sent(live.id);
            }
            let act = live.script.get(live.next).cloned();
            let act = act.filter(|(after, _)| live.began + after <= self.now);
            // A clock that ran out before the next bytes came decides.
            let (deadline, clock) = live.watch.deadline();
            let comes = act
                .as_ref()
                .map_or(u64::MAX, |(after, _)| live.began + after);
            if deadline.0 <= self.now && deadline.0 <= comes {
                self.judge.clock(live.id, clock, self.now)?;
                let failure = Failure::upstream(FailureKind::Timeout, "simulated");
                return self.failed(index, exchange, at, &failure);
            }
            let Some((_, act)) = act else {
                return Ok(false);
            };
            live.next += 1;
            live.attempt.sent();
            self.judge.sent(live.id);
            match act {
                Act::Headers => live.watch.headers(Millis(self.now)),
                Act::Bytes => live.watch.bytes(Millis(self.now)),
                Act::Exhausted(wait) => {
                    let wait = Duration::from_millis(wait);
                    let changes = live.attempt.exhausted(wait, Millis(self.now));
                    self.judge.exhausted(live.id, wait, changes, self.now)?;
                }
                Act::Content => {
                    live.watch.bytes(Millis(self.now));
                    live.watch.content();
                    self.commit(index, exchange, at)?;
                    return Ok(false);
                }
                Act::End(tokens) => return self.complete(index, exchange, at, tokens),
                Act::Fail(failure) => return self.failed(index, exchange, at, &failure),
            }
            self.judge.alive(exchange.lives[at].id, self.now);
        }
    }

    fn commit(&mut self, index: usize, exchange: &mut Exchange, at: usize) -> Result<(), String> {
        let live = &mut exchange.lives[at];
        let walk = exchange.walk.as_mut().expect("it began");
        let changes = walk.commit(&mut live.attempt, Millis(self.now));
        exchange.committed = true;
        self.judge.content(live.id, changes, self.now)?;
        self.drop_others(exchange, at);
        // Whatever anybody asks now, there is no second attempt.
        let walk = exchange.walk.as_mut().expect("it began");
        if !matches!(walk.step(Millis(self.now)), Step::GiveUp(_))
            || walk.hedge(Millis(self.now)).is_some()
        {
            return Err(format!("exchange {index} goes on after its commit point"));
        }
        Ok(())
    }

    fn drop_others(&mut self, exchange: &mut Exchange, at: usize) {
        let kept = exchange.lives.swap_remove(at);
        for live in exchange.lives.drain(..) {
            self.judge.dropped(live.id, self.now);
        }
        exchange.lives.push(kept);
    }

    fn complete(
        &mut self,
        index: usize,
        exchange: &mut Exchange,
        at: usize,
        tokens: u64,
    ) -> Result<bool, String> {
        self.drop_others(exchange, at);
        let live = exchange.lives.pop().expect("the one that was kept");
        let spent = Spent {
            tokens: Some(tokens),
            output: tokens / 2,
        };
        let walk = exchange.walk.as_mut().expect("it began");
        let changes = walk.complete(live.attempt, spent, Millis(self.now));
        self.judge
            .completed(index, live.id, tokens, changes, self.now)?;
        exchange.done = true;
        Ok(true)
    }

    fn failed(
        &mut self,
        index: usize,
        exchange: &mut Exchange,
        at: usize,
        failure: &Failure,
    ) -> Result<bool, String> {
        let live = exchange.lives.remove(at);
        let walk = exchange.walk.as_mut().expect("it began");
        if exchange.committed {
            let changes = live.attempt.fail(failure, Millis(self.now));
            exchange.done = true;
            self.judge
                .failed(index, live.id, failure, changes, self.now)?;
        } else {
            let changes = walk.failed(live.attempt, failure, Millis(self.now));
            self.judge
                .failed(index, live.id, failure, changes, self.now)?;
        }
        Ok(true)
    }
}
