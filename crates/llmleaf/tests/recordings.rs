//! Every recorded exchange of the two chat wires, replayed by a fake provider behind the real program.
//!
//! `same` asks in the dialect of the recording: what the provider gets and what the consumer gets are compared byte by byte,
//! but for edits that have a name. `across` asks in the other dialect: what the consumer reads is compared with a
//! reference reading of the recording. What differs as it should is an exception with a name and a reason, printed and
//! counted (`cargo test -p llmleaf --test recordings -- --nocapture`).
//!
//! The recordings lie beside the repository; without them each test says `skipped` and passes.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "recordings/across.rs"]
mod across;
#[path = "recordings/edits.rs"]
mod edits;
#[path = "recordings/reading.rs"]
mod reading;
#[path = "recordings/same.rs"]
mod same;

const EXE: &str = env!("CARGO_BIN_EXE_llmleaf");

/// Usage records and what goes wrong.
const LOG: &str = "warn,llmleaf::usage=info";

/// Every exchange of the two chat wires.
fn recordings() -> Option<Vec<llmleaf_testkit::recordings::Recording>> {
    llmleaf_testkit::recordings::load_where("openai-chat and anthropic-messages", |recording| {
        matches!(
            recording.wire.as_str(),
            "openai-chat" | "anthropic-messages"
        )
    })
}
