//! Ollama's native wire: `/api/chat`, and `/api/generate` with one prompt in place of a conversation.
//!
//! Reference: `docs/openapi.yaml` and `docs/api.md` of ollama/ollama at fb3076099687 (2026-08-21), and recorded traffic
//! (2024-2026).
//!
//! What is particular to this wire:
//!
//! - It streams unless told not to: `stream` is true where the body does not say.
//! - A stream is lines of JSON, each a whole answer of what is new. The last one says `"done":true` and has the counts.
//! - An error is `{"error":"text"}`, as a whole reply and as the last line of a stream alike.
//! - Calls come whole, their arguments an object. Older services give them no id, and results name their tool in
//!   `tool_name`. Ids that we make up begin with `leaf`, and a rendered request leaves them out again.
//! - Images are bare base64, beside the text, and stand before it in the model's prompt.
//! - Sampling stands in `options`, with whatever else the runner takes; durations are in nanoseconds.
//! - A request that asks nothing (no messages, no prompt) loads the model.
//! - Artefacts of other families have no place of their own; they stand sealed in `signatures` of a message, which clients
//!   that keep messages as they came send back.
//!
//! The two endpoints say the same in two forms ([`Form`]), so both are read and written here.
//!
//! Reading order: [`quirks`], `wire`, `moment`, [`request`], `reading` (an answer's lines as events), `answer` (what the two
//! renderings share), [`response`], [`events`], [`edits`], [`errors`].

mod answer;
pub mod edits;
pub mod errors;
pub mod events;
mod finish;
pub(crate) mod moment;
pub mod quirks;
mod reading;
pub mod request;
pub mod response;
mod usage;
mod wire;

pub use quirks::{Form, Quirks};

#[cfg(test)]
mod tests;
