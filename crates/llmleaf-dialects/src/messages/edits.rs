//! Same dialect in and out: the few named edits.

use super::Quirks;
use crate::{Head, Rendered, Target};
use bytes::Bytes;
use llmleaf_model::Failure;

/// Splices the named edits into a consumer's body.
pub fn edit_request(
    _head: &Head,
    body: &Bytes,
    _target: Target<'_>,
    _quirks: &Quirks,
) -> Result<Rendered, Failure> {
    Ok(Rendered {
        body: body.clone(),
        losses: Vec::new(),
        usage_added: false,
    })
}
