//! How an answer ends.

use crate::object::{self, Object};
use crate::writer::json_object;
use llmleaf_model::{Failure, Json};

/// How an answer ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is whole.
    Completed { usage: Option<String> },
    /// It was cut short: why.
    Incomplete {
        reason: String,
        usage: Option<String>,
    },
    /// It failed.
    Failed {
        kind: String,
        code: String,
        message: String,
    },
    /// Nobody wanted it any more: why.
    Cancelled(&'static str),
    /// Its model says more than a session holds, and is stopped.
    TooLong,
}

impl Ending {
    /// By what an error says.
    pub fn failed(said: &Object<'_>) -> Self {
        let word = |name: &str| {
            let text = said.get(name).and_then(object::string);
            text.map(std::borrow::Cow::into_owned)
        };
        Self::Failed {
            kind: word("type").unwrap_or_else(|| "server_error".to_owned()),
            code: word("code").unwrap_or_default(),
            message: word("message").unwrap_or_else(|| "the answer failed".to_owned()),
        }
    }

    /// By what went wrong here.
    pub fn of(failure: &Failure, code: &str) -> Self {
        Self::Failed {
            kind: "server_error".to_owned(),
            code: failure.code.clone().unwrap_or_else(|| code.to_owned()),
            message: failure.message.clone(),
        }
    }

    /// Whoever makes it is to stop.
    pub fn stops(&self) -> bool {
        matches!(self, Self::Cancelled(_) | Self::TooLong)
    }

    /// How it is called, its details, and what was used.
    pub fn told(&self) -> (&'static str, Option<Json>, Option<&str>) {
        let detail = |kind: &str, reason: &str| {
            json_object(|details| {
                details.string("type", kind).string("reason", reason);
            })
        };
        match self {
            Self::Completed { usage } => ("completed", None, usage.as_deref()),
            Self::Incomplete { reason, usage } => {
                let details = detail("incomplete", reason);
                ("incomplete", Some(details), usage.as_deref())
            }
            Self::Cancelled(why) => ("cancelled", Some(detail("cancelled", why)), None),
            Self::Failed {
                kind,
                code,
                message,
            } => ("failed", Some(failed(kind, code, message)), None),
            Self::TooLong => {
                let message = "the answer is too long for this gateway, which stopped it";
                let details = failed("server_error", "answer_too_long", message);
                ("failed", Some(details), None)
            }
        }
    }
}

fn failed(kind: &str, code: &str, message: &str) -> Json {
    json_object(|details| {
        details.string("type", "failed").object("error", |error| {
            error
                .string("type", kind)
                .string("code", code)
                .string("message", message);
        });
    })
}
