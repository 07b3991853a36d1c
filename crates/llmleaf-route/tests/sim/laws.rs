//! Single laws, each told as a short story with exact figures.

use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::choice::Served;
use llmleaf_route::walk::Step;
use llmleaf_route::{
    Ask, Attempt, Candidate, Fleet, GiveUp, Member, Millis, Policy, ProviderSpec, Reason, Spent,
    Strategy, Walk,
};
use std::time::Duration;

fn fleet(providers: usize, credentials: u64) -> Fleet {
    let spec = |index: usize| ProviderSpec {
        name: format!("p{index}").into(),
        credentials: (0..credentials).map(|n| 10 * index as u64 + n).collect(),
        cooldown: Duration::from_secs(15),
        cache_for: Duration::from_secs(300),
        ..ProviderSpec::default()
    };
    let specs: Vec<ProviderSpec> = (0..providers).map(spec).collect();
    Fleet::new(&specs, 3, Millis(0))
}

const POLICY: Policy = Policy {
    strategy: Strategy::Ordered,
    attempts: 6,
    tries_per_target: 1,
    deadline: Duration::from_secs(60),
    max_wait: Duration::ZERO,
    hedge: false,
};

fn members(fleet: &Fleet, model: &str) -> Vec<Member> {
    let all = (0..fleet.providers().len()).filter_map(|provider| {
        let model = model.into();
        fleet.member(&Candidate { provider, model }, 1, Millis(0))
    });
    all.collect()
}

fn walk(fleet: &Fleet, policy: Policy, now: u64) -> Walk {
    let ask = Ask::default();
    Walk::new(fleet, policy, members(fleet, "m"), &ask, Millis(now)).unwrap()
}

fn next(walk: &mut Walk, now: u64) -> Result<Attempt, GiveUp> {
    match walk.step(Millis(now)) {
        Step::Try(mut attempt) => {
            attempt.sent();
            Ok(attempt)
        }
        Step::GiveUp(why) => Err(why),
        Step::Wait(until) => panic!("waits until {until:?}"),
    }
}

fn failure(kind: FailureKind, status: u16, retry_after: Option<Duration>) -> Failure {
    let mut failure = Failure::upstream(kind, "told");
    failure.status = Some(status);
    failure.retry_after = retry_after;
    failure
}

/// Fault B13.
#[test]
fn b13_of_several_stated_waits_the_smallest_that_remains_is_told() {
    let fleet = fleet(2, 1);
    let mut first = walk(&fleet, POLICY, 0);
    for seconds in [40, 7] {
        let attempt = next(&mut first, 0).unwrap();
        let wait = Some(Duration::from_secs(seconds));
        first.failed(
            attempt,
            &failure(FailureKind::RateLimit, 429, wait),
            Millis(0),
        );
    }
    let why = next(&mut first, 0).unwrap_err();
    assert_eq!(
        (why.reason, why.retry_at),
        (Reason::Failed, Some(Millis(7_000)))
    );
    let why = next(&mut walk(&fleet, POLICY, 2_500), 2_500).unwrap_err();
    assert_eq!(
        (why.reason, why.retry_at),
        (Reason::RateLimited, Some(Millis(7_000)))
    );
    // Another model of the same provider and credential is not held back.
    let ask = Ask::default();
    let other = Walk::new(&fleet, POLICY, members(&fleet, "n"), &ask, Millis(1));
    assert!(next(&mut other.unwrap(), 1).is_ok());
    // Who may wait that long waits, and is served.
    let patient = Policy {
        max_wait: Duration::from_secs(10),
        ..POLICY
    };
    let mut patient = walk(&fleet, patient, 2_500);
    assert!(matches!(
        patient.step(Millis(2_500)),
        Step::Wait(Millis(7_000))
    ));
    assert_eq!(next(&mut patient, 7_000).unwrap().member, 1);
}

#[test]
fn the_time_that_a_body_took_to_come_is_not_the_exchanges() {
    let fleet = fleet(2, 1);
    let mut walk = walk(&fleet, POLICY, 0);
    let attempt = next(&mut walk, 0).unwrap();
    walk.extend(Duration::from_secs(600));
    assert_eq!(walk.deadline(), Millis(660_000));
    let failed = failure(FailureKind::Server, 500, None);
    walk.failed(attempt, &failed, Millis(601_000));
    assert_eq!(next(&mut walk, 601_000).unwrap().member, 1);
}

/// Fault B13: no wait, a wait of nothing and an absurd one.
#[test]
fn b13_waits_that_say_nothing_become_guesses_and_absurd_ones_are_cut() {
    for (stated, low, high) in [
        (None, 900, 1_100),
        (Some(Duration::ZERO), 900, 1_100),
        (Some(Duration::MAX), 3_600_000, 3_600_000),
    ] {
        let fleet = fleet(1, 1);
        let mut walk = walk(&fleet, POLICY, 0);
        let attempt = next(&mut walk, 0).unwrap();
        walk.failed(
            attempt,
            &failure(FailureKind::RateLimit, 429, stated),
            Millis(0),
        );
        let until = next(&mut walk, 0).unwrap_err().retry_at.unwrap().0;
        assert!((low..=high).contains(&until), "{stated:?}: {until}");
    }
}

/// Fault B14.
#[test]
fn b14_a_refused_credential_is_passed_over_and_the_others_stay() {
    let fleet = fleet(1, 3);
    let mut first = walk(&fleet, POLICY, 0);
    for (credential, status) in [(0, 401), (1, 402), (2, 403)] {
        let kind = if status == 402 {
            FailureKind::Quota
        } else {
            FailureKind::Credential
        };
        let attempt = next(&mut first, 0).unwrap();
        assert_eq!(attempt.credential, credential, "the next in turn");
        first.failed(attempt, &failure(kind, status, None), Millis(0));
    }
    let why = next(&mut first, 0).unwrap_err();
    assert_eq!(
        why.reason,
        Reason::Credentials,
        "told apart from a provider that is down"
    );
    assert!(why.retry_at.unwrap() >= Millis(54_000));
    // The 401 speaks of all models; 402 and 403 of this one.
    let ask = Ask::default();
    let mut other = Walk::new(&fleet, POLICY, members(&fleet, "n"), &ask, Millis(1)).unwrap();
    assert_eq!(next(&mut other, 1).unwrap().credential, 1);
}

/// Fault B29.
#[test]
fn b29_bad_requests_and_hang_ups_harm_nobody_elses_target() {
    let fleet = fleet(1, 1);
    for round in 0..200 {
        let mut bad = walk(&fleet, POLICY, round);
        let attempt = next(&mut bad, round).unwrap();
        match round % 2 {
            0 => drop(attempt),
            _ => {
                let failure = Failure::invalid("bad", None);
                let changes = bad.failed(attempt, &failure, Millis(round));
                assert_eq!(changes.iter().count(), 0);
                assert_eq!(next(&mut bad, round).unwrap_err().reason, Reason::Failed);
            }
        }
    }
    let view = members(&fleet, "m")[0].target.view(Millis(200));
    assert_eq!((view.score, view.pending), (0, 0));
    assert!(next(&mut walk(&fleet, POLICY, 200), 200).is_ok());
}

#[test]
fn a_second_target_is_asked_after_the_live_percentile_and_the_loser_leaves_no_trace() {
    let fleet = fleet(2, 1);
    let hedging = Policy {
        hedge: true,
        ..POLICY
    };
    for now in 0..40 {
        let mut walk = walk(&fleet, hedging, now);
        let mut attempt = next(&mut walk, now).unwrap();
        walk.commit(&mut attempt, Millis(now + 100));
        walk.complete(attempt, Spent::default(), Millis(now + 200));
    }
    let mut walk = walk(&fleet, hedging, 1000);
    let mut slow = next(&mut walk, 1000).unwrap();
    let at = walk.hedge_at(&slow).unwrap().0;
    assert!((1100..1130).contains(&at), "{at}");
    let mut second = walk.hedge(Millis(at)).unwrap();
    assert_eq!((slow.member, second.member, walk.attempts()), (0, 1, 2));
    assert!(walk.hedge(Millis(at)).is_none(), "there is no third target");
    walk.commit(&mut second, Millis(at + 50));
    assert_eq!(walk.hedge_at(&slow), None);
    slow.sent();
    drop(slow);
    let views: Vec<_> = members(&fleet, "m")
        .iter()
        .map(|m| m.target.view(Millis(at + 60)))
        .collect();
    assert_eq!(
        (views[0].pending, views[0].score, views[1].pending),
        (0, 0, 1)
    );
}

#[test]
fn second_targets_are_a_twentieth_and_a_few() {
    let fleet = fleet(2, 1);
    let hedging = Policy {
        hedge: true,
        ..POLICY
    };
    let mut hedges = 0;
    for now in 0..200 {
        let mut walk = walk(&fleet, hedging, now);
        let mut slow = next(&mut walk, now).unwrap();
        hedges += u32::from(walk.hedge_at(&slow).is_some() && walk.hedge(Millis(now)).is_some());
        walk.commit(&mut slow, Millis(now));
        walk.complete(slow, Spent::default(), Millis(now));
    }
    assert!((10..=15).contains(&hedges), "{hedges}");
}

#[test]
fn a_prompt_comes_back_to_the_credential_that_served_it() {
    let spec = ProviderSpec {
        name: "p".into(),
        credentials: vec![1, 2, 3],
        spread: true,
        cache_for: Duration::from_secs(300),
        ..ProviderSpec::default()
    };
    let fleet = Fleet::new(&[spec], 1, Millis(0));
    let ask = |key| Ask {
        key: Some(key),
        ..Ask::default()
    };
    let mut used = [0u32; 3];
    for key in 0..60 {
        let credential = |now: u64| {
            let members = members(&fleet, "m");
            let walk = Walk::new(&fleet, POLICY, members, &ask(key), Millis(now));
            let mut walk = walk.unwrap();
            let attempt = next(&mut walk, now).unwrap();
            let credential = attempt.credential;
            walk.complete(attempt, Spent::default(), Millis(now));
            credential
        };
        let first = credential(key);
        used[first] += 1;
        assert_eq!(first, credential(key + 1));
        let served = fleet.affinity().recall(key, Millis(key + 2));
        let target = members(&fleet, "m")[0].target.id();
        assert_eq!(
            served,
            Some(Served {
                target,
                credential: first
            })
        );
    }
    assert!(used.iter().all(|n| *n > 8), "{used:?}");
}

#[test]
fn a_wait_that_is_too_long_hides_none_that_is_not() {
    let fleet = fleet(2, 1);
    let policy = Policy {
        tries_per_target: 2,
        max_wait: Duration::from_millis(20),
        ..POLICY
    };
    let mut walk = walk(&fleet, policy, 0);
    let first = next(&mut walk, 0).unwrap();
    walk.failed(first, &failure(FailureKind::Server, 500, None), Millis(0));
    let second = next(&mut walk, 0).unwrap();
    let wait = Some(Duration::from_millis(50));
    walk.failed(
        second,
        &failure(FailureKind::RateLimit, 429, wait),
        Millis(0),
    );
    // The second is free after 50 ms, which is longer than anybody waits; the first after a back-off of 125 at least.
    let Step::Wait(until) = walk.step(Millis(0)) else {
        panic!("gives up");
    };
    assert!((125..=250).contains(&until.0), "{until:?}");
    assert_eq!(next(&mut walk, until.0).unwrap().member, 1, "free by then");
}

#[test]
fn an_unwatched_provider_s_failures_are_forgotten_with_their_exchange() {
    let spec = ProviderSpec {
        name: "p".into(),
        credentials: vec![1, 2],
        unwatched: true,
        ..ProviderSpec::default()
    };
    let fleet = Fleet::new(&[spec], 1, Millis(0));
    let refused = failure(FailureKind::Credential, 401, None);
    let limited = failure(FailureKind::RateLimit, 429, Some(Duration::from_secs(9)));
    let down = failure(FailureKind::Server, 500, None);
    for _ in 0..9 {
        let mut walk = walk(&fleet, POLICY, 0);
        for (credential, fault) in [(0, &refused), (1, &limited)] {
            let attempt = next(&mut walk, 0).unwrap();
            assert_eq!(attempt.credential, credential);
            let changes = walk.failed(attempt, fault, Millis(0));
            assert_eq!(changes.iter().count(), 0);
        }
        assert_eq!(next(&mut walk, 0).unwrap_err().retry_at, None);
    }
    for _ in 0..9 {
        let mut walk = walk(&fleet, POLICY, 0);
        let attempt = next(&mut walk, 0).unwrap();
        walk.failed(attempt, &down, Millis(0));
        assert!(next(&mut walk, 0).is_err(), "not tried again");
    }
}
