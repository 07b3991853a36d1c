//! What a consumer reads: `{"error":{"code","message","status","details"}}`.

use crate::Reply;
use crate::gemini::wire::{ObjectWriter, array, chunk, one_line};
use crate::object::Object;
use llmleaf_model::{Failure, FailureKind, Origin};

/// Renders a failure as a whole reply.
pub fn render_error(failure: &Failure, request_id: &str) -> Reply {
    let mut body = Vec::with_capacity(256);
    let mut object = ObjectWriter::new(&mut body);
    error(object.key("error"), failure, request_id);
    object.end();
    Reply {
        status: status(failure),
        body,
        losses: Vec::new(),
    }
}

/// Renders a failure inside a stream. Nothing may follow it.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    chunk(&mut out, |object| {
        error(object.key("error"), failure, request_id)
    });
    out
}

fn status(failure: &Failure) -> u16 {
    match failure.status {
        // A consumer's own error comes back with the status that the provider gave it.
        Some(own @ 400..=499) if failure.origin == Origin::Consumer => own,
        _ => row(failure.kind).0,
    }
}

/// Status and word of a kind.
fn row(kind: FailureKind) -> (u16, &'static str) {
    match kind {
        FailureKind::InvalidRequest
        | FailureKind::ContextLength
        | FailureKind::ContentPolicy
        // No target offers what was asked: the request must change.
        | FailureKind::Unsupported => (400, "INVALID_ARGUMENT"),
        FailureKind::TooLarge => (413, "INVALID_ARGUMENT"),
        FailureKind::Authentication => (401, "UNAUTHENTICATED"),
        FailureKind::Permission => (403, "PERMISSION_DENIED"),
        FailureKind::NotFound => (404, "NOT_FOUND"),
        FailureKind::MethodNotAllowed => (405, "UNIMPLEMENTED"),
        FailureKind::Conflict => (409, "ABORTED"),
        FailureKind::RateLimit => (429, "RESOURCE_EXHAUSTED"),
        // Not 429: clients would come back for money that is not there.
        FailureKind::Quota => (402, "RESOURCE_EXHAUSTED"),
        FailureKind::Cancelled => (499, "CANCELLED"),
        FailureKind::Internal => (500, "INTERNAL"),
        FailureKind::Server
        | FailureKind::Connect
        | FailureKind::Truncated
        | FailureKind::InvalidResponse
        // The consumer's own credential is fine, so it must not read 401.
        | FailureKind::Credential => (502, "INTERNAL"),
        FailureKind::Timeout => (504, "DEADLINE_EXCEEDED"),
        FailureKind::Overloaded => (503, "UNAVAILABLE"),
    }
}

fn error(out: &mut Vec<u8>, failure: &Failure, request_id: &str) {
    if let Some(own) = same_wire(failure) {
        return one_line(out, &own);
    }
    let mut object = ObjectWriter::new(out);
    object
        .number("code", u64::from(status(failure)))
        .string("message", &message(failure))
        .string("status", row(failure.kind).1);
    array(
        object.key("details"),
        details(failure, request_id),
        |out, one| out.extend_from_slice(&one),
    );
    object.end();
}

/// What clients of Google's APIs look for: a stable reason, when to come back, the field at fault, the request's id.
fn details(failure: &Failure, request_id: &str) -> Vec<Vec<u8>> {
    let mut details = Vec::new();
    let mut add = |kind: &str, fill: &dyn Fn(&mut ObjectWriter<'_>)| {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.string("@type", &format!("type.googleapis.com/google.rpc.{kind}"));
        fill(&mut object);
        object.end();
        details.push(out);
    };
    let code = failure.code.as_deref().unwrap_or(failure.kind.as_str());
    add("ErrorInfo", &|info| {
        info.string("reason", &code.to_ascii_uppercase())
            .string("domain", "llmleaf");
    });
    if let Some(wait) = failure.retry_after {
        add("RetryInfo", &|info| {
            info.string("retryDelay", &format!("{}s", wait.as_secs_f64()));
        });
    }
    if let Some(param) = &failure.param {
        add("BadRequest", &|info| {
            let violation = [param];
            array(info.key("fieldViolations"), violation, |out, param| {
                let mut one = ObjectWriter::new(out);
                one.string("field", param)
                    .string("description", &failure.message);
                one.end();
            });
        });
    }
    add("RequestInfo", &|info| {
        info.string("requestId", request_id);
    });
    details
}

/// The provider's own error object, where it is of this wire and about the consumer's request: it may name
/// details that the model does not.
fn same_wire(failure: &Failure) -> Option<String> {
    if failure.origin != Origin::Consumer {
        return None;
    }
    let text = std::str::from_utf8(failure.body.as_ref()?).ok()?;
    let object = Object::parse(text).ok()?;
    let error = object.get("error")?;
    let inner = Object::from_raw(error)?;
    let status = super::super::wire::text(&inner, "status")?;
    inner.get("message")?;
    let word = |b: u8| b.is_ascii_uppercase() || b == b'_';
    (!status.is_empty() && status.bytes().all(word)).then(|| error.get().to_owned())
}

fn message(failure: &Failure) -> String {
    const CONTEXT: &str = "exceeds the maximum number of tokens";
    let text = &failure.message;
    match failure.kind {
        FailureKind::Credential => {
            "the provider could not be used: this gateway's own credential was refused".to_owned()
        }
        // Agents shorten the conversation when they read these words.
        FailureKind::ContextLength if !text.contains(CONTEXT) => {
            format!("The input token count {CONTEXT} allowed: {text}")
        }
        _ => text.clone(),
    }
}
