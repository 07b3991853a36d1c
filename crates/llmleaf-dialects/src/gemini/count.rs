//! Counting the input tokens of a request: `models/{model}:countTokens`.

use super::wire::{inner, top};
use super::{Quirks, edits, request, usage};
use crate::object::Object;
use crate::{Head, Rendered, Target};
use bytes::Bytes;
use llmleaf_model::{ChatRequest, Failure, FailureKind};

/// Parses a consumer's request to count: contents, or a whole request in `generateContentRequest`.
///
/// # Errors
/// As for a request to answer.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    let mut top = top(body)?;
    match inner(&mut top, "generateContentRequest")? {
        Some(whole) => request::read(whole),
        None => request::read(top),
    }
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
    edits::edit_request(head, body, Target { model, stream }, quirks)
}

/// Reads a provider's count, in tokens.
///
/// # Errors
/// The reply holds no count (kind `InvalidResponse`).
pub fn parse_reply(body: &[u8]) -> Result<u64, Failure> {
    std::str::from_utf8(body)
        .ok()
        .and_then(|text| Object::parse(text).ok())
        .and_then(|object| usage::total(&object))
        .ok_or_else(|| {
            Failure::upstream(
                FailureKind::InvalidResponse,
                "the provider's answer holds no token count",
            )
        })
}

/// Renders a count for a consumer, in tokens.
pub fn render_reply(input_tokens: u64) -> Vec<u8> {
    format!(
        "{{\"totalTokens\":{input_tokens},\"promptTokensDetails\":[{{\"modality\":\"TEXT\",\"tokenCount\":{input_tokens}}}]}}"
    )
    .into_bytes()
}
