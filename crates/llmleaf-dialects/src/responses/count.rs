//! Counting the input tokens of a request: `POST /v1/responses/input_tokens`.
//!
//! Reference: TokenCountsBody and TokenCountsResource of OpenAI's OpenAPI document 2.3.0 (2026-08).

use super::{Quirks, edits};
use crate::{Head, Rendered, Target};
use bytes::Bytes;
use llmleaf_model::Failure;

/// Same dialect in and out: only the model's name is edited, and foreign sealed artefacts leave.
///
/// # Errors
/// The body is not the one that `head` was read from, or goes on from an answer that the service does not keep.
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    model: &str,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let stream = head.stream;
    edits::edit_request(head, body, Target { model, stream }, quirks)
}

/// Renders a count for a consumer, in tokens.
pub fn render_reply(input_tokens: u64) -> Vec<u8> {
    format!("{{\"object\":\"response.input_tokens\",\"input_tokens\":{input_tokens}}}").into_bytes()
}
