//! The `usage` event as controllers read it. `ts_ms`, `event`, `id`, `key`, `model` and `usage` are what they always had, with input
//! counted whole and the cache's part of it beside; the rest is for those who want to know more, and may be passed over.

use llmleaf_exchange::{Began, Cost, EndRecord, UsageRecord};
use llmleaf_prices::decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Serialize)]
struct Event<'a> {
    ts_ms: u64,
    event: &'static str,
    /// Of the exchange; whoever gets an event twice knows it by this.
    id: &'a str,
    request_id: &'a str,
    seq: Option<u64>,
    key: &'a str,
    model: &'a str,
    provider: Option<&'a str>,
    upstream_model: Option<&'a str>,
    route: Option<&'a str>,
    dialect: &'static str,
    operation: &'static str,
    stream: bool,
    started_ms: u64,
    outcome: &'static str,
    failure: Option<&'static str>,
    status: Option<u16>,
    usage_source: &'static str,
    grade: &'static str,
    usage: Counts,
    queue_ms: Option<u64>,
    first_content_ms: Option<u64>,
    total_ms: Option<u64>,
    own_us: Option<u64>,
    attempts: Vec<Attempt<'a>>,
}

/// Counts of the attempt that decided; the cost is that of all attempts, and only there where all of it is known.
#[derive(Default, Serialize)]
struct Counts {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<Box<RawValue>>,
    cache_read_tokens: u64,
    cache_creation_tokens: u64,
    cache_creation_1h_tokens: u64,
    reasoning_tokens: u64,
    input_audio_tokens: u64,
    output_audio_tokens: u64,
    input_image_tokens: u64,
    output_image_tokens: u64,
    server_tool_calls: u64,
    audio_ms: u64,
    characters: u64,
    images: u64,
    searches: u64,
}

#[derive(Serialize)]
struct Attempt<'a> {
    id: &'a str,
    attempt: u32,
    provider: &'a str,
    upstream_model: &'a str,
    outcome: &'static str,
    failure: Option<&'static str>,
    status: Option<u16>,
    grade: &'static str,
    possibly_billed: bool,
    cost_source: &'static str,
    usage: Counts,
    losses: &'a [String],
    began_ms: u64,
    connect_ms: Option<u64>,
    first_content_ms: Option<u64>,
    total_ms: u64,
}

pub fn dollars(nano: u64) -> Option<Box<RawValue>> {
    RawValue::from_string(decimal::dollars(nano)).ok()
}

fn counts(record: &UsageRecord, cost: Option<u64>) -> Counts {
    let usage = &record.usage;
    Counts {
        prompt_tokens: usage.input_total(),
        completion_tokens: usage.output_total(),
        total_tokens: usage.total(),
        cost_usd: cost.and_then(dollars),
        cache_read_tokens: usage.input_cache_read,
        cache_creation_tokens: usage.cache_write_total(),
        cache_creation_1h_tokens: usage.input_cache_write_1h,
        reasoning_tokens: usage.output_reasoning,
        input_audio_tokens: usage.input_audio,
        output_audio_tokens: usage.output_audio,
        input_image_tokens: usage.input_image,
        output_image_tokens: usage.output_image,
        server_tool_calls: usage.server_tool_calls,
        audio_ms: usage.units.audio_ms,
        characters: usage.units.characters,
        images: usage.units.images,
        searches: usage.units.searches,
    }
}

/// Who counted.
fn source(grade: &str) -> &'static str {
    match grade {
        "reported" | "partial" => "provider",
        "estimated" => "counted",
        _ => "unknown",
    }
}

/// The event of an exchange's end.
pub fn ended(record: &EndRecord, now_ms: u64, seq: u64) -> Vec<u8> {
    let decided = record.decided();
    let (cost, complete) = record.cost();
    let cost = complete.then_some(cost);
    let usage = match decided {
        Some(decided) => counts(decided, cost),
        None => Counts {
            cost_usd: cost.and_then(dollars),
            ..Counts::default()
        },
    };
    let grade = decided.map(|decided| decided.grade).unwrap_or_default();
    let attempts = record.attempts.iter().map(|attempt| Attempt {
        id: &attempt.id,
        attempt: attempt.attempt,
        provider: &attempt.provider,
        upstream_model: &attempt.upstream_model,
        outcome: attempt.outcome.as_str(),
        failure: attempt.failure,
        status: attempt.status,
        grade: attempt.grade.as_str(),
        possibly_billed: attempt.possibly_billed,
        cost_source: Cost::source(attempt.cost),
        usage: counts(attempt, attempt.cost.nano_usd()),
        losses: &attempt.losses,
        began_ms: attempt.began_ms,
        connect_ms: attempt.connect_ms,
        first_content_ms: attempt.first_content_ms,
        total_ms: attempt.total_ms,
    });
    let event = Event {
        ts_ms: now_ms,
        provider: decided.map(|decided| &*decided.provider),
        upstream_model: decided.map(|decided| &*decided.upstream_model),
        route: record.route.as_deref(),
        outcome: record.end.as_str(),
        failure: record.failure,
        status: record.status,
        usage_source: source(grade.as_str()),
        grade: grade.as_str(),
        usage,
        queue_ms: Some(record.queue_ms),
        first_content_ms: record.first_content_ms,
        total_ms: Some(record.total_ms),
        own_us: Some(record.own_us),
        attempts: attempts.collect(),
        ..begun(&record.began, Some(seq))
    };
    serde_json::to_vec(&event).unwrap_or_default()
}

/// The event of an exchange that was running when the process died. Nobody counted what it used.
pub fn crashed(began: &Began) -> Vec<u8> {
    serde_json::to_vec(&begun(began, None)).unwrap_or_default()
}

/// The same of one of which nothing but its name is known to be sound.
pub fn lost(id: &Arc<str>, at_ms: u64) -> Vec<u8> {
    let unknown: Arc<str> = "".into();
    crashed(&Began {
        id: Arc::clone(id),
        request_id: Arc::clone(&unknown),
        at_ms,
        key: Arc::clone(&unknown),
        dialect: "",
        operation: "",
        model: unknown,
        stream: false,
        trace: None,
    })
}

fn begun(began: &Began, seq: Option<u64>) -> Event<'_> {
    Event {
        ts_ms: began.at_ms,
        event: "usage",
        id: &began.id,
        request_id: &began.request_id,
        seq,
        key: &began.key,
        model: &began.model,
        provider: None,
        upstream_model: None,
        route: None,
        dialect: began.dialect,
        operation: began.operation,
        stream: began.stream,
        started_ms: began.at_ms,
        outcome: "crashed",
        failure: None,
        status: None,
        usage_source: "unknown",
        grade: "none",
        usage: Counts::default(),
        queue_ms: None,
        first_content_ms: None,
        total_ms: None,
        own_us: None,
        attempts: Vec::new(),
    }
}
