//! Sealed artefacts in a body that goes to a provider of this wire.

use crate::Head;
use crate::messages::Quirks;
use crate::messages::reasoning::Sealed;
use crate::messages::request::answers_unsigned_calls;
use crate::object::{Object, items, string};
use crate::sealed::list_with_seals;
use crate::splice::{Splices, quote, range_of, removal_of};
use llmleaf_model::Loss;
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
    let Some(messages) = list_with_seals(head, text, "messages") else {
        return;
    };
    let before = losses.len();
    for (at, raw) in messages.into_iter().enumerate() {
        let Some(content) = Object::from_raw(raw).and_then(|m| m.get("content")) else {
            continue;
        };
        let Some(blocks) = items(content) else {
            continue;
        };
        Turn { text, at, quirks }.edit(content, &blocks, splices, losses);
    }
    if losses.len() > before {
        unproven(head, text, quirks, splices, losses);
    }
}

/// Switches thinking off where the calls that are answered have lost the reasoning that the wire demands before them: as a
/// request of another dialect is rendered.
fn unproven(
    head: &Head,
    text: &str,
    quirks: &Quirks,
    splices: &mut Splices<'_>,
    losses: &mut Vec<Loss>,
) {
    let Some(field) = head.field(text, "thinking") else {
        return;
    };
    let value = text.get(field.value.clone());
    let kind = value
        .and_then(|value| Object::parse(value).ok())
        .and_then(|thinking| {
            thinking
                .get("type")
                .and_then(string)
                .map(|kind| kind == "enabled")
        });
    let request = crate::messages::request::parse_count(text);
    if kind != Some(true) || !request.is_ok_and(|r| answers_unsigned_calls(&r, quirks)) {
        return;
    }
    splices.replace(field.value.clone(), "{\"type\":\"disabled\"}");
    losses.push(Loss::dropped(
        "thinking",
        "the calls that are answered came back without the signed reasoning that the wire wants before them",
    ));
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
        let mut kept_before = false;
        for (at, fate) in fates.iter().enumerate() {
            match fate {
                Fate::Keep => {}
                Fate::Open(range, data) => splices.replace(range.clone(), quote(data)),
                Fate::Remove => {
                    losses.push(Loss::dropped(
                        format!("messages[{}].content[{at}]", self.at),
                        "the target cannot verify this reasoning",
                    ));
                    if let Some(range) = removal_of(self.text, blocks, at, kept_before) {
                        splices.remove(range);
                    }
                    continue;
                }
            }
            kept_before = true;
        }
        // A turn may not be empty; a removal of everything leaves one space of text.
        if !kept_before
            && !blocks.is_empty()
            && let Some(at) = range_of(self.text, content).map(|r| r.end.saturating_sub(1))
        {
            splices.insert(at, "{\"type\":\"text\",\"text\":\"(no text)\"}");
        }
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
        match (sealed.artefact, range_of(self.text, value)) {
            (Some(artefact), Some(range))
                if !sealed.call && self.quirks.can_verify(&artefact.provenance) =>
            {
                Fate::Open(range, artefact.data)
            }
            _ => Fate::Remove,
        }
    }
}
