//! What a consumer reads: `{"type":"error","error":{"type","message"},"request_id"}`.
//!
//! Official clients try again on 408, 409, 429 and from 500 on, and nothing else; the type is all that a client has
//! once a stream has begun. So the table below also says who should come back.

use crate::Reply;
use crate::messages::wire::{ObjectWriter, event, one_line, string};
use crate::object::Object;
use llmleaf_model::{Failure, FailureKind, Origin};

/// The wire's code for a `thread` that cannot be had.
pub const THREAD_UNSUPPORTED: &str = "thread_unsupported_request";

/// Codes of this wire that its clients act upon. No other code goes out: it would be some other wire's.
const CODES: &[&str] = &[THREAD_UNSUPPORTED];

/// Renders a failure as a whole reply.
pub fn render_error(failure: &Failure, request_id: &str) -> Reply {
    let (status, _) = row(failure.kind);
    let status = match failure.status {
        // A consumer's own error comes back with the status that the provider gave it.
        Some(own @ 400..=499) if failure.origin == Origin::Consumer => own,
        _ => status,
    };
    let mut body = Vec::with_capacity(256);
    let mut object = ObjectWriter::new(&mut body);
    object.string("type", "error");
    fill(&mut object, failure, request_id);
    object.end();
    Reply {
        status,
        body,
        losses: Vec::new(),
    }
}

/// Renders a failure inside a stream. Nothing may follow it.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    event(&mut out, "error", |object| {
        fill(object, failure, request_id)
    });
    out
}

fn fill(object: &mut ObjectWriter<'_>, failure: &Failure, request_id: &str) {
    error(object.key("error"), failure);
    object.string("request_id", request_id);
}

/// Status and type of a kind.
fn row(kind: FailureKind) -> (u16, &'static str) {
    match kind {
        FailureKind::InvalidRequest
        | FailureKind::ContextLength
        | FailureKind::ContentPolicy
        // No target offers what was asked: the request must change.
        | FailureKind::Unsupported => (400, "invalid_request_error"),
        FailureKind::Authentication => (401, "authentication_error"),
        // Not 429: clients would come back three to ten times for money that is not there, and agents wait
        // minutes; 402 is tried once and its message shown.
        FailureKind::Quota => (402, "billing_error"),
        FailureKind::Permission => (403, "permission_error"),
        FailureKind::NotFound => (404, "not_found_error"),
        FailureKind::MethodNotAllowed => (405, "invalid_request_error"),
        FailureKind::Conflict => (409, "invalid_request_error"),
        FailureKind::TooLarge => (413, "request_too_large"),
        FailureKind::RateLimit => (429, "rate_limit_error"),
        FailureKind::Cancelled => (499, "api_error"),
        FailureKind::Internal => (500, "api_error"),
        FailureKind::Server
        | FailureKind::Connect
        | FailureKind::Truncated
        | FailureKind::InvalidResponse
        // The consumer's own credential is fine, so it must not read 401.
        | FailureKind::Credential => (502, "api_error"),
        FailureKind::Timeout => (504, "timeout_error"),
        FailureKind::Overloaded => (529, "overloaded_error"),
    }
}

fn error(out: &mut Vec<u8>, failure: &Failure) {
    if let Some(own) = same_wire(failure) {
        return one_line(out, &own);
    }
    let (_, kind) = row(failure.kind);
    let mut object = ObjectWriter::new(out);
    object.string("type", kind);
    string(object.key("message"), &message(failure));
    let code = failure.code.as_deref().filter(|c| CODES.contains(c));
    if let Some(code) = code {
        object.object("details", |details| {
            details.string("error_code", code);
        });
    }
    object.end();
}

/// The provider's own error object, where it is of this wire and about the consumer's request: it may name
/// details that the model does not.
fn same_wire(failure: &Failure) -> Option<String> {
    if failure.origin != Origin::Consumer {
        return None;
    }
    let text = std::str::from_utf8(failure.body.as_ref()?).ok()?;
    let object = Object::parse(text).ok()?;
    if object.get("type")?.get() != "\"error\"" {
        return None;
    }
    let error = object.get("error")?;
    let inner = Object::from_raw(error)?;
    inner.get("type").and(inner.get("message"))?;
    Some(error.get().to_owned())
}

fn message(failure: &Failure) -> String {
    const CONTEXT: &str = "prompt is too long";
    let text = &failure.message;
    match failure.kind {
        FailureKind::Credential => {
            "the provider could not be used: this gateway's own credential was refused".to_owned()
        }
        // Agents shorten the conversation when they read these words, and only then.
        FailureKind::ContextLength if !text.contains(CONTEXT) => format!("{CONTEXT}: {text}"),
        _ => text.clone(),
    }
}
