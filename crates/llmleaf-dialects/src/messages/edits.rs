//! Same dialect in and out: the few named edits.
//!
//! `model` where its value differs, `stream` where the target wants another, and blocks with a sealed artefact
//! (see `reasoning.rs`) of a family that the target cannot verify. All other bytes stay as they are.

mod sealed;

use super::Quirks;
use crate::splice::{Splices, quote};
use crate::{Head, Rendered, Target, head};
use bytes::Bytes;
use llmleaf_model::{Failure, Loss};

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
    if head.model != target.model {
        let field = head
            .field(text, "model")
            .ok_or_else(|| Failure::invalid("the field `model` is missing", Some("model")))?;
        splices.replace(field.value.clone(), quote(target.model));
    }
    if head.stream != target.stream {
        stream(head, text, target.stream, &mut splices);
    }
    sealed::edit(head, text, quirks, &mut splices, &mut losses);
    Ok(rendered(text, body, splices, losses))
}

fn stream(head: &Head, text: &str, wanted: bool, splices: &mut Splices<'_>) {
    let word = if wanted { "true" } else { "false" };
    match head.field(text, "stream") {
        Some(field) => splices.replace(field.value.clone(), word),
        None => {
            if let Some(at) = head.insertion() {
                splices.insert(at, format!("\"stream\":{word},"));
            }
        }
    }
}

/// Applies the edits; without any the body is handed on as it is, not copied. A byte order mark in
/// front stays behind (RFC 8259, section 8.1).
pub(super) fn rendered(
    text: &str,
    body: &Bytes,
    splices: Splices<'_>,
    losses: Vec<Loss>,
) -> Rendered {
    let body = if splices.is_empty() {
        body.slice_ref(text.as_bytes())
    } else {
        splices.apply(text).into()
    };
    Rendered {
        body,
        losses,
        usage_added: false,
    }
}
