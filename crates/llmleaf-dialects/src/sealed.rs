//! The sealed envelope: how artefacts of other families travel through a wire that echoes only its own.
//!
//! A consumer sends back what its own wire calls a signature or an encrypted thought, unread. So an artefact that its own
//! issuer must get back (encrypted reasoning of the Responses wire, a thought signature of Gemini) is carried there:
//!
//! ```text
//! llmleaf.v1.<provenance>.<kind>.<data>[.<id>[.<text>]]
//! ```
//!
//! - `provenance`: as it is where it has only letters, digits, `-` and `_`, else `~` and its base64url.
//! - `kind`: `signature`, `encrypted` or `unsigned` (text that nobody can verify: it must not go to a provider that
//!   demands a signature), with `-summary` behind it where the text beside it is a summary. With `call-` before
//!   it, the artefact belongs to the tool call named by `id`, not to the reasoning.
//! - `data`, `id`, `text`: base64url without padding; `id` is the item's or the call's, and empty where there is none.
//!   `text` is what a signature proves, for wires whose clients do not send it back.
//!
//! [`Sealed::open`] restores all of it when the consumer sends the conversation back. Nothing in the envelope is
//! secret, and nothing in it is trusted beyond what a consumer could have written itself.

use crate::Head;
use crate::object::items;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use llmleaf_model::{Artefact, ArtefactKind, Provenance, ReasoningForm};
use memchr::memmem;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// First bytes of every envelope.
pub(crate) const SEAL: &str = "llmleaf.v1.";

/// The items of a list in a body that holds an envelope, or what looks like one. Almost no body does, and looking is cheap.
pub(crate) fn list_with_seals<'b>(
    head: &Head,
    text: &'b str,
    field: &str,
) -> Option<Vec<&'b RawValue>> {
    let list = head.value(text, field)?;
    memmem::find(list.as_bytes(), SEAL.as_bytes())?;
    items(serde_json::from_str(list).ok()?)
}

/// An opened envelope.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The artefact; `None` for text without one.
    pub artefact: Option<Artefact>,
    /// Whole thoughts or a summary.
    pub form: ReasoningForm,
    /// The artefact belongs to the tool call with the id.
    pub call: bool,
    /// Item id, or id of the call.
    pub id: Option<String>,
    /// The text that the artefact proves.
    pub text: Option<String>,
}

impl Sealed {
    /// Writes the envelope.
    pub fn seal(&self) -> String {
        let (provenance, kind, data) = match &self.artefact {
            Some(artefact) => (
                sealed_provenance(&artefact.provenance.0),
                match artefact.kind {
                    ArtefactKind::Signature => "signature",
                    ArtefactKind::Encrypted => "encrypted",
                },
                artefact.data.as_str(),
            ),
            None => (Cow::Borrowed("unknown"), "unsigned", ""),
        };
        let call = if self.call { "call-" } else { "" };
        let form = match self.form {
            ReasoningForm::Full => "",
            ReasoningForm::Summary => "-summary",
        };
        let mut out = format!("{SEAL}{provenance}.{call}{kind}{form}.");
        URL_SAFE_NO_PAD.encode_string(data, &mut out);
        if self.id.is_some() || self.text.is_some() {
            out.push('.');
            URL_SAFE_NO_PAD.encode_string(self.id.as_deref().unwrap_or_default(), &mut out);
        }
        if let Some(text) = &self.text {
            out.push('.');
            URL_SAFE_NO_PAD.encode_string(text, &mut out);
        }
        out
    }

    /// Opens an envelope; `None` for anything else.
    pub fn open(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(SEAL)?.split('.');
        let (provenance, kind, data) = (parts.next()?, parts.next()?, parts.next()?);
        let mut next = || match parts.next() {
            Some(text) => decoded(text).map(Some),
            None => Some(None),
        };
        let (id, text) = (next()?, next()?);
        let id = id.filter(|id| !id.is_empty() || text.is_none());
        if parts.next().is_some() {
            return None;
        }
        let (call, kind) = match kind.strip_prefix("call-") {
            Some(kind) => (true, kind),
            None => (false, kind),
        };
        let (form, kind) = match kind.strip_suffix("-summary") {
            Some(kind) => (ReasoningForm::Summary, kind),
            None => (ReasoningForm::Full, kind),
        };
        let kind = match kind {
            "signature" => Some(ArtefactKind::Signature),
            "encrypted" => Some(ArtefactKind::Encrypted),
            "unsigned" if data.is_empty() && !call => None,
            _ => return None,
        };
        let provenance = match provenance.strip_prefix('~') {
            Some(coded) => decoded(coded)?,
            None => provenance.to_owned(),
        };
        let data = decoded(data)?;
        Some(Self {
            artefact: kind.map(|kind| Artefact {
                provenance: Provenance(Cow::Owned(provenance)),
                kind,
                data,
            }),
            form,
            call,
            id,
            text,
        })
    }
}

fn sealed_provenance(name: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.bytes().all(plain) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("~{}", URL_SAFE_NO_PAD.encode(name)))
    }
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_form_is_stable() {
        let sealed = Sealed {
            artefact: Some(Artefact {
                provenance: Provenance(Cow::Borrowed("openai-responses-v1")),
                kind: ArtefactKind::Encrypted,
                data: "gAAA".into(),
            }),
            form: ReasoningForm::Summary,
            call: false,
            id: Some("rs_1".into()),
            text: None,
        };
        let text = "llmleaf.v1.openai-responses-v1.encrypted-summary.Z0FBQQ.cnNfMQ";
        assert_eq!(sealed.seal(), text);
        assert_eq!(Sealed::open(text), Some(sealed));
    }

    #[test]
    fn other_text_is_not_an_envelope() {
        for text in [
            "",
            "EqQBCgIYAhIM",
            "llmleaf.v1.",
            "llmleaf.v1.a.b.c",
            "llmleaf.v1.a.signature.*",
            "llmleaf.v1.a.signature.YQ.YQ.YQ.YQ",
            "llmleaf.v2.a.signature.YQ",
            "llmleaf.v1.a.unsigned.YQ",
        ] {
            assert_eq!(Sealed::open(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again(
            provenance in "\\PC{0,20}",
            encrypted: bool, summary: bool, call: bool,
            data in "\\PC{0,60}",
            id in proptest::option::of("\\PC{0,12}"),
            text in proptest::option::of("\\PC{0,12}"),
        ) {
            let id = id.filter(|id| !id.is_empty() || text.is_none());
            let kind = if encrypted { ArtefactKind::Encrypted } else { ArtefactKind::Signature };
            let artefact = Artefact { provenance: Provenance(Cow::Owned(provenance)), kind, data };
            let form = if summary { ReasoningForm::Summary } else { ReasoningForm::Full };
            let sealed = Sealed { artefact: Some(artefact), form, call, id, text };
            prop_assert_eq!(Sealed::open(&sealed.seal()), Some(sealed));
        }
    }
}
