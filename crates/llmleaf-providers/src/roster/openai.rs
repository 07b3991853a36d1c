//! OpenAI: the reference of two wires.

use crate::{Batches, Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::batches::FilesQuirks;
use llmleaf_dialects::{ChatWire, chat_completions::Quirks, responses};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    credential_env: Some("OPENAI_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(Quirks::REFERENCE),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::Responses(responses::Quirks::REFERENCE),
                Path::Fixed("/responses"),
            ),
        ],
        embeddings: Some(Embeddings::OPENAI),
        batches: Some(Batches::files(FilesQuirks::REFERENCE)),
        ..Speaks::NOTHING
    },
    setting_headers: &[("organization", "openai-organization")],
    source: "OpenAI OpenAPI document 2.3.0, 2026-08",
    ..Provider::TEMPLATE
};
