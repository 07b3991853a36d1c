//! Streams, both ends.
//!
//! Reading order: `events/decoder.rs` (lines to events), `events/encoder.rs` (events to lines).

mod decoder;
mod encoder;

use super::{Form, Quirks};
use crate::{Decoder, Encoder, ReplyContext};

/// A decoder for one stream of a provider.
pub fn decoder(quirks: &Quirks) -> impl Decoder + 'static {
    decoder::LineDecoder::new(quirks)
}

/// An encoder for one stream to a consumer.
pub fn encoder(context: ReplyContext, form: Form) -> impl Encoder + 'static {
    encoder::LineEncoder::new(context, form)
}
