//! xAI. Its documentation calls chat completions deprecated in favour of responses (2026-11); they work.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::{ChatWire, chat_completions::Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "xai",
    aliases: &["grok"],
    title: "xAI",
    base_url: Some("https://api.x.ai/v1"),
    credential_env: Some("XAI_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::Completions(Quirks::REFERENCE),
            Path::Fixed("/chat/completions"),
        )],
        ..Speaks::NOTHING
    },
    source: "docs.x.ai, 2026-11; recordings of api.x.ai",
    ..Provider::TEMPLATE
};
