//! Finish reasons, both ways.

use llmleaf_model::FinishReason;

/// The class of a finish reason, which may come as the number of its enum (`enum-encoding=int`).
///
/// Words: the discovery documents of generativelanguage v1beta (2026-08) and aiplatform v1 (2026-11). Their numbers agree
/// up to 5, and 7 and 8 are filters in both.
pub(super) fn reason(word: &str) -> FinishReason {
    match word {
        "STOP" | "1" => FinishReason::Stop,
        "MAX_TOKENS" | "2" => FinishReason::Length,
        "SAFETY"
        | "3"
        | "RECITATION"
        | "4"
        | "BLOCKLIST"
        | "7"
        | "PROHIBITED_CONTENT"
        | "8"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR" => FinishReason::ContentFilter,
        // The model did what it must not: there is no answer to use.
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => FinishReason::Error,
        "FINISH_REASON_UNSPECIFIED" | "0" => FinishReason::Unstated,
        // OTHER, LANGUAGE, NO_IMAGE, IMAGE_OTHER, ESCALATION, and words to come.
        _ => FinishReason::Other,
    }
}

/// This wire's nearest word for a class, and whether it means the same.
pub(super) fn word(reason: FinishReason) -> (&'static str, bool) {
    match reason {
        // A stop text, and calls that wait for results, end an answer here like any other.
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls => ("STOP", true),
        FinishReason::Length => ("MAX_TOKENS", true),
        FinishReason::ContextWindow => ("MAX_TOKENS", false),
        FinishReason::ContentFilter => ("SAFETY", true),
        FinishReason::Refusal => ("SAFETY", false),
        FinishReason::Pause | FinishReason::Unstated => ("STOP", false),
        FinishReason::Error | FinishReason::Other => ("OTHER", true),
    }
}

#[cfg(test)]
mod tests {
    use super::{reason, word};
    use llmleaf_model::FinishReason;

    #[test]
    fn every_word_that_is_written_reads_as_its_class() {
        for class in [
            FinishReason::Stop,
            FinishReason::Length,
            FinishReason::ContentFilter,
            FinishReason::Other,
        ] {
            assert_eq!(word(class), (word(class).0, true));
            assert_eq!(reason(word(class).0), class);
        }
        assert_eq!(reason("A_WORD_TO_COME"), FinishReason::Other);
        assert_eq!(word(FinishReason::Unstated), ("STOP", false));
    }
}
