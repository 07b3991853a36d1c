//! Cohere: the reference of its own wire.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::ChatWire;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cohere",
    title: "Cohere",
    base_url: Some("https://api.cohere.com"),
    credential_env: Some("CO_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(ChatWire::CohereChat, Path::Fixed("/v2/chat"))],
        ..Speaks::NOTHING
    },
    // The name of the project that asks, for its own statistics.
    forwards: &["x-client-name"],
    source: "Cohere OpenAPI document 1.0, 2026-08; recordings of 2025 and 2026",
    ..Provider::TEMPLATE
};
