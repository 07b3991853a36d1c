//! Requests, both ends.
//!
//! Reading order: `request/parse.rs` (a request from the wire), `request/turns.rs` (its conversation), `request/signatures.rs`
//! (sealed artefacts, both ways), `request/options.rs`, `request/tools.rs` and `request/thinking.rs` (both ways),
//! `request/render.rs` and `request/write.rs` (to the wire), `request/idle.rs` (requests that ask nothing).

mod idle;
mod options;
mod parse;
mod render;
mod signatures;
mod thinking;
mod tools;
mod turns;
mod write;

pub use idle::idle_answer;
pub use parse::parse_request;
pub use render::render_request;
pub(super) use signatures::sealed;
