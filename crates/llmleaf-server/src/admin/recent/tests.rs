//! Which exchanges are shown, and what of them.

use super::*;
use llmleaf_exchange::{Began, Cost, Grade, Outcome, UsageRecord};

fn attempt(number: u32, provider: &str, outcome: Outcome) -> UsageRecord {
    UsageRecord {
        id: format!("x-{number}"),
        request_id: "r".into(),
        attempt: number,
        key: "team".into(),
        dialect: "chat_completions",
        model: "m".into(),
        provider: provider.into(),
        upstream_model: "m-1".into(),
        credential: 1,
        stream: false,
        outcome,
        failure: (outcome == Outcome::Failed).then_some("server"),
        status: Some(200),
        grade: Grade::Reported,
        usage: llmleaf_model::Usage::default(),
        cost: Cost::Computed(7),
        possibly_billed: false,
        losses: vec!["seed: dropped".to_owned()],
        began_ms: 1,
        connect_ms: None,
        first_content_ms: Some(2),
        chunks: llmleaf_exchange::Chunks::default(),
        total_ms: 3,
    }
}

/// An exchange number so and so.
fn record(number: u64, key: &str, model: &str, end: End) -> Arc<EndRecord> {
    Arc::new(EndRecord {
        began: Began {
            id: format!("x{number}").into(),
            request_id: format!("r{number}").into(),
            at_ms: number,
            key: key.into(),
            dialect: "chat_completions",
            operation: "chat",
            model: model.into(),
            stream: false,
            trace: None,
        },
        route: (model == "a").then(|| "a".into()),
        end,
        failure: None,
        status: Some(200),
        attempts: vec![
            attempt(1, "first", Outcome::Failed),
            attempt(2, "second", Outcome::Completed),
        ],
        trail: None,
        queue_ms: 0,
        first_content_ms: None,
        total_ms: 4,
        own_us: 5,
    })
}

/// When each of those began that a query chooses.
fn at(kept: &[Arc<EndRecord>], query: &str) -> Vec<u64> {
    let shown = chosen(kept, query).expect("a good query");
    let all = shown["exchanges"].as_array().expect("a list");
    all.iter()
        .map(|one| one["at_ms"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn the_last_exchanges_are_chosen_by_what_the_query_says() {
    let none = json!({"exchanges": [], "matching": 0, "kept": 0});
    assert_eq!(chosen(&[], "").expect("a good query"), none);
    let kept = [
        record(1, "team one", "a", End::Completed),
        record(2, "other", "b/c", End::UpstreamError),
        record(3, "team one", "b/c", End::Cancelled),
        record(4, "other", "a", End::Limited),
    ];
    let at = |query| at(&kept, query);
    assert_eq!(at(""), [4, 3, 2, 1], "newest first");
    assert_eq!(at("key=team+one"), [3, 1]);
    assert_eq!(at("model=b%2Fc&key=other"), [2]);
    assert_eq!(at("request_id=r3"), [3]);
    assert_eq!(at("request_id=x4"), [4]);
    assert_eq!(at("route=a"), [4, 1]);
    assert_eq!(at("provider=first&limit=1"), [4]);
    assert_eq!(at("provider=nobody"), [0u64; 0]);
    assert_eq!(at("outcome=client_cancelled"), [3]);
    assert_eq!(at("outcome=failed"), [4, 2]);
    let one = chosen(&kept, "limit=1&key=other").expect("a good query");
    assert_eq!((&one["matching"], &one["kept"]), (&json!(2), &json!(4)));
    let attempts = &one["exchanges"][0]["attempts"];
    assert_eq!(attempts[0]["provider"], "first");
    assert_eq!(attempts[1]["outcome"], "completed");
    assert_eq!(attempts[1]["losses"], json!(["seed: dropped"]));
    assert_eq!(attempts[1]["credential"], 1, "its place, and nothing of it");
}

#[test]
fn what_is_mistyped_narrows_nothing_and_is_refused() {
    for (query, param) in [
        ("keys=a", "keys"),
        ("limit=0", "limit"),
        ("limit=1025", "limit"),
        ("limit=", "limit"),
        ("outcome=done", "outcome"),
        ("key=%F", "key"),
    ] {
        let failure = chosen(&[], query).expect_err(query);
        assert_eq!(failure.param.as_deref(), Some(param), "{query}");
    }
    for outcome in outcomes() {
        let query = format!("outcome={outcome}");
        assert!(chosen(&[], &query).is_ok(), "{query}");
    }
}
