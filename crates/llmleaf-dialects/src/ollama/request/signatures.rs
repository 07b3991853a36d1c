//! Sealed artefacts of other families, in `signatures` of a message.
//!
//! The wire has one text for all thoughts of a turn and no place for what proves them. So each artefact stands in an envelope
//! (`sealed.rs` of the crate) with the text it proves, or the id of its call. A client that sends messages back as it got
//! them brings it home; one that keeps only what it knows loses the proof and nothing else.

use crate::object::{items, string};
use crate::sealed::Sealed;
use llmleaf_model::{Artefact, Part, PartKind, Reasoning, ReasoningForm, ReasoningText};
use serde_json::value::RawValue;

/// The envelope of a thought's artefact, or of that of a call.
pub(in crate::ollama) fn sealed(
    artefact: &Artefact,
    form: ReasoningForm,
    call: bool,
    id: Option<&str>,
    text: &str,
) -> String {
    Sealed {
        artefact: Some(artefact.clone()),
        form,
        call,
        id: id.map(str::to_owned),
        text: (!call && !text.is_empty()).then(|| text.to_owned()),
    }
    .seal()
}

/// Most envelopes of one message: each is looked for in all that was thought.
const MOST: usize = 256;

/// Opens the field; `None` where it holds anything but envelopes, or more than any answer of ours has.
pub(super) fn open(field: Option<&RawValue>) -> Option<Vec<Sealed>> {
    let list = items(field?).filter(|list| list.len() <= MOST)?;
    list.into_iter()
        .map(|raw| Sealed::open(&string(raw)?).filter(|one| one.artefact.is_some()))
        .collect()
}

/// The thoughts of a turn: its text, cut where an envelope says which part of it is proven.
pub(super) fn thoughts(thinking: &str, sealed: &[Sealed]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = thinking;
    let mut push = |text: &str, sealed: Option<&Sealed>| {
        let form = sealed.map_or(ReasoningForm::Full, |one| one.form);
        let text = ReasoningText {
            form,
            text: text.to_owned(),
        };
        let reasoning = Reasoning {
            id: sealed.and_then(|one| one.id.clone()),
            texts: Some(text)
                .filter(|t| !t.text.is_empty())
                .into_iter()
                .collect(),
            artefact: sealed.and_then(|one| one.artefact.clone()),
        };
        parts.push(Part::from(PartKind::Reasoning(reasoning)));
    };
    for one in sealed.iter().filter(|one| !one.call) {
        let text = one.text.as_deref().unwrap_or_default();
        if let Some((before, after)) = rest.split_once(text).filter(|_| !text.is_empty()) {
            if !before.is_empty() {
                push(before, None);
            }
            rest = after;
        }
        push(text, Some(one));
    }
    if !rest.is_empty() {
        push(rest, None);
    }
    parts
}

/// Gives a call its artefact back.
pub(super) fn prove(part: &mut Part, sealed: &[Sealed]) {
    if let PartKind::ToolCall(call) = &mut part.kind {
        let own = |one: &&Sealed| one.call && one.id.as_deref() == Some(&*call.id);
        call.artefact = sealed.iter().find(own).and_then(|one| one.artefact.clone());
    }
}
