//! Google's Gemini API: the reference of the generateContent wire.

use crate::{
    Auth, Batches, Chat, Embeddings, ImageService, Images, Path, Provider, Realtime, RealtimeWire,
    Speaks, Speech, Transcription, Voices,
};
use llmleaf_dialects::batches::BatchWire;
use llmleaf_dialects::{
    ChatWire, EmbeddingWire, ImageWire, SpeechWire, TranscriptionWire, gemini::Quirks,
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "gemini",
    aliases: &["google"],
    title: "Google Gemini",
    semantic: Some("gcp.gemini"),
    base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
    auth: Auth::Header("x-goog-api-key"),
    credential_env: Some("GEMINI_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::GenerateContent(Quirks::REFERENCE),
            STREAMED,
        )],
        count_tokens: Some(method(":countTokens")),
        embeddings: &[Embeddings::Wire(
            EmbeddingWire::BatchEmbedContents,
            method(":batchEmbedContents"),
        )],
        batches: Some(Batches {
            wire: BatchWire::GenerateContent,
            jobs: Path::Fixed("/v1beta/batches"),
            create: Some(method(":batchGenerateContent")),
            files: None,
        }),
        // "Live API - WebSockets API reference", 2026-11; its models say so in their names.
        realtime: Some(Realtime {
            wire: RealtimeWire::Live,
            path: Path::Fixed(
                "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
            ),
            models: &["live", "native-audio"],
        }),
        images: &[
            Images::Service(ImageService {
                wire: ImageWire::Predict,
                models: &["imagen"],
                generations: method(":predict"),
                edits: None,
                variations: None,
            }),
            Images::Service(ImageService {
                wire: ImageWire::GenerateContent,
                models: &[],
                generations: GENERATE,
                edits: Some(GENERATE),
                variations: None,
            }),
        ],
        speech: Some(Speech::Wire(
            SpeechWire::GenerateContent,
            STREAMED,
            Voices::Known(VOICES),
        )),
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::GenerateContent,
            path: STREAMED,
            translations: Some(STREAMED),
        }),
        ..Speaks::NOTHING
    },
    source: "Discovery document of generativelanguage v1beta, 2026-08; recordings of 2025 and 2026",
    ..Provider::TEMPLATE
};

const VERSION: &str = "v1beta";

/// Models of the account's own.
const BESIDE: &[&str] = &["tunedModels"];

/// Asked for whole also where the consumer streams.
const GENERATE: Path = method(":generateContent");

const fn method(name: &'static str) -> Path {
    Path::Method {
        version: VERSION,
        collection: "models",
        beside: BESIDE,
        whole: name,
        stream: name,
    }
}

const STREAMED: Path = Path::Method {
    version: VERSION,
    collection: "models",
    beside: BESIDE,
    whole: ":generateContent",
    stream: ":streamGenerateContent?alt=sse",
};

/// ai.google.dev, "Speech generation", 2026-11.
const VOICES: &[&str] = &[
    "Achernar",
    "Achird",
    "Algenib",
    "Algieba",
    "Alnilam",
    "Aoede",
    "Autonoe",
    "Callirrhoe",
    "Charon",
    "Despina",
    "Enceladus",
    "Erinome",
    "Fenrir",
    "Gacrux",
    "Iapetus",
    "Kore",
    "Laomedeia",
    "Leda",
    "Orus",
    "Puck",
    "Pulcherrima",
    "Rasalgethi",
    "Sadachbia",
    "Sadaltager",
    "Schedar",
    "Sulafat",
    "Umbriel",
    "Vindemiatrix",
    "Zephyr",
    "Zubenelgenubi",
];
