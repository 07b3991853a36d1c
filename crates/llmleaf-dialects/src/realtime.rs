//! The Realtime wire: a session of speech and text over a WebSocket, as JSON events each way.
//!
//! Reference: OpenAI's OpenAPI document 2.3.0 (2026-08), schemas `RealtimeClientEvent*` and `RealtimeServerEvent*`, and those named
//! `RealtimeBeta*` for the form that stood before; its guide "Realtime and audio", read 2026-11.
//!
//! Where the provider holds sessions itself the events go through as they came. What a gateway has to know of them is here:
//! which models a consumer names ([`consumer`]), and what was used ([`Listener`]). Everything else is nobody's business.
//!
//! Reading order: [`consumer`], `listener.rs`, `usage.rs`, `told.rs` and `step.rs` (events that we say ourselves); then
//! [`bridge`] (a session over a model that only chats) and [`live`] (one over another wire of sessions).

pub mod bridge;
pub mod consumer;
mod listener;
pub mod live;
pub mod names;
mod step;
mod told;
mod usage;

pub use listener::{Counted, Listener, Part};
pub use step::Step;
pub use told::{Wrong, error, error_of, wrong_in};

#[cfg(test)]
mod tests;
