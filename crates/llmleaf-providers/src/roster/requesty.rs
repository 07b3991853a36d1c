//! Requesty: a router in front of many services.

use crate::{Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{Quirks, quirks::RequestQuirks},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "requesty",
    title: "Requesty",
    base_url: Some("https://router.requesty.ai/v1"),
    credential_env: Some("REQUESTY_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::Completions(QUIRKS),
            Path::Fixed("/chat/completions"),
        )],
        embeddings: &[Embeddings::PLAIN],
        ..Speaks::NOTHING
    },
    setting_headers: &[("http_referer", "http-referer"), ("x_title", "x-title")],
    source: "docs.aurelio.ai client reference for Requesty (base, key), 2026-11",
    ..Provider::TEMPLATE
};

// `cache_control` on parts as OpenRouter takes it: github.com/career-ops-hq/career-ops pull 4030, 2026-09.
const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        cache_control: true,
        ..RequestQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};
