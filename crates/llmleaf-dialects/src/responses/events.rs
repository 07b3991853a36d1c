//! Streams, both ends.
//!
//! Reading order: `events/decoder.rs` (frames to events), `events/items.rs` (the items that a stream is about),
//! `events/whole.rs`; `events/encoder.rs` (events to frames, by `answer`).

mod decoder;
mod encoder;
mod items;
mod whole;

use super::Quirks;
use crate::{Decoder, Encoder, ReplyContext};

pub(super) use decoder::ResponsesDecoder;

/// A decoder for one stream of a provider.
pub fn decoder(quirks: &Quirks) -> impl Decoder + 'static {
    ResponsesDecoder::new(quirks)
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext) -> impl Encoder + 'static {
    encoder::ResponsesEncoder::new(context)
}
