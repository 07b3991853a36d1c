//! Anthropic Messages, API versions 2023-06-01 and 2026-10-21.
//!
//! Reference: Anthropic's OpenAPI document (2026-08, version 2023-06-01), the types of its Python SDK 2.14 (2026-11,
//! version 2026-10-21), and the version history at <https://platform.claude.com/docs/en/api/versioning> (2026-11).
//!
//! What version 2026-10-21 changes on this wire; frames, blocks, usage and errors keep their shapes:
//!
//! - `temperature`, `top_p` and `top_k` are gone: any value, the default too, is answered with a 400
//!   ([`quirks::SamplingSupport`]).
//! - a `document` block directly in an assistant turn, and a non-empty `citations` on a text block of a user turn
//!   (also inside `search_result`), are answered with a 400.
//! - the SDKs of that version send the key as `Authorization: Bearer`.
//! - turns of role `system` inside `messages`, right behind a user turn, need no beta on models that take them
//!   ([`quirks::LaterInstructions`]); `max_tokens: 0` fills the prompt cache without an answer; `speed`,
//!   `diagnostics`, `thinking.type: between_tools` and `error.details.error_code` are new.
//!
//! Reading order: [`quirks`], `wire`, [`request`], [`response`], [`events`], [`edits`], [`errors`], `reasoning`
//! (how foreign artefacts travel), [`count`] (token counting).

mod answer;
mod content;
pub mod count;
pub mod edits;
pub mod errors;
pub mod events;
mod finish;
pub mod quirks;
mod reasoning;
pub mod request;
pub mod response;
mod usage;
mod wire;

pub use quirks::Quirks;

#[cfg(test)]
mod tests;
