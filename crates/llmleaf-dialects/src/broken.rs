//! Answers that break their wire: what every decoder says of them. The provider worked for each, so it may bill it.

use llmleaf_framing::MultipartError;
use llmleaf_model::{Failure, FailureKind};
use std::borrow::Cow;
use std::fmt::Display;

/// Why a consumer's form cannot be read.
pub fn malformed(error: MultipartError) -> Failure {
    Failure::invalid(error.to_string(), None)
}

/// A frame that breaks the wire's own rules.
pub(crate) struct Broken(pub Cow<'static, str>);

impl Broken {
    /// The failure of the stream that it ends.
    pub fn failure(self) -> Failure {
        let Self(why) = self;
        billed(
            FailureKind::InvalidResponse,
            format!("the provider broke its own stream format: {why}"),
        )
    }
}

/// What [`corrupt`] calls a whole answer.
pub(crate) const ANSWER: &str = "an answer";

/// The failure of a whole answer, or of a chunk of one (`what`), that cannot be read.
pub(crate) fn corrupt(what: &str, why: impl Display) -> Failure {
    let message = format!("the provider sent {what} that is not valid: {why}");
    billed(FailureKind::InvalidResponse, message)
}

/// The failure of a stream that ended too early: before or without what.
pub(crate) fn truncated(what: &str) -> Failure {
    let message = format!("the provider's stream ended {what}");
    billed(FailureKind::Truncated, message)
}

fn billed(kind: FailureKind, message: String) -> Failure {
    let mut failure = Failure::upstream(kind, message);
    failure.possibly_billed = true;
    failure
}
