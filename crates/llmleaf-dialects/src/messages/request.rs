//! Requests, both ends.
//!
//! Reading order: `level.rs` of the crate (typed fields of one JSON level), `request/parse.rs`, `request/blocks.rs` and
//! `request/media.rs` (content from the wire), `request/tools.rs` and `request/thinking.rs` (both ways),
//! `request/render.rs`, `request/turns.rs` and `request/parts.rs` (the conversation to the wire).

mod blocks;
mod media;
mod parse;
mod parts;
mod render;
mod thinking;
mod tools;
mod turns;

pub(super) use parse::parse_count;
pub use parse::parse_request;
pub(super) use render::render_count;
pub use render::render_request;
pub(super) use thinking::answers_unsigned_calls;
