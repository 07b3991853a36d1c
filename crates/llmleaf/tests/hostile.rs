//! Bytes that mean harm, from consumers and from providers: heads and bodies with two readings, floods, slowness.
//!
//! Reading order: `corpus.rs` (what a consumer may send, as data), `smuggling.rs` (what must come of it), the others by name.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "hostile/answers.rs"]
mod answers;
#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/heads.rs"]
mod heads;
#[path = "hostile/http2.rs"]
mod http2;
#[path = "hostile/json.rs"]
mod json;
#[path = "hostile/limits.rs"]
mod limits;
#[path = "hostile/slow.rs"]
mod slow;
#[path = "hostile/smuggling.rs"]
mod smuggling;

use llmleaf_testkit::replay::Script;
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::{Setup, Stage};

fn stage() -> Setup {
    Stage::with(env!("CARGO_BIN_EXE_llmleaf"))
}

fn answer(wire: Wire, stream: bool) -> Script {
    if stream {
        Script::sse(wire.stream("first answer").body())
    } else {
        Script::json(200, wire.whole("first answer"))
    }
}
