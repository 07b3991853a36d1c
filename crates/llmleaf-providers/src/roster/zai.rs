//! Z.AI (GLM). The base URL carries a version of its own; the coding plan lives at `/api/coding/paas/v4` with other keys.
//!
//! It also speaks the messages dialect, below `/api/anthropic` and so beside this base URL, not below it.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{
            InstructionRole, OutputCap, ReasoningEcho, ReasoningQuirks, ReasoningRequest,
            RequestQuirks,
        },
    },
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zai",
    aliases: &["z.ai", "glm"],
    title: "Z.AI",
    base_url: Some("https://api.z.ai/api/paas/v4"),
    credential_env: Some("ZAI_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::Completions(QUIRKS),
            Path::Fixed("/chat/completions"),
        )],
        ..Speaks::NOTHING
    },
    source: "docs.z.ai/guides/overview/concept-param and /guides/capabilities/thinking-mode, 2026-11",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // docs.z.ai/guides/overview/concept-param, 2026-11.
        output_cap: OutputCap::MaxTokens,
        // 400 code 1214 "Incorrect role information": github.com/openai/codex issue 9612, 2026-01.
        instructions: InstructionRole::SystemOnly,
        ..RequestQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // docs.z.ai/guides/capabilities/thinking-mode, 2026-11: on and off by `thinking`, reasoning goes back with the calls.
        request: ReasoningRequest::Thinking,
        echo: ReasoningEcho::ReasoningContent,
        ..ReasoningQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};
