//! Every recorded exchange of the chat wires, replayed by a fake provider behind the real program.
//!
//! `same` asks in the dialect of the recording: what the provider gets and what the consumer gets are compared byte by byte,
//! but for edits that have a name. `across` asks in the other dialects: what the consumer reads is compared with a
//! reference reading of the recording. What differs as it should is an exception with a name and a reason, printed and
//! counted (`cargo test -p llmleaf --test recordings -- --nocapture`). `cloud` asks a cloud that serves two makers' models, each on
//! its own wire, below one project.
//!
//! The recordings lie beside the repository; without them each test says `skipped` and passes.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "recordings/across.rs"]
mod across;
#[path = "recordings/audio.rs"]
mod audio;
#[path = "recordings/batches.rs"]
mod batches;
#[path = "recordings/census.rs"]
mod census;
#[path = "recordings/cloud.rs"]
mod cloud;
#[path = "recordings/counts.rs"]
mod counts;
#[path = "recordings/edits.rs"]
mod edits;
#[path = "recordings/embeddings.rs"]
mod embeddings;
#[path = "recordings/modalities.rs"]
mod modalities;
#[path = "recordings/pictures.rs"]
mod pictures;
#[path = "recordings/priced.rs"]
mod priced;
#[path = "recordings/reading.rs"]
mod reading;
#[path = "recordings/rerank.rs"]
mod rerank;
#[path = "recordings/same.rs"]
mod same;

const EXE: &str = env!("CARGO_BIN_EXE_llmleaf");

/// Usage records and what goes wrong.
const LOG: &str = "warn,llmleaf::usage=info";

/// Recorded as answers of the Responses wire, and none: their service answered as on the chat wire.
const OTHER_WIRE: &[&str] = &[
    "ai-azure-openai-openai-responses-a04c77cbd0",
    "ai-azure-openai-openai-responses-6181e07979",
];

/// Every exchange of the chat wires.
fn recordings() -> Option<Vec<llmleaf_testkit::recordings::Recording>> {
    llmleaf_testkit::recordings::load_where("the chat wires", |recording| {
        let wires = [
            "openai-chat",
            "anthropic-messages",
            "openai-responses",
            "gemini-generate",
            "ollama-chat",
            "ollama-generate",
            "cohere-v2",
        ];
        wires.contains(&recording.wire.as_str()) && !OTHER_WIRE.contains(&recording.id.as_str())
    })
}
