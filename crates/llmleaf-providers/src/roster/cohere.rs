//! Cohere: the reference of its own wire.

use crate::{Chat, Embeddings, Path, Provider, Rerank, Speaks, Transcription};
use llmleaf_dialects::rerank::PlainQuirks;
use llmleaf_dialects::transcription::{FormQuirks, Streams, TranscriptionWire};
use llmleaf_dialects::{ChatWire, EmbeddingWire, RerankWire};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "cohere",
    title: "Cohere",
    base_url: Some("https://api.cohere.com"),
    credential_env: Some("CO_API_KEY"),
    speaks: Speaks {
        chat: &[Chat::Wire(ChatWire::CohereChat, Path::Fixed("/v2/chat"))],
        embeddings: &[
            Embeddings::Wire(EmbeddingWire::Typed, Path::Fixed("/v2/embed")),
            Embeddings::Wire(EmbeddingWire::TypedFirst, Path::Fixed("/v1/embed")),
        ],
        rerank: &[
            Rerank::Wire(RerankWire::Texts, Path::Fixed("/v2/rerank")),
            Rerank::Wire(
                RerankWire::Plain(PlainQuirks::REFERENCE),
                Path::Fixed("/v1/rerank"),
            ),
        ],
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::Form(FORM),
            path: Path::Fixed("/v2/audio/transcriptions"),
            translations: None,
        }),
        ..Speaks::NOTHING
    },
    // The name of the project that asks, for its own statistics.
    forwards: &["x-client-name"],
    source: "Cohere OpenAPI document 1.0, 2026-08; recordings of 2025 and 2026",
    ..Provider::TEMPLATE
};

/// `/v2/audio/transcriptions` of the OpenAPI document: a form with four fields, whose answer is a text (recorded).
const FORM: FormQuirks = FormQuirks {
    takes: Some(Cow::Borrowed(&[
        Cow::Borrowed("language"),
        Cow::Borrowed("temperature"),
    ])),
    formats: Cow::Borrowed(&[]),
    streams: Streams::No,
    ..FormQuirks::REFERENCE
};
