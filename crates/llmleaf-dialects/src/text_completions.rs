//! OpenAI's completions: one prompt, or several, that the model goes on writing; the wire before chat.
//!
//! Reference: OpenAI's OpenAPI document 2.3.0 (`/completions`), Mistral's 1.0.0 (`/fim/completions`), DeepSeek's documentation of its
//! FIM completion (api-docs.deepseek.com/api/create-completion, read 2026-11), and recorded traffic (2024-2026).
//!
//! What is particular to this wire:
//!
//! - Its services are base models and models that fill in the middle (`suffix`). Chat models are asked by translation: the prompt
//!   becomes a message of the user. What would ask for something else then (token ids, several prompts, a suffix, nothing but the
//!   prompt's own probabilities) is refused, and the next target tried.
//! - Chunks and whole answers have the same shape, text in `choices[].text`. Errors, usage, `[DONE]` and routing are those of chat.
//! - Log-probabilities are four lists side by side.
//!
//! Reading order: [`quirks`], [`request`], `reading` (an answer as events), [`response`], [`events`], `logprobs`, [`edits`], [`errors`].

pub mod edits;
pub mod errors;
pub mod events;
mod logprobs;
pub mod quirks;
mod reading;
pub mod request;
pub mod response;

#[cfg(test)]
mod tests;

pub use quirks::Quirks;

use crate::ChatWire;
use llmleaf_model::Loss;

impl ChatWire {
    /// Whether the service speaks this wire with a model.
    pub fn serves(&self, model: &str) -> bool {
        match self {
            Self::TextCompletions(quirks) => quirks.serves(model),
            _ => true,
        }
    }

    /// Whether answers come in the form of requests.
    pub fn answers_in_kind(&self) -> bool {
        match self {
            Self::TextCompletions(quirks) => quirks.answers == quirks::Answers::Text,
            _ => true,
        }
    }
}

/// Why what a chat model says beside its text is lost.
const TEXT_ONLY: &str = "a completion is text alone";

/// What becomes of a refusal.
fn refusal(choice: u64) -> Loss {
    let why = "a refusal is text like any other here";
    Loss::approximated(format!("choices[{choice}].refusal"), why)
}
