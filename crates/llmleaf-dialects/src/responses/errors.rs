//! Errors, both ends. Whole replies have the shape of the chat wire of the same vendor, so its reading and its words serve
//! here too; inside a stream this wire has events of its own.

use super::wire::{ObjectWriter, event, string};
use crate::object::{Object, string as text_of};
use crate::{Reply, chat_completions};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind};
use serde_json::value::RawValue;

/// Reads an error reply of a provider.
pub fn parse_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &Bytes) -> Failure {
    let quirks = &chat_completions::Quirks::REFERENCE;
    chat_completions::errors::parse_error(status, header, body, quirks)
}

/// Reads an `error` event, or a response whose status is `failed`. `said` is the object with the error's words.
pub(super) fn in_band(said: Option<&RawValue>, whole: &[u8]) -> Failure {
    let mut wrapped = b"{\"error\":".to_vec();
    match said {
        Some(raw) => wrapped.extend_from_slice(raw.get().as_bytes()),
        None => wrapped.extend_from_slice(b"{}"),
    }
    wrapped.push(b'}');
    let text = String::from_utf8_lossy(&wrapped);
    let mut failure = chat_completions::errors::in_band(&text);
    failure.body = Some(Bytes::copy_from_slice(whole));
    failure
}

/// The object with the words of an `error` event: nested as the service sends it, or flat as its document says.
pub(super) fn words_of<'a>(event: &Object<'a>, whole: &'a RawValue) -> &'a RawValue {
    event
        .get("error")
        .filter(|raw| raw.get().starts_with('{'))
        .unwrap_or(whole)
}

/// Renders a failure as a whole reply.
pub fn render_error(failure: &Failure, request_id: &str) -> Reply {
    let mut reply = chat_completions::errors::render_error(failure, request_id);
    // A router tells with 403 what the service behind it refused for its content: the consumer's own affair.
    if failure.kind == FailureKind::ContentPolicy && failure.status == Some(403) {
        reply.status = 403;
    }
    reply
}

/// Renders a failure inside a stream of which nothing is known but that it began. Nothing may follow it.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    render_break(failure, request_id, None)
}

/// Renders a failure inside a stream that was forwarded. `trail` is the data of the first and of the last event that the
/// consumer got: the response goes on under its id and with the next number. Nothing may follow it.
pub fn render_break(failure: &Failure, request_id: &str, trail: Option<(&[u8], &[u8])>) -> Vec<u8> {
    let read = |data: Option<&[u8]>| {
        let text = std::str::from_utf8(data?).ok()?;
        Some(text.to_owned())
    };
    let (first, last) = trail.unzip();
    let (first, last) = (read(first), read(last));
    let begun = first.as_deref().and_then(|text| Object::parse(text).ok());
    let response = begun.as_ref().and_then(|event| event.get("response"));
    let response = response.and_then(Object::from_raw).unwrap_or_default();
    let sequence = last
        .as_deref()
        .and_then(|text| Object::parse(text).ok())
        .and_then(|event| event.get("sequence_number")?.get().parse::<u64>().ok())
        .map_or(0, |number| number.saturating_add(1));
    let mut out = Vec::with_capacity(512);
    error_event(&mut out, failure, sequence);
    event(
        &mut out,
        "response.failed",
        sequence.saturating_add(1),
        |event| {
            event.object("response", |object| {
                match response.get("id").and_then(text_of) {
                    Some(id) => object.string("id", &id),
                    None => object.string("id", &["resp_", request_id].concat()),
                };
                object.string("object", "response");
                let created = response.get("created_at").map_or("0", RawValue::get);
                object.raw("created_at", created).string("status", "failed");
                write_error(object.key("error"), failure);
                let model = response.get("model").and_then(text_of).unwrap_or_default();
                object
                    .raw("incomplete_details", "null")
                    .string("model", &model)
                    .raw("output", "[]")
                    .raw("parallel_tool_calls", "true")
                    .string("tool_choice", "auto")
                    .raw("tools", "[]");
            });
        },
    );
    out
}

/// Writes the `error` event, flat as the document has it and nested as the service sends it (recorded 2025-11): official
/// clients raise on the one or the other.
pub(super) fn error_event(out: &mut Vec<u8>, failure: &Failure, sequence: u64) {
    let words = |object: &mut ObjectWriter<'_>| {
        object.string("code", code(failure));
        string(object.key("message"), shown(failure));
        match &failure.param {
            Some(param) => object.string("param", param),
            None => object.raw("param", "null"),
        };
    };
    event(out, "error", sequence, |event| {
        words(event);
        event.object("error", |error| {
            error.string("type", code(failure));
            words(error);
        });
    });
}

/// Writes the `error` object of a failed response.
pub(super) fn write_error(out: &mut Vec<u8>, failure: &Failure) {
    let mut object = ObjectWriter::new(out);
    object
        .string("code", code(failure))
        .string("message", shown(failure));
    object.end();
}

/// The code of a kind. Agents decide by it whether they ask again (`server_error`, `rate_limit_exceeded`) or give up
/// (`insufficient_quota`, `context_length_exceeded`, `invalid_prompt`).
fn code(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::InvalidRequest
        | FailureKind::TooLarge
        | FailureKind::NotFound
        | FailureKind::MethodNotAllowed
        | FailureKind::Conflict
        | FailureKind::Unsupported
        | FailureKind::Authentication
        | FailureKind::Permission
        | FailureKind::ContentPolicy => "invalid_prompt",
        FailureKind::ContextLength => "context_length_exceeded",
        FailureKind::Quota => "insufficient_quota",
        FailureKind::RateLimit => "rate_limit_exceeded",
        FailureKind::Overloaded
        | FailureKind::Server
        | FailureKind::Connect
        | FailureKind::Timeout
        | FailureKind::Truncated
        | FailureKind::InvalidResponse
        | FailureKind::Credential
        | FailureKind::Cancelled
        | FailureKind::Internal => "server_error",
    }
}

/// The words for the consumer. A refused credential is this gateway's affair: nothing of the provider's is told.
fn shown(failure: &Failure) -> &str {
    if failure.kind == FailureKind::Credential {
        "the provider refused this gateway's credential"
    } else {
        &failure.message
    }
}
