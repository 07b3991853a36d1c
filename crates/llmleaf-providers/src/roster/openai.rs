//! OpenAI: the reference of two wires.

use crate::{
    Batches, Chat, Embeddings, ImageService, Images, Moderations, Path, Provider, Realtime, Speaks,
    Speech, Transcription, Voices,
};
use llmleaf_dialects::batches::FilesQuirks;
use llmleaf_dialects::speech::{SpeechQuirks, SpeechWire};
use llmleaf_dialects::{
    ChatWire, ModerationWire, chat_completions::Quirks, responses, text_completions,
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    title: "OpenAI",
    base_url: Some("https://api.openai.com/v1"),
    credential_env: Some("OPENAI_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(Quirks::REFERENCE),
                Path::Fixed("/chat/completions"),
            ),
            Chat::Wire(
                ChatWire::Responses(responses::Quirks::REFERENCE),
                Path::Fixed("/responses"),
            ),
            Chat::Wire(
                ChatWire::TextCompletions(COMPLETIONS),
                Path::Fixed("/completions"),
            ),
        ],
        // For consumers of Responses; the others' wires are not spoken.
        count_tokens: Some(Path::Fixed("/responses/input_tokens")),
        embeddings: &[Embeddings::OPENAI],
        batches: Some(Batches::files(FilesQuirks::REFERENCE)),
        moderations: Some(Moderations::Wire(
            ModerationWire::REFERENCE,
            Path::Fixed("/moderations"),
            Path::Fixed("/moderations"),
        )),
        realtime: Some(Realtime::OPENAI),
        images: &[Images::Service(ImageService::OPENAI)],
        speech: Some(Speech::Wire(
            SpeechWire::Reference(SpeechQuirks::REFERENCE),
            Path::Fixed("/audio/speech"),
            Voices::Known(VOICES),
        )),
        transcription: Some(Transcription::REFERENCE),
        ..Speaks::NOTHING
    },
    setting_headers: &[("organization", "openai-organization")],
    source: "OpenAI OpenAPI document 2.3.0, 2026-08",
    ..Provider::TEMPLATE
};

const COMPLETIONS: text_completions::Quirks = text_completions::Quirks {
    // CreateCompletionRequest; all others are "not supported in the v1/completions endpoint".
    models: Cow::Borrowed(&[
        Cow::Borrowed("gpt-3.5-turbo-instruct"),
        Cow::Borrowed("davinci-002"),
        Cow::Borrowed("babbage-002"),
    ]),
    ..text_completions::Quirks::REFERENCE
};

/// VoiceIdsShared of the OpenAPI document; `fable`, `nova` and `onyx` are of the older models (recorded).
pub(super) const VOICES: &[&str] = &[
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
];
