//! What is promised whatever happens, judged from outside: `llmleaf_testkit::judge` joins what the provider saw, what the
//! consumer got and what was recorded.
//!
//! `planted` falsifies good evidence in every way that matters and expects the judge to notice. `sweep` ends, resets and stalls
//! recorded streams at every byte; `chaos` has three providers of which one is always in trouble; `crowds` has many
//! consumers that hang up or hardly read; `streams` and `consumers` have the rows of docs/faults.md that no other test has; `wires` tries the Responses wire and Gemini's
//! with the faults that each wire answers in its own way.
//!
//! Each runs a sample of a few seconds; CONTRIBUTING.md has the commands for all of it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "judge/chaos.rs"]
mod chaos;
#[path = "judge/consumers.rs"]
mod consumers;
#[path = "judge/crowds.rs"]
mod crowds;
#[path = "judge/planted.rs"]
mod planted;
#[path = "judge/streams.rs"]
mod streams;
#[path = "judge/sweep.rs"]
mod sweep;
#[path = "judge/wires.rs"]
mod wires;

use llmleaf_testkit::stage::{Setup, Stage};

/// How much of something a test does, where that is asked of it from outside.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is asked of it from outside"
)]
fn number_of(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
}
