//! Reasons of an end, both ways.

use llmleaf_model::FinishReason;

/// The class of a `done_reason`. The service writes `stop`, `length`, `load` and `unload` (its `llm` package and `docs/api.md`,
/// read 2026-11); the others are what [`word`] writes.
pub(super) fn reason(word: &str) -> FinishReason {
    match word {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        "error" => FinishReason::Error,
        "" => FinishReason::Unstated,
        // `load`, `unload`, and words to come.
        _ => FinishReason::Other,
    }
}

/// This wire's word for a class, and whether it is one of its own.
pub(super) fn word(reason: FinishReason) -> (&'static str, bool) {
    match reason {
        // A stop text, and calls that wait for results, end an answer here like any other.
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => ("stop", true),
        FinishReason::Length => ("length", true),
        FinishReason::ContextWindow => ("length", false),
        FinishReason::Pause | FinishReason::Other | FinishReason::Unstated => ("stop", false),
        // Clients hand the word on as it is, and `stop` would be a lie.
        FinishReason::ContentFilter => ("content_filter", false),
        FinishReason::Refusal => ("refusal", false),
        FinishReason::Error => ("error", false),
    }
}
