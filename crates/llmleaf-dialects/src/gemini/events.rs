//! Streams, both ends.
//!
//! Reading order: `events/decoder.rs` (frames to events), `events/encoder.rs` (events to frames).

mod decoder;
mod encoder;

use super::Quirks;
use crate::{Decoder, Encoder, ReplyContext};

/// A decoder for one stream of a provider.
pub fn decoder(quirks: &Quirks) -> impl Decoder + 'static {
    decoder::ChunkDecoder::new(quirks)
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext) -> impl Encoder + 'static {
    encoder::ChunkEncoder::new(context)
}
