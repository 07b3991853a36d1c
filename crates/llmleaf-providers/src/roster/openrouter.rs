//! OpenRouter: one key for many services, with request and response extensions of its own.
//!
//! It answers usage in every stream, asked or not, and takes `stream_options` all the same. A second wire serves
//! consumers of the messages dialect with every model.

use crate::{
    Chat, Embeddings, ImageService, Images, Path, Provider, Rerank, Speaks, Speech, Transcription,
    Voices,
};
use llmleaf_dialects::embeddings::{OpenAiInputs, OpenAiQuirks};
use llmleaf_dialects::images::{self, quirks::References};
use llmleaf_dialects::rerank::PlainQuirks;
use llmleaf_dialects::speech::{SpeechQuirks, SpeechWire};
use llmleaf_dialects::transcription::{FormQuirks, Streams, TranscriptionWire};
use llmleaf_dialects::{
    ChatWire, ImageWire,
    chat_completions::{
        Quirks,
        quirks::{ReasoningEcho, ReasoningQuirks, ReasoningRequest, RequestQuirks},
    },
    messages,
    responses::{self, quirks::Storage},
};
use llmleaf_dialects::{EmbeddingWire, RerankWire};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openrouter",
    title: "OpenRouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    credential_env: Some("OPENROUTER_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::Messages(messages::Quirks {
                    extended: true,
                    ..messages::Quirks::REFERENCE
                }),
                Path::Fixed("/messages"),
            ),
            Chat::Wire(ChatWire::Responses(RESPONSES), Path::Fixed("/responses")),
        ],
        embeddings: &[Embeddings::Wire(
            // EmbeddingsRequest: `input` of contents, `input_type`.
            EmbeddingWire::OpenAi(OpenAiQuirks {
                inputs: OpenAiInputs::Parts,
                routes: true,
                ..OpenAiQuirks::REFERENCE
            }),
            Path::Fixed("/embeddings"),
        )],
        // Its document has no `return_documents`: they are repeated always.
        rerank: &[Rerank::Wire(
            RerankWire::Plain(PlainQuirks {
                returns: false,
                routes: true,
                ..PlainQuirks::REFERENCE
            }),
            Path::Fixed("/rerank"),
        )],
        images: &[Images::Service(ImageService {
            wire: ImageWire::OpenAi(IMAGES),
            models: &[],
            generations: Path::Fixed("/images"),
            edits: Some(Path::Fixed("/images")),
            variations: None,
        })],
        speech: Some(Speech::Wire(
            SpeechWire::Reference(SPEECH),
            Path::Fixed("/audio/speech"),
            Voices::Unknown,
        )),
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::Form(FORM),
            path: Path::Fixed("/audio/transcriptions"),
            translations: None,
        }),
        ..Speaks::NOTHING
    },
    setting_headers: &[("http_referer", "http-referer"), ("x_title", "x-title")],
    forwards: &[
        "http-referer",
        "x-title",
        "x-openrouter-title",
        "x-openrouter-categories",
    ],
    source: "OpenRouter OpenAPI document 1.0.0, 2026-08",
    ..Provider::TEMPLATE
};

// All from the OpenAPI document: ChatRequest (`provider`, `models`, `reasoning`, `cache_control`), ChatAssistantMessage
// (`reasoning_details`) and ReasoningFormat, whose values but `unknown` are the families.
const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        extended: true,
        cache_control: true,
        ..RequestQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        request: ReasoningRequest::Object,
        echo: ReasoningEcho::Details,
        verifies: Cow::Borrowed(FAMILIES),
    },
    ..Quirks::REFERENCE
};

const FAMILIES: &[Cow<'static, str>] = &[
    Cow::Borrowed("openai-responses-v1"),
    Cow::Borrowed("azure-openai-responses-v1"),
    Cow::Borrowed("bedrock-openai-responses-v1"),
    Cow::Borrowed("bedrock-xai-responses-v1"),
    Cow::Borrowed("xai-responses-v1"),
    Cow::Borrowed("meta-responses-v1"),
    Cow::Borrowed("anthropic-claude-v1"),
    Cow::Borrowed("google-gemini-v1"),
];

const RESPONSES: responses::Quirks = responses::Quirks {
    verifies: Cow::Borrowed(FAMILIES),
    // `format` and `signature` of ReasoningItem in the OpenAPI document; recorded with the former.
    names_family: true,
    // "This API is stateless": openrouter.ai/docs/api-reference/responses-api, 2026-11.
    storage: Storage::None,
    // `models`, `provider` and `route` of ResponsesRequest in the OpenAPI document.
    extended: true,
    ..responses::Quirks::REFERENCE
};

// ImageGenerationRequest of the OpenAPI document: one path, images to go on from beside the prompt, answers in base64 always.
const IMAGES: images::Quirks = images::Quirks {
    base64: Cow::Borrowed(""),
    references: References::Parts,
    unsupported: Cow::Borrowed(&[
        Cow::Borrowed("style"),
        Cow::Borrowed("moderation"),
        Cow::Borrowed("partial_images"),
        Cow::Borrowed("user"),
        Cow::Borrowed("input_fidelity"),
    ]),
    routes: true,
    ..images::Quirks::REFERENCE
};

/// SpeechRequest of the OpenAPI document.
const SPEECH: SpeechQuirks = SpeechQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("speed"),
        Cow::Borrowed("provider"),
        Cow::Borrowed("input_references"),
    ])),
    formats: Cow::Borrowed(&[Cow::Borrowed("mp3"), Cow::Borrowed("pcm")]),
    unasked: Cow::Borrowed("pcm"),
    events: false,
};

/// STTRequest of the OpenAPI document, which has it as JSON and as a form; both are recorded.
const FORM: FormQuirks = FormQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("language"),
        Cow::Borrowed("response_format"),
        Cow::Borrowed("temperature"),
        Cow::Borrowed("timestamp_granularities[]"),
        Cow::Borrowed("provider"),
    ])),
    formats: Cow::Borrowed(&[Cow::Borrowed("json"), Cow::Borrowed("verbose_json")]),
    streams: Streams::No,
    json: true,
    ..FormQuirks::REFERENCE
};
