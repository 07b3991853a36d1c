//! Requests, both ends.

use super::Quirks;
use crate::{Rendered, Target};
use llmleaf_model::{ChatRequest, Failure, FailureKind};

/// Parses a consumer's request.
pub fn parse_request(_body: &str) -> Result<ChatRequest, Failure> {
    Err(Failure::gateway(FailureKind::Unsupported, "not built yet"))
}

/// Renders a request for a provider.
pub fn render_request(
    _request: &ChatRequest,
    _target: Target<'_>,
    _quirks: &Quirks,
) -> Result<Rendered, Failure> {
    Err(Failure::gateway(FailureKind::Unsupported, "not built yet"))
}
