//! The canonical model: one request, one event grammar, one usage, one error taxonomy.
//!
//! Every dialect maps its wire to these types and back, so N dialects need N mappings and not N².
//! The types know no wire format, no provider, no transport and no clock; unknown things are carried
//! in [`Rest`] or as opaque values with their dialect's name, so that nothing is lost in silence.
//!
//! Reading order: [`request`], [`message`], [`event`], [`usage`], [`failure`], [`loss`], then the two
//! machines over events: [`grammar`] (the laws) and [`collect`] (a whole response is a collected stream).

pub mod audio;
pub mod batch;
pub mod collect;
pub mod embedding;
pub mod event;
pub mod failure;
pub mod grammar;
pub mod image;
pub mod json;
pub mod loss;
pub mod media;
pub mod message;
pub mod moderation;
pub mod percent;
pub mod preferences;
pub mod reasoning;
pub mod request;
pub mod rerank;
pub mod tool;
pub mod usage;

pub use audio::{Segment, SpeechRequest, Transcript, Voice, Word};
pub use batch::{Batch, BatchCounts, BatchOutcome, BatchProblem, BatchResult, BatchStatus};
pub use collect::{Block, Choice, Collector, Response};
pub use embedding::{
    EmbeddingInput, EmbeddingPart, EmbeddingRequest, Embeddings, Vector, VectorEncoding,
};
pub use event::{BlockKind, Delta, Event, Finish, FinishReason, ResponseStart};
pub use failure::{Failure, FailureKind, Origin, Retry};
pub use grammar::{Grammar, GrammarError};
pub use image::{Image, ImageRequest, ImageSource, Images};
pub use json::{Json, Rest};
pub use loss::{Loss, LossKind};
pub use media::{Media, MediaKind, MediaSource};
pub use message::{CacheHint, Citation, Message, Part, PartKind, Role};
pub use moderation::{ModerationInput, ModerationRequest, Moderations};
pub use preferences::{Demands, MaxPrice, Preferences, Sort};
pub use reasoning::{
    Artefact, ArtefactKind, Effort, Provenance, Reasoning, ReasoningConfig, ReasoningForm,
    ReasoningMode, ReasoningText,
};
pub use request::{ChatRequest, Output, ResponseFormat, Sampling};
pub use rerank::{Document, Ranked, Ranking, RerankRequest};
pub use tool::{
    ServerToolResult, ServerToolUse, Tool, ToolCall, ToolChoice, ToolFlavour, ToolKind, ToolResult,
};
pub use usage::{Units, Usage};

/// The wire formats that the model can name. A dialect is a format, not a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialectName {
    /// OpenAI Chat Completions, with OpenRouter's extensions.
    ChatCompletions,
    /// Anthropic Messages.
    Messages,
    /// OpenAI Responses.
    Responses,
    /// Gemini `generateContent`, also as Vertex AI serves it.
    GenerateContent,
    /// Cohere chat, version 2.
    CohereChat,
    /// Ollama's native chat.
    OllamaChat,
    /// Ollama's completion of one prompt.
    OllamaGenerate,
    /// OpenAI's completions, the wire before chat.
    TextCompletions,
}

impl DialectName {
    /// Stable lower-case name, for logs, records and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::GenerateContent => "generate_content",
            Self::CohereChat => "cohere_chat",
            Self::OllamaChat => "ollama_chat",
            Self::OllamaGenerate => "ollama_generate",
            Self::TextCompletions => "text_completions",
        }
    }
}
