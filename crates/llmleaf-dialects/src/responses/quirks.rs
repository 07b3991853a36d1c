//! The variations this wire is known to have, as data.

use llmleaf_model::Provenance;
use serde::Deserialize;
use std::borrow::Cow;

/// How one service's responses differ from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Families of artefacts it can verify (see [`llmleaf_model::Provenance`]); only those are sent back, and the first of
    /// them is the provenance of what it sends.
    pub verifies: Cow<'static, [Cow<'static, str>]>,
    /// Types of tools that it refuses: groups and tools of free text go as functions, others are lost.
    pub refuses_tools: Cow<'static, [Cow<'static, str>]>,
    /// Top-level fields it refuses: left out, and reported as losses.
    pub unsupported: Cow<'static, [Cow<'static, str>]>,
    /// Whether it keeps answers and takes `store`.
    pub storage: Storage,
    /// Its reasoning items name their family in `format`, and may bear a `signature` in place of encrypted content.
    pub names_family: bool,
    /// It takes the fields of the routing language (see [`crate::preferences`]).
    pub extended: bool,
}

/// Whether a service keeps answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// It does unless told not to: `store` is always sent.
    Offered,
    /// It keeps none, and takes neither `store` nor the name of an earlier answer.
    None,
}

/// Family of artefacts that the reference service issues and verifies.
pub(super) const OWN_FAMILY: &str = "openai-responses-v1";

impl Quirks {
    /// The wire as OpenAI documents it.
    pub const REFERENCE: Self = Self {
        verifies: Cow::Borrowed(&[Cow::Borrowed(OWN_FAMILY)]),
        refuses_tools: Cow::Borrowed(&[]),
        unsupported: Cow::Borrowed(&[]),
        storage: Storage::Offered,
        names_family: false,
        extended: false,
    };

    /// Whose artefacts the service sends.
    pub(super) fn provenance(&self) -> Provenance {
        self.verifies
            .first()
            .map_or(Provenance::UNKNOWN, |name| Provenance(name.clone()))
    }

    /// True for an artefact that the service accepts.
    pub(super) fn can_verify(&self, provenance: &Provenance) -> bool {
        self.verifies.contains(&provenance.0)
    }

    /// True for a top-level field that the service refuses.
    pub(super) fn refuses(&self, field: &str) -> bool {
        self.unsupported.iter().any(|name| name == field)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
