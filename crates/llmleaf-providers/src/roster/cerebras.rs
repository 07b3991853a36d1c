//! Cerebras: hosts open models.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{EndMarker, StreamQuirks},
    },
    text_completions,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cerebras",
    title: "Cerebras",
    base_url: Some("https://api.cerebras.ai/v1"),
    credential_env: Some("CEREBRAS_API_KEY"),
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
        ..Speaks::NOTHING
    },
    source: "inference-docs.cerebras.ai/resources/openai, 2026-11",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    stream: StreamQuirks {
        // No recorded stream of this service has `[DONE]`.
        end: EndMarker::Finish,
        ..StreamQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    ..text_completions::Quirks::REFERENCE
};
