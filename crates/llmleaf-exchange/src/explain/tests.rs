//! How decisions are told: golden, bounded, and without breaking what they stand in.

use super::*;
use crate::ledger::{Cost, Grade, Outcome};
use llmleaf_route::Strategy;
use llmleaf_route::choice::{Followed, Order, Unmet};
use llmleaf_route::walk::trail::{LeftOut, Why};

fn stop(provider: &str) -> Stop {
    Stop {
        provider: provider.into(),
        model: "m-1".into(),
        group: 0,
        price: None,
        attempts: 0,
        last_resort: false,
        passed: None,
        left_out: None,
    }
}

fn decided(stops: Vec<Stop>) -> Trail {
    Trail {
        began: Millis(1000),
        order: Order {
            strategy: Strategy::Balanced,
            asked: false,
            followed: Some(Followed::Home),
        },
        waited_ms: 0,
        hedge: None,
        stops,
    }
}

#[test]
fn a_trail_says_of_each_target_what_became_of_it() {
    let passed = |why, until| {
        Some(Passed {
            why,
            at: Millis(1002),
            until,
        })
    };
    let told = trail(&Trail {
        hedge: Some(2),
        waited_ms: 40,
        ..decided(vec![
            Stop {
                passed: passed(Why::Breaker, Millis(16_000)),
                ..stop("a")
            },
            Stop {
                attempts: 2,
                group: 1,
                ..stop("b")
            },
            Stop {
                passed: passed(Why::LocalLimit, Millis::NEVER),
                attempts: 1,
                last_resort: true,
                ..stop("c")
            },
            stop("d"),
            Stop {
                left_out: Some(LeftOut::Unmet(Unmet::Price)),
                price: Some(Price {
                    input: 2_500_000_000,
                    output: 10_000_000_000,
                    request: 0,
                }),
                ..stop("e")
            },
        ])
    });
    assert_eq!(
        told,
        json!({
            "strategy": "balanced",
            "affinity": "home",
            "waited_ms": 40,
            "hedge": 2,
            "candidates": [
                {"provider": "a", "model": "m-1", "verdict": "passed_over", "why": "breaker_open", "at_ms": 2, "until_ms": 15000},
                {"provider": "b", "model": "m-1", "verdict": "tried", "attempts": 2, "group": 1},
                {"provider": "c", "model": "m-1", "verdict": "tried", "why": "local_limit", "at_ms": 2, "last_resort": true},
                {"provider": "d", "model": "m-1", "verdict": "not_needed"},
                {"provider": "e", "model": "m-1", "verdict": "left_out", "why": "provider.max_price",
                    "usd_per_million": {"input": "2.5", "output": "10"}},
            ],
        })
    );
}

#[test]
fn an_attempt_is_told_by_figures_and_slugs() {
    let record = UsageRecord {
        id: "x-1".into(),
        request_id: "r".into(),
        attempt: 1,
        key: "team".into(),
        dialect: "messages",
        model: "m".into(),
        provider: "a".into(),
        upstream_model: "m-1".into(),
        credential: 3,
        stream: true,
        outcome: Outcome::Failed,
        failure: Some("overloaded"),
        status: Some(529),
        grade: Grade::None,
        usage: llmleaf_model::Usage::default(),
        cost: Cost::Computed(1_500_000),
        possibly_billed: false,
        losses: vec!["seed: dropped".to_owned()],
        began_ms: 4,
        connect_ms: Some(5),
        first_content_ms: None,
        chunks: crate::Chunks::default(),
        total_ms: 6,
    };
    assert_eq!(
        attempt(&record),
        json!({
            "attempt": 1, "provider": "a", "model": "m-1", "credential": 3, "outcome": "failed", "failure": "overloaded",
            "status": 529, "began_ms": 4, "connect_ms": 5, "total_ms": 6, "cost_usd": "0.0015", "losses": ["seed: dropped"],
        })
    );
}

#[test]
fn a_header_is_bounded_visible_and_json_still() {
    let many = (0..400).map(|number| stop(&format!("provider-{number}")));
    let mut told = trail(&decided(many.collect()));
    let attempts: Vec<Value> = (0..100)
        .map(|n| json!({"attempt": n, "losses": ["x"]}))
        .collect();
    told["attempts"] = attempts.into();
    told["model"] = "modèle \u{1F341}\n".into();
    let value = header(told).expect("a header");
    let text = value.to_str().expect("visible ASCII");
    assert!(text.len() <= LONGEST, "{}", text.len());
    let read: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(read["model"], "modèle \u{1F341}\n");
    assert_eq!(read["shortened"], true);
    assert_eq!(
        read["candidates"][0]["provider"], "provider-0",
        "who was first"
    );
    let attempts = read["attempts"].as_array().expect("a list");
    assert_eq!(
        attempts.last(),
        Some(&json!({"attempt": 99})),
        "who was last"
    );
    // A name that is too long by itself is cut; where nothing helps, that is said.
    let mut long = stop("p");
    long.model = "m".repeat(LONGEST).into();
    let read = |told: Value| -> Value {
        let value = header(told).expect("a header");
        serde_json::from_slice(value.as_bytes()).expect("JSON")
    };
    let cut = read(trail(&decided(vec![long])));
    assert_eq!(cut["candidates"][0]["model"], "m".repeat(NAME));
    assert_eq!(cut["shortened"], true);
    let names = (0..100).map(|number| (format!("n{number}"), Value::from("m".repeat(NAME))));
    let wide = Value::Object(names.collect());
    assert_eq!(read(wide), json!({"shortened": true}));
}

#[test]
fn what_is_no_object_stays_as_it_is() {
    let told = json!({"a": 1});
    for (body, expected) in [
        ("{}", r#"{"x_llmleaf_explain":{"a":1}}"#),
        ("{ }\n", r#"{ "x_llmleaf_explain":{"a":1}}"#),
        (r#"{"b":{}}"#, r#"{"b":{},"x_llmleaf_explain":{"a":1}}"#),
        ("[{}]", "[{}]"),
        ("", ""),
        ("{", "{"),
        ("text }", "text }"),
    ] {
        let made = with_member(body.as_bytes().to_vec(), &told);
        assert_eq!(String::from_utf8_lossy(&made), expected, "{body}");
    }
}
