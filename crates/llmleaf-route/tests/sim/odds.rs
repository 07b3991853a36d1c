//! What is promised in per cent, over long stories told one exchange after the other.

use crate::chance::Chance;
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::walk::Step;
use llmleaf_route::{
    Ask, Candidate, Change, Fleet, Millis, Policy, ProviderSpec, Spent, Strategy, Walk,
};
use std::time::Duration;

fn fleet(count: usize, cooldown: u64, seed: u64) -> Fleet {
    let spec = |index: usize| ProviderSpec {
        name: format!("p{index}").into(),
        models: vec!["m".into()],
        cooldown: Duration::from_millis(cooldown),
        ..ProviderSpec::default()
    };
    let specs: Vec<ProviderSpec> = (0..count).map(spec).collect();
    Fleet::new(&specs, seed, Millis(0))
}

/// What a provider does at a moment: nothing wrong, or a kind of failure and the time it takes.
type Fate<'a> = dyn FnMut(&mut Chance, usize, u64) -> Option<(FailureKind, u64)> + 'a;

struct Story {
    fleet: Fleet,
    policy: Policy,
    chance: Chance,
    now: u64,
    opened: Vec<(usize, u64)>,
}

impl Story {
    /// One exchange: whether it was served, and how long it took to the first content.
    fn exchange(&mut self, fate: &mut Fate<'_>) -> (bool, u64) {
        let now = self.now;
        let members = (0..self.fleet.providers().len()).filter_map(|provider| {
            let model = "m".into();
            let candidate = Candidate { provider, model };
            self.fleet.member(&candidate, 1, Millis(now))
        });
        let members = members.collect();
        let ask = Ask {
            seed: self.chance.next(),
            ..Ask::default()
        };
        let mut walk = Walk::new(&self.fleet, self.policy, members, &ask, Millis(now)).unwrap();
        let mut at = now;
        loop {
            match walk.step(Millis(at)) {
                Step::Try(mut attempt) => {
                    attempt.sent();
                    let provider = attempt.member;
                    let Some((kind, takes)) = fate(&mut self.chance, provider, at) else {
                        at += 20;
                        walk.commit(&mut attempt, Millis(at));
                        walk.complete(attempt, Spent::default(), Millis(at));
                        return (true, at - now);
                    };
                    at += takes;
                    let failure = Failure::upstream(kind, "simulated");
                    let changes = walk.failed(attempt, &failure, Millis(at));
                    if matches!(changes.target, Some(Change::Opened { .. })) {
                        self.opened.push((provider, at));
                    }
                }
                Step::Wait(until) => at = until.0,
                Step::GiveUp(_) => return (false, at - now),
            }
        }
    }
}

fn story(providers: usize, strategy: Strategy, seed: u64) -> Story {
    Story {
        fleet: fleet(providers, 2_000, seed),
        policy: Policy {
            strategy,
            attempts: 3,
            tries_per_target: 1,
            ..Policy::default()
        },
        chance: Chance::new(seed),
        now: 0,
        opened: Vec::new(),
    }
}

/// Fault B25.
#[test]
fn b25_a_flapping_provider_beside_a_healthy_one_costs_nobody_an_answer() {
    for strategy in Strategy::ALL {
        for seed in 0..10 {
            let mut story = story(2, strategy, seed);
            let (mut served, mut failures, mut first_opening) = (0, 0, None);
            for _ in 0..2_000 {
                story.now += 50;
                let before = story.opened.len();
                let (well, _) = story.exchange(&mut |chance, provider, _| {
                    let fails = provider == 0 && chance.percent(50);
                    failures += u64::from(fails && first_opening.is_none());
                    fails.then_some((FailureKind::Server, 5))
                });
                served += u64::from(well);
                if story.opened.len() > before {
                    first_opening.get_or_insert(story.now);
                }
            }
            assert!(served >= 1_998, "{strategy:?} {seed}: {served} of 2000");
            // Where it was asked often enough to be found out, five failures were enough.
            if strategy == Strategy::Ordered {
                assert!(
                    failures <= 5,
                    "seed {seed}: {failures} failures before it opened"
                );
            }
            // Each opening in a row lasts longer: it is not asked again and again.
            assert!(story.opened.len() <= 30, "{} openings", story.opened.len());
        }
    }
}

/// Of three providers one at any time refuses, stalls, limits or cuts: all are served, and one failed attempt is all that most of
/// the unlucky wait for.
#[test]
fn one_of_three_is_always_bad_and_all_are_served() {
    let kinds = [
        (FailureKind::Connect, 2),
        (FailureKind::Timeout, 1_000),
        (FailureKind::RateLimit, 5),
        (FailureKind::Truncated, 10),
        (FailureKind::Server, 5),
    ];
    for seed in 0..10 {
        let mut story = story(3, Strategy::Ordered, seed);
        let mut waits = Vec::new();
        for _ in 0..10_000 {
            story.now += 10;
            let (well, took) = story.exchange(&mut |_, provider, at| {
                // The bad one changes every seven seconds, and what is bad about it.
                let turn = (at / 7_000) as usize;
                (provider == turn % 3).then(|| kinds[turn % kinds.len()])
            });
            assert!(well, "seed {seed}, {} ms", story.now);
            waits.push(took);
        }
        waits.sort_unstable();
        let p99 = waits[waits.len() * 99 / 100];
        assert!(p99 <= 1_020, "p99 {p99} ms to the first content");
    }
}

/// Fault B26: while every breaker is open, nobody waits and nobody is asked more than once a second.
#[test]
fn b26_a_chain_that_is_down_answers_at_once_and_is_hardly_asked() {
    let mut story = story(2, Strategy::Ordered, 1);
    story.policy.max_wait = Duration::ZERO;
    let mut asked = 0u64;
    for _ in 0..10_000 {
        story.now += 10;
        let (well, took) = story.exchange(&mut |_, _, _| {
            asked += 1;
            Some((FailureKind::Server, 3))
        });
        assert!(!well && took <= 6, "{took} ms");
    }
    // A hundred seconds, two targets: a last resort a second each, and the trials when a time is over.
    assert!((100..=260).contains(&asked), "{asked} attempts");
}
