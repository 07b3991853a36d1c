//! Groq: hosts open models.
//!
//! A stream that fails within sends `event: error` and then ends without `[DONE]`, which is the reference's way to be cut.

use crate::{Batches, Chat, Path, Provider, Speaks, Speech, Transcription, Voices};
use llmleaf_dialects::batches::FilesQuirks;
use llmleaf_dialects::speech::{SpeechQuirks, SpeechWire};
use llmleaf_dialects::transcription::{FormQuirks, Streams, TranscriptionWire};
use llmleaf_dialects::{
    ChatWire,
    chat_completions::{
        Quirks,
        quirks::{CustomTools, ReasoningEcho, ReasoningQuirks, RequestQuirks},
    },
    responses::{self, quirks::Storage},
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "groq",
    title: "Groq",
    base_url: Some("https://api.groq.com/openai/v1"),
    credential_env: Some("GROQ_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(QUIRKS),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(ChatWire::Responses(RESPONSES), Path::Fixed("/responses")),
        ],
        batches: Some(Batches::files(FilesQuirks::CHAT)),
        speech: Some(Speech::Wire(
            SpeechWire::Reference(SPEECH),
            Path::Fixed("/audio/speech"),
            Voices::Unknown,
        )),
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::Form(FORM),
            path: Path::Fixed("/audio/transcriptions"),
            translations: Some(Path::Fixed("/audio/translations")),
        }),
        ..Speaks::NOTHING
    },
    source: "console.groq.com/docs/openai, 2026-11; Groq OpenAPI document 2.1, 2026-08",
    ..Provider::TEMPLATE
};

const QUIRKS: Quirks = Quirks {
    request: RequestQuirks {
        // "will result in a 400 error … if they are supplied": console.groq.com/docs/openai, 2026-11.
        unsupported: Cow::Borrowed(&[
            Cow::Borrowed("logprobs"),
            Cow::Borrowed("logit_bias"),
            Cow::Borrowed("top_logprobs"),
            // "property 'prompt_cache_key' is unsupported": github.com/eigent-ai/eigent issue 1827, 2026-07.
            Cow::Borrowed("prompt_cache_key"),
        ]),
        // Parts are text, image_url and a document of another shape (OpenAPI, ChatCompletionRequestMessageContentPart).
        files: false,
        // Functions are all the tools of the consumer there are: console.groq.com/docs/openai; ChatCompletionTool of its OpenAPI document 2.1.
        custom_tools: CustomTools::AsFunctions,
        ..RequestQuirks::REFERENCE
    },
    reasoning: ReasoningQuirks {
        // ChatCompletionRequestAssistantMessage of the OpenAPI document.
        echo: ReasoningEcho::Reasoning,
        ..ReasoningQuirks::REFERENCE
    },
    ..Quirks::REFERENCE
};

const RESPONSES: responses::Quirks = responses::Quirks {
    // "doesn't support stateful conversations yet": console.groq.com/docs/responses-api, 2026-11.
    storage: Storage::None,
    // CreateResponseRequest of its OpenAPI document 2.1 has `additionalProperties: false`, and these are not in it.
    unsupported: Cow::Borrowed(&[
        Cow::Borrowed("include"),
        Cow::Borrowed("prompt_cache_key"),
        Cow::Borrowed("top_logprobs"),
    ]),
    ..responses::Quirks::REFERENCE
};

/// CreateSpeechRequest of the OpenAPI document.
const SPEECH: SpeechQuirks = SpeechQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("speed"),
        Cow::Borrowed("sample_rate"),
    ])),
    formats: Cow::Borrowed(&[
        Cow::Borrowed("mp3"),
        Cow::Borrowed("flac"),
        Cow::Borrowed("wav"),
    ]),
    events: false,
    ..SpeechQuirks::REFERENCE
};

/// CreateTranscriptionRequest of the OpenAPI document.
const FORM: FormQuirks = FormQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("url"),
        Cow::Borrowed("language"),
        Cow::Borrowed("prompt"),
        Cow::Borrowed("response_format"),
        Cow::Borrowed("temperature"),
        Cow::Borrowed("timestamp_granularities[]"),
    ])),
    formats: Cow::Borrowed(&[
        Cow::Borrowed("json"),
        Cow::Borrowed("text"),
        Cow::Borrowed("verbose_json"),
    ]),
    streams: Streams::No,
    ..FormQuirks::REFERENCE
};
