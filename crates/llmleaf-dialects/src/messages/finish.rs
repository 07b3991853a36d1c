//! Stop reasons, both ways.

use crate::object::{Object, string};
use llmleaf_model::{Finish, FinishReason, Rest};

/// Facts of an answer's end that come beside the stop reason, in the order this wire writes them.
pub(super) const END_FACTS: [&str; 3] = ["container", "stop_details", "context_management"];

/// The class of a stop reason.
///
/// Words: Anthropic's reference of 2026-10-21, and `compaction` of its betas (the turn goes on when sent back).
pub(super) fn reason(word: &str) -> FinishReason {
    match word {
        "end_turn" => FinishReason::Stop,
        "max_tokens" => FinishReason::Length,
        "stop_sequence" => FinishReason::StopSequence,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        "pause_turn" | "compaction" => FinishReason::Pause,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        _ => FinishReason::Other,
    }
}

/// This wire's nearest word for a class, and whether it means the same.
pub(super) fn word(reason: FinishReason) -> (&'static str, bool) {
    match reason {
        FinishReason::Stop => ("end_turn", true),
        FinishReason::Length => ("max_tokens", true),
        FinishReason::StopSequence => ("stop_sequence", true),
        FinishReason::ToolCalls => ("tool_use", true),
        FinishReason::Refusal => ("refusal", true),
        // Its refusals are also what its classifiers stop.
        FinishReason::ContentFilter => ("refusal", true),
        FinishReason::Pause => ("pause_turn", true),
        FinishReason::ContextWindow => ("model_context_window_exceeded", true),
        FinishReason::Unstated | FinishReason::Other | FinishReason::Error => ("end_turn", false),
    }
}

/// Takes the end of an answer out of an object that holds `stop_reason`; `None` where that is missing.
pub(super) fn take(object: &mut Object<'_>) -> Option<Finish> {
    let mut rest = Rest::default();
    for name in END_FACTS {
        if let Some(value) = object.take(name) {
            rest.push(name, value.into());
        }
    }
    let stop_sequence = object.take("stop_sequence").and_then(string);
    let native = object.take("stop_reason").and_then(string)?.into_owned();
    Some(Finish {
        reason: reason(&native),
        native: Some(native),
        stop_sequence: stop_sequence.map(std::borrow::Cow::into_owned),
        rest,
    })
}
