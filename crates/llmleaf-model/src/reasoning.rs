//! Reasoning: what the model thought, the opaque proof of it, and how much of it is wanted.

use crate::Rest;
use std::borrow::Cow;

/// One stretch of reasoning in a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// Item id, in dialects whose reasoning items have one.
    pub id: Option<String>,
    /// Readable text, in order; empty where the provider shows none.
    pub texts: Vec<ReasoningText>,
    /// Opaque proof; must come back to its issuer unchanged. Kept also when the text is empty.
    pub artefact: Option<Artefact>,
}

impl Reasoning {
    /// All text joined, summaries included.
    pub fn joined(&self) -> String {
        self.texts.iter().map(|t| t.text.as_str()).collect()
    }
}

/// A piece of readable reasoning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasoningText {
    /// Whole thoughts or a summary of them.
    pub form: ReasoningForm,
    /// The words.
    pub text: String,
}

/// Whole thoughts or a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReasoningForm {
    /// The thoughts as the model wrote them, or as the provider shows them.
    #[default]
    Full,
    /// A summary made by the provider.
    Summary,
}

/// Opaque bytes with provenance: a signature, an encrypted thought, a thought signature.
///
/// Never interpreted, never dropped for being empty, and never sent to a provider whose family is not
/// the provenance: a foreign artefact is refused upstream with a 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// Who can verify it.
    pub provenance: Provenance,
    /// Proof of readable text, or the thought itself in sealed form.
    pub kind: ArtefactKind,
    /// The bytes, as written on the wire.
    pub data: String,
}

/// The family of services that can verify an artefact (`"anthropic-claude-v1"`, `"openai-responses-v1"`…).
///
/// The values are those of the `format` field of OpenRouter's `reasoning_details`, which is the one
/// vocabulary that clients already echo; `unknown` where the wire does not say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance(pub Cow<'static, str>);

impl Provenance {
    /// The wire did not say.
    pub const UNKNOWN: Self = Self(Cow::Borrowed("unknown"));
}

/// Kind of artefact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArtefactKind {
    /// Proves the readable text beside it.
    Signature,
    /// The thought itself, sealed.
    Encrypted,
}

/// How much reasoning the consumer wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReasoningConfig {
    /// On, off, or left to the model.
    pub mode: Option<ReasoningMode>,
    /// Rung of the ladder.
    pub effort: Option<Effort>,
    /// Most tokens to spend on reasoning.
    pub budget_tokens: Option<u64>,
    /// The reasoning must not be shown in the answer.
    pub hidden: Option<bool>,
    /// How to summarise (`auto`, `concise`, `detailed`, `summarized`, `omitted`), as written.
    pub summary: Option<String>,
    /// The request says nothing of it; the configuration does. It is then in no wire's own words yet.
    pub unasked: bool,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

impl ReasoningConfig {
    /// The model must not reason.
    pub fn is_off(&self) -> bool {
        self.mode == Some(ReasoningMode::Disabled) || self.effort == Some(Effort::None)
    }
}

/// Whether the model reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasoningMode {
    /// It must.
    Enabled,
    /// It must not.
    Disabled,
    /// It decides.
    Adaptive,
}

/// The one effort ladder, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// No reasoning.
    None,
    /// As little as the model can.
    Minimal,
    /// Little.
    Low,
    /// The usual amount.
    Medium,
    /// Much.
    High,
    /// More.
    XHigh,
    /// As much as the model can.
    Max,
}

impl Effort {
    /// Every rung, lowest first.
    pub const LADDER: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::XHigh,
        Self::Max,
    ];

    /// Reads a rung; `med` and `highx` are spellings that earlier configs used.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" | "med" => Self::Medium,
            "high" => Self::High,
            "xhigh" | "highx" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The rung's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }
}
