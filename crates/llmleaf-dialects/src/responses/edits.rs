//! Same dialect in and out: the few named edits.
//!
//! The routing language where the service does not speak it, `model` where its value differs, `stream` where the target wants
//! another, and reasoning items with a sealed artefact (see `reasoning.rs`): opened where the target can verify it, else the
//! item leaves. All other bytes stay as they are.

use super::Quirks;
use super::quirks::Storage;
use super::reasoning::{Echoed, echoed};
use super::request::tool_types;
use crate::object::{Object, string};
use crate::sealed::{SEAL, list_with_seals};
use crate::splice::{Splices, quote, range_of, removal_of};
use crate::{Head, Rendered, Target, edits, head};
use bytes::Bytes;
use llmleaf_model::{ArtefactKind, Failure, Loss};
use serde_json::value::RawValue;
use std::ops::Range;

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
    if let Some(field) = kept_by_provider(head, text).filter(|_| quirks.storage == Storage::None) {
        return Err(super::kept::unkept(field));
    }
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    edits::address(head, text, target, quirks.extended, &mut splices);
    sealed(head, text, quirks, &mut splices, &mut losses);
    Ok(edits::rendered(text, body, splices, losses))
}

/// The field by which a body asks for what only a service that keeps answers can do.
fn kept_by_provider(head: &Head, text: &str) -> Option<&'static str> {
    let value = |name: &str| head.value(text, name);
    if value("previous_response_id").is_some_and(|value| value != "null") {
        return Some("previous_response_id");
    }
    (value("background") == Some("true")).then_some("background")
}

/// True where a service takes what a body of this dialect asks for.
pub fn takes(head: &Head, body: &Bytes, quirks: &Quirks) -> bool {
    if quirks.refuses_tools.is_empty() {
        return true;
    }
    let tools = head::checked(body)
        .ok()
        .and_then(|text| head.value(text, "tools"))
        .and_then(|value| serde_json::from_str::<&RawValue>(value).ok());
    let types = tools.map(tool_types).unwrap_or_default();
    !types
        .iter()
        .any(|kind| quirks.refuses_tools.iter().any(|refused| refused == kind))
}

/// What becomes of an item.
enum Fate {
    Keep,
    Open(Range<usize>, String),
    Remove,
}

/// Opens envelopes that the target can verify, and removes the items of the others: a foreign one is refused with a 400.
fn sealed(
    head: &Head,
    text: &str,
    quirks: &Quirks,
    splices: &mut Splices<'_>,
    losses: &mut Vec<Loss>,
) {
    let Some(list) = list_with_seals(head, text, "input") else {
        return;
    };
    let mut kept_before = false;
    for (at, item) in list.iter().enumerate() {
        match fate(text, item, quirks) {
            Fate::Keep => {}
            Fate::Open(range, data) => splices.replace(range, quote(&data)),
            Fate::Remove => {
                losses.push(Loss::dropped(
                    format!("input[{at}]"),
                    "the target cannot verify this reasoning",
                ));
                if let Some(range) = removal_of(text, &list, at, kept_before) {
                    splices.remove(range);
                }
                continue;
            }
        }
        kept_before = true;
    }
}

fn fate(text: &str, item: &RawValue, quirks: &Quirks) -> Fate {
    let Some(object) = Object::from_raw(item) else {
        return Fate::Keep;
    };
    if object.get("type").and_then(string).as_deref() != Some("reasoning") {
        return Fate::Keep;
    }
    let Some(value) = object.get("encrypted_content") else {
        return Fate::Keep;
    };
    let Some(data) = string(value).filter(|data| data.starts_with(SEAL)) else {
        return Fate::Keep;
    };
    match (echoed(&data, None), range_of(text, value)) {
        (
            Echoed::Reasoning {
                artefact: Some(artefact),
                ..
            },
            Some(range),
        ) if artefact.kind == ArtefactKind::Encrypted
            && quirks.can_verify(&artefact.provenance) =>
        {
            // Data that only looks like an envelope is whatever the consumer wrote.
            if artefact.data == *data {
                Fate::Keep
            } else {
                Fate::Open(range, artefact.data)
            }
        }
        _ => Fate::Remove,
    }
}
