//! What is lost of an answer while it is rendered.

use crate::writer::ObjectWriter;
use llmleaf_model::Loss;

/// Most losses that are named; an answer with more is told apart from a faithful one by the first of them.
const MAX_LOSSES: usize = 64;

/// Losses of one answer, in the order in which they were seen.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Loss>);

impl Losses {
    /// Notes a loss, once per field.
    pub fn note(&mut self, loss: Loss) {
        if self.0.len() < MAX_LOSSES && !self.0.iter().any(|known| known.field == loss.field) {
            self.0.push(loss);
        }
    }

    /// Tells them in the last piece of a stream that knows no comments, and whose head is long gone: clients pass over fields that
    /// they do not know.
    pub fn tell(&self, object: &mut ObjectWriter<'_>) {
        if !self.0.is_empty() {
            let all: Vec<String> = self.0.iter().map(Loss::to_string).collect();
            object.string("x_llmleaf_loss", &all.join("; "));
        }
    }

    /// Hands out what was lost so far.
    pub fn take(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.0)
    }
}
