//! Tables of prices in the widely used form of `model_prices_and_context_window.json`: one object with a member per model, which names its
//! provider and has costs per token. Only what is known here is read; models without a price are passed over.

use crate::book::{Book, Sheet};
use crate::decimal::scaled;
use crate::rates::{Rates, Service, Tier, TokenRates, UnitRates};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use thiserror::Error;

/// A table that cannot be read.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is not a JSON object.
    #[error("it is no JSON object of models: {0}")]
    Json(#[from] serde_json::Error),
}

/// The names that such tables have for kinds of providers, and those of the roster.
const NAMES: &[(&str, &str)] = &[
    ("azure", "azure-openai"),
    ("azure_ai", "azure-openai"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai", "fireworks"),
    ("text-completion-openai", "openai"),
    ("text-completion-codestral", "mistral"),
    ("codestral", "mistral"),
    ("together_ai", "together"),
    ("vertex_ai", "vertex"),
];

/// How many places a dollar per token is moved for a rate: a million tokens, a billion nano-dollars.
const PER_TOKEN: u32 = 15;
const NANO: u32 = 9;

/// Adds what a table says. Returns how many prices were taken.
///
/// # Errors
/// It is not of the form.
pub fn read(text: &str, book: &mut Book) -> Result<usize, FileError> {
    let models: HashMap<&str, &RawValue> = match serde_json::from_str(text) {
        Ok(models) => models,
        // Names with escapes cannot be borrowed.
        Err(_) => return owned(text, book),
    };
    Ok(models
        .into_iter()
        .filter_map(|(name, raw)| take(book, name, raw))
        .count())
}

fn owned(text: &str, book: &mut Book) -> Result<usize, FileError> {
    let models: HashMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    Ok(models
        .into_iter()
        .filter_map(|(name, raw)| take(book, &name, &raw))
        .count())
}

fn take(book: &mut Book, name: &str, raw: &RawValue) -> Option<()> {
    let model: HashMap<String, Box<RawValue>> = serde_json::from_str(raw.get()).ok()?;
    let fields = Fields(model);
    let provider = fields.text("litellm_provider")?;
    let sheet = fields.sheet()?;
    // `vertex_ai-language-models` and its like.
    let kind = match provider.strip_prefix("vertex_ai") {
        Some(_) => "vertex_ai",
        None => provider.as_str(),
    };
    let known = NAMES.iter().find(|(theirs, _)| *theirs == kind);
    let ours = known.map_or(kind, |(_, ours)| ours);
    // The provider's own name stands before many, and is no part of what the model is called there.
    let own = name
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('/'));
    book.of(ours).set(own.unwrap_or(name), sheet);
    Some(())
}

struct Fields(HashMap<String, Box<RawValue>>);

impl Fields {
    fn text(&self, name: &str) -> Option<String> {
        let raw = self.0.get(name)?;
        String::deserialize(&**raw).ok()
    }

    fn number(&self, name: &str, places: u32) -> Option<u64> {
        let text = self.0.get(name)?.get();
        scaled(text.trim_matches('"'), places)
    }

    fn whole(&self, name: &str) -> Option<u64> {
        self.number(name, 0)
    }

    fn tokens(&self, suffix: &str) -> TokenRates {
        let rate = |name: &str| self.number(&format!("{name}{suffix}"), PER_TOKEN);
        let write = match suffix {
            "" => "cache_creation_input_token_cost_above_1hr".to_owned(),
            suffix => format!("cache_creation_input_token_cost_above_1hr{suffix}"),
        };
        TokenRates {
            input: rate("input_cost_per_token"),
            output: rate("output_cost_per_token"),
            cache_read: rate("cache_read_input_token_cost"),
            cache_write: rate("cache_creation_input_token_cost"),
            cache_write_1h: self.number(&write, PER_TOKEN),
            reasoning: rate("output_cost_per_reasoning_token"),
            input_audio: rate("input_cost_per_audio_token"),
            input_image: rate("input_cost_per_image_token"),
            output_audio: rate("output_cost_per_audio_token"),
            output_image: rate("output_cost_per_image_token"),
        }
    }

    fn units(&self) -> UnitRates {
        let second = ["input_cost_per_second", "output_cost_per_second"]
            .iter()
            .find_map(|name| self.number(name, NANO));
        let character = ["input_cost_per_character", "output_cost_per_character"]
            .iter()
            .find_map(|name| self.number(name, PER_TOKEN));
        UnitRates {
            audio_hour: second.map(|rate| rate.saturating_mul(3600)),
            characters: character,
            image: self.number("output_cost_per_image", NANO),
            search: self.number("input_cost_per_query", NANO),
            server_tool_call: None,
            request: self.number("input_cost_per_request", NANO),
        }
    }

    fn sheet(&self) -> Option<Sheet> {
        let tokens = self.tokens("");
        let units = self.units();
        let tiers = [
            (128_000, "_above_128k_tokens"),
            (200_000, "_above_200k_tokens"),
            (272_000, "_above_272k_tokens"),
        ];
        let tiers = tiers.into_iter().filter_map(|(above, suffix)| {
            let tokens = self.tokens(suffix);
            (tokens != TokenRates::default()).then_some(Tier { above, tokens })
        });
        let services = ["priority", "flex"].into_iter().filter_map(|name| {
            let tokens = self.tokens(&format!("_{name}"));
            tokens
                .input
                .is_some()
                .then(|| (name.into(), Service::Own(tokens)))
        });
        let batch = self
            .number("input_cost_per_token_batches", PER_TOKEN)
            .zip(tokens.input.filter(|rate| *rate > 0))
            .and_then(|(batch, rate)| {
                u16::try_from(u128::from(batch) * 1000 / u128::from(rate)).ok()
            });
        let rates = Rates {
            tokens,
            tiers: tiers.collect(),
            services: services.collect(),
            units,
            batch_permille: batch,
        };
        let priced = tokens.input.is_some() || units != UnitRates::default();
        priced.then(|| Sheet {
            rates,
            context: self.whole("max_input_tokens").or(self.whole("max_tokens")),
            max_output: self.whole("max_output_tokens"),
        })
    }
}
