//! How services differ, as data.

use crate::chat_completions;
use serde::Deserialize;
use std::borrow::Cow;

/// How one service's completions differ from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// What it has in common with the same service's chat: refused and renamed fields, how its streams end and report.
    pub chat: chat_completions::Quirks,
    /// Beginnings of the names of models that it serves so; the others it serves as chat alone. Empty fits every model.
    pub models: Cow<'static, [Cow<'static, str>]>,
    /// It takes several prompts, and token ids.
    pub lists: bool,
    /// The form of its answers.
    pub answers: Answers,
}

/// The form of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answers {
    /// Completions.
    Text,
    /// Those of chat.
    Chat,
}

impl Quirks {
    /// The wire as OpenAI documents it.
    pub const REFERENCE: Self = Self {
        chat: chat_completions::Quirks::REFERENCE,
        models: Cow::Borrowed(&[]),
        lists: true,
        answers: Answers::Text,
    };

    /// Whether the service completes text with a model.
    pub fn serves(&self, model: &str) -> bool {
        // A tuned model's name says what it was made from.
        let base = model.strip_prefix("ft:").unwrap_or(model);
        let mut models = self.models.iter();
        self.models.is_empty() || models.any(|begin| base.starts_with(&**begin))
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
