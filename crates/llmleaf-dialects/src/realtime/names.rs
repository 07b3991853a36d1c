//! What a handshake says, by the names that this wire has for it.
//!
//! Reference: OpenAI's guide "Realtime API with WebSocket", read 2026-11, and its SDK for JavaScript.

/// The sub-protocol that is spoken.
pub const PROTOCOL: &str = "realtime";
/// What stands before a key among the sub-protocols: browsers can say it nowhere else.
pub const KEY_PROTOCOL: &str = "openai-insecure-api-key.";
/// The sub-protocol that asks for the form that stood before.
pub const OLDER_PROTOCOL: &str = "openai-beta.realtime-v1";
/// The header that asks for it, and its value.
pub const OLDER_HEADER: (&str, &str) = ("openai-beta", "realtime=v1");
