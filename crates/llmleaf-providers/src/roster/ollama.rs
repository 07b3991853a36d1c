//! Ollama: open models on a machine of one's own, or in its cloud (`endpoint = "https://ollama.com"` with a key).
//!
//! Its other surfaces are younger than the wire of chat completions, so a consumer of another dialect gets its own wire.

use crate::{Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::{ChatWire, EmbeddingWire, ollama::Quirks};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ollama",
    title: "Ollama",
    base_url: Some("http://localhost:11434"),
    credential_env: Some("OLLAMA_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Ollama(Quirks::REFERENCE),
                Path::Fixed("/api/chat"),
            ),
            Chat::Wire(
                ChatWire::Ollama(Quirks::GENERATE),
                Path::Fixed("/api/generate"),
            ),
        ],
        embeddings: &[
            Embeddings::Wire(EmbeddingWire::Lines, Path::Fixed("/api/embed")),
            Embeddings::Wire(EmbeddingWire::LinesPrompt, Path::Fixed("/api/embeddings")),
        ],
        ..Speaks::NOTHING
    },
    source: "docs/openapi.yaml and docs/api.md of ollama/ollama, 2026-08; recordings of 2024 to 2026",
    ..Provider::TEMPLATE
};
