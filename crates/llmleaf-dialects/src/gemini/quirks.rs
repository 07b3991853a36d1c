//! The variations this wire is known to have, as data.

use llmleaf_model::Provenance;
use serde::Deserialize;
use std::borrow::Cow;

/// Family of artefacts that Google's services issue and verify.
pub(super) const OWN_FAMILY: &str = "google-gemini-v1";

/// How one service's wire differs from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// Families of artefacts it can verify (see [`Provenance`]); only those are sent back, and the first of them is the
    /// provenance of what it sends.
    pub verifies: Cow<'static, [Cow<'static, str>]>,
    /// What is known of models by the beginning of their name; the first that fits counts.
    pub models: Cow<'static, [ModelRule]>,
    /// Fields of a request that the service answers with a 400, in the spelling of the reference. A request to count that holds a whole
    /// request in such a field is sent as that request.
    pub lacks: Cow<'static, [Cow<'static, str>]>,
}

/// What is known of a family of models.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRule {
    /// Beginning of the name; empty fits every model.
    pub prefix: Cow<'static, str>,
    /// How an effort is asked for.
    pub thinking: Thinking,
    /// Calls that come back without a thought signature are refused with a 400.
    pub signed_calls: bool,
    /// Media may stand inside a function response.
    pub media_in_results: bool,
}

/// How an effort is asked for, and between which ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Thinking {
    /// `thinkingBudget`, in tokens. A least budget above 0 cannot be switched off.
    Budget { least: u64, most: u64 },
    /// `thinkingLevel`, from `minimal` on, else from `low`.
    Level { minimal: bool },
}

impl ModelRule {
    const fn new(prefix: &'static str, thinking: Thinking, later: bool) -> Self {
        Self {
            prefix: Cow::Borrowed(prefix),
            thinking,
            signed_calls: later,
            media_in_results: later,
        }
    }
}

/// Sources: "Gemini thinking" (levels per model, budgets per model), "Thought signatures" (which models validate) and
/// "Function calling" (multimodal responses), ai.google.dev, read 2026-11.
const MODELS: &[ModelRule] = &[
    ModelRule::new("gemini-3-pro", Thinking::Level { minimal: false }, true),
    ModelRule::new("gemini-3.1-pro", Thinking::Level { minimal: false }, true),
    ModelRule::new("gemini-3", Thinking::Level { minimal: true }, true),
    ModelRule::new(
        "gemini-2.5-pro",
        Thinking::Budget {
            least: 128,
            most: 32_768,
        },
        false,
    ),
    ModelRule::new("", BUDGET, false),
];

const BUDGET: Thinking = Thinking::Budget {
    least: 0,
    most: 24_576,
};

/// For a table in which nothing fits.
static ANY: ModelRule = ModelRule::new("", BUDGET, false);

impl Quirks {
    /// The wire as Google documents it.
    pub const REFERENCE: Self = Self {
        verifies: Cow::Borrowed(&[Cow::Borrowed(OWN_FAMILY)]),
        models: Cow::Borrowed(MODELS),
        lacks: Cow::Borrowed(&[]),
    };

    /// True for a field that the service does not know.
    pub(super) fn lacks(&self, field: &str) -> bool {
        self.lacks.iter().any(|name| name == field)
    }

    /// What is known of a model.
    pub(super) fn rule(&self, model: &str) -> &ModelRule {
        let name = model.rsplit('/').next().unwrap_or(model);
        self.models
            .iter()
            .find(|rule| crate::ladder::begins(name, &rule.prefix))
            .unwrap_or(&ANY)
    }

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
