//! The variations this wire is known to have, as data.

use serde::Deserialize;
use std::borrow::Cow;

/// How one service's messages differ from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Output cap sent where the consumer named none: this wire demands one.
    pub default_max_tokens: u64,
    /// Families of artefacts it can verify (see [`llmleaf_model::Provenance`]); only those are sent back.
    pub verifies: Cow<'static, [Cow<'static, str>]>,
}

impl Quirks {
    /// The wire as Anthropic documents it.
    pub const REFERENCE: Self = Self {
        default_max_tokens: 4096,
        verifies: Cow::Borrowed(&[Cow::Borrowed("anthropic-claude-v1")]),
    };
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
