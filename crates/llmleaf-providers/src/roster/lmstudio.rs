//! LM Studio: open models on a machine of one's own.
//!
//! Its native API, version 1, takes one message and keeps the conversation itself, and has no tools of the consumer
//! (lmstudio.ai/docs/developer/rest, 2026-04); its version 0 is the wire of chat completions with figures beside
//! (`endpoint = "http://localhost:1234/api/v0"` asks that one). So it is called over the wires that can say everything.

use crate::{Chat, Embeddings, Path, Provider, Speaks};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{CustomTools, OutputCap, RequestQuirks},
    },
    responses, text_completions,
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "lmstudio",
    aliases: &["lm-studio"],
    title: "LM Studio",
    base_url: Some("http://localhost:1234/v1"),
    credential_env: Some("LM_API_TOKEN"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(ChatWire::Responses(RESPONSES), Path::Fixed("/responses")),
            // developer/openai-compat/completions, 2026-04.
            Chat::Wire(
                ChatWire::TextCompletions(text_completions::Quirks {
                    chat: QUIRKS,
                    ..text_completions::Quirks::REFERENCE
                }),
                Path::Fixed("/completions"),
            ),
        ],
        // developer/openai-compat/embeddings, 2026-04.
        embeddings: &[Embeddings::PLAIN],
        ..Speaks::NOTHING
    },
    source: "lmstudio-ai/docs, developer/openai-compat and developer/rest, 2026-04; recordings of 2026",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // "Supported payload parameters": developer/openai-compat/chat-completions, 2026-04.
        output_cap: OutputCap::MaxTokens,
        // Parts are text and images, tools are functions (developer/openai-compat/tools, 2026-04).
        files: false,
        custom_tools: CustomTools::AsFunctions,
        ..RequestQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};

const RESPONSES: responses::Quirks = responses::Quirks {
    // It issues no artefacts: nothing that others sealed can be proven to it.
    verifies: Cow::Borrowed(&[]),
    ..responses::Quirks::REFERENCE
};
