//! What a consumer reads: `{"id","message"}`, and beside it a stable code and the field at fault.

use crate::Reply;
use crate::cohere::wire::{ObjectWriter, event, one_line, text};
use crate::object::Object;
use llmleaf_model::{Failure, FailureKind, Origin};

/// Renders a failure as a whole reply.
pub fn render_error(failure: &Failure, request_id: &str) -> Reply {
    let status = match failure.status {
        // A consumer's own error comes back with the status that the provider gave it.
        Some(own @ 400..=499) if failure.origin == Origin::Consumer => own,
        _ => status(failure.kind),
    };
    let mut body = Vec::with_capacity(256);
    match same_wire(failure) {
        Some(own) => one_line(&mut body, own),
        None => fill(&mut body, failure, request_id),
    }
    Reply {
        status,
        body,
        losses: Vec::new(),
    }
}

/// Renders a failure inside a stream, as this wire ends a generation that failed. Nothing may follow it.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let word = match failure.kind {
        FailureKind::Timeout => "TIMEOUT",
        _ => "ERROR",
    };
    event(&mut out, "message-end", |object| {
        object.string("id", request_id);
        object.object("delta", |delta| {
            delta
                .string("finish_reason", word)
                .string("error", &message(failure));
        });
    });
    out
}

/// The status of a kind: those of the reference where it has one.
fn status(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::InvalidRequest
        | FailureKind::ContextLength
        | FailureKind::ContentPolicy
        // No target offers what was asked: the request must change.
        | FailureKind::Unsupported => 400,
        FailureKind::Authentication => 401,
        // Not 429: clients would come back for money that is not there.
        FailureKind::Quota => 402,
        FailureKind::Permission => 403,
        FailureKind::NotFound => 404,
        FailureKind::MethodNotAllowed => 405,
        FailureKind::Conflict => 409,
        FailureKind::TooLarge => 413,
        FailureKind::RateLimit => 429,
        FailureKind::Cancelled => 499,
        FailureKind::Internal => 500,
        FailureKind::Server
        | FailureKind::Connect
        | FailureKind::Truncated
        | FailureKind::InvalidResponse
        // The consumer's own credential is fine, so it must not read 401.
        | FailureKind::Credential => 502,
        FailureKind::Timeout => 504,
        FailureKind::Overloaded => 503,
    }
}

fn fill(out: &mut Vec<u8>, failure: &Failure, request_id: &str) {
    let mut object = ObjectWriter::new(out);
    object
        .string("id", request_id)
        .string("message", &message(failure));
    if failure.kind == FailureKind::ContextLength {
        // The service's own word for it (recorded 2026).
        object.string("error_type", "TOO_MANY_TOKENS");
    }
    let code = failure.code.as_deref().unwrap_or(failure.kind.as_str());
    object
        .string("code", code)
        .string_if("param", failure.param.as_deref());
    object.end();
}

/// The provider's own body, where it is of this wire and about the consumer's request: it may name details that the model
/// does not.
fn same_wire(failure: &Failure) -> Option<&str> {
    if failure.origin != Origin::Consumer {
        return None;
    }
    let body = std::str::from_utf8(failure.body.as_ref()?).ok()?;
    let object = Object::parse(body).ok()?;
    let known = ["id", "message", "error_type"];
    let own = object
        .fields
        .iter()
        .all(|(name, _)| known.contains(&name.as_ref()));
    text(&object, "message").filter(|message| own && !message.is_empty())?;
    Some(body.trim())
}

fn message(failure: &Failure) -> String {
    const CONTEXT: &str = "too many tokens";
    let text = &failure.message;
    match failure.kind {
        FailureKind::Credential => {
            "the provider could not be used: this gateway's own credential was refused".to_owned()
        }
        // Agents shorten the conversation when they read these words.
        FailureKind::ContextLength if !text.contains(CONTEXT) => format!("{CONTEXT}: {text}"),
        _ => text.clone(),
    }
}
