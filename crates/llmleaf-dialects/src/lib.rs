//! Every wire, both ends: consumers that speak it and providers that speak it.
//!
//! Sans-IO: bytes in, values out; no clock, socket, task or environment. A dialect is one folder whose
//! rooms serve both ends with one set of wire structs.
//!
//! Two ways lead through a dialect:
//!
//! - *Across*: [`Dialect::parse_request`] → [`ChatWire::render_request`], and back
//!   [`Decoder`] → events → [`Encoder`]. What does not fit is a [`Loss`](llmleaf_model::Loss).
//! - *Same dialect in and out*: [`Head`] is read from the consumer's bytes, [`ChatWire::edit_request`] splices
//!   the few named edits, and frames go back as they came ([`ChatWire::relay`]), while the decoder reads beside them.
//!
//! Reading order: [`head`], [`object`], [`splice`], then a dialect's folder from its top file down.

pub mod assembly;
pub mod batches;
mod broken;
pub mod caching;
pub mod chat_completions;
pub mod cohere;
mod edits;
pub mod embeddings;
pub mod envelope;
pub mod gemini;
pub mod head;
pub mod headers;
pub mod images;
mod in_turn;
mod ladder;
mod level;
mod losses;
pub mod messages;
pub mod moderations;
pub mod object;
pub mod ollama;
pub mod preferences;
pub mod realtime;
pub mod rerank;
pub mod responses;
mod sane;
pub mod schema;
mod sealed;
mod skim;
mod sound_events;
pub mod speech;
pub mod splice;
mod surrogates;
pub mod text_completions;
mod toolbox;
pub mod transcription;
mod wire;
mod writer;

pub use broken::malformed;
pub use caching::Lifetime;
pub use embeddings::{EmbeddingForm, EmbeddingWire};
pub use head::Head;
pub use images::{ImageForm, ImageWire};
pub use llmleaf_framing::Frame;
pub use moderations::{ModerationForm, ModerationWire};
pub use rerank::{RerankForm, RerankWire};
pub use speech::SpeechWire;
pub use transcription::TranscriptionWire;
pub use wire::{ChatWire, Dialect, needs_no_keeper, unrestored};

use bytes::Bytes;
use llmleaf_framing::Pattern;
use llmleaf_model::{ChatRequest, Event, Failure, Loss};
use std::rc::Rc;

/// The largest count that is believed: up to here every JSON reader reads the same number. More tokens than this no answer
/// has, and nobody is billed for them.
const LARGEST_COUNT: u64 = 1 << 53;

/// What a provider is asked for, beside the request itself.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// Ask for a stream, whatever the consumer asked.
    pub stream: bool,
}

/// A request rendered for a provider.
#[derive(Debug)]
pub struct Rendered {
    /// The body.
    pub body: Bytes,
    /// What the wire could not express.
    pub losses: Vec<Loss>,
    /// A usage report in the stream was asked for although the consumer did not: it is hidden on the way back.
    pub usage_added: bool,
}

/// Provider end of a stream: frames to events. Pure state; never blocks, never panics.
pub trait Decoder {
    /// Takes the next frame and appends the events it means.
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>);

    /// How many bytes of text a frame adds to the answer, if it does nothing else and that can be told without reading it. Such a frame
    /// has been taken, and is not pushed as well.
    fn glance(&mut self, _frame: &Frame) -> Option<usize> {
        None
    }

    /// What frames look like that [`Self::glance`] would take, and of which nothing is to be known but how much text they have.
    fn pattern(&self) -> Option<&Pattern> {
        None
    }

    /// The stream ended cleanly (the transport saw its proper end). Appends the terminal: `ResponseEnd` where the
    /// provider had said enough, else an error of kind `Truncated`. Appends nothing after a terminal.
    fn finish(&mut self, out: &mut Vec<Event>);
}

/// Consumer end of a stream: events to wire bytes.
pub trait Encoder {
    /// Appends the bytes that tell the consumer of an event.
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>);

    /// Why the answer cannot be told to its end, where it cannot. Nothing is told any more but an error, which whoever asks has to send.
    fn failure(&self) -> Option<&Failure> {
        None
    }

    /// What the consumer's wire could not express so far; drained by the call.
    fn take_losses(&mut self) -> Vec<Loss>;
}

/// What an encoder or a renderer of whole responses needs beside the events.
#[derive(Clone, Debug, Default)]
pub struct ReplyContext {
    /// Id of the response where the provider gave none; unique, without prefix.
    pub fallback_id: String,
    /// Id of the request, for error bodies.
    pub request_id: String,
    /// The model the consumer asked for; used where the provider named none.
    pub model: String,
    /// Unix seconds, where the provider gave none.
    pub created: u64,
    /// The consumer wants a usage report in the stream.
    pub stream_usage: bool,
    /// The consumer wants no reasoning in the answer.
    pub hide_reasoning: bool,
    /// The consumer's streams have whole calls of tools, where the wire's own bring them in pieces, and tell their use in the chunk
    /// that ends an answer.
    pub whole_calls: bool,
    /// The request that is answered, where it was parsed: some wires repeat it in the answer, and tools whose names or
    /// forms the provider's wire could not take get them back.
    pub request: Option<Rc<ChatRequest>>,
}

/// A whole reply to a consumer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Vec<u8>,
    /// What the consumer's wire could not express.
    pub losses: Vec<Loss>,
}

/// What becomes of a frame that goes from a provider to a consumer of the same dialect.
#[derive(Debug, PartialEq, Eq)]
pub enum Relayed {
    /// Forward the bytes as they came.
    AsIs,
    /// Forward these instead: a named edit was needed.
    Edited(Vec<u8>),
    /// Forward nothing.
    Hidden,
}
