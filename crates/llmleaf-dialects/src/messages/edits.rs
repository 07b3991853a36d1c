//! Same dialect in and out: the few named edits.
//!
//! The routing language where the service does not speak it, `model` where its value differs, `stream` where the target wants
//! another, and blocks with a sealed artefact (see `reasoning.rs`) of a family that the target cannot verify. All other bytes
//! stay as they are.

mod sealed;

use super::Quirks;
use crate::splice::Splices;
use crate::{Head, Rendered, Target, edits, head};
use bytes::Bytes;
use llmleaf_model::Failure;

/// Splices the named edits into a consumer's body.
///
/// # Errors
/// The body is not the one that `head` was read from.
pub fn edit_request(
    head: &Head,
    body: &Bytes,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    edits::address(head, text, target, quirks.extended, &mut splices);
    sealed::edit(head, text, quirks, &mut splices, &mut losses);
    Ok(edits::rendered(text, body, splices, losses))
}
