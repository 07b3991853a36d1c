//! Moonshot (Kimi).
//!
//! It also speaks the messages dialect, below `/anthropic` and so beside this base URL, not below it.

use crate::{Batches, Chat, Path, Provider, Speaks};
use llmleaf_dialects::batches::FilesQuirks;
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{
            CustomTools, InstructionRole, ReasoningEcho, ReasoningQuirks, ReasoningRequest,
            RequestQuirks, StrictTools, ToolSchemas,
        },
    },
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "moonshot",
    aliases: &["kimi", "kimi-k2"],
    title: "Moonshot AI",
    semantic: Some("moonshot_ai"),
    base_url: Some("https://api.moonshot.ai/v1"),
    credential_env: Some("MOONSHOT_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::Completions(QUIRKS),
            Path::Fixed("/chat/completions"),
        )],
        batches: Some(Batches::files(FilesQuirks::CHAT)),
        ..Speaks::NOTHING
    },
    source: "Kimi OpenAPI document 1.0.0 (platform.kimi.ai), 2026-08",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // Message of the OpenAPI document: the roles are system, user, assistant and tool; parts are text, image and video.
        instructions: InstructionRole::SystemOnly,
        files: false,
        // Functions are all the tools of the consumer there are: ToolDefinition of its OpenAPI document 1.0.0.
        custom_tools: CustomTools::AsFunctions,
        // "not a valid moonshot flavored json schema": github.com/MoonshotAI/kimi-cli issue 1595, 2026.
        tool_schemas: ToolSchemas::TypedBranches,
        // "Defaults to true": every schema of its flavour is held to (ToolDefinition of its OpenAPI document 1.0.0).
        strict_tools: StrictTools::AnySchema,
        // In the schema of none of its models (OpenAPI document 1.0.0, 2026-08).
        unsupported: Cow::Borrowed(&[Cow::Borrowed("seed")]),
        // The schemas of these models have none of the fields, and the service says
        // "invalid temperature: only 1 is allowed for this model" (dev.to/aihubmix on Kimi K3.1, read 2026-11).
        fixed_sampling: Cow::Borrowed(&[Cow::Borrowed("kimi-k2."), Cow::Borrowed("kimi-k3")]),
        ..RequestQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // `thinking` of its OpenAPI document 1.0.0: a switch, but with K3, which has `reasoning_effort`, and moonshot-v1, which has neither.
        request: ReasoningRequest::Thinking,
        // 400 "reasoning_content is missing in assistant tool call message": github.com/continuedev/continue issue 11600, 2026.
        echo: ReasoningEcho::ReasoningContent,
        ..ReasoningQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};
