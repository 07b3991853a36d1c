//! Errors, both ends.
//!
//! Reading order: `errors/parse.rs` (what a provider says), `errors/render.rs` (what a consumer reads).

mod parse;
mod render;

pub use parse::parse_error;
pub(super) use parse::stream_failure;
pub(super) use render::THREAD_UNSUPPORTED;
pub use render::{render_error, render_stream_error};
