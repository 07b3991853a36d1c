//! Events to frames.
use crate::{Encoder, ReplyContext};
use llmleaf_model::{Event, Loss};

pub(in crate::messages) struct MessagesEncoder;

impl MessagesEncoder {
    pub fn new(_context: ReplyContext) -> Self {
        Self
    }
}

impl Encoder for MessagesEncoder {
    fn encode(&mut self, _event: &Event, _out: &mut Vec<u8>) {}
    fn take_losses(&mut self) -> Vec<Loss> {
        Vec::new()
    }
}
