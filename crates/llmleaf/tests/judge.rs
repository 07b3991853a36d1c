//! What is promised whatever happens, judged from outside: `llmleaf_testkit::judge` joins what the provider saw, what the
//! consumer got and what was recorded.
//!
//! `planted` falsifies good evidence in every way that matters and expects the judge to notice. `sweep` ends, resets and stalls
//! recorded streams at every byte; `chaos` has three providers of which one is always in trouble; `crowds` has many
//! consumers that hang up or hardly read; `streams` and `consumers` have the rows of docs/faults.md that no other test has.
//!
//! Each runs a sample of a few seconds; CONTRIBUTING.md has the commands for all of it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

#[path = "judge/planted.rs"]
mod planted;

use llmleaf_testkit::stage::{Setup, Stage};

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
}
