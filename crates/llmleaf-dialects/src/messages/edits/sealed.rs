//! Sealed artefacts in a body that goes to a provider of this wire.

use crate::Head;
use crate::messages::Quirks;
use crate::messages::reasoning::{SEAL, Sealed};
use crate::object::{Object, items, string};
use crate::splice::{Splices, quote};
use llmleaf_model::Loss;
use memchr::memmem;
use serde_json::value::RawValue;
use std::ops::Range;

/// Opens envelopes that the target can verify, and removes the blocks of the others: a foreign signature is
/// refused with a 400.
pub(super) fn edit(
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
    let Some(messages) = head
        .value(text, "messages")
        .and_then(|value| serde_json::from_str::<&RawValue>(value).ok())
        .and_then(items)
    else {
        return;
    };
    for (at, raw) in messages.into_iter().enumerate() {
        let Some(content) = Object::from_raw(raw).and_then(|m| m.get("content")) else {
            continue;
        };
        let Some(blocks) = items(content) else {
            continue;
        };
        Turn { text, at, quirks }.edit(content, &blocks, splices, losses);
    }
}

/// One message whose content is a list.
struct Turn<'a> {
    text: &'a str,
    at: usize,
    quirks: &'a Quirks,
}

/// What becomes of a block.
enum Fate {
    Keep,
    Open(Range<usize>, String),
    Remove,
}

impl Turn<'_> {
    fn edit(
        &self,
        content: &RawValue,
        blocks: &[&RawValue],
        splices: &mut Splices<'_>,
        losses: &mut Vec<Loss>,
    ) {
        let fates: Vec<Fate> = blocks.iter().map(|block| self.fate(block)).collect();
        let mut kept_before = None;
        for (at, (block, fate)) in blocks.iter().zip(&fates).enumerate() {
            match fate {
                Fate::Keep => {}
                Fate::Open(range, data) => splices.replace(range.clone(), quote(data)),
                Fate::Remove => {
                    losses.push(Loss::dropped(
                        format!("messages[{}].content[{at}]", self.at),
                        "the target cannot verify this reasoning",
                    ));
                    if let Some(range) = self.removal(blocks, at, block, kept_before) {
                        splices.remove(range);
                    }
                    continue;
                }
            }
            kept_before = Some(at);
        }
        // A turn may not be empty; a removal of everything leaves one space of text.
        if kept_before.is_none()
            && !blocks.is_empty()
            && let Some(at) = self.range(content).map(|r| r.end.saturating_sub(1))
        {
            splices.insert(at, "{\"type\":\"text\",\"text\":\"(no text)\"}");
        }
    }

    /// The block with the comma on one side of it: the one before where a kept block is before, else the one after.
    fn removal(
        &self,
        blocks: &[&RawValue],
        at: usize,
        block: &RawValue,
        kept_before: Option<usize>,
    ) -> Option<Range<usize>> {
        let own = self.range(block)?;
        if kept_before.is_some() {
            let before = self.range(blocks.get(at.checked_sub(1)?)?)?;
            return Some(before.end..own.end);
        }
        Some(match blocks.get(at + 1) {
            Some(next) => own.start..self.range(next)?.start,
            None => own,
        })
    }

    fn fate(&self, block: &RawValue) -> Fate {
        let Some(object) = Object::from_raw(block) else {
            return Fate::Keep;
        };
        let field = match object.get("type").and_then(string).as_deref() {
            Some("thinking") => "signature",
            Some("redacted_thinking") => "data",
            _ => return Fate::Keep,
        };
        let Some(value) = object.get(field) else {
            return Fate::Keep;
        };
        let Some(sealed) = string(value).and_then(|text| Sealed::open(&text)) else {
            return Fate::Keep;
        };
        match (sealed.artefact, self.range(value)) {
            (Some(artefact), Some(range))
                if !sealed.call && self.quirks.can_verify(&artefact.provenance) =>
            {
                Fate::Open(range, artefact.data)
            }
            _ => Fate::Remove,
        }
    }

    /// Where a value lies in the body.
    fn range(&self, raw: &RawValue) -> Option<Range<usize>> {
        let start = (raw.get().as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let range = start..start + raw.get().len();
        self.text.get(range.clone()).map(|_| range)
    }
}
