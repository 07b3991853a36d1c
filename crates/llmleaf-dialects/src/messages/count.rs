//! Counting the input tokens of a request: `POST /v1/messages/count_tokens`.

use super::{Quirks, edits, request, usage};
use crate::object::Object;
use crate::{Head, Rendered, Target};
use bytes::Bytes;
use llmleaf_model::{ChatRequest, Failure, FailureKind};

/// Parses a consumer's request to count: a message request without an output cap.
///
/// # Errors
/// As for a message request.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    request::parse_count(body)
}

/// Renders a request to count for a provider of this wire, from a request of any dialect.
///
/// # Errors
/// As for a message request.
pub fn render_request(
    request: &ChatRequest,
    model: &str,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    request::render_count(request, model, quirks)
}

/// Same dialect in and out: only the model's name is edited, and foreign sealed artefacts leave.
///
/// # Errors
/// The body is not the one that `head` was read from.
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    model: &str,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let stream = head.stream;
    edits::edit(head, body, Target { model, stream }, quirks, true)
}

/// Reads a provider's count, in tokens.
///
/// # Errors
/// The reply holds no count (kind `InvalidResponse`).
pub fn parse_reply(body: &[u8]) -> Result<u64, Failure> {
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| Object::parse(text).ok())
        .and_then(|object| object.get("input_tokens").and_then(usage::count))
        .ok_or_else(|| {
            Failure::upstream(
                FailureKind::InvalidResponse,
                "the provider's answer holds no token count",
            )
        })
}

/// Renders a count for a consumer, in tokens.
pub fn render_reply(input_tokens: u64) -> Vec<u8> {
    format!("{{\"input_tokens\":{input_tokens}}}").into_bytes()
}
