use super::recorded;
use crate::chat_completions::Quirks;
use crate::chat_completions::errors::{parse_error, render_error, render_stream_error};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use std::time::Duration;

fn read(status: u16, body: &str) -> Failure {
    parse_error(
        status,
        &|_| None,
        &Bytes::copy_from_slice(body.as_bytes()),
        &Quirks::REFERENCE,
    )
}

#[test]
fn recorded_errors_are_read_by_their_words() {
    let mut seen = 0;
    for recording in recorded::all().into_iter().filter(|r| r.status >= 400) {
        seen += 1;
        let header = |name: &str| {
            recording
                .headers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        let body = recording.body.clone().unwrap_or_default();
        let failure = parse_error(
            recording.status,
            &header,
            &Bytes::from(body.clone()),
            &Quirks::REFERENCE,
        );
        assert!(!failure.message.is_empty());
        assert!(!failure.message.starts_with('{'), "{}", failure.message);
        assert_eq!(failure.status, Some(recording.status));
        let lower = body.to_lowercase();
        let expected = match recording.status {
            _ if lower.contains("context length") || lower.contains("messages is too long") => {
                FailureKind::ContextLength
            }
            _ if lower.contains("safety_check") => FailureKind::ContentPolicy,
            401 | 403 => FailureKind::Credential,
            404 => FailureKind::NotFound,
            429 => FailureKind::RateLimit,
            500.. => FailureKind::Server,
            _ => FailureKind::InvalidRequest,
        };
        assert_eq!(failure.kind, expected, "{}: {body}", recording.id);
        if recording.provider == "azure-openai" && recording.status == 429 {
            assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
        }
    }
    assert!(seen == 0 || seen > 30, "{seen}");
}

/// Status, body, and what they mean.
const BODIES: &[(u16, &str, FailureKind, &str)] = &[
    (
        400,
        r#"{"code":"x","error":"bad thing"}"#,
        FailureKind::InvalidRequest,
        "bad thing",
    ),
    (
        400,
        r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#,
        FailureKind::InvalidRequest,
        "m",
    ),
    (
        422,
        r#"{"detail":[{"loc":["body","tool_choice"],"msg":"no"}]}"#,
        FailureKind::InvalidRequest,
        "no",
    ),
    (
        400,
        r#"{"error":{"message":"This model's maximum context length is 8 tokens","code":null}}"#,
        FailureKind::ContextLength,
        "This model's maximum context length is 8 tokens",
    ),
    (
        400,
        r#"{"error":{"code":"content_filter","message":"m","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
        FailureKind::ContentPolicy,
        "m",
    ),
    (
        429,
        r#"{"error":{"code":"insufficient_quota","message":"m"}}"#,
        FailureKind::Quota,
        "m",
    ),
    (
        402,
        r#"{"error":{"code":402,"message":"pay"}}"#,
        FailureKind::Quota,
        "pay",
    ),
    (413, "too big", FailureKind::TooLarge, "too big"),
    (
        502,
        "<html><body>Bad gateway</body></html>",
        FailureKind::Server,
        "the provider answered with status 502",
    ),
    (
        524,
        "",
        FailureKind::Timeout,
        "the provider answered with status 524",
    ),
    (
        529,
        r#"{"message":"busy"}"#,
        FailureKind::Overloaded,
        "busy",
    ),
    (409, r#"{"message":"m"}"#, FailureKind::Conflict, "m"),
    (
        408,
        r#"{"errors":[{"message":"slow"}]}"#,
        FailureKind::Timeout,
        "slow",
    ),
    (
        301,
        "",
        FailureKind::InvalidResponse,
        "the provider answered with status 301",
    ),
];

#[test]
fn shapes_and_markers() {
    for (status, body, kind, message) in BODIES {
        let (status, body, kind, message) = (*status, *body, *kind, *message);
        let failure = read(status, body);
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (kind, message),
            "{body}"
        );
    }
    assert_eq!(
        read(
            422,
            r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"no"}]}"#
        )
        .param
        .as_deref(),
        Some("messages.0.role")
    );
}

#[test]
fn whose_fault_it_is_decides_where_to_go() {
    for (status, origin, retry) in [
        (400, Origin::Consumer, Retry::Never),
        (422, Origin::Consumer, Retry::Never),
        (404, Origin::Consumer, Retry::NextTarget),
        (401, Origin::Upstream, Retry::NextTarget),
        (409, Origin::Upstream, Retry::NextTarget),
        (429, Origin::Upstream, Retry::NextTarget),
        (500, Origin::Upstream, Retry::NextTarget),
    ] {
        let failure = read(status, "{}");
        assert_eq!((failure.origin, failure.retry), (origin, retry), "{status}");
    }
}

#[test]
fn a_refused_credential_tells_nothing() {
    let failure = read(
        401,
        r#"{"error":{"message":"Incorrect key sk-123","code":"invalid_api_key"}}"#,
    );
    let reply = render_error(&failure, "r");
    assert_eq!(reply.status, 502);
    let text = String::from_utf8(reply.body).unwrap();
    assert!(
        !text.contains("sk-123") && !text.contains("invalid_api_key"),
        "{text}"
    );
}

#[test]
fn whatever_a_refusal_of_access_is_called_nothing_of_it_is_told() {
    for status in [401, 403] {
        for code in ["model_not_found", "not_found_error", "rate_limit_error"] {
            let body = format!(
                r#"{{"error":{{"message":"Project `proj_1` of org-2 does not have access to model `m`","type":"invalid_request_error","code":"{code}"}}}}"#
            );
            let failure = read(status, &body);
            assert_eq!(
                (failure.kind, failure.origin, failure.retry),
                (FailureKind::Credential, Origin::Upstream, Retry::NextTarget)
            );
            let text = String::from_utf8(render_error(&failure, "r").body).unwrap();
            assert!(!text.contains("proj_1") && !text.contains(code), "{text}");
        }
    }
    let empty = read(
        403,
        r#"{"error":{"message":"org-2 is out of credits","code":"x"}}"#,
    );
    assert_eq!(empty.kind, FailureKind::Quota);
    let text = String::from_utf8(render_error(&empty, "r").body).unwrap();
    assert!(!text.contains("org-2"), "{text}");
    let refused = r#"{"error":{"message":"SAFETY_CHECK_TYPE_BIO","code":"x"}}"#;
    assert_eq!(read(403, refused).kind, FailureKind::ContentPolicy);
    let long = r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#;
    assert_eq!(read(403, long).kind, FailureKind::ContextLength);
}

#[test]
fn replies_have_the_shape_and_the_status() {
    let mut too_long = Failure::upstream(FailureKind::ContextLength, "a \"quoted\" word");
    too_long.origin = Origin::Consumer;
    let mut odd = Failure::invalid("m", Some("messages"));
    odd.status = Some(422);
    let mut model = Failure::new(Origin::Consumer, FailureKind::NotFound, "m");
    model.param = Some("model".into());
    for (failure, status, code) in [
        (too_long, 400, Some("context_length_exceeded")),
        (odd, 422, None),
        (model, 404, Some("model_not_found")),
        (
            Failure::upstream(FailureKind::Quota, "m"),
            429,
            Some("insufficient_quota"),
        ),
        (
            Failure::upstream(FailureKind::Truncated, "m"),
            502,
            Some("upstream_truncated"),
        ),
        (
            Failure::gateway(FailureKind::Authentication, "m"),
            401,
            Some("invalid_api_key"),
        ),
    ] {
        let reply = render_error(&failure, "r");
        assert_eq!(reply.status, status);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let error = body["error"].as_object().unwrap();
        assert_eq!(error.keys().len(), 4);
        assert_eq!(error["message"], failure.message);
        assert_eq!(error["code"].as_str(), code);
        let chunk = String::from_utf8(render_stream_error(&failure, "r")).unwrap();
        let data = chunk
            .strip_prefix("data: ")
            .unwrap()
            .strip_suffix("\n\n")
            .unwrap();
        let chunk: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(chunk["choices"][0]["finish_reason"], "error");
        assert_eq!(chunk["error"]["code"].as_str(), code);
    }
}
