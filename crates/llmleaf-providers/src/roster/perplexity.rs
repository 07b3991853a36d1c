//! Perplexity: the Orchestrator API.
//!
//! The Sonar chat completions at `https://api.perplexity.ai/chat/completions` ended on 2026-09-27
//! (docs.perplexity.ai/docs/agent-api/migrate-from-sonar/how-to, 2026-11); models are named as in the Orchestrator's
//! catalogue. The recordings are of Sonar.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{EndMarker, StreamQuirks},
    },
    messages,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "perplexity",
    title: "Perplexity",
    base_url: Some("https://api.perplexity.ai/orchestrator/v1"),
    credential_env: Some("PERPLEXITY_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::Messages(messages::Quirks::REFERENCE),
                Path::Fixed("/messages"),
            ),
        ],
        ..Speaks::NOTHING
    },
    source: "docs.perplexity.ai/docs/orchestrator/faq, 2026-11",
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
