//! Token counts: this wire's inclusive convention to disjoint classes, and back.

mod plain;

use super::json::ObjectWriter;
use super::wire::{Integer, Maybe, Raw};
use crate::skim::{self, Scan};
use llmleaf_model::usage::nano_usd;
use llmleaf_model::{DialectName, Json, Usage};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A count of tokens or of calls, where it is one: see [`crate::LARGEST_COUNT`].
#[derive(Debug, Default, Clone, Copy)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Integer(read) = Integer::deserialize(deserializer)?;
        Ok(Self(read.filter(|count| *count <= crate::LARGEST_COUNT)))
    }
}

/// The report, with the places that different services use for the same count.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage<'a> {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Maybe<InputDetails>,
    completion_tokens_details: Maybe<OutputDetails>,
    /// Reasoning beside the details.
    reasoning_tokens: Count,
    /// Cache reads beside the details, by their several names.
    cached_tokens: Count,
    prompt_cache_hit_tokens: Count,
    cache_read_input_tokens: Count,
    /// Cache writes beside the details.
    cache_creation_input_tokens: Count,
    cache_creation: Maybe<CacheCreation>,
    server_tool_use_details: Maybe<ServerTools>,
    /// Dollars: a number, or an object with a `total_cost`.
    #[serde(borrow)]
    cost: Raw<'a>,
    /// Ten-thousandths of a micro-dollar.
    cost_in_usd_ticks: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CostObject<'a> {
    #[serde(borrow)]
    total_cost: Raw<'a>,
}

/// Reads a usage report, and keeps it as it came. `None` where it states neither an input nor an output count that makes sense
/// (negative, fractional, textual and huge counts do not).
pub(crate) fn parse(raw: &RawValue) -> Option<Usage> {
    let mut usage = read(raw.get())?;
    usage.native = Some((DialectName::ChatCompletions, Json::from(raw)));
    Some(usage)
}

/// The counts of a usage report.
pub(super) fn read(report: &str) -> Option<Usage> {
    if !report.starts_with('{') {
        return None;
    }
    match skim::whole(report, |scan| plain::read(scan, report)) {
        Some(wire) => counted(wire),
        None => parsed(report),
    }
}

/// The counts of a usage report that begins here, in an answer that is being read; it is passed. `Some(None)` where it reports nothing
/// that makes sense.
pub(super) fn read_at<'t>(scan: &mut Scan<'t>, answer: &'t str) -> Option<Option<Usage>> {
    let place = scan.place();
    if let Some(wire) = plain::read(scan, answer) {
        return Some(counted(wire));
    }
    scan.back(place);
    let report = answer.get(scan.passed()?)?;
    Some(report.starts_with('{').then(|| parsed(report)).flatten())
}

fn parsed(report: &str) -> Option<Usage> {
    let wire: WireUsage<'_> = serde_json::from_str(report).ok()?;
    counted(wire)
}

fn counted(wire: WireUsage<'_>) -> Option<Usage> {
    if wire.prompt_tokens.0.is_none() && wire.completion_tokens.0.is_none() {
        return None;
    }
    let input = wire.prompt_tokens.0.unwrap_or(0);
    let output = wire.completion_tokens.0.unwrap_or(0);
    let ins = wire.prompt_tokens_details.0.unwrap_or_default();
    let outs = wire.completion_tokens_details.0.unwrap_or_default();
    let first = |counts: &[Count]| counts.iter().find_map(|c| c.0).unwrap_or(0);
    let audio_in = first(&[ins.audio_tokens]);
    let reasoning = first(&[outs.reasoning_tokens, wire.reasoning_tokens]);
    // Some services count reasoning, or input audio, beside the documented totals and not inside them. Only the
    // grand total tells: reasoning at x.ai (19 + 884 + 141 = 1044, and the price agrees), audio at Mistral
    // (11 + 15 + 375 = 401); both recorded 2025-11 to 2026-03.
    let outside = wire
        .total_tokens
        .0
        .and_then(|total| total.checked_sub(input)?.checked_sub(output))
        .unwrap_or(0);
    let (more_in, more_out) = match outside {
        0 => (0, 0),
        n if n == reasoning => (0, reasoning),
        n if n == audio_in => (audio_in, 0),
        n if Some(n) == audio_in.checked_add(reasoning) => (audio_in, reasoning),
        _ => (0, 0),
    };
    let mut usage = Usage::default();
    let cache_read = first(&[
        ins.cached_tokens,
        wire.prompt_cache_hit_tokens,
        wire.cache_read_input_tokens,
        wire.cached_tokens,
    ]);
    let cache_write = first(&[ins.cache_write_tokens, wire.cache_creation_input_tokens]);
    usage.set_inclusive_input(
        input.saturating_add(more_in),
        cache_read,
        cache_write,
        audio_in,
    );
    usage.set_inclusive_output(
        output.saturating_add(more_out),
        reasoning,
        first(&[outs.audio_tokens]),
    );
    usage.set_output_image(first(&[outs.image_tokens]));
    let for_hour = first(&[wire
        .cache_creation
        .0
        .unwrap_or_default()
        .ephemeral_1h_input_tokens])
    .min(usage.input_cache_write);
    usage.input_cache_write -= for_hour;
    usage.input_cache_write_1h = for_hour;
    usage.server_tool_calls = first(&[wire
        .server_tool_use_details
        .0
        .unwrap_or_default()
        .web_search_requests]);
    usage.cost_nano_usd = cost(wire.cost, wire.cost_in_usd_ticks);
    Some(usage)
}

fn cost(cost: Raw<'_>, ticks: Integer) -> Option<u64> {
    let stated = cost.0.and_then(|raw| {
        if raw.get().starts_with('{') {
            let object: CostObject<'_> = serde_json::from_str(raw.get()).ok()?;
            nano_usd(object.total_cost.0?.get())
        } else {
            nano_usd(raw.get())
        }
    });
    // A tick is 1e-10 dollars: a recorded x.ai answer of 2026-02 (47 fresh, 244 cached, 215 output tokens of a
    // model with list prices of 0.30, 0.075 and 0.50 dollars per million) states 1399000 of them.
    stated.or_else(|| ticks.0.map(|t| t / 10))
}

/// Writes a report in the inclusive convention. Details are written where they say something.
pub(crate) fn render(usage: &Usage, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.integer("prompt_tokens", usage.input_total());
    object.integer("completion_tokens", usage.output_total());
    object.integer("total_tokens", usage.total());
    let mut details = ObjectWriter::begin(object.key("prompt_tokens_details"));
    details.integer("cached_tokens", usage.input_cache_read);
    if usage.cache_write_total() > 0 {
        details.integer("cache_write_tokens", usage.cache_write_total());
    }
    details.integer("audio_tokens", usage.input_audio);
    details.end();
    let mut details = ObjectWriter::begin(object.key("completion_tokens_details"));
    details.integer("reasoning_tokens", usage.output_reasoning);
    details.integer("audio_tokens", usage.output_audio);
    if usage.output_image > 0 {
        details.integer("image_tokens", usage.output_image);
    }
    details.end();
    if let Some(nano) = usage.cost_nano_usd {
        object.raw("cost", &dollars(nano));
        object.raw("cost_usd", &dollars(nano));
    }
    object.end();
}

/// Nano-dollars as a decimal number of dollars.
pub(super) fn dollars(nano: u64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    let trimmed = text.trim_end_matches('0');
    trimmed.strip_suffix('.').unwrap_or(trimmed).to_owned()
}

#[cfg(test)]
mod tests;
