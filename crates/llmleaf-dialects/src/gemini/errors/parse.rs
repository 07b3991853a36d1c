//! What a provider says went wrong.

use crate::gemini::Quirks;
use crate::gemini::wire::{text, whole};
use crate::object::{Object, items, string};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use serde_json::value::RawValue;
use std::time::Duration;

/// Longest wait that is believed; more is a mistake or a date in disguise.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest text of a body that is not JSON, kept as message.
const MAX_TEXT: usize = 500;

/// Reads an error reply of a provider.
pub fn parse_error(
    status: u16,
    header: &dyn Fn(&str) -> Option<String>,
    body: &Bytes,
    _quirks: &Quirks,
) -> Failure {
    let said = std::str::from_utf8(body).map_or_else(|_| Said::default(), Said::read);
    let mut failure = classified(Some(status), said);
    failure.body = Some(body.clone());
    if failure.retry_after.is_none() {
        failure.retry_after = seconds(&header("retry-after").unwrap_or_default());
    }
    failure
}

/// The error that a chunk or a whole response holds in spite of its good status.
pub(in crate::gemini) fn in_chunk(chunk: &Object<'_>, text: &str) -> Option<Failure> {
    let error = chunk.get("error").filter(|raw| raw.get() != "null")?;
    let mut failure = classified(None, Said::of(error));
    // The service had taken the request on.
    failure.possibly_billed = true;
    failure.body = Some(Bytes::copy_from_slice(text.as_bytes()));
    Some(failure)
}

/// The error in bytes that are no event: an object of its own in the middle of a stream.
pub(in crate::gemini) fn bare(bytes: &[u8]) -> Option<Failure> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    in_chunk(&Object::parse(text).ok()?, text)
}

/// How a stream ends that ended too early.
pub(in crate::gemini) const UNFINISHED: &str = "before every candidate had finished";

fn classified(status: Option<u16>, said: Said) -> Failure {
    let kind = kind(status.or(said.code), &said);
    let mut failure = Failure::new(kind.upstream_origin(), kind, message(status, kind, &said));
    // A model that one provider does not know may be known to the next; if not, the 404 is the consumer's.
    if failure.origin == Origin::Upstream || kind == FailureKind::NotFound {
        failure.retry = Retry::NextTarget;
    }
    failure.status = status;
    failure.retry_after = said.retry_after;
    failure.wire_type = said.status;
    failure.code = said.reason;
    failure.param = said.field;
    failure
}

/// What the body says.
#[derive(Default)]
struct Said {
    code: Option<u16>,
    status: Option<String>,
    message: Option<String>,
    /// `reason` of an `ErrorInfo`.
    reason: Option<String>,
    /// First `field` of a `BadRequest`.
    field: Option<String>,
    retry_after: Option<Duration>,
    /// A quota of a day is used up.
    daily: bool,
}

impl Said {
    /// Shapes: `{"error":{…}}`, the same inside an array where a stream was asked for without `alt=sse`, and text.
    fn read(body: &str) -> Self {
        let body = body.trim_start_matches('\u{feff}').trim();
        let list = serde_json::from_str::<&RawValue>(body).ok().and_then(items);
        let first = list.and_then(|list| list.first().map(|raw| raw.get()));
        match Object::parse(first.unwrap_or(body)) {
            Ok(object) => match object.get("error") {
                Some(error) => Self::of(error),
                None => Self {
                    message: text(&object, "message").map(|m| m.into_owned()),
                    ..Self::default()
                },
            },
            // A page for people says nothing to a program.
            Err(_) if body.is_empty() || body.starts_with('<') => Self::default(),
            Err(_) => Self {
                message: Some(body.chars().take(MAX_TEXT).collect()),
                ..Self::default()
            },
        }
    }

    fn of(error: &RawValue) -> Self {
        let Some(object) = Object::from_raw(error) else {
            return Self {
                message: string(error).map(|m| m.into_owned()),
                ..Self::default()
            };
        };
        let code = object.get("code").and_then(whole);
        let mut said = Self {
            code: code.and_then(|code| u16::try_from(code).ok()),
            status: text(&object, "status").map(|s| s.into_owned()),
            message: text(&object, "message").map(|m| m.into_owned()),
            ..Self::default()
        };
        let details = object.get("details").and_then(items);
        for raw in details.unwrap_or_default() {
            if let Some(detail) = Object::from_raw(raw) {
                said.detail(&detail);
            }
        }
        said
    }

    fn detail(&mut self, detail: &Object<'_>) {
        let kind = text(detail, "@type").unwrap_or_default();
        let list = |name: &str| detail.get(name).and_then(items).unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "ErrorInfo" => self.reason = text(detail, "reason").map(|r| r.into_owned()),
            "RetryInfo" => {
                let wait = text(detail, "retryDelay").unwrap_or_default();
                self.retry_after = seconds(wait.strip_suffix('s').unwrap_or(&wait));
            }
            "BadRequest" => {
                let first = list("fieldViolations").into_iter().next();
                let field = first.and_then(Object::from_raw);
                let field = field.and_then(|f| text(&f, "field").map(|f| f.into_owned()));
                self.field = field.filter(|field| !field.is_empty());
            }
            "QuotaFailure" => {
                self.daily |= list("violations").into_iter().any(|raw| {
                    let violation = Object::from_raw(raw).unwrap_or_default();
                    text(&violation, "quotaId").is_some_and(|id| id.contains("PerDay"))
                });
            }
            _ => {}
        }
    }

    fn says(&self, marker: &str) -> bool {
        self.message
            .as_deref()
            .is_some_and(|m| m.to_ascii_lowercase().contains(marker))
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let wait = Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()?;
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The wire's status word decides, then the number. Words: `google.rpc.Code`, read 2026-11.
fn kind(status: Option<u16>, said: &Said) -> FailureKind {
    // Whatever the body calls it: this gateway was not let in, and a consumer must not be told that it was not.
    if matches!(status, Some(401 | 403)) {
        return FailureKind::Credential;
    }
    match said.status.as_deref() {
        Some("INVALID_ARGUMENT" | "OUT_OF_RANGE") => closer(status, said),
        // "User location is not supported", "enable billing": the account's affair.
        Some("FAILED_PRECONDITION") => FailureKind::Permission,
        Some("UNAUTHENTICATED" | "PERMISSION_DENIED") => FailureKind::Credential,
        Some("NOT_FOUND") => FailureKind::NotFound,
        Some("ALREADY_EXISTS" | "ABORTED") => FailureKind::Conflict,
        Some("RESOURCE_EXHAUSTED") if said.daily => FailureKind::Quota,
        Some("RESOURCE_EXHAUSTED") => FailureKind::RateLimit,
        Some("UNIMPLEMENTED") => FailureKind::Unsupported,
        Some("UNAVAILABLE") => FailureKind::Overloaded,
        Some("DEADLINE_EXCEEDED") => FailureKind::Timeout,
        Some("INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "CANCELLED") => FailureKind::Server,
        _ => match status {
            Some(402) => FailureKind::Quota,
            Some(404) => FailureKind::NotFound,
            Some(405) => FailureKind::MethodNotAllowed,
            Some(408 | 504) => FailureKind::Timeout,
            Some(409) => FailureKind::Conflict,
            Some(413) => FailureKind::TooLarge,
            Some(429) => FailureKind::RateLimit,
            Some(503 | 529) => FailureKind::Overloaded,
            // What the service says of a call that its own side broke off.
            Some(499) => FailureKind::Server,
            Some(400..=499) => closer(status, said),
            _ => FailureKind::Server,
        },
    }
}

/// What this wire reports as `INVALID_ARGUMENT` although it is something more precise.
fn closer(status: Option<u16>, said: &Said) -> FailureKind {
    // A wrong key is answered with 400 (recorded, 2025).
    let key = [
        "API_KEY_INVALID",
        "API_KEY_EXPIRED",
        "API_KEY_SERVICE_BLOCKED",
    ];
    if said.reason.as_deref().is_some_and(|r| key.contains(&r)) || said.says("api key not valid") {
        return FailureKind::Credential;
    }
    // "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576)." is recorded (2026).
    if said.says("exceeds the maximum number of tokens") {
        return FailureKind::ContextLength;
    }
    match status {
        Some(413) => FailureKind::TooLarge,
        _ => FailureKind::InvalidRequest,
    }
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
