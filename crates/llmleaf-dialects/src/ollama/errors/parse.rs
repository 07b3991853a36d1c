//! What a provider says went wrong.

use crate::object::{Object, string};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use std::time::Duration;

/// Longest wait that is believed; more is a mistake or a date in disguise.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest text of a body that is not JSON, kept as message.
const MAX_TEXT: usize = 500;

/// Reads an error reply of a provider.
pub fn parse_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &Bytes) -> Failure {
    let said = std::str::from_utf8(body).ok().and_then(read);
    let mut failure = classified(Some(status), said);
    failure.body = Some(body.clone());
    failure.retry_after = header("retry-after").as_deref().and_then(seconds);
    failure
}

/// The error that a line or a whole response holds in spite of its good status.
pub(in crate::ollama) fn in_line(line: &Object<'_>, text: &str) -> Option<Failure> {
    let error = line.get("error").filter(|raw| raw.get() != "null")?;
    let mut failure = classified(None, Some(words(error)));
    failure.body = Some(Bytes::copy_from_slice(text.as_bytes()));
    Some(failure)
}

/// Shapes: `{"error":"text"}`, the object that this service's other surfaces write there, and text.
fn read(body: &str) -> Option<String> {
    let body = body.trim_start_matches('\u{feff}').trim();
    match Object::parse(body) {
        Ok(object) => object.get("error").map(words),
        // A page for people says nothing to a program.
        Err(_) if body.is_empty() || body.starts_with('<') => None,
        Err(_) => Some(body.chars().take(MAX_TEXT).collect()),
    }
}

fn words(error: &serde_json::value::RawValue) -> String {
    if let Some(text) = string(error) {
        return text.into_owned();
    }
    let message = Object::from_raw(error).and_then(|object| object.get("message").and_then(string));
    message.map_or_else(
        || error.get().chars().take(MAX_TEXT).collect(),
        |m| m.into_owned(),
    )
}

fn seconds(text: &str) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()?;
    Some(wait.min(MAX_RETRY_AFTER))
}

fn classified(status: Option<u16>, said: Option<String>) -> Failure {
    let said = said.filter(|text| !text.trim().is_empty());
    let kind = kind(status, said.as_deref().unwrap_or_default());
    let message = match (kind, said) {
        // What a provider says about a credential may quote a part of it.
        (FailureKind::Credential, _) => "the provider refused this gateway's credential".to_owned(),
        (_, Some(text)) => text,
        (_, None) => match status {
            Some(status) => format!("the provider answered with status {status}"),
            None => "the provider reported an error".to_owned(),
        },
    };
    let mut failure = Failure::new(kind.upstream_origin(), kind, message);
    // A model that one provider does not know may be known to the next; if not, the 404 is the consumer's.
    if failure.origin == Origin::Upstream || kind == FailureKind::NotFound {
        failure.retry = Retry::NextTarget;
    }
    failure.status = status;
    failure
}

/// The status decides, and where it says too little, words of the service (its `server` and `llm` packages, read 2026-11):
/// it reports much as 500 that is the request's fault, and within a stream there is no status at all.
fn kind(status: Option<u16>, said: &str) -> FailureKind {
    let said = said.to_ascii_lowercase();
    let says = |marker: &str| said.contains(marker);
    let busy = says("server busy") || says("maximum pending requests");
    match status {
        Some(401 | 403) => FailureKind::Credential,
        Some(402) => FailureKind::Quota,
        Some(404) => FailureKind::NotFound,
        Some(405) => FailureKind::MethodNotAllowed,
        Some(408 | 504) => FailureKind::Timeout,
        Some(409) => FailureKind::Conflict,
        Some(413) => FailureKind::TooLarge,
        Some(429) => FailureKind::RateLimit,
        Some(501) => FailureKind::Unsupported,
        Some(503 | 529) => FailureKind::Overloaded,
        // What a proxy says of a call that its own side broke off.
        Some(499) => FailureKind::Server,
        _ if busy => FailureKind::Overloaded,
        _ if says("exceeds the context length") || says("exceeds the available context size") => {
            FailureKind::ContextLength
        }
        None if says("not found") && says("model") => FailureKind::NotFound,
        Some(400..=499) => FailureKind::InvalidRequest,
        _ => FailureKind::Server,
    }
}
