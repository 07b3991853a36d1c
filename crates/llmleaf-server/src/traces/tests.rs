use super::*;
use crate::traces::Collector;
use http::HeaderValue;
use llmleaf_config::Config;
use llmleaf_exchange::{Began, Chunks, Cost, End, Grade, Outcome, UsageRecord};
use llmleaf_model::Usage;
use llmleaf_testkit::replay::{Replay, Script};
use serde_json::Value;

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector there, and the service that it is told of.
fn collector(url: &str) -> Arc<Collector> {
    let config = format!(
        "[traces]\nurl = \"{url}/v1/traces\"\ncredential = \"CANARY-token\"\nservice_name = \"gate\"\ntimeout_ms = 20000\n\
        [[providers]]\nname = \"own\"\nkind = \"gemini\"\ncredential = \"CANARY-key\"\nprefix = \"g\"\n"
    );
    let config = Config::parse(&config, "x.toml", &|_| None).expect("it is good");
    let app = crate::app::App::build(&config).expect("it can be served");
    app.collector.clone().expect("there is one")
}

fn trace() -> Trace {
    followed().with_span(7)
}

/// One that is only told on.
fn followed() -> Trace {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_static(CALLER));
    headers.insert("tracestate", HeaderValue::from_static("a=1"));
    Trace::of(&headers).expect("a trace").with_state(&headers)
}

fn attempt(number: u32, outcome: Outcome) -> UsageRecord {
    let good = outcome == Outcome::Completed;
    UsageRecord {
        id: format!("x-{number}"),
        request_id: "r".into(),
        attempt: number,
        key: "Team A".into(),
        dialect: "chat_completions",
        model: "m".into(),
        provider: "own".into(),
        upstream_model: "gemini-x".into(),
        credential: 0,
        stream: true,
        outcome,
        failure: (!good).then_some("overloaded"),
        status: Some(if good { 200 } else { 503 }),
        grade: Grade::Reported,
        usage: Usage {
            input: 10,
            input_cache_read: 5,
            output: 7,
            ..Usage::default()
        },
        cost: Cost::Computed(1_500_000),
        possibly_billed: false,
        losses: Vec::new(),
        began_ms: 100,
        connect_ms: None,
        first_content_ms: Some(30),
        chunks: Chunks::default(),
        total_ms: 40,
    }
}

fn record(trace: Option<Trace>) -> Arc<EndRecord> {
    Arc::new(EndRecord {
        began: Began {
            id: "x".into(),
            request_id: "r".into(),
            at_ms: 1_000,
            key: "Team A".into(),
            dialect: "chat_completions",
            operation: "chat",
            model: "m".into(),
            stream: true,
            trace: trace.map(Arc::new),
        },
        route: Some("m".into()),
        end: End::Completed,
        failure: None,
        status: Some(200),
        attempts: vec![attempt(1, Outcome::Failed), attempt(2, Outcome::Completed)],
        trail: None,
        queue_ms: 0,
        first_content_ms: Some(40),
        total_ms: 200,
        own_us: 250,
    })
}

/// The value of an attribute, without the name of its kind.
fn said<'v>(span: &'v Value, name: &str) -> Option<&'v Value> {
    let all = span["attributes"].as_array()?;
    let found = all.iter().find(|attribute| attribute["key"] == name)?;
    found["value"].as_object()?.values().next()
}

/// What comes of one record: a span of the exchange with its caller in front, and one in it for each attempt.
#[test]
fn an_exchange_is_a_span_and_its_attempts_are_within_it() {
    let body = spans::export(&[record(Some(trace()))], &collector("http://127.0.0.1:9"));
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    let resource = &told["resourceSpans"][0];
    assert_eq!(said(&resource["resource"], "service.name").unwrap(), "gate");
    let spans = &resource["scopeSpans"][0]["spans"];
    let [own, first, second] = spans.as_array().expect("a list").as_slice() else {
        panic!("{spans}");
    };
    let trace = trace();
    for span in [own, first, second] {
        assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span["traceState"], "a=1");
        assert_eq!(said(span, "gen_ai.operation.name").unwrap(), "chat");
        assert_eq!(said(span, "gen_ai.provider.name").unwrap(), "gcp.gemini");
    }
    assert_eq!((&own["name"], &own["kind"]), (&"chat m".into(), &2.into()));
    assert_eq!(own["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(own["spanId"], "0000000000000007");
    assert_eq!(own["flags"], 0x301);
    assert_eq!(own["startTimeUnixNano"], "1000000000");
    assert_eq!(own["endTimeUnixNano"], "1200000000");
    assert_eq!(own["status"], serde_json::json!({}));
    assert_eq!(said(own, "llmleaf.key").unwrap(), "Team A");
    assert_eq!(
        said(own, "gen_ai.usage.input_tokens"),
        None,
        "it would count twice"
    );
    for (number, span) in [(1, first), (2, second)] {
        assert_eq!(span["name"], "chat gemini-x");
        assert_eq!((&span["kind"], &span["flags"]), (&3.into(), &0x101.into()));
        assert_eq!(span["parentSpanId"], own["spanId"]);
        assert_eq!(span["spanId"], trace.attempt(number).unwrap().to_string());
        assert_eq!(span["startTimeUnixNano"], "1100000000");
        assert_eq!(said(span, "gen_ai.usage.input_tokens").unwrap(), "15");
        assert_eq!(
            said(span, "gen_ai.usage.cache_read.input_tokens").unwrap(),
            "5"
        );
        assert_eq!(said(span, "server.port").unwrap(), "443");
    }
    assert_eq!(first["status"]["code"], 2);
    assert_eq!(said(first, "error.type").unwrap(), "overloaded");
    assert_eq!(second["status"], serde_json::json!({}));
    assert!(!String::from_utf8_lossy(&body).contains("CANARY"));
}

/// What a collector does is nobody's concern but the counts'.
#[test]
fn spans_are_told_or_dropped_and_counted() {
    let replay = Replay::start();
    let traces = Traces::new();
    assert!(traces.counts().is_none(), "nobody was ever told");
    traces
        .follow(Some(collector(&replay.url())))
        .expect("a thread");
    let sink = traces.sink();
    let counts = || {
        let counts = traces.counts().expect("it has begun");
        (counts.sent.get(), counts.dropped.get())
    };
    // One is no part of a trace, and one of a trace that nobody records.
    sink.ended(&record(None));
    sink.ended(&record(Some(followed())));
    sink.ended(&record(Some(trace())));
    replay.push(Script::json(200, "{}"));
    traces.flush();
    assert_eq!(counts(), (3, 0));
    replay.push(Script::json(
        200,
        r#"{"partialSuccess":{"rejectedSpans":"1"}}"#,
    ));
    sink.ended(&record(Some(trace())));
    traces.flush();
    assert_eq!(counts(), (5, 1));
    // It is refused for good, so it is not sent again.
    replay.push(Script::json(400, "{}"));
    sink.ended(&record(Some(trace())));
    traces.flush();
    assert_eq!(counts(), (5, 4));
    // Nobody is told any more.
    traces.follow(None).expect("nothing to do");
    sink.ended(&record(Some(trace())));
    traces.flush();
    assert_eq!(counts(), (5, 7));
    let asked = replay.requests();
    assert_eq!(asked.len(), 3);
    for request in asked {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/v1/traces")
        );
        assert_eq!(request.header("authorization"), Some("Bearer CANARY-token"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("x-llmleaf-control"), None);
    }
}

/// More than there is room for is dropped at once, and whoever tells it does not wait.
#[test]
fn what_there_is_no_room_for_is_dropped() {
    let traces = Traces::new();
    let sink = traces.sink();
    let one = record(Some(trace()));
    for _ in 0..ROOM + 10 {
        sink.ended(&one);
    }
    assert_eq!(traces.shared.counts.dropped.get(), 30);
}
