//! Tools, calls and choices.

use llmleaf_model::{Artefact, ArtefactKind, Provenance};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The family that issues thought signatures bound to tool calls.
pub(super) const GEMINI: Provenance = Provenance(Cow::Borrowed("google-gemini-v1"));

/// The thought signature in a call's `extra_content.google.thought_signature`, where Google's own layer for this
/// wire puts it and expects it back.
pub(super) fn thought_signature(extra: &RawValue) -> Option<Artefact> {
    let extra = crate::object::Object::from_raw(extra)?;
    let google = crate::object::Object::from_raw(extra.get("google")?)?;
    let data = crate::object::string(google.get("thought_signature")?)?;
    Some(Artefact {
        provenance: GEMINI,
        kind: ArtefactKind::Signature,
        data: data.into_owned(),
    })
}
