//! Counting the input tokens of a request: `models/{model}:countTokens`.

use super::wire::{inner, top};
use super::{Quirks, edits, request, usage};
use crate::object::Object;
use crate::splice::quote;
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

/// Same dialect in and out: only the model's name is edited, foreign sealed artefacts leave, and a whole request within one to count
/// stands for itself where the service does not know such.
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
    let mut rendered = edits::edit_request(head, body, Target { model, stream }, quirks)?;
    if quirks.lacks(edits::WHOLE)
        && let Some(whole) = whole(&rendered.body)
    {
        rendered.body = whole;
    }
    Ok(rendered)
}

/// The request within a request to count, without the model, which the path says.
fn whole(body: &Bytes) -> Option<Bytes> {
    let outer = Object::parse(std::str::from_utf8(body).ok()?).ok()?;
    let names = [edits::WHOLE, "generate_content_request"];
    let inner = names.iter().find_map(|name| outer.get(name))?;
    let fields = Object::from_raw(inner)?.fields;
    let fields = fields.iter().filter(|(name, _)| name != "model");
    let fields = fields.map(|(name, value)| format!("{}:{}", quote(name), value.get()));
    let text = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
    Some(text.into())
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
