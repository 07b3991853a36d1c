//! Errors, both ends.

use super::wire;
use crate::Dialect;
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use std::time::Duration;

fn parsed(status: u16, body: &str) -> Failure {
    wire().parse_error(status, &|_| None, &Bytes::from(body.to_owned()))
}

#[test]
fn what_a_provider_says_is_classified() {
    use FailureKind as K;
    for (status, body, kind) in [
        (
            400,
            r#"{"error":{"code":400,"message":"Please use a valid role: user, model.","status":"INVALID_ARGUMENT"}}"#,
            K::InvalidRequest,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            K::ContextLength,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#,
            K::Credential,
        ),
        (
            403,
            r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#,
            K::Credential,
        ),
        (
            404,
            r#"[{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}]"#,
            K::NotFound,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#,
            K::RateLimit,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}"#,
            K::Quota,
        ),
        (
            503,
            r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#,
            K::Overloaded,
        ),
        (502, "<html>Bad gateway</html>", K::Server),
        (
            499,
            r#"{"error":{"code":499,"status":"CANCELLED"}}"#,
            K::Server,
        ),
    ] {
        let failure = parsed(status, body);
        assert_eq!(failure.kind, kind, "{body}");
        assert_eq!(failure.status, Some(status));
    }
    assert_eq!(parsed(404, "").retry, Retry::NextTarget);
}

#[test]
fn an_error_in_place_of_an_answer_may_be_billed() {
    let error = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    for body in [error.to_owned(), format!("[{error}]")] {
        let events = wire().parse_response(body.as_bytes());
        let Some(llmleaf_model::Event::Error(failure)) = events.last() else {
            panic!("{events:?}");
        };
        assert!(failure.possibly_billed);
        assert_eq!(failure.kind, FailureKind::Overloaded);
    }
}

#[test]
fn the_wait_is_in_the_details() {
    let body = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;
    assert_eq!(
        parsed(429, body).retry_after,
        Some(Duration::from_millis(34_500))
    );
}

#[test]
fn a_consumer_reads_its_own_shape() {
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, "not routed");
    failure.param = Some("model".into());
    failure.retry_after = Some(Duration::from_secs(2));
    let reply = Dialect::GenerateContent.render_error(&failure, "req");
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (reply.status, &body["error"]["status"]),
        (404, &"NOT_FOUND".into())
    );
    let again = parsed(404, std::str::from_utf8(&reply.body).unwrap());
    assert_eq!(
        (again.kind, again.message),
        (FailureKind::NotFound, "not routed".into())
    );
    assert_eq!(
        (again.param, again.retry_after),
        (failure.param, failure.retry_after)
    );
}
