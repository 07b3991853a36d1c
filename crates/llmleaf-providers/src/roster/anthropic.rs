//! Anthropic: the reference of the messages wire.

use crate::{Auth, Batches, Chat, Path, Provider, Speaks};
use llmleaf_dialects::batches::BatchWire;
use llmleaf_dialects::{ChatWire, messages::Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "anthropic",
    aliases: &["claude"],
    title: "Anthropic",
    base_url: Some("https://api.anthropic.com"),
    auth: Auth::Header("x-api-key"),
    credential_env: Some("ANTHROPIC_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::Messages(Quirks::REFERENCE),
            Path::Fixed("/v1/messages"),
        )],
        count_tokens: Some(Path::Fixed("/v1/messages/count_tokens")),
        batches: Some(Batches {
            wire: BatchWire::Messages,
            jobs: Path::Fixed("/v1/messages/batches"),
            create: None,
            files: None,
        }),
        ..Speaks::NOTHING
    },
    headers: &[("anthropic-version", "2023-06-01")],
    setting_headers: &[("anthropic_version", "anthropic-version")],
    forwards: &["anthropic-version", "anthropic-beta"],
    source: "Anthropic OpenAPI document, 2026-08",
    ..Provider::TEMPLATE
};
