//! OpenAI Chat Completions, with the request and response extensions of OpenRouter and the variations of
//! the many services that speak this wire.
//!
//! Reference: OpenAI's OpenAPI document 2.3.0 (2026-08), OpenRouter's 1.0.0 (2026-08).
//!
//! Reading order: [`quirks`] (how services differ, as data), `wire`, [`request`], [`response`], [`events`],
//! [`edits`] (same dialect in and out), [`errors`].

mod answer;
pub mod edits;
pub mod errors;
pub mod events;
mod fields;
mod json;
mod media;
mod messages;
pub mod outline;
pub mod quirks;
mod reasoning;
mod rendering;
pub mod request;
pub mod response;
mod tools;
pub(crate) mod usage;
mod wire;

#[cfg(test)]
mod tests;

pub use quirks::Quirks;

/// Bytes as trimmed text, where they are UTF-8.
fn json_text(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok().map(str::trim)
}
