//! Errors, both ends. The wire's own shape is `{"message","id"}`, with the status beside it.

mod parse;
mod render;

pub use parse::parse_error;
pub(super) use parse::{in_body, in_stream};
pub use render::{render_error, render_stream_error};
