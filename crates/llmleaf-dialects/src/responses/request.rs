//! Requests, both ends.
//!
//! Reading order: `request/parse.rs` (the top level), `request/items.rs` and `request/content.rs` (the conversation from the
//! wire), `request/tools.rs` and `request/settings.rs` (both ways), `request/render.rs`, `request/turns.rs` and
//! `request/parts.rs` (the conversation to the wire), `request/echo.rs` (what an answer repeats of its request).

mod content;
mod echo;
mod items;
mod parse;
mod parts;
mod render;
mod settings;
mod tools;
mod turns;

pub(super) use echo::Echo;
pub use parse::parse_request;
pub use render::render_request;
pub(super) use tools::types as tool_types;
