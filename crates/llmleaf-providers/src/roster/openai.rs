//! OpenAI: the reference wire itself.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::{ChatWire, chat_completions::Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    credential_env: Some("OPENAI_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::Completions(Quirks::REFERENCE),
            Path::Fixed("/chat/completions"),
        )],
        ..Speaks::NOTHING
    },
    setting_headers: &[("organization", "openai-organization")],
    source: "OpenAI OpenAPI document 2.3.0, 2026-08",
    ..Provider::TEMPLATE
};
