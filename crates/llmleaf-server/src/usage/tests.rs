use super::*;
use llmleaf_exchange::{Cost, End, Grade, Outcome, UsageRecord};
use serde_json::Value;

fn began(id: &str) -> Began {
    Began {
        id: id.into(),
        request_id: "r".into(),
        at_ms: 1_795_651_200_000,
        key: "team".into(),
        dialect: "chat_completions",
        operation: "chat",
        model: "smart".into(),
        stream: true,
    }
}

fn record(id: &str) -> Arc<EndRecord> {
    let usage = llmleaf_model::Usage {
        input: 10,
        input_cache_read: 90,
        input_cache_write: 5,
        input_cache_write_1h: 6,
        output: 20,
        output_reasoning: 3,
        ..llmleaf_model::Usage::default()
    };
    let attempt = UsageRecord {
        id: format!("{id}-1"),
        request_id: "r".into(),
        attempt: 1,
        key: "team".into(),
        dialect: "chat_completions",
        model: "smart".into(),
        provider: "p".into(),
        upstream_model: "m".into(),
        credential: 0,
        stream: true,
        outcome: Outcome::Completed,
        failure: None,
        status: Some(200),
        grade: Grade::Reported,
        usage,
        cost: Cost::Computed(1_234_567),
        possibly_billed: false,
        losses: vec!["seed: dropped".to_owned()],
        began_ms: 0,
        connect_ms: Some(2),
        first_content_ms: Some(3),
        total_ms: 4,
    };
    Arc::new(EndRecord {
        began: began(id),
        route: Some("smart".into()),
        end: End::Completed,
        failure: None,
        status: Some(200),
        attempts: vec![attempt],
        queue_ms: 0,
        first_content_ms: Some(3),
        total_ms: 4,
        own_us: 55,
    })
}

fn events(spool: &Spool) -> Vec<Value> {
    let batch = spool.batch(100, usize::MAX).expect("it can be read");
    let body = batch.joined("{\"events\":[", "]}");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    body["events"].as_array().expect("a list").clone()
}

#[test]
fn an_exchange_is_one_event_that_controllers_know() {
    let usage = Usage::start(Spool::in_memory(Bounds::of(1 << 20)), None).expect("a thread");
    let sink = usage.sink();
    sink.began(&began("a"));
    sink.ended(&record("a"));
    usage.flush();
    let events = events(usage.spool());
    assert_eq!(events.len(), 1);
    let event = &events[0];
    for (name, value) in [
        ("event", Value::from("usage")),
        ("id", "a".into()),
        ("key", "team".into()),
        ("model", "smart".into()),
        ("outcome", "completed".into()),
        ("usage_source", "provider".into()),
        ("seq", 1.into()),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert!(event["ts_ms"].is_u64());
    let counts = &event["usage"];
    for (name, value) in [
        ("prompt_tokens", 111),
        ("completion_tokens", 23),
        ("total_tokens", 134),
        ("cache_read_tokens", 90),
        ("cache_creation_tokens", 11),
    ] {
        assert_eq!(counts[name], value, "{name}");
    }
    assert_eq!(counts["cost_usd"], 0.001_234_567);
    assert_eq!(event["attempts"][0]["losses"][0], "seed: dropped");
    assert_eq!(usage.gauges().1, 0);
}

#[test]
fn h4_what_was_running_when_the_process_died_is_told_once() {
    let name = format!("llmleaf-usage-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let bounds = Bounds::of(1 << 20);
    let usage = Usage::lasting(&folder, bounds).expect("it opens");
    let sink = usage.sink();
    for id in ["a", "b", "c"] {
        sink.began(&began(id));
    }
    sink.ended(&record("b"));
    usage.flush();
    // As after a kill: nobody says anything any more.
    let copy = folder.with_extension("copy");
    let _ = std::fs::remove_dir_all(&copy);
    std::fs::create_dir_all(&copy).expect("made");
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let to = copy.join(path.file_name().expect("a name"));
        std::fs::copy(&path, to).expect("copied");
    }
    let told = |folder: &Path| {
        let usage = Usage::lasting(folder, bounds).expect("it opens");
        let all = events(usage.spool());
        let mut all: Vec<(String, String)> = all
            .iter()
            .map(|e| [&e["id"], &e["outcome"]].map(|v| v.as_str().unwrap().to_owned()))
            .map(|[id, outcome]| (id, outcome))
            .collect();
        all.sort();
        all
    };
    let expected = [("a", "crashed"), ("b", "completed"), ("c", "crashed")];
    let expected = expected.map(|(id, outcome)| (id.to_owned(), outcome.to_owned()));
    assert_eq!(told(&copy), expected);
    for folder in [folder, copy] {
        let _ = std::fs::remove_dir_all(folder);
    }
}
