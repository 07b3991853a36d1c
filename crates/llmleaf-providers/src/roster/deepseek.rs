//! DeepSeek. The base URL has no `/v1`.
//!
//! It also speaks the messages dialect below `/anthropic`; that is not listed here, because an `endpoint` that ends in
//! `/v1` (as many configs have it) would lead to a path that does not exist.

use crate::{Chat, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{
            CustomTools, InstructionRole, OutputCap, ReasoningEcho, ReasoningQuirks,
            ReasoningRequest, RequestQuirks, SchemaSupport,
        },
    },
    text_completions,
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "deepseek",
    title: "DeepSeek",
    base_url: Some("https://api.deepseek.com"),
    credential_env: Some("DEEPSEEK_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/beta/completions"),
            ),
        ],
        ..Speaks::NOTHING
    },
    source: "api-docs.deepseek.com/api/create-chat-completion, 2026-11",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        output_cap: OutputCap::MaxTokens,
        // 400 "unknown variant `developer`": github.com/earendil-works/pi issue 1048, 2026-01; still so 2026-07.
        instructions: InstructionRole::SystemOnly,
        // 400 "This response_format type is unavailable now": github.com/UKGovernmentBEIS/inspect_ai issue 4916, 2026-08.
        schema: SchemaSupport::JsonObject,
        // Recorded: "unknown variant `file`, expected `text`".
        files: false,
        // Functions are all the tools of the consumer there are: api-docs.deepseek.com/api/create-chat-completion: "Currently, only functions are supported as a tool.".
        custom_tools: CustomTools::AsFunctions,
        ..RequestQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // On and off by `thinking`, the effort beside it; earlier reasoning: 400 "must be passed back" in turns with tool calls: api-docs.deepseek.com/guides/thinking_mode, 2026-11.
        request: ReasoningRequest::Thinking,
        echo: ReasoningEcho::ReasoningContent,
        ..ReasoningQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    // "FIM Completion (Beta)", api-docs.deepseek.com, 2026-11: one prompt, for these models.
    models: Cow::Borrowed(&[
        Cow::Borrowed("deepseek-chat"),
        Cow::Borrowed("deepseek-v4-pro"),
    ]),
    lists: false,
    ..text_completions::Quirks::REFERENCE
};
