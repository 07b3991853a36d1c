//! Wires as their makers document them: what a consumer's end writes is read by the provider's end of the same wire.

use super::{ChatWire, Dialect};
use crate::{chat_completions, gemini, messages, ollama, responses, text_completions};

static COMPLETIONS: ChatWire = ChatWire::Completions(chat_completions::Quirks::REFERENCE);
static MESSAGES: ChatWire = ChatWire::Messages(messages::Quirks::REFERENCE);
static RESPONSES: ChatWire = ChatWire::Responses(responses::Quirks::REFERENCE);
static GENERATE_CONTENT: ChatWire = ChatWire::GenerateContent(gemini::Quirks::REFERENCE);
static OLLAMA: ChatWire = ChatWire::Ollama(ollama::Quirks::REFERENCE);
static OLLAMA_PROMPT: ChatWire = ChatWire::Ollama(ollama::Quirks::GENERATE);
static COHERE: ChatWire = ChatWire::CohereChat;
static TEXT_COMPLETIONS: ChatWire = ChatWire::TextCompletions(text_completions::Quirks::REFERENCE);

impl ChatWire {
    /// The provider's end of a consumer's dialect, as documented.
    pub fn reference(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::ChatCompletions => &COMPLETIONS,
            Dialect::Messages => &MESSAGES,
            Dialect::Responses => &RESPONSES,
            Dialect::GenerateContent => &GENERATE_CONTENT,
            Dialect::Ollama(ollama::Form::Chat) => &OLLAMA,
            Dialect::Ollama(ollama::Form::Generate) => &OLLAMA_PROMPT,
            Dialect::CohereChat => &COHERE,
            Dialect::TextCompletions => &TEXT_COMPLETIONS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_speaks_the_same() {
        for dialect in [
            Dialect::ChatCompletions,
            Dialect::Messages,
            Dialect::Responses,
            Dialect::GenerateContent,
            Dialect::LINES,
            Dialect::LINES_PROMPT,
            Dialect::CohereChat,
            Dialect::TextCompletions,
        ] {
            assert_eq!(ChatWire::reference(dialect).dialect(), dialect);
        }
    }
}
