//! xAI. Its documentation calls chat completions deprecated in favour of responses (2026-11); they work.

use crate::{Batches, Chat, ImageService, Images, Path, Provider, Realtime, Speaks};
use llmleaf_dialects::batches::BatchWire;
use llmleaf_dialects::images::{
    self,
    quirks::{References, Size},
};
use llmleaf_dialects::{ChatWire, ImageWire, chat_completions::Quirks, responses};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "xai",
    aliases: &["grok"],
    title: "xAI",
    semantic: Some("x_ai"),
    base_url: Some("https://api.x.ai/v1"),
    credential_env: Some("XAI_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(Quirks::REFERENCE),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(ChatWire::Responses(RESPONSES), Path::Fixed("/responses")),
        ],
        batches: Some(Batches {
            wire: BatchWire::Added,
            jobs: Path::Fixed("/batches"),
            create: None,
            files: None,
        }),
        // Its voice agents (docs.x.ai, "Voice Agent API", 2026-11); whatever else its models are called, they chat.
        realtime: Some(Realtime {
            models: &["voice", "realtime"],
            ..Realtime::OPENAI
        }),
        images: &[Images::Service(ImageService {
            wire: ImageWire::OpenAi(IMAGES),
            variations: None,
            ..ImageService::OPENAI
        })],
        ..Speaks::NOTHING
    },
    source: "docs.x.ai, 2026-11; recordings of api.x.ai",
    ..Provider::TEMPLATE
};

const RESPONSES: responses::Quirks = responses::Quirks {
    verifies: Cow::Borrowed(&[Cow::Borrowed("xai-responses-v1")]),
    // Agents' tools of free text are answered with 422 (reported by users of Codex with Grok, 2026-08 and 2026-09).
    refuses_tools: Cow::Borrowed(&[Cow::Borrowed("custom"), Cow::Borrowed("namespace")]),
    ..responses::Quirks::REFERENCE
};

// "quality, size or style are not supported": docs.x.ai, image generation, 2026-11. Edits as recorded, 2026.
const IMAGES: images::Quirks = images::Quirks {
    size: Size::Ratio,
    references: References::Typed,
    unsupported: Cow::Borrowed(&[
        Cow::Borrowed("quality"),
        Cow::Borrowed("style"),
        Cow::Borrowed("background"),
        Cow::Borrowed("moderation"),
        Cow::Borrowed("output_format"),
        Cow::Borrowed("output_compression"),
    ]),
    ..images::Quirks::PLAIN
};
