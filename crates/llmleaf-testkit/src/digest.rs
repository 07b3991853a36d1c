//! What a response says, whatever its dialect and whether it came whole or as a stream: the reference reading
//! against which the product is judged.
//!
//! Written from the documents and from recorded traffic alone. [`openai_chat_unary`], [`openai_chat_stream`],
//! [`anthropic_unary`], [`anthropic_stream`], [`openai_responses_unary`] and [`openai_responses_stream`] read; [`Digest::compare`] names what differs. Counts follow one
//! convention for both dialects (input includes what the cache gave and took, output includes reasoning), so digests of
//! two dialects can be compared.

mod anthropic;
mod cohere;
mod compare;
mod errors;
mod gemini;
mod ollama;
mod openai;
mod responses;
mod usage;

pub use anthropic::{anthropic_stream, anthropic_unary};
pub use cohere::{cohere_stream, cohere_unary};
pub use compare::{Arguments, Difference, Tolerance};
pub use errors::{
    ErrorClass, ErrorReading, anthropic_error, cohere_error, google_error, openai_error,
};
pub use gemini::{gemini_stream, gemini_unary};
pub use ollama::{ollama_stream, ollama_unary};
pub use openai::{openai_chat_stream, openai_chat_unary};
pub use responses::{openai_responses_stream, openai_responses_unary};
pub use usage::UsageClasses;

use crate::json::{self, Value};

/// Everything one response says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// The answers in index order; one unless the consumer asked for more. Empty when there was none, as in an
    /// error.
    pub choices: Vec<Choice>,
    /// Token counts, where any were given.
    pub usage: Option<UsageClasses>,
    /// The error, whether it was the whole answer or came within a stream.
    pub error: Option<ErrorReading>,
    /// The model named in the response.
    pub model: String,
    /// Whether the dialect's own end was seen: `[DONE]`, `message_stop`; a whole JSON body always counts.
    pub terminal: bool,
    /// Events with content after that end. Some recordings hold two answers in one file.
    pub after_terminal: usize,
    /// Distinct response ids seen; more than one means that the recording holds several answers.
    pub responses: usize,
    /// Events that were not JSON.
    pub corrupt: usize,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Position among the answers.
    pub index: u64,
    /// All text, in order, joined by nothing.
    pub text: String,
    /// All readable reasoning, in order, joined by nothing.
    pub reasoning: String,
    /// The refusal text.
    pub refusal: String,
    /// Calls of the consumer's tools, in order.
    pub tool_calls: Vec<ToolCall>,
    /// Names of provider-run tools that were called, in order.
    pub server_tools: Vec<String>,
    /// Why it ended.
    pub finish: FinishClass,
    /// The finish reason as it was spelled; the last one where it was repeated.
    pub finish_raw: String,
    /// Opaque reasoning artefacts (signatures, encrypted or redacted reasoning), in order. Empty ones are left out.
    pub signatures: Vec<String>,
    /// Citations or annotations.
    pub citations: usize,
    /// Images in the answer.
    pub images: usize,
    /// Whether the answer holds audio.
    pub audio: bool,
    /// Tokens with log probabilities.
    pub logprobs: usize,
    /// Kinds of content not read above, in order.
    pub others: Vec<String>,
}

/// One call of a consumer's tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// The arguments exactly as they were spelled; the compact text of an argument object.
    pub arguments: String,
    /// The id of the call; empty where the wire had none.
    pub id: String,
}

impl ToolCall {
    /// The arguments as a tree. No arguments at all read as `{}`; `None` when they are no JSON.
    #[must_use]
    pub fn arguments_json(&self) -> Option<Value> {
        if self.arguments.trim().is_empty() {
            return Some(Value::Object(Vec::new()));
        }
        json::parse(&self.arguments).ok()
    }
}

/// Why an answer ended, across dialects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FinishClass {
    /// The model was done.
    Stop,
    /// A token or context limit.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A filter or a refusal.
    ContentFilter,
    /// One of the consumer's stop sequences, where the wire tells it from [`FinishClass::Stop`].
    StopSequence,
    /// A provider-run loop was paused.
    PauseTurn,
    /// An error, in band.
    Error,
    /// A reason not known here.
    Other(String),
    /// None was given.
    #[default]
    None,
}

impl FinishClass {
    /// Reads a finish reason or stop reason of any of the two dialects and of the providers seen.
    #[must_use]
    pub fn read(raw: &str) -> Self {
        match raw {
            "" => FinishClass::None,
            // `eos` is Together's; `end_turn` was seen from OpenRouter on the OpenAI wire.
            "stop" | "eos" | "end_turn" | "STOP" | "COMPLETE" => FinishClass::Stop,
            "length" | "max_tokens" | "MAX_TOKENS" | "model_context_window_exceeded" => {
                FinishClass::Length
            }
            // `tool_call` was seen from one Azure backend.
            "tool_calls" | "tool_call" | "function_call" | "tool_use" | "TOOL_CALL" => {
                FinishClass::ToolCalls
            }
            "content_filter" | "refusal" | "SAFETY" | "RECITATION" | "ERROR_TOXIC" => {
                FinishClass::ContentFilter
            }
            "stop_sequence" | "STOP_SEQUENCE" => FinishClass::StopSequence,
            "pause_turn" => FinishClass::PauseTurn,
            "error" | "ERROR" | "TIMEOUT" => FinishClass::Error,
            other => FinishClass::Other(other.to_owned()),
        }
    }
}

impl Digest {
    /// The digest of an answer that is an error.
    #[must_use]
    pub fn of_error(error: ErrorReading) -> Self {
        Digest {
            error: Some(error),
            terminal: true,
            ..Digest::default()
        }
    }

    /// The first answer.
    #[must_use]
    pub fn first(&self) -> Option<&Choice> {
        self.choices.first()
    }

    /// The text of the first answer.
    #[must_use]
    pub fn text(&self) -> &str {
        self.first().map_or("", |choice| &choice.text)
    }

    /// The reasoning of the first answer.
    #[must_use]
    pub fn reasoning(&self) -> &str {
        self.first().map_or("", |choice| &choice.reasoning)
    }

    /// The tool calls of the first answer.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.first().map_or(&[], |choice| &choice.tool_calls)
    }

    /// Why the first answer ended.
    #[must_use]
    pub fn finish(&self) -> FinishClass {
        self.first()
            .map_or(FinishClass::None, |choice| choice.finish.clone())
    }

    /// Whether any answer holds anything a consumer could use.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.choices.iter().any(|choice| {
            !choice.text.is_empty()
                || !choice.refusal.is_empty()
                || !choice.tool_calls.is_empty()
                || choice.images > 0
                || choice.audio
        })
    }

    /// The answer with an index, made when it is new; answers stay in index order.
    fn choice(&mut self, index: u64) -> &mut Choice {
        let at = match self
            .choices
            .binary_search_by_key(&index, |choice| choice.index)
        {
            Ok(at) => at,
            Err(at) => {
                let choice = Choice {
                    index,
                    ..Choice::default()
                };
                self.choices.insert(at, choice);
                at
            }
        };
        &mut self.choices[at]
    }
}

impl Choice {
    /// A finish reason; the last one given counts, as a stream may repeat or correct it.
    fn finished(&mut self, raw: &str) {
        if !raw.is_empty() {
            raw.clone_into(&mut self.finish_raw);
            self.finish = FinishClass::read(raw);
        }
    }
}

#[cfg(test)]
mod tests;
