//! DeepInfra: hosts open models.

use crate::{Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire, EmbeddingWire,
    chat_completions::{
        Quirks,
        quirks::{CustomTools, InstructionRole, OutputCap, RequestQuirks},
    },
    embeddings::{OpenAiInputs, OpenAiQuirks},
    text_completions,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "deepinfra",
    aliases: &["deep-infra"],
    title: "DeepInfra",
    base_url: Some("https://api.deepinfra.com/v1/openai"),
    credential_env: Some("DEEPINFRA_TOKEN"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            // "completion, both streaming and regular, supported for all LLMs": deepinfra.com/docs/advanced/openai_api, 2026-11.
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/completions"),
            ),
        ],
        // Texts, `dimensions`, floats and base64: docs.deepinfra.com/api-reference/openai-embeddings-1, 2026-11.
        embeddings: &[Embeddings::Wire(
            EmbeddingWire::OpenAi(OpenAiQuirks {
                inputs: OpenAiInputs::Texts,
                ..OpenAiQuirks::REFERENCE
            }),
            Path::Fixed("/embeddings"),
        )],
        ..Speaks::NOTHING
    },
    source: "docs.deepinfra.com/chat/overview and /api-reference/openai-chat-completions-1, 2026-11",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // The reference lists `max_tokens` alone.
        output_cap: OutputCap::MaxTokens,
        // "Roles: system, user, assistant", and tool.
        instructions: InstructionRole::SystemOnly,
        // A tool's `type` is `function`.
        custom_tools: CustomTools::AsFunctions,
        ..RequestQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    ..text_completions::Quirks::REFERENCE
};
