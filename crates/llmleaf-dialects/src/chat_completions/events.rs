//! Streams, both ends.

mod decoder;
mod encoder;
mod finish;
mod held;
mod lane;
mod reading;

use super::Quirks;
use crate::{Decoder, Encoder, ReplyContext};

pub(crate) use finish::parse_finish;
pub(super) use reading::{Reading, provenance};

/// A decoder for one stream of a provider.
pub fn decoder(quirks: &Quirks) -> impl Decoder + 'static {
    decoder::ChunkDecoder::new(quirks)
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext) -> impl Encoder + 'static {
    encoder::ChunkEncoder::new(context)
}
