//! Streams, both ends.
//!
//! Reading order: `events/reading.rs` (what events and whole messages mean), `events/decoder.rs` (frames to events),
//! `events/encoder.rs` (events to frames).

mod decoder;
mod encoder;
mod reading;

use crate::{Decoder, Encoder, ReplyContext};

pub(super) use reading::Reading;

/// A decoder for one stream of a provider.
pub fn decoder() -> impl Decoder + 'static {
    decoder::ChatDecoder::default()
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext) -> impl Encoder + 'static {
    encoder::ChatEncoder::new(context)
}
