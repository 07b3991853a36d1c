//! How artefacts of other families travel through this wire: in a sealed envelope (`sealed.rs` of the crate).
//!
//! A consumer of this dialect echoes `signature` and `redacted_thinking.data` unread, so the envelope stands there.

use super::quirks::OWN_FAMILY;
pub(super) use crate::sealed::{SEAL, Sealed};
use llmleaf_model::{Artefact, ArtefactKind, Provenance, Reasoning, ReasoningForm, ReasoningText};
use std::borrow::Cow;

/// True for an artefact that this wire shows as it is, because a consumer knows it from the wire's own services.
pub(super) fn is_own(artefact: &Artefact) -> bool {
    artefact.provenance.0 == OWN_FAMILY && !artefact.data.starts_with(SEAL)
}

/// An artefact of this wire, as a consumer echoes it or a provider sends it.
pub(super) fn own(kind: ArtefactKind, data: String, provenance: Provenance) -> Artefact {
    Artefact {
        provenance,
        kind,
        data,
    }
}

/// What a consumer's `thinking` or `redacted_thinking` block means. `Err` for an artefact of a tool call, with
/// the id of the call.
pub(super) fn echoed(
    text: &str,
    artefact: Option<(ArtefactKind, Cow<'_, str>)>,
) -> Result<Reasoning, (String, Artefact)> {
    let mut reasoning = Reasoning::default();
    let mut form = ReasoningForm::Full;
    if let Some((kind, data)) = artefact {
        match Sealed::open(&data) {
            Some(Sealed {
                artefact: Some(artefact),
                call: true,
                id: Some(id),
                ..
            }) => return Err((id, artefact)),
            Some(sealed) => {
                reasoning.artefact = sealed.artefact;
                reasoning.id = sealed.id;
                form = sealed.form;
            }
            None => {
                let family = Provenance(Cow::Borrowed(OWN_FAMILY));
                reasoning.artefact = Some(own(kind, data.into_owned(), family));
            }
        }
    }
    if !text.is_empty() {
        let text = text.to_owned();
        reasoning.texts.push(ReasoningText { form, text });
    }
    Ok(reasoning)
}
