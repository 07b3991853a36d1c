//! Requests, both ends.
//!
//! Reading goes level by level through [`super::fields`], so that every field that is not named stays in the `rest` of its
//! node. Writing names every thing that does not fit as a loss.

mod read;
mod write;

use super::Quirks;
use crate::{Rendered, Target};
use llmleaf_model::{ChatRequest, Failure};

/// Parses a consumer's request.
///
/// # Errors
/// A field has a type or value that this wire does not allow; the failure names it.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    read::parse(body)
}

/// Renders a request for a provider.
///
/// # Errors
/// The request continues a response that only another wire can name, or nothing of its messages is left on this wire
/// (kind `Unsupported`).
pub fn render_request(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    write::render(request, target, quirks)
}
