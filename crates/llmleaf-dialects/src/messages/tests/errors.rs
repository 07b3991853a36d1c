//! Errors, both ways.

use super::recordings;
use super::*;
use crate::messages::errors::{parse_error, render_error};
use crate::messages::request::parse_request;
use llmleaf_model::{FailureKind, Origin, Retry};
use std::time::Duration;

fn read(status: u16, body: &str) -> Failure {
    let body = Bytes::copy_from_slice(body.as_bytes());
    parse_error(status, &|_| None, &body, &Quirks::REFERENCE)
}

/// Status, type, message, what it is, and whose fault.
#[rustfmt::skip]
const REFERENCE: [(u16, &str, &str, FailureKind, Origin); 14] = [
    (400, "invalid_request_error", "bad", FailureKind::InvalidRequest, Origin::Consumer),
    (400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum", FailureKind::ContextLength, Origin::Consumer),
    (400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 9", FailureKind::ContextLength, Origin::Consumer),
    (400, "invalid_request_error", "Your credit balance is too low to access", FailureKind::Quota, Origin::Upstream),
    (400, "invalid_request_error", "Output blocked by content filtering policy", FailureKind::ContentPolicy, Origin::Consumer),
    (401, "authentication_error", "invalid x-api-key", FailureKind::Credential, Origin::Upstream),
    (402, "billing_error", "pay", FailureKind::Quota, Origin::Upstream),
    (403, "permission_error", "no", FailureKind::Credential, Origin::Upstream),
    (404, "not_found_error", "model: x", FailureKind::NotFound, Origin::Consumer),
    (413, "request_too_large", "big", FailureKind::TooLarge, Origin::Consumer),
    (429, "rate_limit_error", "slow", FailureKind::RateLimit, Origin::Upstream),
    (500, "api_error", "oops", FailureKind::Server, Origin::Upstream),
    (504, "timeout_error", "late", FailureKind::Timeout, Origin::Upstream),
    (529, "overloaded_error", "busy", FailureKind::Overloaded, Origin::Upstream),
];

/// Status and body of other shapes.
#[rustfmt::skip]
const OTHERS: [(u16, &str, FailureKind, Origin); 5] = [
    (529, "", FailureKind::Overloaded, Origin::Upstream),
    (502, "<html>", FailureKind::Server, Origin::Upstream),
    (422, "{\"detail\":\"x\"}", FailureKind::InvalidRequest, Origin::Consumer),
    (403, "{\"error\":{\"code\":403,\"message\":\"m\",\"status\":\"PERMISSION_DENIED\"}}", FailureKind::Credential, Origin::Upstream),
    (400, "{\"error\":\"plain\"}", FailureKind::InvalidRequest, Origin::Consumer),
];

#[test]
fn statuses_and_types_have_their_kinds() {
    let reference = REFERENCE.map(|(status, name, message, kind, origin)| {
        let body = format!(
            "{{\"type\":\"error\",\"error\":{{\"type\":\"{name}\",\"message\":\"{message}\"}}}}"
        );
        (status, body, kind, origin)
    });
    let others = OTHERS.map(|(status, body, kind, origin)| (status, body.to_owned(), kind, origin));
    for (status, body, kind, origin) in reference.into_iter().chain(others) {
        let failure = read(status, &body);
        assert_eq!(
            (failure.kind, failure.origin),
            (kind, origin),
            "{status} {body}"
        );
        assert_eq!(failure.status, Some(status));
        // A model that one provider does not know may be known to the next.
        let retry = if origin == Origin::Upstream || kind == FailureKind::NotFound {
            Retry::NextTarget
        } else {
            Retry::Never
        };
        assert_eq!(failure.retry, retry);
        assert!(!failure.message.is_empty());
    }
}

#[test]
fn waits_and_codes_are_read() {
    let body = Bytes::from_static(br#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"ramp_limit_exceeded"}}}"#);
    for (name, value, wait) in [
        ("retry-after", "7", Some(Duration::from_secs(7))),
        ("retry-after-ms", "250", Some(Duration::from_millis(250))),
        ("retry-after", "Wed, 25 Nov 2026 20:00:00 GMT", None),
        ("retry-after", "-1", None),
        ("retry-after", "1e300", None),
        (
            "anthropic-ratelimit-requests-reset",
            "2026-11-25T20:00:00Z",
            None,
        ),
    ] {
        let header = |asked: &str| (asked == name).then(|| value.to_owned());
        let failure = parse_error(429, &header, &body, &Quirks::REFERENCE);
        assert_eq!(failure.retry_after, wait, "{name}: {value}");
        assert_eq!(failure.code.as_deref(), Some("ramp_limit_exceeded"));
    }
}

#[test]
fn recorded_errors_come_back_as_they_were() {
    for exchange in recordings::of(
        "recorded_errors_come_back_as_they_were",
        &["anthropic-messages"],
    ) {
        let (Some(body), 400..) = (&exchange.body, exchange.status) else {
            continue;
        };
        let failure = read(exchange.status, body);
        let reply = render_error(&failure, "req_1");
        let said: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let was: serde_json::Value = serde_json::from_str(body).unwrap();
        if failure.origin == Origin::Consumer {
            assert_eq!(reply.status, exchange.status, "{}", exchange.id);
            assert_eq!(said["error"], was["error"], "{}", exchange.id);
        } else {
            assert_eq!(failure.kind, FailureKind::Credential);
            assert_eq!(reply.status, 502);
            assert!(!String::from_utf8_lossy(&reply.body).contains("x-api-key"));
        }
    }
}

#[test]
fn each_kind_has_a_status_and_a_type() {
    use FailureKind as K;
    for (kind, status, name) in [
        (K::InvalidRequest, 400, "invalid_request_error"),
        (K::Authentication, 401, "authentication_error"),
        (K::Quota, 402, "billing_error"),
        (K::Permission, 403, "permission_error"),
        (K::NotFound, 404, "not_found_error"),
        (K::TooLarge, 413, "request_too_large"),
        (K::RateLimit, 429, "rate_limit_error"),
        (K::Internal, 500, "api_error"),
        (K::Connect, 502, "api_error"),
        (K::Credential, 502, "api_error"),
        (K::Timeout, 504, "timeout_error"),
        (K::Overloaded, 529, "overloaded_error"),
    ] {
        let reply = render_error(&Failure::gateway(kind, "why"), "req_1");
        let said: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, status, "{kind:?}");
        assert_eq!(said["type"], "error");
        assert_eq!(said["error"]["type"], name, "{kind:?}");
        assert_eq!(said["request_id"], "req_1");
    }
    let long = Failure::invalid("maximum context length is 8192", None);
    let long = Failure {
        kind: K::ContextLength,
        ..long
    };
    let said: serde_json::Value = serde_json::from_slice(&render_error(&long, "r").body).unwrap();
    assert!(
        said["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("prompt is too long")
    );
}

/// Official clients ask for a thread by themselves, and go on without one when refused with this code.
#[test]
fn a_thread_is_refused_with_the_code_that_clients_act_upon() {
    let body = |thread: &str| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"x"}}],"thread":{thread}}}"#
        )
    };
    for thread in [
        r#"{"type":"create"}"#,
        r#"{"type":"continue","previous_message_id":"msg_1"}"#,
    ] {
        let failure = parse_request(&body(thread)).unwrap_err();
        let reply = render_error(&failure, "req_1");
        let said: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(said["error"]["type"], "invalid_request_error");
        assert_eq!(
            said["error"]["details"]["error_code"],
            "thread_unsupported_request"
        );
    }
    assert!(parse_request(&body("null")).is_ok());
    let mut other = Failure::invalid("no", None);
    other.code = Some("invalid_value".to_owned());
    let reply = render_error(&other, "req_1");
    let said: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(said["error"].get("details").is_none());
}
