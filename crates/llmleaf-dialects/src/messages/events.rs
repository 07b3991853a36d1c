//! Streams, both ends.
//!
//! Reading order: `events/decoder.rs` (frames to events), `events/encoder.rs` (events to frames, one block at a
//! time), `events/block.rs` (how one block is written).

mod block;
mod decoder;
mod encoder;

use super::Quirks;
use crate::{Decoder, Encoder, ReplyContext};

pub(super) use decoder::MessagesDecoder;

/// A decoder for one stream of a provider.
pub fn decoder(quirks: &Quirks) -> impl Decoder + 'static {
    MessagesDecoder::new(quirks)
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext) -> impl Encoder + 'static {
    encoder::MessagesEncoder::new(context)
}
