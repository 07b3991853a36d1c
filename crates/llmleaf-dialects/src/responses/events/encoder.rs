//! Events to frames.

use crate::responses::answer::Answer;
use crate::{Encoder, ReplyContext};
use llmleaf_model::{Event, Loss};

/// Writes one stream of this wire.
pub(in crate::responses) struct ResponsesEncoder {
    answer: Answer,
}

impl ResponsesEncoder {
    pub fn new(context: ReplyContext) -> Self {
        Self {
            answer: Answer::new(context),
        }
    }
}

impl Encoder for ResponsesEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.answer.tell(event, out);
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.answer.take_losses()
    }
}
