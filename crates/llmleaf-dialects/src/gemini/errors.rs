//! Errors, both ends: `{"error":{"code","message","status","details"}}`.
//!
//! Reading order: `errors/parse.rs` (what a provider says), `errors/render.rs` (what a consumer reads).

mod parse;
mod render;

pub use parse::parse_error;
pub(super) use parse::{UNFINISHED, bare, in_chunk};
pub use render::{render_error, render_stream_error};
