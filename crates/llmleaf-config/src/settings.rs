//! `settings` of a provider: what differs within a kind.

use std::collections::BTreeMap;

/// The `settings` table of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether the upstream call streams.
    pub upstream_streaming: UpstreamStreaming,
    /// Which chat wire to speak upstream.
    pub chat_api: ChatApi,
    /// The same for requests that carry audio.
    pub chat_with_audio_input_api: Option<ChatApi>,
    /// Whether the provider takes audio in chat.
    pub audio_input: Option<bool>,
    /// Whether the provider has a rerank endpoint.
    pub rerank_api: Option<bool>,
    /// Voices by model, where the provider has no list of its own.
    pub voices: BTreeMap<String, Vec<Voice>>,
    /// Organisation header.
    pub organization: Option<String>,
    /// Application URL header.
    pub http_referer: Option<String>,
    /// Application title header.
    pub x_title: Option<String>,
    /// End-user identifier header of realtime sessions.
    pub safety_identifier: Option<String>,
    /// API version.
    pub api_version: Option<String>,
    /// API version of the Responses surface, where it differs.
    pub responses_api_version: Option<String>,
    /// Version header of the Messages wire.
    pub anthropic_version: Option<String>,
    /// Mark prompts for caching, and how long the cache shall live.
    pub prompt_cache: Option<PromptCache>,
    /// Cloud project.
    pub project: Option<String>,
    /// Cloud region.
    pub location: Option<String>,
    /// Publisher of the models.
    pub publisher: Option<String>,
    /// Embedding task type.
    pub task_type: Option<String>,
    /// Whether over-long embedding inputs are cut.
    pub auto_truncate: Option<bool>,
    /// Embedding input type.
    pub input_type: Option<String>,
    /// How long a local server keeps the model loaded.
    pub keep_alive: Option<String>,
}

/// Whether the upstream call streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamStreaming {
    /// When the consumer asked for a stream.
    #[default]
    WhenRequested,
    /// Always; a whole answer is collected from the stream.
    Always,
    /// Never; the consumer's stream is rendered from the whole answer.
    Never,
}

/// Which chat wire to speak upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatApi {
    /// The consumer's own dialect where the provider speaks it, else the provider's first.
    #[default]
    Auto,
    /// Chat completions.
    ChatCompletions,
    /// Responses.
    Responses,
}

/// How long a marked prompt prefix stays cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptCache {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    OneHour,
}

/// A voice of a speech model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    /// What to send as `voice`.
    pub id: String,
    /// Display name.
    pub name: Option<String>,
    /// Language tags.
    pub languages: Vec<String>,
}
