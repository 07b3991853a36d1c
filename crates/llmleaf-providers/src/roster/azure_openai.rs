//! Azure OpenAI: deployments are part of the path, the key has a header of its own; or, on the surface without dates, the deployment
//! is the model in the body. An application of the directory shows a token in place of the key.

use crate::{
    Auth, Batches, Chat, ClientGrant, Embeddings, ImageService, Images, Mints, Path, Provider,
    Realtime, Speaks, Speech, Transcription, Voices,
};
use llmleaf_dialects::batches::{BatchWire, FilesQuirks};
use llmleaf_dialects::embeddings::OpenAiQuirks;
use llmleaf_dialects::images::{self, quirks::References};
use llmleaf_dialects::speech::{SpeechQuirks, SpeechWire};
use llmleaf_dialects::transcription::{FormQuirks, TranscriptionWire};
use llmleaf_dialects::{
    ChatWire, EmbeddingWire, ImageWire, chat_completions::Quirks, responses, text_completions,
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "azure-openai",
    aliases: &["azure"],
    title: "Azure OpenAI",
    semantic: Some("azure.ai.openai"),
    auth: Auth::Header("api-key"),
    mints: Mints::ClientGrant(ClientGrant {
        authority: "https://login.microsoftonline.com",
        path: "/{}/oauth2/v2.0/token",
        scope: "https://cognitiveservices.azure.com/.default",
    }),
    credential_env: Some("AZURE_OPENAI_API_KEY"),
    speaks: Speaks {
        chat: &[
            Chat::Wire(
                ChatWire::Completions(Quirks::REFERENCE),
                Path::Deployment("/chat/completions"),
            ),
            Chat::Wire(ChatWire::Responses(RESPONSES), Path::Resource("/responses")),
            Chat::Wire(
                ChatWire::TextCompletions(text_completions::Quirks::REFERENCE),
                Path::Deployment("/completions"),
            ),
        ],
        embeddings: &[Embeddings::Wire(
            EmbeddingWire::OpenAi(OpenAiQuirks::REFERENCE),
            Path::Deployment("/embeddings"),
        )],
        // Requests name paths without a version, and a file can be used when it is `processed`: Microsoft Learn, "Getting started with
        // Azure OpenAI batch deployments", 2026-11.
        batches: Some(Batches {
            wire: BatchWire::Files(FilesQuirks {
                endpoints: Cow::Borrowed(&[
                    Cow::Borrowed("/chat/completions"),
                    Cow::Borrowed("/v1/responses"),
                    Cow::Borrowed("/embeddings"),
                ]),
                files_ripen: true,
                ..FilesQuirks::REFERENCE
            }),
            jobs: Path::Resource("/batches"),
            create: None,
            files: Some(Path::Resource("/files")),
        }),
        // A deployment's name says nothing of its model.
        realtime: Some(Realtime {
            path: Path::Resource("/realtime"),
            models: &[],
            ..Realtime::OPENAI
        }),
        images: &[Images::Service(ImageService {
            wire: ImageWire::OpenAi(IMAGES),
            generations: Path::Deployment("/images/generations"),
            edits: Some(Path::Deployment("/images/edits")),
            variations: None,
            ..ImageService::OPENAI
        })],
        speech: Some(Speech::Wire(
            SpeechWire::Reference(SpeechQuirks::REFERENCE),
            Path::Deployment("/audio/speech"),
            Voices::Known(super::openai::VOICES),
        )),
        transcription: Some(Transcription::Wire {
            wire: TranscriptionWire::Form(FormQuirks::REFERENCE),
            path: Path::Deployment("/audio/transcriptions"),
            translations: Some(Path::Deployment("/audio/translations")),
        }),
        ..Speaks::NOTHING
    },
    source: "Microsoft Learn, Azure OpenAI REST reference and API lifecycle, OAuth 2.0 client credentials flow, 2026-11",
    ..Provider::TEMPLATE
};

// OpenAI's SDK for Go lists edits among the routes of Azure that take a multipart form (openai/openai-go pull request 477, 2025-08).
const IMAGES: images::Quirks = images::Quirks {
    references: References::Files,
    ..images::Quirks::REFERENCE
};

const RESPONSES: responses::Quirks = responses::Quirks {
    // Its keys are its own: the family's name is that of OpenRouter's ReasoningFormat.
    verifies: Cow::Borrowed(&[Cow::Borrowed("azure-openai-responses-v1")]),
    ..responses::Quirks::REFERENCE
};
