//! Requesty: a router in front of many services.

use crate::{Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{ReasoningQuirks, RequestQuirks},
    },
};
use std::borrow::Cow;

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
    reasoning: ReasoningQuirks {
        // It offers the models that want the proofs of their calls back; where they stand on this wire, "extra_content" of the calls, their
        // maker says (ai.google.dev/gemini-api/docs/thought-signatures, 2026-11). The router itself says nothing of it.
        verifies: Cow::Borrowed(&[Cow::Borrowed("google-gemini-v1")]),
        ..ReasoningQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};
