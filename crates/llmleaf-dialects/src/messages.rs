//! Anthropic Messages, API versions 2023-06-01 and 2026-10-21.
//!
//! Reference: Anthropic's OpenAPI document (2026-08) and the types of its Python SDK.
//!
//! Reading order: [`quirks`], [`wire`], [`request`], [`response`], [`events`], [`edits`], [`errors`].

pub mod edits;
pub mod errors;
pub mod events;
pub mod quirks;
pub mod request;
pub mod response;
pub mod wire;

pub use quirks::Quirks;
