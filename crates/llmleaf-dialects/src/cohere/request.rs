//! Requests, both ends.
//!
//! Reading order: `request/parse.rs` and `request/messages.rs` (from the wire), `request/tools.rs`, `request/thinking.rs` and
//! `request/sampling.rs` (both ways), `request/render.rs`, `request/turns.rs` and `request/parts.rs` (to the wire).

mod messages;
mod parse;
mod parts;
mod render;
mod sampling;
mod thinking;
mod tools;
mod turns;

pub use parse::parse_request;
pub use render::render_request;
