//! Vertex AI: Gemini's wire below a project, and the models of other makers on their own.

use crate::{
    Ambient, Auth, Chat, Embeddings, ImageService, Images, KeyFiles, Maker, Mints, Path, Place,
    Provider, Speaks,
};
use llmleaf_dialects::{
    ChatWire, EmbeddingWire, ImageWire, gemini,
    messages::{Quirks, quirks::Addressing},
};
use std::borrow::Cow;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "vertex",
    aliases: &["vertex-ai", "google-vertex"],
    title: "Vertex AI",
    semantic: Some("gcp.vertex_ai"),
    // The host of a location: "Generative AI on Vertex AI locations", cloud.google.com; those of `us` and `eu` as the vendor's SDKs
    // have them. Read 2026-11.
    place: Some(Place {
        regional: "https://{}-aiplatform.googleapis.com",
        hosts: &[
            ("global", "https://aiplatform.googleapis.com"),
            ("us", "https://aiplatform.us.rep.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ],
        location: "global",
        version: VERSION,
    }),
    mints: Mints::KeyFiles(KeyFiles {
        token_url: "https://oauth2.googleapis.com/token",
        scope: "https://www.googleapis.com/auth/cloud-platform",
        file_env: "GOOGLE_APPLICATION_CREDENTIALS",
        left_by_tool: (
            "CLOUDSDK_CONFIG",
            ".config/gcloud",
            "application_default_credentials.json",
        ),
        project_env: &["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"],
        ambient: Ambient {
            host_env: "GCE_METADATA_HOST",
            host: "metadata.google.internal",
            path: "/computeMetadata/v1/instance/service-accounts/default/token",
            header: ("metadata-flavor", "Google"),
        },
        key_header: "x-goog-api-key",
        keys_begin: &["AIza", "AQ."],
        tokens_begin: &["ya29."],
    }),
    auth: Auth::Bearer,
    speaks: Speaks {
        chat: &[Chat::Wire(
            ChatWire::GenerateContent(QUIRKS),
            Path::Method {
                version: VERSION,
                collection: "publishers/google/models",
                beside: BESIDE,
                whole: ":generateContent",
                stream: ":streamGenerateContent?alt=sse",
            },
        )],
        count_tokens: Some(Path::Method {
            version: VERSION,
            collection: "publishers/google/models",
            beside: BESIDE,
            whole: ":countTokens",
            stream: ":countTokens",
        }),
        // "Get text embeddings", cloud.google.com, read 2026-11: gemini-embedding-001 takes one text a request, other text models 250. What
        // came after it takes contents, one a request, as the vendor's SDK (google-genai 3.4) calls it.
        embeddings: &[
            Embeddings::Of(
                &["gemini-embedding-001"],
                EmbeddingWire::Predict { most: 1 },
                PREDICT,
            ),
            Embeddings::Of(&["gemini-"], EmbeddingWire::EmbedContent, EMBED_CONTENT),
            Embeddings::Wire(EmbeddingWire::Predict { most: 250 }, PREDICT),
        ],
        own_maker: Some("google"),
        makers: &[Maker {
            name: "anthropic",
            begins: &["claude"],
            chat: &[Chat::Wire(
                ChatWire::Messages(MESSAGES),
                Path::Method {
                    version: VERSION,
                    collection: "publishers/anthropic/models",
                    beside: BESIDE,
                    whole: ":rawPredict",
                    stream: ":streamRawPredict",
                },
            )],
            count_tokens: Some(Path::Fixed(
                "/publishers/anthropic/models/count-tokens:rawPredict",
            )),
        }],
        images: &[
            Images::Service(ImageService {
                wire: ImageWire::Predict,
                models: &["imagen"],
                generations: PREDICT,
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
        ..Speaks::NOTHING
    },
    // Betas are a header here as well (BerriAI/litellm pull request 22321 tried both by hand, 2026-02).
    forwards: &["anthropic-beta"],
    source: "Discovery document of aiplatform v1, revision 20261106; \"Claude on Vertex AI\", platform.claude.com, 2026-11; recordings",
    ..Provider::TEMPLATE
};

const VERSION: &str = "v1";

const PREDICT: Path = method(":predict");
const EMBED_CONTENT: Path = method(":embedContent");

const fn method(name: &'static str) -> Path {
    Path::Method {
        version: VERSION,
        collection: "publishers/google/models",
        beside: BESIDE,
        whole: name,
        stream: name,
    }
}

/// Models of the project's own.
const BESIDE: &[&str] = &["endpoints"];

// What GenerateContentRequest and CountTokensRequest have in the discovery document of the Gemini API (2026-08) and not in that of
// aiplatform v1 (revision 20261106); an unknown name is a 400 to both.
const QUIRKS: gemini::Quirks = gemini::Quirks {
    lacks: Cow::Borrowed(&[
        Cow::Borrowed("model"),
        Cow::Borrowed("serviceTier"),
        Cow::Borrowed("store"),
        Cow::Borrowed("generateContentRequest"),
    ]),
    ..gemini::Quirks::REFERENCE
};

// "Claude on Vertex AI", platform.claude.com, read 2026-11: the model is in the URL, the version in the body.
const MESSAGES: Quirks = Quirks {
    addressing: Addressing::Path {
        version: Cow::Borrowed("vertex-2023-10-16"),
    },
    ..Quirks::REFERENCE
};

/// Asked for whole also where the consumer streams.
const GENERATE: Path = method(":generateContent");
