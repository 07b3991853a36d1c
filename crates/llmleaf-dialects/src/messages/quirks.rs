//! The variations this wire is known to have, as data.

use llmleaf_model::Provenance;
use serde::Deserialize;
use std::borrow::Cow;

/// How one service's messages differ from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Output cap sent where the consumer named none: this wire demands one.
    pub default_max_tokens: u64,
    /// Families of artefacts it can verify (see [`llmleaf_model::Provenance`]); only those are sent back, and
    /// the first of them is the provenance of what it sends.
    pub verifies: Cow<'static, [Cow<'static, str>]>,
    /// Where instructions go that do not stand at the head of the conversation.
    pub later_instructions: LaterInstructions,
    /// Whether `temperature`, `top_p` and `top_k` exist.
    pub sampling: SamplingSupport,
    /// How an effort of another dialect is asked for.
    pub effort: EffortForm,
    /// It takes the fields of the routing language (see [`crate::preferences`]).
    pub extended: bool,
    /// Where the model and the version of the API are said.
    pub addressing: Addressing,
}

/// Where the model and the version of the API are said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// The model in the body, the version in a header.
    Body,
    /// The model in the path, the version in the body as `anthropic_version`. Requests to count have the model in the body all the same.
    Path {
        /// What the body says where the consumer's does not.
        version: Cow<'static, str>,
    },
}

/// Where instructions go that do not stand at the head of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaterInstructions {
    /// Into `system`, with the rest: older models refuse the role.
    Hoisted,
    /// In place, as a turn of role `system` right behind a user turn.
    InPlace,
}

/// Whether `temperature`, `top_p` and `top_k` exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingSupport {
    /// They do (API version 2023-06-01).
    Offered,
    /// They do not: version 2026-10-21 answers 400 even for default values.
    Removed,
}

/// How an effort of another dialect is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffortForm {
    /// `thinking: {type: "enabled", budget_tokens}`.
    Budget,
    /// `thinking: {type: "adaptive"}` with `output_config.effort`.
    Adaptive,
}

/// Family of artefacts that the services of Anthropic issue and verify.
pub(super) const OWN_FAMILY: &str = "anthropic-claude-v1";

impl Quirks {
    /// The wire as Anthropic documents it.
    pub const REFERENCE: Self = Self {
        default_max_tokens: 4096,
        verifies: Cow::Borrowed(&[Cow::Borrowed(OWN_FAMILY)]),
        later_instructions: LaterInstructions::Hoisted,
        sampling: SamplingSupport::Offered,
        effort: EffortForm::Budget,
        extended: false,
        addressing: Addressing::Body,
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
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
