//! The variations this wire is known to have, as data.

use llmleaf_model::DialectName;
use serde::Deserialize;
use std::borrow::Cow;

/// Which of the two endpoints is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `/api/chat`: a conversation.
    #[default]
    Chat,
    /// `/api/generate`: one prompt.
    Generate,
}

impl Form {
    /// Its name in the model.
    pub fn name(self) -> DialectName {
        match self {
            Self::Chat => DialectName::OllamaChat,
            Self::Generate => DialectName::OllamaGenerate,
        }
    }
}

/// Whether a dialect is one of the two forms: they share their options.
pub(super) fn is_kin(dialect: DialectName) -> bool {
    matches!(
        dialect,
        DialectName::OllamaChat | DialectName::OllamaGenerate
    )
}

/// How one service's wire differs from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// The endpoint.
    pub form: Form,
    /// What is known of models by the beginning of their name; the first that fits counts.
    pub models: Cow<'static, [ModelRule]>,
}

/// What is known of a family of models.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRule {
    /// Beginning of the name; empty fits every model.
    pub prefix: Cow<'static, str>,
    /// How an effort is asked for.
    pub thinking: Thinking,
}

/// How an effort is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinking {
    /// On or off.
    Switch,
    /// `low`, `medium` or `high`; it cannot be switched off.
    Levels,
}

/// Source: "Thinking", docs.ollama.com/capabilities/thinking, read 2026-11: levels are for GPT-OSS, which ignores true and
/// false; all others take true and false, and the service refuses levels for models that have none.
const MODELS: &[ModelRule] = &[
    ModelRule {
        prefix: Cow::Borrowed("gpt-oss"),
        thinking: Thinking::Levels,
    },
    ANY,
];

const ANY: ModelRule = ModelRule {
    prefix: Cow::Borrowed(""),
    thinking: Thinking::Switch,
};

impl Quirks {
    /// `/api/chat` as Ollama documents it.
    pub const REFERENCE: Self = Self {
        form: Form::Chat,
        models: Cow::Borrowed(MODELS),
    };

    /// `/api/generate` as Ollama documents it.
    pub const GENERATE: Self = Self {
        form: Form::Generate,
        models: Cow::Borrowed(MODELS),
    };

    /// How a model is asked to think.
    pub(super) fn thinking(&self, model: &str) -> Thinking {
        let name = model.rsplit('/').next().unwrap_or(model);
        self.models
            .iter()
            .find(|rule| crate::ladder::begins(name, &rule.prefix))
            .map_or(Thinking::Switch, |rule| rule.thinking)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
