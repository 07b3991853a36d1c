//! How artefacts travel through this wire: `encrypted_content` of a reasoning item.
//!
//! What the wire's own services issue stands there as it is. Artefacts of other families (a signature of the messages wire,
//! a thought signature) stand there in the sealed envelope. Several clients send back only the encrypted content and the
//! summary of an item and leave its content out, so the text that a signature proves lies in the envelope beside it.

use super::quirks::OWN_FAMILY;
use crate::sealed::{SEAL, Sealed};
use llmleaf_model::{Artefact, ArtefactKind, Provenance};
use std::borrow::Cow;

/// What stands in `encrypted_content` for an artefact. `text` is all the readable text that it may prove.
pub(super) fn shown(artefact: &Artefact, id: Option<&str>, text: Option<&str>) -> String {
    if is_own(artefact) {
        return artefact.data.clone();
    }
    let proves = artefact.kind == ArtefactKind::Signature;
    Sealed {
        artefact: Some(artefact.clone()),
        id: id.map(str::to_owned),
        text: text.filter(|_| proves).map(str::to_owned),
        ..Sealed::default()
    }
    .seal()
}

/// What stands in `encrypted_content` for the artefact of a tool call.
pub(super) fn shown_for_call(artefact: &Artefact, id: &str) -> String {
    Sealed {
        artefact: Some(artefact.clone()),
        call: true,
        id: Some(id.to_owned()),
        ..Sealed::default()
    }
    .seal()
}

/// True for an artefact that this wire shows as it is.
fn is_own(artefact: &Artefact) -> bool {
    artefact.provenance.0 == OWN_FAMILY
        && artefact.kind == ArtefactKind::Encrypted
        && !artefact.data.starts_with(SEAL)
}

/// What stands in `encrypted_content` for text that nobody signed: clients that drop the text bring it back in this.
pub(super) fn shown_unsigned(text: &str, id: Option<&str>) -> String {
    Sealed {
        id: id.map(str::to_owned),
        text: Some(text.to_owned()),
        ..Sealed::default()
    }
    .seal()
}

/// What a consumer's `encrypted_content` means.
pub(super) enum Echoed {
    /// Of the reasoning of its item.
    Reasoning {
        artefact: Option<Artefact>,
        /// The item's own id.
        id: Option<String>,
        /// The text that it goes with.
        text: Option<String>,
    },
    /// Of the tool call with the id.
    Call(String, Artefact),
}

/// Reads `encrypted_content`. `format` names the family where the item says it, as one router does.
pub(super) fn echoed(data: &str, format: Option<&str>) -> Echoed {
    match Sealed::open(data) {
        Some(Sealed {
            artefact: Some(artefact),
            call: true,
            id: Some(id),
            ..
        }) => Echoed::Call(id, artefact),
        Some(Sealed {
            artefact, id, text, ..
        }) => Echoed::Reasoning { artefact, id, text },
        None => Echoed::Reasoning {
            artefact: Some(own(data.to_owned(), provenance(format, None))),
            id: None,
            text: None,
        },
    }
}

/// True where a consumer's `encrypted_content` proves a call, and no thought.
pub(crate) fn proves_call(data: &str) -> bool {
    matches!(echoed(data, None), Echoed::Call(..))
}

/// An encrypted thought as it stands on the wire.
pub(super) fn own(data: String, provenance: Provenance) -> Artefact {
    Artefact {
        provenance,
        kind: ArtefactKind::Encrypted,
        data,
    }
}

/// The family of an item: what the item says, else that of the service, else that of the reference.
pub(super) fn provenance(format: Option<&str>, service: Option<&Provenance>) -> Provenance {
    match (format, service) {
        (Some(format), _) if !format.is_empty() => Provenance(Cow::Owned(format.to_owned())),
        (_, Some(service)) => service.clone(),
        _ => Provenance(Cow::Borrowed(OWN_FAMILY)),
    }
}
