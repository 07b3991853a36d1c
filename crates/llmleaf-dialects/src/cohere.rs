//! Cohere chat, version 2 (`POST /v2/chat`).
//!
//! Reference: Cohere's OpenAPI document 1.0 (2026-08), its guides "Tool use", "Reasoning" and "Structured outputs" at
//! <https://docs.cohere.com/v2/docs> (2026-11), and recorded traffic (2025-2026).
//!
//! What is particular to this wire:
//!
//! - An assistant's message has its words in `content` (`text` and `thinking` blocks), its calls in `tool_calls`, and beside them
//!   `tool_plan`: what models without reasoning of their own think before they call. Here it is reasoning in the form of a
//!   summary, so that it keeps its place on the way there and back.
//! - `documents` stand beside the messages. Here they are documents of the last turn of the user, which is what they are asked
//!   about, and documents of any turn become `documents`. Documents of a tool's result stay in it.
//! - Citations stand beside the text and name their place in it; each has one or more sources. A source is a citation of the
//!   model, and the first of them has the whole as its dialect wrote it ([`citation`]).
//! - Usage is counted twice: `billed_units`, what is paid, and `tokens`, with what the service adds to a prompt. Accounting
//!   follows the bill ([`usage`]).
//! - A stream is complete with `message-end`; `[DONE]` follows it, which not every relay keeps.
//! - A generation that failed ends with `finish_reason: "ERROR"` or `"TIMEOUT"`, whole or in a stream.
//! - Nothing of it proves reasoning. To a consumer of this wire, artefacts of other families travel in an envelope under
//!   `signature`, beside a thought or a call, and never reach a service of this wire ([`edits`]).
//!
//! Reading order: `wire`, `document`, `citation`, `usage`, [`request`], `answer` (what both renderings of an answer share),
//! [`response`], [`events`], [`edits`], [`errors`].

mod answer;
mod citation;
mod document;
pub mod edits;
pub mod errors;
pub mod events;
mod finish;
pub mod request;
pub mod response;
mod usage;
mod wire;

#[cfg(test)]
mod tests;
