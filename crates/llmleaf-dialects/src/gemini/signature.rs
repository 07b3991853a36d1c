//! Thought signatures, and how artefacts of other families travel in their place.
//!
//! A consumer of this dialect echoes `thoughtSignature` unread, on the part it came with. The field holds bytes, which
//! JSON writes in base64, and SDKs decode it and encode it again, some with the other alphabet. So the sealed envelope of a
//! foreign artefact (`sealed.rs` of the crate) stands there in base64 itself.
//!
//! In the model a signature belongs to the call on whose part it stands. On a part of any other kind it becomes a stretch
//! of reasoning right behind that part, with no text and this proof; where a thought's own part has one, it is the proof
//! of that thought.

use super::quirks::OWN_FAMILY;
use crate::sealed::Sealed;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use llmleaf_model::{Artefact, ArtefactKind, Provenance, ReasoningForm};
use std::borrow::Cow;

/// First letters of every envelope in base64, whatever the alphabet.
pub(super) const SEAL: &str = "bGxtbGVhZi52MS";

/// What the models that demand a signature take in place of one for a call that another model made. Source: "Thought
/// signatures", FAQ on conversations of other models, ai.google.dev, read 2026-11.
pub(super) const EXCUSE: &str = "skip_thought_signature_validator";

/// Opens an envelope; `None` for a signature of this wire's own.
pub(super) fn open(signature: &str) -> Option<Sealed> {
    if !signature.starts_with(SEAL) {
        return None;
    }
    let plain: String = signature
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let bytes = STANDARD_NO_PAD.decode(plain).ok()?;
    Sealed::open(std::str::from_utf8(&bytes).ok()?)
}

/// A signature of this wire.
pub(super) fn own(data: impl Into<String>, provenance: Provenance) -> Artefact {
    Artefact {
        provenance,
        kind: ArtefactKind::Signature,
        data: data.into(),
    }
}

/// The family of a consumer's own signatures.
pub(super) fn own_family() -> Provenance {
    Provenance(Cow::Borrowed(OWN_FAMILY))
}

/// True for an artefact that this wire shows as it is.
pub(super) fn is_own(artefact: &Artefact) -> bool {
    artefact.provenance.0 == OWN_FAMILY
        && artefact.kind == ArtefactKind::Signature
        && !artefact.data.starts_with(SEAL)
}

/// What stands in `thoughtSignature` for an artefact of reasoning.
pub(super) fn shown<'a>(
    artefact: &'a Artefact,
    id: Option<&str>,
    form: ReasoningForm,
) -> Cow<'a, str> {
    sealed(artefact, false, id, form)
}

/// What stands in `thoughtSignature` for an artefact of a call.
pub(super) fn shown_on_call(artefact: &Artefact) -> Cow<'_, str> {
    sealed(artefact, true, None, ReasoningForm::Full)
}

fn sealed<'a>(
    artefact: &'a Artefact,
    call: bool,
    id: Option<&str>,
    form: ReasoningForm,
) -> Cow<'a, str> {
    if is_own(artefact) {
        return Cow::Borrowed(&artefact.data);
    }
    let sealed = Sealed {
        artefact: Some(artefact.clone()),
        form,
        call,
        id: id.map(str::to_owned),
        text: None,
    };
    Cow::Owned(STANDARD.encode(sealed.seal()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_opens_again(data in "\\PC{0,60}", family in "[a-z-]{1,20}", call: bool, id in proptest::option::of("\\PC{0,9}")) {
            let artefact = Artefact { provenance: Provenance(Cow::Owned(family)), kind: ArtefactKind::Encrypted, data };
            let shown = sealed(&artefact, call, id.as_deref(), ReasoningForm::Summary);
            prop_assert!(shown.starts_with(SEAL));
            // SDKs decode and encode, with padding or without, in either alphabet.
            let other: String = shown.trim_end_matches('=').replace('+', "-").replace('/', "_");
            for text in [shown.into_owned(), other] {
                let opened = open(&text).unwrap();
                prop_assert_eq!((opened.artefact.as_ref(), opened.call, &opened.id), (Some(&artefact), call, &id));
            }
        }
    }

    #[test]
    fn a_signature_of_the_wire_is_no_envelope() {
        for text in ["", "CpUBAdHtim9", "bGxtbGVhZi52MS4"] {
            assert_eq!(open(text), None);
        }
        let artefact = own("CpUB", own_family());
        assert_eq!(shown_on_call(&artefact), "CpUB");
    }
}
