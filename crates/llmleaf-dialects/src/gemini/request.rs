//! Requests, both ends.
//!
//! Reading order: `request/parse.rs` (the conversation from the wire), `request/parts.rs` (its parts), `request/config.rs`
//! (`generationConfig`, both ways), `request/tools.rs` (both ways), `request/render.rs`, `request/turns.rs` and
//! `request/write.rs` (the conversation to the wire), `request/media.rs` (both ways), `request/thinking.rs` (how reasoning
//! is asked for).

mod config;
mod media;
mod parse;
mod parts;
mod render;
mod thinking;
mod tools;
mod turns;
mod write;

pub(super) use media::kind as media_kind;
pub use parse::parse_request;
pub(super) use parse::read;
pub use render::render_request;
