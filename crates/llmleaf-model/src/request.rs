//! The canonical request.

use crate::{CacheHint, DialectName, Json, Message, ReasoningConfig, Rest, Tool, ToolChoice};
use serde_json::Number;

/// A chat request of any dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The dialect it was read from; `rest` fields belong to it.
    pub dialect: DialectName,
    /// The model the consumer asked for.
    pub model: String,
    /// The conversation, instructions included, in order.
    pub messages: Vec<Message>,
    /// Tools the model may use.
    pub tools: Vec<Tool>,
    /// Which tool must, may or may not be called.
    pub tool_choice: Option<ToolChoice>,
    /// Several calls in one turn are allowed.
    pub parallel_tool_calls: Option<bool>,
    /// Shape of the answer's text.
    pub response_format: Option<ResponseFormat>,
    /// How tokens are chosen, and how many.
    pub sampling: Sampling,
    /// How much reasoning.
    pub reasoning: Option<ReasoningConfig>,
    /// What else to produce beside text.
    pub output: Output,
    /// The consumer wants a stream.
    pub stream: bool,
    /// The consumer wants a usage report in the stream. Dialects that always report set it.
    pub stream_usage: bool,
    /// An id of the end user, for abuse detection.
    pub user: Option<String>,
    /// Consumer's tags: a JSON object, as written.
    pub metadata: Option<Json>,
    /// Service class (`auto`, `default`, `flex`, `priority`, …), as written.
    pub service_tier: Option<String>,
    /// Key that groups requests with a common prefix.
    pub prompt_cache_key: Option<String>,
    /// A cache hint for the request as a whole.
    pub cache: Option<CacheHint>,
    /// The provider may store the exchange.
    pub store: Option<bool>,
    /// A response of the provider that this one continues.
    pub previous_response_id: Option<String>,
    /// The consumer wants the opaque artefacts of reasoning in the answer, to send them back. Dialects that always have
    /// them leave it unset.
    pub artefacts: bool,
    /// A field that only a service of the request's own dialect can honour, and without which something else would be
    /// asked (a conversation that the service holds, a stored prompt): no other dialect may render the request.
    pub bound: Option<String>,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

impl ChatRequest {
    /// Reasoning is asked for in the words of that dialect, by the consumer itself: so it is said again as it was, and whether it goes together
    /// with the rest is the consumer's affair.
    pub fn reasons_in_words_of(&self, dialect: DialectName) -> bool {
        self.dialect == dialect && !self.reasoning.as_ref().is_some_and(|config| config.unasked)
    }

    /// A request that asks nothing of anyone yet.
    pub fn new(dialect: DialectName, model: impl Into<String>) -> Self {
        Self {
            dialect,
            model: model.into(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            response_format: None,
            sampling: Sampling::default(),
            reasoning: None,
            output: Output::default(),
            stream: false,
            stream_usage: false,
            user: None,
            metadata: None,
            service_tier: None,
            prompt_cache_key: None,
            cache: None,
            store: None,
            previous_response_id: None,
            artefacts: false,
            bound: None,
            rest: Rest::default(),
        }
    }

    /// The field by which it asks for what only a service that keeps answers can do: to go on from an earlier one, or to work on
    /// without its consumer.
    pub fn kept_by_provider(&self) -> Option<&'static str> {
        if self.previous_response_id.is_some() {
            return Some("previous_response_id");
        }
        let background = self.dialect == DialectName::Responses
            && self
                .rest
                .get("background")
                .is_some_and(|json| json.as_str() == "true");
        background.then_some("background")
    }
}

/// How tokens are chosen, and how many. Numbers keep the value written (`0.7` stays `0.7`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Most output tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Randomness.
    pub temperature: Option<Number>,
    /// Nucleus.
    pub top_p: Option<Number>,
    /// Most likely tokens considered.
    pub top_k: Option<Number>,
    /// Least probability relative to the most likely token.
    pub min_p: Option<Number>,
    /// Penalty by how often a token came.
    pub frequency_penalty: Option<Number>,
    /// Penalty by whether a token came.
    pub presence_penalty: Option<Number>,
    /// Multiplicative penalty.
    pub repetition_penalty: Option<Number>,
    /// Seed of the randomness.
    pub seed: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers.
    pub choices: Option<u64>,
    /// Log-probabilities of the tokens chosen.
    pub logprobs: Option<bool>,
    /// How many alternatives per token.
    pub top_logprobs: Option<u64>,
    /// Token id to bias, as written.
    pub logit_bias: Option<Json>,
}

/// Shape of the answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Free text, asked for in so many words.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON under a schema.
    JsonSchema {
        /// Name of the schema.
        name: Option<String>,
        /// What it is for, for the model.
        description: Option<String>,
        /// The schema.
        schema: Json,
        /// The provider must hold the answer to it.
        strict: Option<bool>,
    },
    /// A form that only its own dialect understands (a grammar, say).
    Opaque { dialect: DialectName, json: Json },
}

/// What to produce beside text, and how wordy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Modalities wanted (`text`, `audio`, `image`); empty leaves it to the provider.
    pub modalities: Vec<String>,
    /// Voice and format of spoken output, as written.
    pub audio: Option<Json>,
    /// Wordiness (`low`, `medium`, `high`), as written.
    pub verbosity: Option<String>,
}
