//! `settings` of a provider: what differs within a kind.

use std::collections::BTreeMap;

use llmleaf_model::Effort;
use toml::de::DeValue;

use crate::diagnose::Diagnostic;
use crate::read::{At, Reading, Table, pick, wrong_item};

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
    /// How much models reason where a request says nothing about it.
    pub reasoning_effort: Option<Effort>,
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
    /// Tell the provider of which trace a request is a part. By default those that are near.
    pub trace_context: Option<bool>,
}

impl Settings {
    /// The text of a setting by its name in the file, for rows of the roster that send settings as headers.
    pub fn text(&self, name: &str) -> Option<&str> {
        let field = match name {
            "organization" => &self.organization,
            "http_referer" => &self.http_referer,
            "x_title" => &self.x_title,
            "safety_identifier" => &self.safety_identifier,
            "api_version" => &self.api_version,
            "responses_api_version" => &self.responses_api_version,
            "anthropic_version" => &self.anthropic_version,
            "project" => &self.project,
            "location" => &self.location,
            "publisher" => &self.publisher,
            "task_type" => &self.task_type,
            "input_type" => &self.input_type,
            "keep_alive" => &self.keep_alive,
            _ => return None,
        };
        field.as_deref()
    }
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
    /// Messages.
    Messages,
    /// `generateContent`.
    GenerateContent,
}

/// Whether and how long the beginnings of prompts shall stay cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptCache {
    /// Nothing is said about it.
    Off,
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

const STREAMING: &[(&str, UpstreamStreaming)] = &[
    ("when_requested", UpstreamStreaming::WhenRequested),
    ("always", UpstreamStreaming::Always),
    ("never", UpstreamStreaming::Never),
];

const CHAT_APIS: &[(&str, ChatApi)] = &[
    ("auto", ChatApi::Auto),
    ("chat_completions", ChatApi::ChatCompletions),
    ("completions", ChatApi::ChatCompletions),
    ("responses", ChatApi::Responses),
    ("messages", ChatApi::Messages),
    ("generate_content", ChatApi::GenerateContent),
];

/// The rungs of the ladder, as requests write them.
pub(crate) const EFFORTS: &[(&str, Effort)] = &[
    ("none", Effort::None),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::XHigh),
    ("max", Effort::Max),
];

const CACHE_TTLS: &[(&str, PromptCache)] = &[
    ("5m", PromptCache::FiveMinutes),
    ("1h", PromptCache::OneHour),
];

/// Reads the `settings` table of a provider.
pub(crate) fn read(cx: &Reading<'_>, provider: &mut Table<'_>) -> Settings {
    let Some(mut table) = provider.table(cx, "settings") else {
        return Settings::default();
    };
    let t = &mut table;
    let settings = Settings {
        upstream_streaming: (t.choice(cx, "upstream_streaming", STREAMING)).unwrap_or_default(),
        chat_api: t.choice(cx, "chat_api", CHAT_APIS).unwrap_or_default(),
        chat_with_audio_input_api: t.choice(cx, "chat_with_audio_input_api", CHAT_APIS),
        audio_input: t.boolean(cx, "audio_input"),
        rerank_api: t.boolean(cx, "rerank_api"),
        voices: voices(cx, t),
        organization: header_text(cx, t, "organization"),
        http_referer: header_text(cx, t, "http_referer"),
        x_title: header_text(cx, t, "x_title"),
        safety_identifier: header_text(cx, t, "safety_identifier"),
        api_version: url_text(cx, t, "api_version"),
        responses_api_version: url_text(cx, t, "responses_api_version"),
        anthropic_version: header_text(cx, t, "anthropic_version"),
        prompt_cache: prompt_cache(cx, t),
        reasoning_effort: t.choice(cx, "reasoning_effort", EFFORTS),
        project: url_text(cx, t, "project"),
        location: url_text(cx, t, "location"),
        publisher: url_text(cx, t, "publisher"),
        task_type: text(cx, t, "task_type"),
        auto_truncate: t.boolean(cx, "auto_truncate"),
        input_type: text(cx, t, "input_type"),
        keep_alive: keep_alive(cx, t),
        trace_context: t.boolean(cx, "trace_context"),
    };
    table.finish_with(cx, |key| {
        let beside = [
            "endpoint",
            "credential",
            "prefix",
            "limits",
            "timeouts",
            "ca_file",
        ];
        (beside.contains(&key))
            .then(|| format!("`{key}` stands in the provider itself, not in `settings`"))
    });
    settings
}

fn text(cx: &Reading<'_>, table: &mut Table<'_>, key: &'static str) -> Option<String> {
    table.string(cx, key).map(|at| at.value)
}

/// A value that is sent as a header.
fn header_text(cx: &Reading<'_>, table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let fits = |c: char| c == ' ' || c.is_ascii_graphic();
    checked_text(cx, table, key, fits, "a header takes plain ASCII only")
}

/// A value that becomes part of a URL.
fn url_text(cx: &Reading<'_>, table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    checked_text(
        cx,
        table,
        key,
        fits,
        "it becomes part of a URL: letters, digits, `-._:`",
    )
}

fn checked_text(
    cx: &Reading<'_>,
    table: &mut Table<'_>,
    key: &'static str,
    fits: impl Fn(char) -> bool,
    help: &str,
) -> Option<String> {
    let at = table.string(cx, key)?;
    if let Some(bad) = at.value.chars().find(|c| !fits(*c)) {
        let message = format!("`{key}` cannot hold {bad:?}");
        cx.report(Diagnostic::error(&at.place, message, "").help(help));
        return None;
    }
    Some(at.value)
}

/// A duration as text, or whole seconds (`-1` for ever), as local servers take both.
fn keep_alive(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<String> {
    let at = table.value("keep_alive")?;
    match at.value {
        DeValue::String(text) if !text.trim().is_empty() => Some(text.as_ref().to_owned()),
        DeValue::Integer(n) => Some(n.to_string()),
        other => {
            wrong_item(
                cx,
                "keep_alive",
                at.place,
                other,
                "a length such as \"10m\", or seconds",
            );
            None
        }
    }
}

/// `true` or `false`, a time to live, or a table with one.
pub(crate) fn prompt_cache(cx: &Reading<'_>, table: &mut Table<'_>) -> Option<PromptCache> {
    let at = table.value("prompt_cache")?;
    match at.value {
        DeValue::Boolean(on) => Some(match on {
            true => PromptCache::FiveMinutes,
            false => PromptCache::Off,
        }),
        DeValue::String(text) => {
            let written = At {
                value: text.as_ref().to_owned(),
                place: at.place,
            };
            pick(cx, "prompt_cache", &written, CACHE_TTLS)
        }
        DeValue::Table(_) => {
            let mut inner = table.inner("prompt_cache", &at)?;
            let ttl = inner.choice(cx, "ttl", CACHE_TTLS);
            if ttl.is_none() && !inner.has("ttl") {
                inner.missing(cx, "ttl", "`ttl = \"5m\"` or `ttl = \"1h\"`");
            }
            inner.finish(cx);
            ttl
        }
        other => {
            wrong_item(
                cx,
                "prompt_cache",
                at.place,
                other,
                "true, false, \"5m\" or \"1h\"",
            );
            None
        }
    }
}

/// Lists of voices by model; a voice is its id, or a table.
fn voices(cx: &Reading<'_>, table: &mut Table<'_>) -> BTreeMap<String, Vec<Voice>> {
    let Some(by_model) = table.table(cx, "voices") else {
        return BTreeMap::new();
    };
    let mut all = BTreeMap::new();
    for model in by_model.free_keys() {
        let Some(list) = by_model.free_value(&model) else {
            continue;
        };
        let Some(items) = list.value.as_array() else {
            wrong_item(cx, model.value, list.place, list.value, "a list of voices");
            continue;
        };
        let voices = items.iter().filter_map(|item| {
            let at = At {
                value: item.get_ref(),
                place: crate::diagnose::Place::File(item.span()),
            };
            voice(cx, &by_model, model.value, &at)
        });
        all.insert(model.value.to_owned(), voices.collect());
    }
    all
}

fn voice<'t>(
    cx: &Reading<'_>,
    parent: &Table<'t>,
    model: &str,
    at: &At<&'t DeValue<'t>>,
) -> Option<Voice> {
    if let Some(id) = at.value.as_str() {
        return Some(Voice {
            id: id.to_owned(),
            name: None,
            languages: Vec::new(),
        });
    }
    let Some(mut table) = parent.inner("*", at) else {
        wrong_item(
            cx,
            model,
            at.place.clone(),
            at.value,
            "a voice: an id, or a table with `id`",
        );
        return None;
    };
    let id = table.required(cx, "id", "what to send as `voice`");
    let name = text(cx, &mut table, "name");
    let languages = table.strings(cx, "languages");
    table.finish(cx);
    Some(Voice {
        id: id?.value,
        name,
        languages: (languages.into_iter().flat_map(|l| l.value))
            .map(|at| at.value)
            .collect(),
    })
}
