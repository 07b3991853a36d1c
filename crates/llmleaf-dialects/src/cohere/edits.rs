//! Same dialect in and out: the few named edits.
//!
//! The routing language, which the service does not speak, `model` where its value differs, `stream` where the target wants
//! another, and envelopes of other families' artefacts, which no service of this wire knows. All other bytes stay as they are.

use super::wire::{SIGNATURE, opened, text as text_of};
use crate::object::{Object, items};
use crate::sealed::SEAL;
use crate::splice::Splices;
use crate::{Head, Rendered, Target, edits, head};
use bytes::Bytes;
use llmleaf_model::{Failure, Loss};
use memchr::memmem;
use serde_json::value::RawValue;
use std::ops::Range;

/// Splices the named edits into a consumer's body.
///
/// # Errors
/// The body is not the one that `head` was read from.
pub fn edit_request(head: &Head, body: &Bytes, target: Target<'_>) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    edits::address(head, text, target, false, &mut splices);
    unseal(head, text, &mut splices, &mut losses);
    Ok(edits::rendered(text, body, splices, losses))
}

/// Takes away what this gateway put beside thoughts and calls of other families: the service refuses fields that it does
/// not know, and verifies nothing.
fn unseal(head: &Head, text: &str, splices: &mut Splices<'_>, losses: &mut Vec<Loss>) {
    // Almost no body holds one, and looking for it is cheap.
    if memmem::find(text.as_bytes(), SEAL.as_bytes()).is_none() {
        return;
    }
    let messages = head.value(text, "messages");
    let messages = messages.and_then(|value| serde_json::from_str::<&RawValue>(value).ok());
    for (at, raw) in messages.and_then(items).into_iter().flatten().enumerate() {
        let Some(message) = Object::from_raw(raw) else {
            continue;
        };
        for list in ["content", "tool_calls"] {
            let blocks = message.get(list).and_then(items).unwrap_or_default();
            let mut kept = false;
            for (number, block) in blocks.iter().enumerate() {
                let Some(object) = Object::from_raw(block).filter(|o| opened(o).is_some()) else {
                    kept = true;
                    continue;
                };
                losses.push(Loss::dropped(
                    format!("messages[{at}].{list}[{number}].{SIGNATURE}"),
                    "the target cannot verify it",
                ));
                // A thought without words was an envelope and nothing else.
                let empty = text_of(&object, "thinking").is_some_and(|words| words.is_empty());
                let range = if empty {
                    removal(text, &blocks, number, kept)
                } else {
                    kept = true;
                    field(text, block)
                };
                if let Some(range) = range {
                    splices.remove(range);
                }
            }
        }
    }
}

/// The block with the comma on one side of it: the one before where a kept block is before, else the one after.
fn removal(text: &str, blocks: &[&RawValue], at: usize, kept: bool) -> Option<Range<usize>> {
    let own = range(text, blocks.get(at)?)?;
    if kept {
        let before = range(text, blocks.get(at.checked_sub(1)?)?)?;
        return Some(before.end..own.end);
    }
    Some(match blocks.get(at + 1) {
        Some(next) => own.start..range(text, next)?.start,
        None => own,
    })
}

/// Where the envelope's field lies, with one comma.
fn field(text: &str, block: &RawValue) -> Option<Range<usize>> {
    let start = range(text, block)?.start;
    let inner = Head::addressed(block.get().as_bytes(), "-", false).ok()?;
    let found = inner.removal(block.get(), SIGNATURE)?;
    Some(start + found.start..start + found.end)
}

/// Where a value lies in the body.
fn range(text: &str, raw: &RawValue) -> Option<Range<usize>> {
    let start = (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start + raw.get().len();
    text.get(range.clone()).map(|_| range)
}
