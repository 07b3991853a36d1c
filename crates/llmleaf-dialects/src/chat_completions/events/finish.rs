//! Finish reasons.

use llmleaf_model::{Finish, FinishReason};

/// Reads a finish reason; `native` is the word of the service behind a router.
pub(crate) fn parse_finish(word: &str, native: Option<&str>) -> Finish {
    let reason = match word {
        "stop" | "eos" | "end_turn" | "eos_token" | "completed" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextWindow,
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        "content_filter" | "content_filtered" | "sensitive" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        "error" | "network_error" => FinishReason::Error,
        _ => FinishReason::Other,
    };
    Finish::new(reason, native.filter(|n| !n.is_empty()).unwrap_or(word))
}
