//! What a provider says went wrong.

use crate::messages::Quirks;
use crate::object::{Object, string};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use std::borrow::Cow;
use std::time::Duration;

/// Longest wait that is believed; more is a mistake or a date in disguise.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest text of a body that is not JSON, kept as message.
const MAX_TEXT: usize = 500;

/// Reads an error reply of a provider.
///
/// `anthropic-ratelimit-*-reset` headers are dates; without a clock they say nothing, and `retry-after` comes with them.
pub fn parse_error(
    status: u16,
    header: &dyn Fn(&str) -> Option<String>,
    body: &Bytes,
    _quirks: &Quirks,
) -> Failure {
    let mut failure = classified(Some(status), body);
    failure.retry_after = retry_after(header);
    failure
}

/// Reads the `error` event of a stream.
pub(in crate::messages) fn stream_failure(data: &Bytes) -> Failure {
    classified(None, data)
}

fn classified(status: Option<u16>, body: &Bytes) -> Failure {
    let said = Said::read(body);
    let kind = kind(status, &said);
    let mut failure = Failure::new(kind.upstream_origin(), kind, message(status, kind, &said));
    // A model that one provider does not know may be known to the next; if not, the 404 is the consumer's.
    if failure.origin == Origin::Upstream || kind == FailureKind::NotFound {
        failure.retry = Retry::NextTarget;
    }
    failure.status = status;
    failure.wire_type = said.kind;
    failure.code = said.code;
    failure.param = said.param;
    failure.body = Some(body.clone());
    failure
}

/// What the body says, whichever of the known shapes it has.
#[derive(Default)]
struct Said {
    kind: Option<String>,
    message: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

impl Said {
    /// Shapes: `{"type":"error","error":{…}}` (the reference), `{"error":{"code","message","status"}}` (the
    /// clouds that host this wire), `{"error":"…"}`, `{"message":"…"}`, `{"detail":"…"}`, and text.
    fn read(body: &[u8]) -> Self {
        let Ok(body) = std::str::from_utf8(body) else {
            return Self::default();
        };
        let Ok(mut object) = Object::parse(body) else {
            let body = body.trim();
            // A page for people says nothing to a program.
            let plain = !body.is_empty() && !body.starts_with('<');
            return Self {
                message: plain.then(|| body.chars().take(MAX_TEXT).collect()),
                ..Self::default()
            };
        };
        let Some(raw) = object.take("error") else {
            return Self::flat(&mut object);
        };
        let Some(mut error) = Object::from_raw(raw) else {
            return Self {
                message: string(raw).map(Cow::into_owned),
                ..Self::default()
            };
        };
        let mut said = Self::flat(&mut error);
        // Version 2026-10-21 names the cause in `details.error_code` (types of the Python SDK 2.14, 2026-11).
        let details = error.take("details").and_then(Object::from_raw);
        if let Some(code) = details.and_then(|mut d| text(&mut d, "error_code")) {
            said.code = Some(code);
        }
        said
    }

    fn flat(object: &mut Object<'_>) -> Self {
        Self {
            kind: text(object, "type").or_else(|| text(object, "status")),
            message: text(object, "message").or_else(|| text(object, "detail")),
            code: text(object, "code"),
            param: text(object, "param"),
        }
    }

    fn says(&self, marker: &str) -> bool {
        self.message
            .as_deref()
            .is_some_and(|m| m.to_ascii_lowercase().contains(marker))
    }
}

fn text(object: &mut Object<'_>, name: &str) -> Option<String> {
    object.take(name).and_then(string).map(Cow::into_owned)
}

/// The wire's types decide, then the status. A consumer's error is looked at more closely.
fn kind(status: Option<u16>, said: &Said) -> FailureKind {
    let kind = match said.kind.as_deref() {
        // Whatever the body calls it: this gateway was not let in, and a consumer must not be told that it was not.
        _ if matches!(status, Some(401 | 403)) => FailureKind::Credential,
        Some("invalid_request_error") => by_status(status).unwrap_or(FailureKind::InvalidRequest),
        Some("authentication_error" | "permission_error") => FailureKind::Credential,
        Some("billing_error") => FailureKind::Quota,
        Some("not_found_error") => FailureKind::NotFound,
        Some("request_too_large") => FailureKind::TooLarge,
        Some("conflict_error") => FailureKind::Conflict,
        Some("rate_limit_error") => FailureKind::RateLimit,
        Some("timeout_error") => FailureKind::Timeout,
        Some("overloaded_error") => FailureKind::Overloaded,
        Some("api_error") | None => by_status(status).unwrap_or(FailureKind::Server),
        Some(_) => by_status(status).unwrap_or(FailureKind::Server),
    };
    if kind == FailureKind::InvalidRequest {
        closer(said)
    } else {
        kind
    }
}

fn by_status(status: Option<u16>) -> Option<FailureKind> {
    Some(match status? {
        401 | 403 => FailureKind::Credential,
        402 => FailureKind::Quota,
        404 => FailureKind::NotFound,
        405 => FailureKind::MethodNotAllowed,
        408 | 504 => FailureKind::Timeout,
        409 => FailureKind::Conflict,
        413 => FailureKind::TooLarge,
        429 => FailureKind::RateLimit,
        503 | 529 => FailureKind::Overloaded,
        400..=499 => FailureKind::InvalidRequest,
        _ => FailureKind::Server,
    })
}

/// What this wire reports as `invalid_request_error` although it is something more precise.
fn closer(said: &Said) -> FailureKind {
    // "prompt is too long: 3333404 tokens > 200000 maximum" is recorded (2026); the others are documented.
    let context = [
        "prompt is too long",
        "exceed context limit",
        "exceeds the model's context window",
        "context window exceeded",
    ];
    if context.iter().any(|marker| said.says(marker)) {
        return FailureKind::ContextLength;
    }
    // The account of this gateway is empty: no fault of the request.
    if said.says("credit balance is too low") || said.says("usage limits") {
        return FailureKind::Quota;
    }
    if said.says("content filtering policy") {
        return FailureKind::ContentPolicy;
    }
    FailureKind::InvalidRequest
}

fn message(status: Option<u16>, kind: FailureKind, said: &Said) -> String {
    match (kind, &said.message) {
        // What a provider says about a credential may quote a part of it.
        (FailureKind::Credential, _) => "the provider refused this gateway's credential".to_owned(),
        (_, Some(message)) if !message.is_empty() => message.clone(),
        _ => match status {
            Some(status) => format!("the provider answered with status {status}"),
            None => "the provider reported an error".to_owned(),
        },
    }
}

fn retry_after(header: &dyn Fn(&str) -> Option<String>) -> Option<Duration> {
    let number = |name: &str| header(name)?.trim().parse::<f64>().ok();
    let seconds = match number("retry-after-ms") {
        Some(ms) => ms / 1000.0,
        // The form with a date needs a clock, and this wire does not use it.
        None => number("retry-after")?,
    };
    Duration::try_from_secs_f64(seconds)
        .ok()
        .map(|wait| wait.min(MAX_RETRY_AFTER))
}
