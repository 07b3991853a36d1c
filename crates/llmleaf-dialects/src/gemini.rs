//! Gemini `generateContent`, as Google's Generative Language API serves it, and Vertex AI in the same shape.
//!
//! Reference: the discovery document of generativelanguage v1beta (2026-08), that of aiplatform v1 (revision 20261106), the
//! guides "Thought signatures" and "Gemini thinking" at <https://ai.google.dev/gemini-api/docs> (2026-11), and recorded
//! traffic (2025-2026).
//!
//! What is particular to this wire:
//!
//! - The model's name and whether the answer streams stand in the path, not in the body
//!   ([`Head::addressed`](crate::Head::addressed)).
//! - Requests are read by Google's JSON mapping: `camelCase` and `snake_case` names mean the same, numbers may be strings,
//!   a list of one may be written without its brackets.
//! - A stream is a run of whole responses, each with the parts that are new. It has no end marker: it is complete when its
//!   body ends and every candidate has a finish reason, or the prompt was blocked. Services repeat the finish reason, and
//!   send parts after it.
//! - Without `alt=sse` the same chunks come as one JSON array (`llmleaf-framing` cuts it).
//! - Calls may have no id. Ids that we make up begin with `leaf_`, and a rendered request leaves them out again.
//! - A thought signature may stand on a part of any kind. On a call it belongs to the call; behind any other part it is a
//!   stretch of reasoning without text ([`signature`]).
//!
//! Reading order: [`quirks`], `wire`, `schema`, `signature`, [`request`], `reading` (an answer's chunks as events), `answer`
//! (events as parts), [`response`], [`events`], [`edits`], [`errors`], [`count`].

mod answer;
mod arguments;
pub mod count;
pub mod edits;
pub mod errors;
pub mod events;
mod finish;
pub mod quirks;
mod reading;
pub mod request;
pub mod response;
mod schema;
mod signature;
pub(crate) mod usage;
mod wire;

pub use quirks::Quirks;

#[cfg(test)]
mod tests;
