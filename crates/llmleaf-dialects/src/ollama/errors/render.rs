//! What a consumer reads: `{"error":"text"}`. Clients read no more; the code and the field at fault stand beside it for people.

use crate::Reply;
use crate::ollama::wire::{ObjectWriter, line};
use llmleaf_model::{Failure, FailureKind, Origin};

/// Renders a failure as a whole reply.
pub fn render_error(failure: &Failure, request_id: &str) -> Reply {
    let mut body = Vec::with_capacity(256);
    let mut object = ObjectWriter::new(&mut body);
    fields(&mut object, failure, request_id);
    object.end();
    Reply {
        status: status(failure),
        body,
        losses: Vec::new(),
    }
}

/// Renders a failure as the last line of a stream. Nothing may follow it.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    line(&mut out, |object| fields(object, failure, request_id));
    out
}

fn fields(object: &mut ObjectWriter<'_>, failure: &Failure, request_id: &str) {
    object
        .string("error", &message(failure))
        .string(
            "code",
            failure.code.as_deref().unwrap_or(failure.kind.as_str()),
        )
        .string_if("param", failure.param.as_deref())
        .string("request_id", request_id);
}

fn status(failure: &Failure) -> u16 {
    match failure.status {
        // A consumer's own error comes back with the status that the provider gave it.
        Some(own @ 400..=499) if failure.origin == Origin::Consumer => own,
        _ => row(failure.kind),
    }
}

fn row(kind: FailureKind) -> u16 {
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
        FailureKind::Overloaded => 503,
        FailureKind::Timeout => 504,
    }
}

fn message(failure: &Failure) -> String {
    const CONTEXT: &str = "exceeds the context length";
    let text = &failure.message;
    match failure.kind {
        FailureKind::Credential => {
            "the provider could not be used: this gateway's own credential was refused".to_owned()
        }
        // The service's own words, which clients look for.
        FailureKind::ContextLength if !text.contains(CONTEXT) => {
            format!("the input {CONTEXT}: {text}")
        }
        // An empty text is no error to some clients.
        _ if text.is_empty() => failure.kind.as_str().to_owned(),
        _ => text.clone(),
    }
}
