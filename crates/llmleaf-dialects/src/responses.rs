//! OpenAI Responses, with the variations of the services that speak it.
//!
//! Reference: OpenAI's OpenAPI document 2.3.0 (2026-08); recordings of OpenAI, Azure, xAI, OpenRouter, DeepSeek and
//! LM Studio (2025-11 to 2026-08).
//!
//! An exchange is a list of *items* in and a list of items out: messages, reasoning, calls and their outputs, runs of the
//! provider's own tools. In the model, what the assistant did between two turns of the others is one message; its items are
//! the message's parts.
//!
//! - Reasoning travels in `encrypted_content`. Of other families it is carried there in the sealed envelope (`sealed.rs` of
//!   the crate), which a consumer sends back unread.
//! - What only the service that holds it can read (`previous_response_id`, `conversation`, `prompt`, `item_reference`) is
//!   never dropped: without such a service the request is refused.
//! - Groups of tools and tools of free text are carried over other wires by the crate's toolbox.
//!
//! Reading order: [`quirks`], `wire`, [`request`], `answer` (items of an answer, told to a consumer), [`response`],
//! [`events`], [`edits`], [`errors`], [`kept`] (names of answers that a service keeps),
//! [`socket`] (the WebSocket form).

mod answer;
pub mod count;
pub mod edits;
pub mod errors;
pub mod events;
mod finish;
pub mod kept;
pub mod quirks;
mod reasoning;
pub mod request;
pub mod response;
pub mod socket;
mod usage;
mod wire;

pub use quirks::Quirks;
pub(crate) use reasoning::proves_call;

#[cfg(test)]
mod tests;
