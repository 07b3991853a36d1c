//! What a rendering could not express.

use std::borrow::Cow;

/// One thing that did not survive a translation, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where, as a path in the consumer's request or the provider's answer (`messages[2].content[0]`).
    pub field: String,
    /// What happened to it.
    pub kind: LossKind,
    /// Why, in a few words.
    pub why: Cow<'static, str>,
}

/// What happened to a lost thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// Gone.
    Dropped,
    /// Sent with another value.
    Altered,
    /// Sent as the nearest thing that the target has.
    Approximated,
}

impl LossKind {
    /// Lower-case name, as it stands in `x-llmleaf-loss`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Altered => "altered",
            Self::Approximated => "approximated",
        }
    }
}

impl Loss {
    /// A field that is gone.
    pub fn dropped(field: impl Into<String>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            kind: LossKind::Dropped,
            why: why.into(),
        }
    }

    /// A field sent with another value.
    pub fn altered(field: impl Into<String>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            kind: LossKind::Altered,
            why: why.into(),
        }
    }

    /// A field sent as the nearest thing that the target has.
    pub fn approximated(field: impl Into<String>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            kind: LossKind::Approximated,
            why: why.into(),
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.kind.as_str(), self.field, self.why)
    }
}
