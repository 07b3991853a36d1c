//! Errors, both ends.

use super::{CHAT, read, wire};
use bytes::Bytes;
use llmleaf_model::{Event, Failure, FailureKind, Origin, Retry};
use serde_json::{Value, json};
use std::time::Duration;

fn parsed(status: u16, body: &str) -> Failure {
    wire().parse_error(status, &|_| None, &Bytes::from(body.to_owned()))
}

#[test]
fn what_a_provider_says_is_classified() {
    use FailureKind as K;
    for (status, body, kind) in [
        (404, r#"{"error":"model 'x' not found"}"#, K::NotFound),
        (
            400,
            r#"{"error":"\"llama3.2\" does not support thinking"}"#,
            K::InvalidRequest,
        ),
        (
            400,
            r#"{"error":"the input length exceeds the context length"}"#,
            K::ContextLength,
        ),
        (
            500,
            r#"{"error":"the input length exceeds the context length"}"#,
            K::ContextLength,
        ),
        (
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            K::Overloaded,
        ),
        (401, r#"{"error":"unauthorized"}"#, K::Credential),
        (
            429,
            r#"{"error":"you've reached your hourly usage limit"}"#,
            K::RateLimit,
        ),
        (
            500,
            r#"{"error":"llama runner process has terminated: exit status 2"}"#,
            K::Server,
        ),
        (502, "<html>Bad gateway</html>", K::Server),
        (
            400,
            r#"{"error":{"message":"m","type":"api_error"}}"#,
            K::InvalidRequest,
        ),
    ] {
        let failure = parsed(status, body);
        assert_eq!(failure.kind, kind, "{body}");
        assert_eq!(failure.status, Some(status));
    }
    assert_eq!(parsed(404, "").retry, Retry::NextTarget);
    assert_eq!(parsed(400, r#"{"error":{"message":"m"}}"#).message, "m");
    let wait = wire().parse_error(429, &|_| Some("3".to_owned()), &Bytes::new());
    assert_eq!(wait.retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn an_error_line_ends_a_stream() {
    let events = read(&[
        r#"{"message":{"role":"assistant","content":"a"},"done":false}"#,
        r#"{"error":"an error was encountered while running the model"}"#,
        r#"{"message":{"role":"assistant","content":"b"},"done":true}"#,
    ]);
    let Some(Event::Error(failure)) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(failure.kind, FailureKind::Server);
    assert!(failure.possibly_billed && failure.message.starts_with("an error"));
    let whole = wire().parse_response(br#"{"error":"model 'm' not found"}"#);
    assert!(matches!(&whole[..], [Event::Error(f)] if f.kind == FailureKind::NotFound));
}

#[test]
fn a_consumer_reads_one_text() {
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, "not routed");
    failure.param = Some("model".into());
    let reply = CHAT.render_error(&failure, "req");
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let expected =
        json!({"error":"not routed","code":"not_found","param":"model","request_id":"req"});
    assert_eq!((reply.status, body), (404, expected));
    let line = CHAT.render_stream_error(&failure, "req");
    assert!(line.ends_with(b"}\n") && line.iter().filter(|b| **b == b'\n').count() == 1);
}
