//! Records as spans, in the JSON form of OTLP: ids as hexadecimal digits, numbers of 64 bits as texts, the numbers of enums.
//!
//! An exchange is a span of the kind server, and each attempt one of the kind client within it, by the names of "Semantic conventions for generative
//! client AI spans" (`semantic-conventions-genai`, status "development", read 2026-11), so counts of tokens stand in attempts alone, and cached
//! ones are input. What the conventions have no name for begins with `llmleaf.`.

use super::collector::Collector;
use llmleaf_exchange::{End, EndRecord, Outcome, SpanId, Trace, UsageRecord};
use serde::Serialize;
use std::sync::Arc;

/// Kinds of spans.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// The status of a span that has failed.
const ERROR: u8 = 2;
/// Said of a parent: it is known whether that is another service, and it is.
const PARENT_IS_REMOTE: u32 = 0x300;
const PARENT_IS_OURS: u32 = 0x100;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// How many spans a record comes to.
pub fn count(record: &EndRecord) -> u64 {
    record.attempts.len() as u64 + 1
}

/// A request to a collector. Written as it goes out, since a tree of values for each attribute costs several times as much.
pub fn export(records: &[Arc<EndRecord>], collector: &Collector) -> Vec<u8> {
    const SCOPE: &str = concat!(
        ",\"scopeSpans\":[{\"scope\":{\"name\":\"llmleaf\",\"version\":\"",
        env!("CARGO_PKG_VERSION"),
        "\"},\"spans\":["
    );
    let mut out = b"{\"resourceSpans\":[{\"resource\":".to_vec();
    put(&mut out, &collector.resource);
    out.extend_from_slice(SCOPE.as_bytes());
    for record in records {
        if let Some(trace) = &record.began.trace {
            exchange(trace, record, collector).write(&mut out);
            for attempt in &record.attempts {
                self::attempt(trace, record, attempt, collector).write(&mut out);
            }
        }
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.extend_from_slice(b"]}]}]}");
    out
}

/// A value as JSON.
fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // A buffer takes whatever there is, and no value here has a key that is no text.
    let _ = serde_json::to_writer(out, value);
}

fn exchange<'r>(trace: &'r Trace, record: &EndRecord, collector: &Collector) -> Span<'r> {
    let began = &record.began;
    let mut attributes = Attributes::default();
    attributes.text("gen_ai.operation.name", began.operation);
    attributes.text("gen_ai.request.model", &began.model);
    attributes.flag("gen_ai.request.stream", began.stream);
    let decided = record.decided();
    if let Some(service) = decided.and_then(|attempt| collector.service(&attempt.provider)) {
        attributes.text("gen_ai.provider.name", service.name);
    }
    if let Some(status) = record.status {
        attributes.whole("http.response.status_code", u64::from(status));
    }
    let error = record.failure.filter(|_| is_failure(record.end));
    if let Some(failure) = record.failure {
        attributes.text("error.type", failure);
    }
    attributes.text("llmleaf.end", record.end.as_str());
    attributes.text("llmleaf.dialect", began.dialect);
    attributes.text("llmleaf.key", &began.key);
    attributes.text("llmleaf.request_id", &began.request_id);
    attributes.text("llmleaf.exchange_id", &began.id);
    if let Some(route) = &record.route {
        attributes.text("llmleaf.route", route);
    }
    attributes.whole("llmleaf.queue_ms", record.queue_ms);
    attributes.whole("llmleaf.own_us", record.own_us);
    if let (nano_usd, true) = record.cost() {
        attributes.dollars("llmleaf.cost_usd", nano_usd);
    }
    Span {
        trace,
        id: trace.own(),
        parent: trace.caller(),
        remote: trace.caller().is_some(),
        name: format!("{} {}", began.operation, began.model),
        kind: SERVER,
        begin: began.at_ms,
        lasted: record.total_ms,
        attributes,
        error,
    }
}

/// Whether an end is a fault of this service, or of one behind it. What the caller did wrong is not.
fn is_failure(end: End) -> bool {
    match end {
        End::Completed | End::Cancelled | End::Refused | End::Limited => false,
        End::UpstreamError | End::TimedOut | End::Truncated | End::Shutdown | End::ProxyError => {
            true
        }
    }
}

fn attempt<'r>(
    trace: &'r Trace,
    record: &EndRecord,
    attempt: &UsageRecord,
    collector: &Collector,
) -> Span<'r> {
    let operation = record.began.operation;
    let mut attributes = Attributes::default();
    attributes.text("gen_ai.operation.name", operation);
    attributes.text("gen_ai.request.model", &attempt.upstream_model);
    attributes.flag("gen_ai.request.stream", attempt.stream);
    if let Some(service) = collector.service(&attempt.provider) {
        attributes.text("gen_ai.provider.name", service.name);
        if let Some((host, port)) = &service.address {
            attributes.text("server.address", host);
            attributes.whole("server.port", u64::from(*port));
        }
    }
    if let Some(status) = attempt.status {
        attributes.whole("http.response.status_code", u64::from(status));
    }
    if let Some(first) = attempt.first_content_ms.filter(|_| attempt.stream) {
        attributes.seconds("gen_ai.response.time_to_first_chunk", first);
    }
    used(&mut attributes, attempt);
    let fails = matches!(
        attempt.outcome,
        Outcome::Failed | Outcome::Broken | Outcome::ProxyError
    );
    let error = fails.then(|| attempt.failure.unwrap_or(attempt.outcome.as_str()));
    if let Some(error) = error {
        attributes.text("error.type", error);
    }
    attributes.text("llmleaf.provider", &attempt.provider);
    attributes.text("llmleaf.outcome", attempt.outcome.as_str());
    attributes.whole("llmleaf.attempt", u64::from(attempt.attempt));
    attributes.text("llmleaf.usage_grade", attempt.grade.as_str());
    if let Some(nano_usd) = attempt.cost.nano_usd() {
        attributes.dollars("llmleaf.cost_usd", nano_usd);
    }
    Span {
        trace,
        id: trace.attempt(attempt.attempt),
        parent: trace.own(),
        remote: false,
        name: format!("{operation} {}", attempt.upstream_model),
        kind: CLIENT,
        begin: record.began.at_ms.saturating_add(attempt.began_ms),
        lasted: attempt.total_ms,
        attributes,
        error,
    }
}

/// Counts of tokens, of those kinds that there were any of.
fn used(attributes: &mut Attributes, attempt: &UsageRecord) {
    let usage = &attempt.usage;
    let written = usage
        .input_cache_write
        .saturating_add(usage.input_cache_write_1h);
    for (name, count) in [
        ("gen_ai.usage.input_tokens", usage.input_total()),
        ("gen_ai.usage.output_tokens", usage.output_total()),
        (
            "gen_ai.usage.cache_read.input_tokens",
            usage.input_cache_read,
        ),
        ("gen_ai.usage.cache_creation.input_tokens", written),
        (
            "gen_ai.usage.reasoning.output_tokens",
            usage.output_reasoning,
        ),
        ("gen_ai.usage.audio.input_tokens", usage.input_audio),
        ("gen_ai.usage.audio.output_tokens", usage.output_audio),
        ("gen_ai.usage.image.input_tokens", usage.input_image),
    ] {
        if count > 0 {
            attributes.whole(name, count);
        }
    }
}

struct Span<'a> {
    trace: &'a Trace,
    id: Option<SpanId>,
    parent: Option<SpanId>,
    /// The parent is another service's.
    remote: bool,
    name: String,
    kind: u8,
    /// Unix milliseconds.
    begin: u64,
    /// Milliseconds.
    lasted: u64,
    attributes: Attributes,
    error: Option<&'static str>,
}

impl Span<'_> {
    /// Writes it, and a comma behind it.
    fn write(&self, out: &mut Vec<u8>) {
        let end = self.begin.saturating_add(self.lasted);
        let nanos = |millis: u64| millis.saturating_mul(NANOS_PER_MILLI).to_string();
        let origin = match (self.parent, self.remote) {
            (None, _) => 0,
            (Some(_), true) => PARENT_IS_REMOTE,
            (Some(_), false) => PARENT_IS_OURS,
        };
        let id = |span: Option<SpanId>| span.map(|span| span.to_string());
        let mut member = |name: &str, value: &dyn Fn(&mut Vec<u8>)| {
            out.extend_from_slice(name.as_bytes());
            value(out);
        };
        member("{\"traceId\":", &|out| put(out, &self.trace.to_string()));
        let own = id(self.id).unwrap_or_default();
        member(",\"spanId\":", &|out| put(out, &own));
        let flags = u32::from(self.trace.flags()) | origin;
        member(",\"flags\":", &|out| put(out, &flags));
        if let Some(parent) = id(self.parent) {
            member(",\"parentSpanId\":", &|out| put(out, &parent));
        }
        if let Some(state) = self.trace.state() {
            member(",\"traceState\":", &|out| put(out, state));
        }
        member(",\"name\":", &|out| put(out, &self.name));
        member(",\"kind\":", &|out| put(out, &self.kind));
        member(",\"startTimeUnixNano\":", &|out| {
            put(out, &nanos(self.begin));
        });
        member(",\"endTimeUnixNano\":", &|out| put(out, &nanos(end)));
        member(",\"attributes\":[", &|out| {
            out.extend_from_slice(&self.attributes.0);
        });
        member("],\"status\":{", &|out| {
            if let Some(error) = self.error {
                out.extend_from_slice(format!("\"code\":{ERROR},\"message\":").as_bytes());
                put(out, error);
            }
        });
        out.extend_from_slice(b"}},");
    }
}

/// What is said of a span: members of a list.
#[derive(Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    fn add<T: Serialize + ?Sized>(&mut self, name: &str, kind: &str, value: &T) {
        let out = &mut self.0;
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        put(out, name);
        out.extend_from_slice(b",\"value\":{");
        put(out, kind);
        out.push(b':');
        put(out, value);
        out.extend_from_slice(b"}}");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.add(name, "stringValue", text);
    }

    fn whole(&mut self, name: &str, number: u64) {
        self.add(name, "intValue", &number.to_string());
    }

    fn flag(&mut self, name: &str, flag: bool) {
        self.add(name, "boolValue", &flag);
    }

    /// A length in seconds.
    #[expect(clippy::cast_precision_loss, reason = "it is for people to look at")]
    fn seconds(&mut self, name: &str, millis: u64) {
        self.add(name, "doubleValue", &(millis as f64 / 1000.0));
    }

    /// An amount in dollars.
    #[expect(
        clippy::cast_precision_loss,
        reason = "it is for people to look at; bills are made of records"
    )]
    fn dollars(&mut self, name: &str, nano_usd: u64) {
        self.add(name, "doubleValue", &(nano_usd as f64 / 1e9));
    }
}
