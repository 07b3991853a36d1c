//! Errors, both ends.

use super::{read, wire};
use crate::Dialect;
use bytes::Bytes;
use llmleaf_model::{Event, Failure, FailureKind, Origin};
use serde_json::Value;

fn parsed(status: u16, body: &str) -> Failure {
    let body = Bytes::copy_from_slice(body.as_bytes());
    wire().parse_error(status, &|_| None, &body)
}

#[test]
fn statuses_and_words_say_what_it_is() {
    for (status, body, kind, origin) in [
        (
            400,
            r#"{"error_type":"TOO_MANY_TOKENS","id":"i","message":"too many tokens: size limit exceeded by 5 tokens."}"#,
            FailureKind::ContextLength,
            Origin::Consumer,
        ),
        (
            401,
            r#"{"id":"i","message":"Incorrect API key provided: ****"}"#,
            FailureKind::Credential,
            Origin::Upstream,
        ),
        (
            404,
            r#"{"id":"i","message":"model 'x' not found"}"#,
            FailureKind::NotFound,
            Origin::Consumer,
        ),
        (
            422,
            r#"{"message":"invalid request"}"#,
            FailureKind::InvalidRequest,
            Origin::Consumer,
        ),
        (
            429,
            r#"{"message":"too many requests"}"#,
            FailureKind::RateLimit,
            Origin::Upstream,
        ),
        (
            498,
            r#"{"message":"blocked"}"#,
            FailureKind::ContentPolicy,
            Origin::Consumer,
        ),
        (
            501,
            r#"{"message":"not implemented"}"#,
            FailureKind::Unsupported,
            Origin::Upstream,
        ),
        (503, "", FailureKind::Overloaded, Origin::Upstream),
    ] {
        let failure = parsed(status, body);
        assert_eq!(
            (failure.kind, failure.origin),
            (kind, origin),
            "{status} {body}"
        );
    }
}

#[test]
fn a_consumer_reads_its_own_shape() {
    let own = r#"{"id":"i","message":"model 'x' not found"}"#;
    let reply = Dialect::CohereChat.render_error(&parsed(404, own), "r");
    assert_eq!((reply.status, reply.body.as_slice()), (404, own.as_bytes()));
    let mut failure = Failure::upstream(FailureKind::ContextLength, "prompt is too long");
    failure.param = Some("messages".into());
    let reply = Dialect::CohereChat.render_error(&failure, "r");
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"id": "r", "message": "too many tokens: prompt is too long",
            "error_type": "TOO_MANY_TOKENS", "code": "context_length_exceeded", "param": "messages"})
    );
    // The gateway's own credential is no affair of the consumer's.
    let reply = Dialect::CohereChat.render_error(&parsed(401, "{\"message\":\"key abc\"}"), "r");
    assert_eq!(reply.status, 502);
    assert!(!String::from_utf8_lossy(&reply.body).contains("abc"));
}

#[test]
fn a_generation_that_failed_is_an_error() {
    for (end, kind) in [
        (
            r#"{"finish_reason":"ERROR","error":"boom"}"#,
            FailureKind::Server,
        ),
        (r#"{"finish_reason":"TIMEOUT"}"#, FailureKind::Timeout),
        (r#"{"error":"boom"}"#, FailureKind::Server),
    ] {
        let end = format!(r#"{{"type":"message-end","delta":{end}}}"#);
        let events = read(&[r#"{"type":"message-start","id":"i"}"#, &end, "[DONE]"]);
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{events:?}");
        };
        assert_eq!(failure.kind, kind);
        assert!(failure.possibly_billed);
    }
    let events = read(&[r#"{"message":"overloaded","id":"i"}"#]);
    assert!(matches!(events.as_slice(), [Event::Error(f)] if f.message == "overloaded"));
}

#[test]
fn a_failed_stream_ends_as_this_wire_ends_one() {
    let failure = Failure::upstream(FailureKind::Timeout, "too slow");
    let told = Dialect::CohereChat.render_stream_error(&failure, "r");
    assert_eq!(
        String::from_utf8(told).unwrap(),
        "event: message-end\ndata: {\"type\":\"message-end\",\"id\":\"r\",\"delta\":{\"finish_reason\":\"TIMEOUT\",\"error\":\"too slow\"}}\n\n"
    );
}
