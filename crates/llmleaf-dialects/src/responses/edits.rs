//! Same dialect in and out: the few named edits.
//!
//! `model` where its value differs, `stream` where the target wants another, and reasoning items with a sealed artefact (see
//! `reasoning.rs`): opened where the target can verify it, else the item leaves. All other bytes stay as they are.

use super::Quirks;
use super::reasoning::{Echoed, echoed};
use super::request::tool_types;
use crate::object::{Object, items, string};
use crate::sealed::SEAL;
use crate::splice::{Splices, quote};
use crate::{Head, Rendered, Target, head};
use bytes::Bytes;
use llmleaf_model::{ArtefactKind, Failure, Loss};
use memchr::memmem;
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
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    if head.model != target.model {
        let field = head
            .field(text, "model")
            .ok_or_else(|| Failure::invalid("the field `model` is missing", Some("model")))?;
        splices.replace(field.value.clone(), quote(target.model));
    }
    if head.stream != target.stream {
        let word = if target.stream { "true" } else { "false" };
        match head.field(text, "stream") {
            Some(field) => splices.replace(field.value.clone(), word),
            None => {
                if let Some(at) = head.insertion() {
                    splices.insert(at, format!("\"stream\":{word},"));
                }
            }
        }
    }
    sealed(head, text, quirks, &mut splices, &mut losses);
    let body = if splices.is_empty() {
        body.clone()
    } else {
        splices.apply(text).into()
    };
    Ok(Rendered {
        body,
        losses,
        usage_added: false,
    })
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
    // Almost no body holds one, and looking for it is cheap.
    if memmem::find(text.as_bytes(), SEAL.as_bytes()).is_none() {
        return;
    }
    let Some(list) = head
        .value(text, "input")
        .and_then(|value| serde_json::from_str::<&RawValue>(value).ok())
        .and_then(items)
    else {
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
                if let Some(range) = removal(text, &list, at, kept_before) {
                    splices.remove(range);
                }
                continue;
            }
        }
        kept_before = true;
    }
}

/// The item with the comma on one side of it: the one before where a kept item is before, else the one after.
fn removal(text: &str, list: &[&RawValue], at: usize, kept_before: bool) -> Option<Range<usize>> {
    let own = range(text, list.get(at)?)?;
    if kept_before {
        let before = range(text, list.get(at.checked_sub(1)?)?)?;
        return Some(before.end..own.end);
    }
    Some(match list.get(at + 1) {
        Some(next) => own.start..range(text, next)?.start,
        None => own,
    })
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
    match (echoed(&data, None), range(text, value)) {
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

/// Where a value lies in the body.
fn range(text: &str, raw: &RawValue) -> Option<Range<usize>> {
    let start = (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start + raw.get().len();
    text.get(range.clone()).map(|_| range)
}
