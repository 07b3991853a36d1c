//! Same dialect in and out: the few named edits.
//!
//! The routing language where the service does not speak it, `model` where its value differs or the path says it, the version where
//! the body says it, `stream` where the target wants another, and blocks with a sealed artefact (see `reasoning.rs`) of a family that
//! the target cannot verify. All other bytes stay as they are.

mod sealed;

use super::Quirks;
use super::quirks::Addressing;
use crate::head::Field;
use crate::splice::{Splices, quote};
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
    edit(
        head,
        body,
        target,
        quirks,
        quirks.addressing == Addressing::Body,
    )
}

/// The same; whether the body names the model.
pub(super) fn edit(
    head: &Head,
    body: &Bytes,
    target: Target<'_>,
    quirks: &Quirks,
    names_model: bool,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    match &quirks.addressing {
        Addressing::Path { version } if !names_model => {
            unnamed(head, text, target, version, &mut splices);
        }
        Addressing::Path { version } => {
            edits::address(head, text, target, quirks.extended, &mut splices);
            let at = head.insertion();
            if let (None, Some(at)) = (head.field(text, VERSION), at) {
                splices.insert(at, said(version) + ",");
            }
        }
        Addressing::Body => edits::address(head, text, target, quirks.extended, &mut splices),
    }
    sealed::edit(head, text, quirks, &mut splices, &mut losses);
    Ok(edits::rendered(text, body, splices, losses))
}

/// The field that says the API's version, where the body does.
const VERSION: &str = "anthropic_version";

fn said(version: &str) -> String {
    format!("\"{VERSION}\":{}", quote(version))
}

/// Takes out the model, which the path says, and says the version in its place; the routing language leaves as well.
fn unnamed(head: &Head, text: &str, target: Target<'_>, version: &str, splices: &mut Splices<'_>) {
    let place = head.field(text, "model").or(head.field(text, "models"));
    let is_said = head.field(text, VERSION).is_some();
    match (place, head.insertion()) {
        _ if is_said => {}
        (Some(place), _) => splices.replace(place.entry.clone(), said(version)),
        (None, Some(at)) => splices.insert(at, said(version) + ","),
        (None, None) => {}
    }
    let cut = |field: &Field| match place.is_some_and(|place| place.entry == field.entry) {
        true => is_said,
        false => field.is_wish(text),
    };
    for range in head.cuts(cut) {
        splices.remove(range);
    }
    if head.stream != target.stream {
        edits::stream(head, text, target.stream, splices);
    }
}
