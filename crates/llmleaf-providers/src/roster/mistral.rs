//! Mistral: refuses every field that its document does not name.

use crate::{
    Batches, Chat, Embeddings, Moderations, Path, Provider, Speaks, Speech, Transcription, Voices,
};
use llmleaf_dialects::batches::{BatchWire, FilesQuirks, files::Jobs};
use llmleaf_dialects::embeddings::OpenAiQuirks;
use llmleaf_dialects::speech::{SpeechQuirks, SpeechWire};
use llmleaf_dialects::transcription::{FormQuirks, Streams, TranscriptionWire};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{
            CustomTools, InstructionRole, OutputCap, ReasoningEcho, ReasoningQuirks, RequestQuirks,
            StreamQuirks, StreamUsage, StreamedCalls,
        },
    },
    text_completions::{self, quirks::Answers},
};
use llmleaf_dialects::{EmbeddingWire, ModerationWire};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "mistral",
    title: "Mistral",
    semantic: Some("mistral_ai"),
    base_url: Some("https://api.mistral.ai/v1"),
    credential_env: Some("MISTRAL_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/fim/completions"),
            ),
        ],
        embeddings: &[Embeddings::Wire(
            EmbeddingWire::OpenAi(OpenAiQuirks {
                dimensions: Cow::Borrowed("output_dimension"),
                ..OpenAiQuirks::PLAIN
            }),
            Path::Fixed("/embeddings"),
        )],
        batches: Some(Batches {
            wire: BatchWire::Files(FilesQuirks {
                endpoints: Cow::Borrowed(&[
                    Cow::Borrowed("/v1/chat/completions"),
                    Cow::Borrowed("/v1/embeddings"),
                ]),
                jobs: Jobs::OfOneModel,
                ..FilesQuirks::REFERENCE
            }),
            jobs: Path::Fixed("/batch/jobs"),
            create: None,
            files: Some(Path::Fixed("/files")),
        }),
        moderations: Some(Moderations::Wire(
            ModerationWire {
                parts: false,
                conversations: true,
                // ModerationObject: `categories` and `category_scores`.
                flags: false,
            },
            Path::Fixed("/moderations"),
            Path::Fixed("/chat/moderations"),
        )),
        speech: Some(Speech::Wire(
            SpeechWire::AudioData(SPEECH),
            Path::Fixed("/audio/speech"),
            Voices::Listed("/audio/voices"),
        )),
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::Form(FORM),
            path: Path::Fixed("/audio/transcriptions"),
            translations: None,
        }),
        ..Speaks::NOTHING
    },
    source: "Mistral OpenAPI document 1.0.0, 2026-08",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // 422 "extra_forbidden": github.com/editor-code-assistant/eca issue 231, 2025-12.
        output_cap: OutputCap::MaxTokens,
        // Messages are system, user, assistant and tool.
        instructions: InstructionRole::SystemOnly,
        // ChatCompletionRequest has `additionalProperties: false`; these fields of the reference are not in it. `logprobs` is
        // not either, yet it is known: "Logprobs are not enabled for this model" (recorded).
        unsupported: Cow::Borrowed(&[
            Cow::Borrowed("audio"),
            Cow::Borrowed("function_call"),
            Cow::Borrowed("functions"),
            Cow::Borrowed("logit_bias"),
            Cow::Borrowed("modalities"),
            Cow::Borrowed("prompt_cache_retention"),
            Cow::Borrowed("safety_identifier"),
            Cow::Borrowed("service_tier"),
            Cow::Borrowed("store"),
            Cow::Borrowed("user"),
            Cow::Borrowed("verbosity"),
            Cow::Borrowed("web_search_options"),
        ]),
        renamed: Cow::Borrowed(&[(Cow::Borrowed("seed"), Cow::Borrowed("random_seed"))]),
        // FileChunk is a file id of its own shape and nothing inline.
        files: false,
        // Functions are all the tools of the consumer there are: ToolTypes of its OpenAPI document 1.0.0.
        custom_tools: CustomTools::AsFunctions,
        ..RequestQuirks::REFERENCE
    },
    stream: StreamQuirks {
        // Every recorded stream has usage in its last chunk, none asked; `stream_options` is not in the document.
        usage: StreamUsage::Always,
        // DeltaMessage has ToolCall, whose FunctionCall needs its name (OpenAPI document 1.0.0), and so are the recorded ones.
        calls: StreamedCalls::Whole,
        ..StreamQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // ThinkChunk of AssistantMessage; `reasoning_content` is refused (github.com/charmbracelet/crush issue 1590, 2025-12).
        echo: ReasoningEcho::ContentParts,
        ..ReasoningQuirks::REFERENCE
    },
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    chat: QUIRKS,
    // FIMCompletionRequest and FIMCompletionResponse: one prompt, and the answer of chat.
    models: Cow::Borrowed(&[Cow::Borrowed("codestral")]),
    lists: false,
    answers: Answers::Chat,
};

/// SpeechRequest of the OpenAPI document.
const SPEECH: SpeechQuirks = SpeechQuirks {
    formats: Cow::Borrowed(&[
        Cow::Borrowed("mp3"),
        Cow::Borrowed("opus"),
        Cow::Borrowed("flac"),
        Cow::Borrowed("wav"),
        Cow::Borrowed("pcm"),
    ]),
    ..SpeechQuirks::REFERENCE
};

/// AudioTranscriptionRequest of the OpenAPI document. It has no `response_format`, and one answer for all.
const FORM: FormQuirks = FormQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("file_url"),
        Cow::Borrowed("file_id"),
        Cow::Borrowed("language"),
        Cow::Borrowed("temperature"),
        Cow::Borrowed("diarize"),
        Cow::Borrowed("context_bias"),
        Cow::Borrowed("timestamp_granularities[]"),
    ])),
    formats: Cow::Borrowed(&[]),
    streams: Streams::Typed,
    segments: Some(Cow::Borrowed("timestamp_granularities[]")),
    diarize: Some(Cow::Borrowed("diarize")),
    ..FormQuirks::REFERENCE
};
