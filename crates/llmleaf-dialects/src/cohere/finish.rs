//! Finish reasons, both ways.

use llmleaf_model::FinishReason;

/// The class of a finish reason. Words: `ChatFinishReason` of the reference, and those that version 1 had beside them.
pub(super) fn reason(word: &str) -> FinishReason {
    match word {
        "COMPLETE" => FinishReason::Stop,
        "STOP_SEQUENCE" => FinishReason::StopSequence,
        // Also where the window is full: one word for both.
        "MAX_TOKENS" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        "ERROR" | "TIMEOUT" => FinishReason::Error,
        "ERROR_TOXIC" => FinishReason::ContentFilter,
        "ERROR_LIMIT" => FinishReason::ContextWindow,
        _ => FinishReason::Other,
    }
}

/// This wire's nearest word for a class, and whether it means the same.
pub(super) fn word(reason: FinishReason) -> (&'static str, bool) {
    match reason {
        FinishReason::Stop => ("COMPLETE", true),
        FinishReason::StopSequence => ("STOP_SEQUENCE", true),
        FinishReason::Length | FinishReason::ContextWindow => ("MAX_TOKENS", true),
        FinishReason::ToolCalls => ("TOOL_CALL", true),
        FinishReason::Error => ("ERROR", true),
        // A word of version 1: the newer one has none, and an answer that was stopped is not complete.
        FinishReason::ContentFilter | FinishReason::Refusal => ("ERROR_TOXIC", false),
        FinishReason::Pause | FinishReason::Unstated | FinishReason::Other => ("COMPLETE", false),
    }
}
