//! What stays when the configuration changes, and how much is remembered at most.

use super::provider::MODELS;
use super::{Fleet, Member, ProviderSpec};
use crate::choice::Strategy;
use crate::limits::Limits;
use crate::walk::{Ask, Attempt, Policy, Step, Walk};
use crate::{Candidate, Millis};
use llmleaf_model::{Failure, FailureKind};
use std::sync::Arc;
use std::time::Duration;

fn spec(credentials: &[u64], limits: Limits) -> ProviderSpec {
    ProviderSpec {
        name: "p".into(),
        credentials: credentials.to_vec(),
        limits,
        models: vec!["m".into()],
        cooldown: Duration::from_secs(15),
        ..ProviderSpec::default()
    }
}

fn member(fleet: &Fleet, model: &str) -> Member {
    let candidate = Candidate {
        provider: 0,
        model: model.into(),
    };
    fleet.member(&candidate, 1, Millis(0)).unwrap()
}

fn tried(fleet: &Fleet, model: &str, now: u64) -> Option<(Walk, Attempt)> {
    let policy = Policy {
        strategy: Strategy::Ordered,
        tries_per_target: 1,
        ..Policy::default()
    };
    let members = vec![member(fleet, model)];
    let ask = Ask {
        tokens: 10,
        ..Ask::default()
    };
    let mut walk = Walk::new(fleet, policy, members, &ask, Millis(now)).unwrap();
    match walk.step(Millis(now)) {
        Step::Try(attempt) => Some((walk, attempt)),
        _ => None,
    }
}

fn fails(fleet: &Fleet, model: &str, kind: FailureKind, status: u16, now: u64) {
    let (mut walk, mut attempt) = tried(fleet, model, now).unwrap();
    attempt.sent();
    let mut failure = Failure::upstream(kind, "x");
    failure.status = Some(status);
    walk.failed(attempt, &failure, Millis(now));
}

#[test]
fn what_was_learnt_of_an_unchanged_provider_stays() {
    let limits = Limits {
        requests_per_min: Some(10),
        ..Limits::default()
    };
    let old = Fleet::new(&[spec(&[1, 2], limits)], 1, Millis(0));
    fails(&old, "m", FailureKind::Credential, 401, 0);
    for _ in 0..3 {
        fails(&old, "m", FailureKind::Server, 500, 0);
    }
    assert!(tried(&old, "m", 1).is_none(), "open");
    let held = tried(&old, "asked", 1).unwrap();

    // The first credential is replaced, a limit changes: the rest is as it was.
    let wider = Limits {
        requests_per_min: Some(20),
        ..limits
    };
    let new = old.renew(&[spec(&[3, 2], wider)], Millis(2));
    assert!(tried(&new, "m", 2).is_none(), "still open");
    let provider = &new.providers()[0];
    assert_eq!(
        provider.refused(0, Millis(2)),
        None,
        "a new credential is not blamed"
    );
    assert_eq!(member(&new, "asked").target.pending(), 1);
    // Ten a minute, four and one used; twenty now.
    let figures = provider.limiter().figures(Millis(2));
    assert_eq!(figures.requests.unwrap().remaining, 15);
    drop(held);
    assert_eq!(member(&new, "asked").target.pending(), 0);

    let mut elsewhere = spec(&[3, 2], wider);
    elsewhere.identity = 1;
    let other = new.renew(&[elsewhere], Millis(3));
    assert!(
        tried(&other, "m", 3).is_some(),
        "another address is another service"
    );
}

#[test]
fn names_that_consumers_choose_are_remembered_up_to_a_bound() {
    let fleet = Fleet::new(&[spec(&[], Limits::default())], 1, Millis(0));
    fails(&fleet, "sick", FailureKind::RateLimit, 429, 0);
    for index in 0..3 * MODELS {
        drop(member(&fleet, &format!("model-{index}")));
    }
    let targets = fleet.providers()[0].targets();
    assert!(targets.len() <= MODELS + 1, "{}", targets.len());
    assert!(
        tried(&fleet, "sick", 1).is_none(),
        "what is bad is not forgotten for room"
    );
    assert!(tried(&fleet, "m", 1).is_some());

    // When all of them are in use the rest share one.
    let held: Vec<_> = (0..2 * MODELS)
        .map(|index| member(&fleet, &format!("other-{index}")))
        .collect();
    let last = &held[2 * MODELS - 1].target;
    assert!(Arc::ptr_eq(last, &held[2 * MODELS - 2].target));
}
