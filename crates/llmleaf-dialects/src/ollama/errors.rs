//! Errors, both ends.
//!
//! Reading order: `errors/parse.rs` (what a provider says), `errors/render.rs` (what a consumer reads).

mod parse;
mod render;

pub(super) use parse::in_line;
pub use parse::parse_error;
pub use render::{render_error, render_stream_error};
