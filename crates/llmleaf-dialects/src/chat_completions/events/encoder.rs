//! Consumer end: events to frames.

use crate::{Encoder, ReplyContext};
use llmleaf_model::{Event, Loss};

/// Writes one stream of chunks.
pub(super) struct ChunkEncoder {
    _context: ReplyContext,
}

impl ChunkEncoder {
    pub(super) fn new(context: ReplyContext) -> Self {
        Self { _context: context }
    }
}

impl Encoder for ChunkEncoder {
    fn encode(&mut self, _event: &Event, _out: &mut Vec<u8>) {}
    fn take_losses(&mut self) -> Vec<Loss> {
        Vec::new()
    }
}
