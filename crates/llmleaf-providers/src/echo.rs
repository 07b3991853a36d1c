//! The provider that needs no service: it says the last user message back, word by word, and plays what a real one may do.
//!
//! Pure: a request in, a script of events out, obeying [`llmleaf_model::grammar`]. Lines of the last user message that
//! begin with `/echo` are directives (a tool call, a failure, a pause…); `docs/echo.md` shows each. Without any, the
//! text comes back byte for byte. Tokens are words.
//!
//! Reading order: this file, `directives.rs` (what the lines say), `plan.rs` (what is answered), `script.rs` (the events), `sound.rs`.

mod directives;
mod draw;
mod embed;
mod fault;
mod moderate;
mod plan;
mod rerank;
mod schema;
mod script;
mod sound;
mod words;

#[cfg(test)]
mod tests;

pub use draw::draw;
pub use embed::embed;
pub use moderate::moderate;
pub use rerank::rerank;
pub use sound::{Sound, tone, transcript};

use llmleaf_model::{ChatRequest, Event};
use std::time::Duration;

/// One step of an echo's answer: wait, then say.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long to wait before the event.
    pub delay: Duration,
    /// What is said.
    pub event: Event,
}

/// Most text of an answer, over all choices, in bytes; what is longer is cut and finishes with `length`.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// Most pieces an answer's text comes in, over all choices; longer texts come in longer pieces.
pub const MAX_PIECES: usize = 10_000;

/// Most answers to one request.
pub const MAX_CHOICES: u64 = 128;

/// Most directives of one message.
pub const MAX_DIRECTIVES: usize = 128;

/// Longest pause that a directive can ask for.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// The answer to a request, as a script.
///
/// It ends with a terminal event, but for the directive `cut`.
pub fn answer(request: &ChatRequest) -> Vec<Step> {
    let plan = plan::Plan::of(request);
    script::play(request, &plan)
}
