//! The event grammar: what a stream of any dialect says.
//!
//! ```text
//! stream   = ResponseStart? (block | ChoiceEnd | UsageReport | Unknown)* terminal
//! block    = BlockStart BlockDelta* BlockEnd      blocks may interleave; an index is never reused
//! terminal = ResponseEnd | Error                  exactly one, and nothing after it
//! ```
//!
//! [`crate::grammar`] checks this around every decoder.

use crate::{
    Artefact, Citation, DialectName, Failure, Json, MediaKind, ReasoningForm, Rest,
    ServerToolResult, ServerToolUse, ToolFlavour, Usage,
};

/// One thing that happened in a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The provider accepted the request and began.
    ResponseStart(ResponseStart),
    /// A block opens.
    BlockStart {
        /// Index of the block, unique in the response, counted from 0.
        block: u32,
        /// Which of several answers it belongs to.
        choice: u32,
        /// What it is.
        kind: BlockKind,
    },
    /// A block grows.
    BlockDelta { block: u32, delta: Delta },
    /// A block is complete.
    BlockEnd { block: u32 },
    /// One answer is complete, and why.
    ChoiceEnd { choice: u32, finish: Finish },
    /// Tokens used so far; each report replaces the ones before.
    UsageReport(Usage),
    /// The provider said that the response is complete.
    ResponseEnd,
    /// The response failed; content before it stands.
    Error(Box<Failure>),
    /// Something the reading does not know: named, so that it can be counted.
    Unknown { name: String },
}

impl Event {
    /// True for what a consumer would see as part of the answer: past the first such event an exchange is committed.
    ///
    /// Lifecycle events, pings, role-only and empty deltas are not. The start of a tool call is: its name is content.
    pub fn bears_content(&self) -> bool {
        match self {
            Self::BlockStart { kind, .. } => !matches!(
                kind,
                BlockKind::Text
                    | BlockKind::Reasoning { .. }
                    | BlockKind::Refusal
                    | BlockKind::Media { .. }
            ),
            Self::BlockDelta { delta, .. } => !delta.is_empty(),
            // An answer that ends with nothing said is an answer. The end of one choice is not yet that: services put errors
            // beside a finish reason.
            Self::ResponseEnd => true,
            _ => false,
        }
    }

    /// True for the one event that ends a stream.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::ResponseEnd | Self::Error(_))
    }
}

/// What is known when a response begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseStart {
    /// The provider's id of the response.
    pub id: Option<String>,
    /// The model that answers, as the provider names it.
    pub model: Option<String>,
    /// Unix seconds.
    pub created: Option<u64>,
    /// Input tokens and such, where the wire reports them first.
    pub usage: Option<Usage>,
    /// Further facts (service tier, fingerprint), under their wire names.
    pub rest: Rest,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// Answer text.
    Text,
    /// Reasoning; an artefact may come as a delta, or be all there is.
    Reasoning {
        /// Item id, in dialects whose reasoning items have one.
        id: Option<String>,
        /// Whole thoughts or a summary.
        form: ReasoningForm,
    },
    /// A call of a consumer's tool; arguments come as deltas.
    ToolCall {
        /// The provider's id, never empty: made up by the decoder where the wire gives none.
        id: String,
        /// Tool name.
        name: String,
        /// Function or custom.
        flavour: ToolFlavour,
    },
    /// The model declines, in words.
    Refusal,
    /// Media made by the model; the data comes as base64 deltas, or as one address.
    Media {
        /// Image, audio…
        kind: MediaKind,
        /// MIME type, where the wire says.
        mime: Option<String>,
        /// The provider's id of it.
        id: Option<String>,
    },
    /// The provider runs a tool of its own; input may come as deltas.
    ServerToolUse(ServerToolUse),
    /// What it returned.
    ServerToolResult(ServerToolResult),
    /// A block that only its own dialect understands, whole.
    Opaque {
        dialect: DialectName,
        kind: String,
        json: Json,
    },
}

/// How a block grows.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text of a text, reasoning or refusal block; transcript of an audio block.
    Text(String),
    /// Arguments of a tool call, input of a server tool: a fragment of JSON or free text.
    Arguments(String),
    /// Opaque proof of a reasoning block or of a tool call.
    Artefact(Artefact),
    /// A source cited by a text block.
    Citation(Box<Citation>),
    /// Log-probabilities of the text that came with them, as the chat-completions wire writes them.
    Logprobs(Json),
    /// Base64 data of a media block.
    MediaData(String),
    /// Address of a media block's data.
    MediaUrl(String),
    /// A delta that only its own dialect understands.
    Opaque { dialect: DialectName, json: Json },
}

impl Delta {
    /// True for a delta that adds nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text)
            | Self::Arguments(text)
            | Self::MediaData(text)
            | Self::MediaUrl(text) => text.is_empty(),
            _ => false,
        }
    }
}

/// Why an answer is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The class of it.
    pub reason: FinishReason,
    /// The provider's own word.
    pub native: Option<String>,
    /// The text that stopped it, where the wire says which.
    pub stop_sequence: Option<String>,
    /// Further facts that come with the end (why it was refused, a container), under their wire names.
    pub rest: Rest,
}

impl Finish {
    /// A finish with the provider's own word.
    pub fn new(reason: FinishReason, native: impl Into<String>) -> Self {
        Self {
            reason,
            native: Some(native.into()),
            stop_sequence: None,
            rest: Rest::default(),
        }
    }
}

/// The class of a finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop text came.
    StopSequence,
    /// The output cap was reached.
    Length,
    /// The context window is full.
    ContextWindow,
    /// The model waits for tool results.
    ToolCalls,
    /// A content filter stopped it.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// The provider paused a long turn; send it back to go on.
    Pause,
    /// The provider ended the answer with an error and kept the stream well-formed.
    Error,
    /// The provider said the response is complete without saying why.
    Unstated,
    /// A word the reading does not know; see [`Finish::native`].
    Other,
}
