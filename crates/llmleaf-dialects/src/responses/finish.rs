//! Why an answer ended, both ways: a status, and a reason where it is incomplete.

use crate::object::{Object, string};
use llmleaf_model::{Finish, FinishReason};

/// Reads the end of a response object. `called` says that a tool of the consumer was called.
pub(super) fn read(response: &Object<'_>, called: bool) -> Finish {
    let status = response.get("status").and_then(string).unwrap_or_default();
    match &*status {
        "incomplete" => {
            let details = response
                .get("incomplete_details")
                .and_then(Object::from_raw);
            let reason = details
                .as_ref()
                .and_then(|details| details.get("reason").and_then(string));
            match reason {
                Some(word) => Finish::new(incomplete(&word), word),
                None => Finish::new(FinishReason::Other, status),
            }
        }
        "completed" | "" if called => Finish::new(FinishReason::ToolCalls, "completed"),
        "completed" | "" => Finish::new(FinishReason::Stop, "completed"),
        // It works on in the background; what there is so far is no answer that ended.
        _ => Finish::new(FinishReason::Unstated, status),
    }
}

fn incomplete(word: &str) -> FinishReason {
    match word {
        "max_output_tokens" | "max_tokens" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    }
}

/// How an answer ends on this wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    /// With the reason.
    Incomplete(&'static str),
    /// The provider ended it with an error.
    Failed,
}

/// The ending for a class, and whether it means the same. `refused` says that the answer holds a refusal in words.
pub(super) fn ending(reason: FinishReason, refused: bool) -> (Ending, bool) {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => (Ending::Completed, true),
        // The wire has no stop texts, so an answer that ends at one is complete.
        FinishReason::StopSequence => (Ending::Completed, true),
        FinishReason::Refusal if refused => (Ending::Completed, true),
        FinishReason::Length => (Ending::Incomplete("max_output_tokens"), true),
        FinishReason::ContextWindow => (Ending::Incomplete("max_output_tokens"), false),
        FinishReason::ContentFilter | FinishReason::Refusal => {
            (Ending::Incomplete("content_filter"), true)
        }
        FinishReason::Pause | FinishReason::Unstated | FinishReason::Other => {
            (Ending::Completed, false)
        }
        FinishReason::Error => (Ending::Failed, true),
    }
}
