//! Same dialect in and out: the few named edits.
//!
//! The routing language where the service does not speak it, `model` where its value differs, `stream` where the target wants another, and blocks with a sealed artefact
//! (see `reasoning.rs`) of a family that the target cannot verify. All other bytes stay as they are.

mod sealed;

use super::Quirks;
use crate::head::Field;
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
    model(head, text, target.model, quirks, &mut splices);
    if head.stream != target.stream {
        stream(head, text, target.stream, &mut splices);
    }
    sealed::edit(head, text, quirks, &mut splices, &mut losses);
    Ok(rendered(text, body, splices, losses))
}

/// Sets the model, and cuts the routing language where the service does not speak it.
fn model(head: &Head, text: &str, wanted: &str, quirks: &Quirks, splices: &mut Splices<'_>) {
    let field = head.field(text, "model");
    if let Some(field) = field.filter(|_| head.model != wanted) {
        splices.replace(field.value.clone(), quote(wanted));
    }
    if !head.routes() {
        return;
    }
    // The model may stand in a list only.
    let single = || ["\"model\":", &quote(wanted)].concat();
    if quirks.extended {
        if let (None, Some(at)) = (field, head.insertion()) {
            splices.insert(at, single() + ",");
        }
        return;
    }
    let list = head.field(text, "models").filter(|_| field.is_none());
    if let Some(list) = list {
        splices.replace(list.entry.clone(), single());
    }
    let cut = |field: &Field| {
        let replaced = list.is_some_and(|list| list.entry == field.entry);
        !replaced && field.is_wish(text)
    };
    for range in head.cuts(cut) {
        splices.remove(range);
    }
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
