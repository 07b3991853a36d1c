//! What is told of walks, as golden trails: one line for each member.

use super::*;
use crate::Candidate;
use crate::choice::{Facts, Followed, Strategy};
use crate::fleet::{Fleet, ProviderSpec};
use crate::limits::Limits;
use crate::walk::{Ask, Attempt, Policy, Spent, Step};
use llmleaf_model::{Failure, FailureKind, MaxPrice, Preferences, Sort};
use std::time::Duration;

fn fleet(limits: Limits) -> Fleet {
    let spec = |name: &str, limits: Limits| ProviderSpec {
        name: name.into(),
        credentials: vec![1],
        limits,
        models: vec!["m".into()],
        cooldown: Duration::from_secs(15),
        cache_for: Duration::from_secs(300),
        ..ProviderSpec::default()
    };
    let specs = [
        spec("a", limits),
        spec("b", Limits::default()),
        spec("c", Limits::default()),
    ];
    Fleet::new(&specs, 7, Millis(0))
}

fn members(fleet: &Fleet, count: usize) -> Vec<Member> {
    let each = (0..count).filter_map(|provider| {
        let candidate = Candidate {
            provider,
            model: "m".into(),
        };
        fleet.member(&candidate, 1, Millis(0))
    });
    each.collect()
}

fn walk(fleet: &Fleet, policy: Policy, count: usize, now: u64) -> Walk {
    let members = members(fleet, count);
    Walk::new(fleet, policy, members, &Ask::default(), Millis(now)).unwrap()
}

fn next(walk: &mut Walk, now: u64) -> Attempt {
    match walk.step(Millis(now)) {
        Step::Try(mut attempt) => {
            attempt.sent();
            attempt
        }
        other => panic!("{other:?}"),
    }
}

/// A trail as text: what of each member is not as it is where nothing happens.
fn told(trail: &Trail) -> Vec<String> {
    let each = trail.stops.iter().map(|stop| {
        let mut line = format!("{}/{}", stop.provider, stop.model);
        if stop.attempts > 0 {
            line += &format!(" tried {}", stop.attempts);
        }
        if stop.last_resort {
            line += " as a last resort";
        }
        if let Some(Passed { why, at, until }) = stop.passed {
            let until = match until {
                Millis::NEVER => "ever".to_owned(),
                Millis(until) => until.to_string(),
            };
            line += &format!(" passed over at {} until {until}: {}", at.0, why.as_str());
        }
        if let Some(left_out) = stop.left_out {
            line += &format!(" left out: {}", left_out.field());
        }
        line
    });
    each.collect()
}

fn fails(kind: FailureKind) -> Failure {
    let mut failure = Failure::upstream(kind, "no");
    failure.status = Some(500);
    failure
}

const ONCE: Policy = Policy {
    strategy: Strategy::Ordered,
    attempts: 4,
    tries_per_target: 1,
    deadline: Duration::from_secs(600),
    max_wait: Duration::ZERO,
    hedge: false,
};

/// Until its breaker opens.
fn strike(fleet: &Fleet, count: usize) {
    for now in 0..8 {
        let mut walk = walk(fleet, ONCE, count, now);
        if let Step::Try(attempt) = walk.step(Millis(now)) {
            walk.failed(attempt, &fails(FailureKind::Server), Millis(now));
        }
    }
}

#[test]
fn where_the_first_serves_at_once_there_is_nothing_to_tell() {
    let fleet = fleet(Limits::default());
    let mut walk = walk(&fleet, ONCE, 2, 5);
    let attempt = next(&mut walk, 5);
    walk.complete(attempt, Spent::default(), Millis(6));
    assert!(!walk.is_eventful());
    assert_eq!(told(&walk.outline()), [""; 0]);
    // Who asks is told of all.
    assert_eq!(told(&walk.trail()), ["a/m tried 1", "b/m"]);
    assert_eq!(walk.trail().began, Millis(5));
}

#[test]
fn an_open_breaker_is_told_with_its_end() {
    let fleet = fleet(Limits::default());
    strike(&fleet, 1);
    let mut open = walk(&fleet, ONCE, 3, 100);
    let attempt = next(&mut open, 100);
    assert!(open.is_eventful());
    let told = told(&open.trail());
    let (until, why) = told[0].split_once(": ").unwrap();
    assert_eq!(why, "breaker_open");
    let until: u64 = until.rsplit(' ').next().unwrap().parse().unwrap();
    // The cool-down is moved a little, so that nodes do not act as one.
    assert!((10_000..25_000).contains(&until), "{until}");
    assert_eq!(told[1..], ["b/m tried 1", "c/m"]);
    open.complete(attempt, Spent::default(), Millis(101));
}

#[test]
fn whoever_is_tried_since_nobody_else_is_left_is_told_so() {
    let fleet = fleet(Limits::default());
    strike(&fleet, 1);
    // After a while a trial is let through, in place of giving up.
    let mut walk = walk(&fleet, ONCE, 1, 5_000);
    drop(next(&mut walk, 5_000));
    let told = told(&walk.trail());
    assert!(
        told[0].starts_with("a/m tried 1 as a last resort passed over at 5000"),
        "{told:?}"
    );
}

#[test]
fn a_stated_wait_and_a_limit_of_ours_are_told_apart() {
    let one = Limits {
        max_concurrent: Some(1),
        ..Limits::default()
    };
    let fleet = fleet(one);
    // It holds the one place.
    let mut first = walk(&fleet, ONCE, 1, 10);
    let held = next(&mut first, 10);
    let mut second = walk(&fleet, ONCE, 3, 20);
    let attempt = next(&mut second, 20);
    let mut limited = fails(FailureKind::RateLimit);
    limited.retry_after = Some(Duration::from_secs(30));
    second.failed(attempt, &limited, Millis(20));
    drop(next(&mut second, 25));
    assert_eq!(
        told(&second.trail()),
        [
            "a/m passed over at 20 until 70: local_limit",
            "b/m tried 1",
            "c/m tried 1",
        ]
    );
    let mut third = walk(&fleet, ONCE, 3, 40);
    drop(next(&mut third, 40));
    assert_eq!(
        told(&third.trail())[1],
        "b/m passed over at 40 until 30020: rate_limited"
    );
    drop(held);
}

#[test]
fn what_the_request_s_wishes_leave_out_is_told_with_its_field() {
    let fleet = fleet(Limits::default());
    let priced = |inputs: [Option<u64>; 3]| {
        let mut all = members(&fleet, 3);
        for (member, input) in all.iter_mut().zip(inputs) {
            member.facts = Facts {
                price: input.map(|input| Price {
                    input,
                    ..Price::default()
                }),
                ..Facts::default()
            };
        }
        all
    };
    let cheap = Preferences {
        max_price: MaxPrice {
            input: Some(5),
            ..MaxPrice::default()
        },
        sort: Some(Sort::Price),
        ..Preferences::default()
    };
    let begin = |inputs, preferences: &Preferences| {
        let ask = Ask {
            preferences: Some(preferences),
            ..Ask::default()
        };
        Walk::new(&fleet, ONCE, priced(inputs), &ask, Millis(9))
    };
    let mut walk = begin([Some(5), Some(6), Some(4)], &cheap).unwrap();
    drop(next(&mut walk, 9));
    let trail = walk.trail();
    assert_eq!(
        told(&trail),
        ["c/m tried 1", "a/m", "b/m left out: provider.max_price"]
    );
    assert_eq!(
        (trail.order.strategy, trail.order.asked),
        (Strategy::Price, true)
    );
    let prices: Vec<_> = trail
        .stops
        .iter()
        .map(|s| s.price.map(|p| p.input))
        .collect();
    assert_eq!(prices, [Some(4), Some(5), Some(6)]);
    // Where nobody is left, the same is told.
    let refused = begin([Some(6), None, Some(7)], &cheap).unwrap_err();
    assert_eq!(refused.unmet, Unmet::Price);
    let all = ["a", "b", "c"].map(|name| format!("{name}/m left out: provider.max_price"));
    assert_eq!(told(&refused.trail), all);
    let alone = Preferences {
        no_fallbacks: true,
        ..Preferences::default()
    };
    let walk = begin([None; 3], &alone).unwrap();
    assert_eq!(
        told(&walk.trail())[1],
        "b/m left out: provider.allow_fallbacks"
    );
}

#[test]
fn why_a_prompt_goes_where_it_goes_is_told() {
    let fleet = fleet(Limits::default());
    let balanced = Policy {
        strategy: Strategy::Balanced,
        ..ONCE
    };
    let ask = Ask {
        key: Some(3),
        ..Ask::default()
    };
    let mut first = Walk::new(&fleet, balanced, members(&fleet, 2), &ask, Millis(0)).unwrap();
    let order = first.trail().order;
    assert_eq!(
        (order.strategy, order.followed),
        (Strategy::Balanced, Some(Followed::Home))
    );
    let attempt = next(&mut first, 0);
    first.complete(attempt, Spent::default(), Millis(1));
    let second = Walk::new(&fleet, balanced, members(&fleet, 2), &ask, Millis(2)).unwrap();
    assert_eq!(second.trail().order.followed, Some(Followed::Served));
}

/// Beyond a number of models what is remembered of them is shared; each is told by its own name all the same.
#[test]
fn a_model_without_a_memory_of_its_own_is_told_by_its_name() {
    let fleet = fleet(Limits::default());
    let named = |number: usize| {
        let model = Candidate {
            provider: 0,
            model: format!("m-{number}").into(),
        };
        fleet.member(&model, 1, Millis(0)).unwrap()
    };
    let kept: Vec<Member> = (0..600).map(named).collect();
    let shared = vec![named(7_001), named(7_002)];
    assert!(Arc::ptr_eq(&shared[0].target, &shared[1].target));
    let walk = Walk::new(&fleet, ONCE, shared, &Ask::default(), Millis(0)).unwrap();
    assert_eq!(told(&walk.trail()), ["a/m-7001", "a/m-7002"]);
    drop(kept);
}
