//! Together: hosts open models.
//!
//! Its messages endpoint (docs.together.ai/docs/inference/messages-api, 2026-11) supports some models only and answers
//! malformed output for the others, so consumers of that dialect are served by translation.

use crate::{
    Batches, Chat, Embeddings, ImageService, Images, Path, Provider, Rerank, Speaks, Transcription,
};
use llmleaf_dialects::batches::{FilesQuirks, files::Jobs};
use llmleaf_dialects::images::{self, quirks::Size};
use llmleaf_dialects::transcription::{FormQuirks, Streams, TranscriptionWire};
use llmleaf_dialects::{
    ChatWire, ImageWire,
    chat_completions::{
        Quirks,
        quirks::{
            CustomTools, InstructionRole, OutputCap, ReasoningQuirks, ReasoningRequest,
            RequestQuirks, StreamQuirks, StreamUsage, StrictTools,
        },
    },
    text_completions,
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "together",
    title: "Together AI",
    base_url: Some("https://api.together.ai/v1"),
    credential_env: Some("TOGETHER_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/completions"),
            ),
        ],
        embeddings: &[Embeddings::PLAIN],
        // Its batch object, upload path and purpose: its OpenAPI document 2.0.0, 2026-04.
        batches: Some(Batches::files(FilesQuirks {
            upload: Cow::Borrowed("/upload"),
            purpose: Cow::Borrowed("batch-api"),
            named_in_form: true,
            jobs: Jobs::Wrapped,
            labels: false,
            ..FilesQuirks::CHAT
        })),
        rerank: &[Rerank::PLAIN],
        images: &[Images::Service(ImageService {
            wire: ImageWire::OpenAi(IMAGES),
            edits: None,
            variations: None,
            ..ImageService::OPENAI
        })],
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::Form(FORM),
            path: Path::Fixed("/audio/transcriptions"),
            translations: Some(Path::Fixed("/audio/translations")),
        }),
        ..Speaks::NOTHING
    },
    source: "Together OpenAPI document 2.0.0, 2026-04",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // ChatCompletionRequest knows no `max_completion_tokens`, ChatCompletionSystemMessageParam no `developer`.
        output_cap: OutputCap::MaxTokens,
        instructions: InstructionRole::SystemOnly,
        // Parts of a user message are text, image, video and audio.
        files: false,
        // Functions are all the tools of the consumer there are: ToolsPart of its OpenAPI document 2.0.0.
        custom_tools: CustomTools::AsFunctions,
        // The same: a function has a name, a description and parameters.
        strict_tools: StrictTools::Unknown,
        ..RequestQuirks::REFERENCE
    },
    stream: StreamQuirks {
        // Recorded: usage in the last chunk of every stream, none asked; `stream_options` is not in the document.
        usage: StreamUsage::Always,
        ..StreamQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // `reasoning_effort` has no word for none, and `reasoning` a switch: ChatCompletionRequest.
        request: ReasoningRequest::Switch,
        ..ReasoningQuirks::REFERENCE
    },
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    ..text_completions::Quirks::REFERENCE
};

// The body of `/images/generations`: `width` and `height`, `response_format` of `base64` and `url`.
const IMAGES: images::Quirks = images::Quirks {
    size: Size::Sides,
    base64: Cow::Borrowed("base64"),
    unsupported: Cow::Borrowed(&[
        Cow::Borrowed("quality"),
        Cow::Borrowed("style"),
        Cow::Borrowed("background"),
        Cow::Borrowed("moderation"),
        Cow::Borrowed("output_compression"),
        Cow::Borrowed("user"),
    ]),
    ..images::Quirks::PLAIN
};

/// AudioTranscriptionRequest of its OpenAPI document 2.0.0, 2026-04.
const FORM: FormQuirks = FormQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("language"),
        Cow::Borrowed("prompt"),
        Cow::Borrowed("response_format"),
        Cow::Borrowed("temperature"),
        Cow::Borrowed("timestamp_granularities"),
        Cow::Borrowed("diarize"),
        Cow::Borrowed("min_speakers"),
        Cow::Borrowed("max_speakers"),
    ])),
    formats: Cow::Borrowed(&[Cow::Borrowed("json"), Cow::Borrowed("verbose_json")]),
    streams: Streams::No,
    ..FormQuirks::REFERENCE
};
