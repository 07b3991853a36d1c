//! Azure OpenAI: deployments are part of the path, the key has a header of its own.

use crate::{Auth, Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::EmbeddingWire;
use llmleaf_dialects::embeddings::OpenAiQuirks;
use llmleaf_dialects::{ChatWire, chat_completions::Quirks, responses};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure-openai",
    aliases: &["azure"],
    title: "Azure OpenAI",
    auth: Auth::Header("api-key"),
    credential_env: Some("AZURE_OPENAI_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(Quirks::REFERENCE),
                Path::Deployment("/chat/completions"),
            ),
            Chat::Wire(ChatWire::Responses(RESPONSES), Path::Resource("/responses")),
        ],
        embeddings: Some(Embeddings::Wire(
            EmbeddingWire::OpenAi(OpenAiQuirks::REFERENCE),
            Path::Deployment("/embeddings"),
        )),
        ..Speaks::NOTHING
    },
    source: "Microsoft Learn, Azure OpenAI REST reference, 2026-11",
    ..Provider::TEMPLATE
};

const RESPONSES: responses::Quirks = responses::Quirks {
    // Its keys are its own: the family's name is that of OpenRouter's ReasoningFormat.
    verifies: Cow::Borrowed(&[Cow::Borrowed("azure-openai-responses-v1")]),
    ..responses::Quirks::REFERENCE
};
