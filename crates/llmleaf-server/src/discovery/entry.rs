//! A model as clients of three families read it.
//!
//! What a family calls unknown: Anthropic's API documents an epoch value for an unknown release date and null for
//! limits and capabilities (its specification, read 2026-11). OpenRouter's prices are strings, never null, and its own
//! catalogue writes `"-1"` for a price that is not fixed (`openrouter/auto`); `"0"` would say that the model is free.
//! `lifecycle` has no word for unknown (anthropic 2.14 on PyPI, read 2026-11); `active` is this gateway's own word for a
//! name that it routes.

use llmleaf_dialects::{ChatWire, Dialect};
use llmleaf_exchange::Upstream;
use llmleaf_prices::{Rates, Sheet, decimal};
use serde::Serialize;

/// No price is known.
const NO_PRICE: &str = "-1";

/// One model.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    /// The name to ask for.
    pub id: &'a str,
    object: &'static str,
    r#type: &'static str,
    created: u64,
    created_at: &'static str,
    owned_by: &'static str,
    display_name: &'a str,
    name: &'a str,
    canonical_slug: &'a str,
    description: &'static str,
    lifecycle: &'static str,
    deprecated_at: Option<()>,
    retires_at: Option<()>,
    line: Option<()>,
    capabilities: Option<()>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    context_length: Option<u64>,
    architecture: Architecture,
    pricing: Pricing,
    top_provider: TopProvider,
    per_request_limits: Option<()>,
    supported_parameters: Vec<&'static str>,
    default_parameters: Option<()>,
    supported_voices: Option<()>,
    links: Links,
    /// Where it leads, for the admin view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<Endpoint<'a>>>,
}

#[derive(Debug, Serialize)]
struct Architecture {
    input_modalities: &'static [&'static str],
    output_modalities: &'static [&'static str],
    modality: &'static str,
    tokenizer: &'static str,
    instruct_type: Option<()>,
}

/// Dollars per token, and per piece.
#[derive(Debug, Serialize)]
pub struct Pricing {
    prompt: String,
    completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_reasoning: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_read: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_cache_write: Option<String>,
}

impl Pricing {
    /// These rates, for prompts that are not long.
    pub fn of(rates: &Rates) -> Self {
        let tokens = &rates.tokens;
        let token = |rate: Option<u64>| rate.map(decimal::dollars_per_token);
        let piece = |rate: Option<u64>| rate.map(decimal::dollars);
        Self {
            prompt: token(tokens.input).unwrap_or_else(|| NO_PRICE.to_owned()),
            // Where nothing comes out that is counted, it costs nothing.
            completion: match (tokens.input, tokens.output) {
                (Some(_), output) => decimal::dollars_per_token(output.unwrap_or_default()),
                (None, output) => token(output).unwrap_or_else(|| NO_PRICE.to_owned()),
            },
            request: piece(rates.units.request),
            image: piece(rates.units.image),
            internal_reasoning: token(tokens.reasoning),
            input_cache_read: token(tokens.cache_read),
            input_cache_write: token(tokens.cache_write),
        }
    }
}

#[derive(Debug, Serialize)]
struct TopProvider {
    context_length: Option<u64>,
    max_completion_tokens: Option<u64>,
    is_moderated: bool,
}

#[derive(Debug, Serialize)]
struct Links {
    details: String,
}

/// A target, for the admin view.
#[derive(Debug, Serialize)]
pub struct Endpoint<'a> {
    /// Configured name of the provider.
    pub provider: &'a str,
    /// The model's name there; `None` for whatever was asked for.
    pub model: Option<&'a str>,
    /// What it costs, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
    /// It is passed over at the moment.
    pub down: bool,
    /// `route` or `prefix`.
    pub source: &'static str,
}

impl<'a> Entry<'a> {
    /// A model of this name, led to these providers, under these names there.
    pub fn new<'u>(
        id: &'a str,
        upstreams: impl Iterator<Item = (&'u Upstream, &'u str)> + Clone,
    ) -> Self {
        Self {
            id,
            object: "model",
            r#type: "model",
            created: 0,
            created_at: "1970-01-01T00:00:00Z",
            owned_by: "llmleaf",
            display_name: id,
            name: id,
            canonical_slug: id,
            description: "",
            lifecycle: "active",
            deprecated_at: None,
            retires_at: None,
            line: None,
            capabilities: None,
            max_input_tokens: None,
            max_tokens: None,
            context_length: None,
            // Every operation of this version is chat, and chat takes and gives text; what else a model
            // takes is not known.
            architecture: Architecture {
                input_modalities: &["text"],
                output_modalities: &["text"],
                modality: "text->text",
                tokenizer: "Other",
                instruct_type: None,
            },
            pricing: Pricing::of(&Rates::default()),
            top_provider: TopProvider {
                context_length: None,
                max_completion_tokens: None,
                is_moderated: false,
            },
            per_request_limits: None,
            supported_parameters: PARAMETERS
                .iter()
                .copied()
                .filter(|name| upstreams.clone().all(|upstream| takes(upstream, name)))
                .collect(),
            default_parameters: None,
            supported_voices: None,
            links: Links {
                details: format!("/v1/models/{}", llmleaf_model::percent::encode(id)),
            },
            endpoints: None,
        }
    }
}

impl Entry<'_> {
    /// Adds what is known of the model.
    pub fn tell(&mut self, sheet: &Sheet) {
        self.pricing = Pricing::of(&sheet.rates);
        self.context_length = sheet.context;
        self.max_input_tokens = sheet.context;
        self.max_tokens = sheet.max_output;
        self.top_provider.context_length = sheet.context;
        self.top_provider.max_completion_tokens = sheet.max_output;
    }
}

/// Parameters of chat that are worth telling, by their OpenAI names.
const PARAMETERS: &[&str] = &[
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "frequency_penalty",
    "presence_penalty",
    "tools",
    "tool_choice",
];

/// Those of [`PARAMETERS`] that the Anthropic wire has no field for.
const NOT_IN_MESSAGES: &[&str] = &["frequency_penalty", "presence_penalty"];

/// Those of [`PARAMETERS`] that the Responses wire has no field for.
const NOT_IN_RESPONSES: &[&str] = &["stop", "frequency_penalty", "presence_penalty"];

/// Whether a provider's wire has the parameter. A model may still refuse it.
fn takes((upstream, model): (&Upstream, &str), parameter: &str) -> bool {
    match upstream.wire(Dialect::ChatCompletions, model) {
        Some((ChatWire::Completions(quirks), _)) => {
            let refused = &quirks.request.unsupported;
            !refused.iter().any(|name| name == parameter)
        }
        Some((ChatWire::Messages(_), _)) => !NOT_IN_MESSAGES.contains(&parameter),
        Some((ChatWire::Responses(_), _)) => !NOT_IN_RESPONSES.contains(&parameter),
        // On this wire the model decides which tool it calls.
        Some((wire, _)) if wire.dialect().streams_lines() => parameter != "tool_choice",
        // The others have them all; where there is no wire, the answer is made here, where everything is read.
        Some(_) | None => true,
    }
}
