//! Streams, both ends.

use super::Quirks;
use crate::{Decoder, Encoder, Frame, ReplyContext};
use llmleaf_model::{Event, Loss};

struct Pending;

impl Decoder for Pending {
    fn push(&mut self, _frame: &Frame, _out: &mut Vec<Event>) {}
    fn finish(&mut self, _out: &mut Vec<Event>) {}
}

impl Encoder for Pending {
    fn encode(&mut self, _event: &Event, _out: &mut Vec<u8>) {}
    fn take_losses(&mut self) -> Vec<Loss> {
        Vec::new()
    }
}

/// A decoder for one stream of a provider.
pub fn decoder(_quirks: &Quirks) -> impl Decoder + 'static {
    Pending
}

/// An encoder for one stream to a consumer.
pub fn encoder(_context: ReplyContext) -> impl Encoder + 'static {
    Pending
}
