//! Fireworks: hosts open models.

use crate::{Chat, Embeddings, Path, Provider, Rerank, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{ReasoningEcho, ReasoningQuirks, StreamQuirks, StreamUsage},
    },
    text_completions,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "fireworks",
    title: "Fireworks AI",
    base_url: Some("https://api.fireworks.ai/inference/v1"),
    credential_env: Some("FIREWORKS_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/completions"),
            ),
        ],
        embeddings: &[Embeddings::PLAIN],
        rerank: &[Rerank::PLAIN],
        ..Speaks::NOTHING
    },
    source: "fireworks.ai/docs/tools-sdks/openai-compatibility, 2026-11",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    stream: StreamQuirks {
        // Recorded: usage in the last chunk, not asked for.
        usage: StreamUsage::Always,
        ..StreamQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // docs.fireworks.ai/guides/reasoning (interleaved and preserved thinking), 2026-11.
        echo: ReasoningEcho::ReasoningContent,
        ..ReasoningQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    ..text_completions::Quirks::REFERENCE
};
