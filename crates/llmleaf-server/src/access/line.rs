//! One line: an object of JSON, or words for people.

use super::Refused;
use crate::allowance::rfc3339;
use crate::usage::event::dollars;
use llmleaf_config::LogFormat;
use llmleaf_exchange::{EndRecord, Outcome};
use llmleaf_model::Usage;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::Duration;

/// A request that was accepted, and has ended. Names are those of usage records; the units stand last.
#[derive(Serialize)]
struct Ended<'r> {
    time: String,
    request_id: &'r str,
    id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    part: bool,
    key: &'r str,
    dialect: &'r str,
    operation: &'r str,
    model: &'r str,
    stream: bool,
    route: Option<&'r str>,
    provider: Option<&'r str>,
    upstream_model: Option<&'r str>,
    attempts: usize,
    end: &'static str,
    failure: Option<&'static str>,
    status: Option<u16>,
    total_ms: u64,
    queue_ms: u64,
    first_content_ms: Option<u64>,
    own_us: u64,
    input_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    grade: Option<&'static str>,
    cost_usd: Option<Box<RawValue>>,
    losses: usize,
}

impl<'r> Ended<'r> {
    fn of(record: &'r EndRecord) -> Self {
        let began = &record.began;
        let decided = record.decided();
        let attempts = || record.attempts.iter().map(|attempt| &attempt.usage);
        let sum = |count: fn(&Usage) -> u64| attempts().map(count).fold(0, u64::saturating_add);
        let (nano, complete) = record.cost();
        let part = record.is_part();
        let own = (record.attempts.iter()).filter(|attempt| attempt.outcome != Outcome::Outrun);
        Self {
            time: stamp(began.at_ms),
            request_id: &began.request_id,
            id: &began.id,
            trace_id: began.trace.as_ref().map(|trace| trace.to_string()),
            part,
            key: &began.key,
            dialect: began.dialect,
            operation: began.operation,
            model: &began.model,
            stream: began.stream,
            route: record.route.as_deref(),
            provider: decided.map(|attempt| &*attempt.provider),
            upstream_model: decided.map(|attempt| &*attempt.upstream_model),
            attempts: record.attempts.len(),
            end: record.end.as_str(),
            failure: record.failure,
            status: record.status,
            total_ms: record.total_ms,
            queue_ms: record.queue_ms,
            first_content_ms: record.first_content_ms,
            own_us: record.own_us,
            input_tokens: sum(Usage::input_total),
            cache_read_tokens: sum(|usage| usage.input_cache_read),
            cache_write_tokens: sum(Usage::cache_write_total),
            output_tokens: sum(Usage::output_total),
            reasoning_tokens: sum(|usage| usage.output_reasoning),
            grade: decided.map(|attempt| attempt.grade.as_str()),
            cost_usd: complete.then_some(nano).and_then(dollars),
            losses: own.map(|attempt| attempt.losses.len()).max().unwrap_or(0),
        }
    }
}

/// A request that was refused before.
#[derive(Serialize)]
struct Early<'r> {
    time: String,
    request_id: &'r str,
    method: Option<&'static str>,
    endpoint: Option<&'static str>,
    end: &'static str,
    failure: &'static str,
    status: u16,
}

/// Writes the line of an exchange.
pub fn ended(record: &EndRecord, format: LogFormat, out: &mut Vec<u8>) {
    let line = Ended::of(record);
    match format {
        LogFormat::Json => json(&line, out),
        LogFormat::Text => text(out, |words| line.words(words)),
    }
}

/// Writes the line of a refusal.
pub fn refused(refused: &Refused, format: LogFormat, out: &mut Vec<u8>) {
    let line = Early {
        time: stamp(refused.at_ms),
        request_id: &refused.request_id,
        method: refused.endpoint.map(|(method, _)| method),
        endpoint: refused.endpoint.map(|(_, path)| path),
        end: "refused",
        failure: refused.failure,
        status: refused.status,
    };
    match format {
        LogFormat::Json => json(&line, out),
        LogFormat::Text => text(out, |words| line.words(words)),
    }
}

fn json(line: &impl Serialize, out: &mut Vec<u8>) {
    // These have no keys that are no texts, so they can be written.
    let text = serde_json::to_string(line).unwrap_or_default();
    for char in text.chars() {
        match char {
            // JSON lets them stand in a text; some readers take them for the end of a line.
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'\n');
}

fn text(out: &mut Vec<u8>, words: impl FnOnce(&mut String) -> fmt::Result) {
    let mut line = String::new();
    let _ = words(&mut line);
    let _ = writeln!(out, "{line}");
}

impl Ended<'_> {
    fn words(&self, line: &mut String) -> fmt::Result {
        let status = self
            .status
            .map_or_else(|| "-".to_owned(), |s| s.to_string());
        write!(line, "{} {status} {}", self.time, self.end)?;
        write!(
            line,
            " {} {} {}",
            self.dialect,
            self.operation,
            Word(self.model)
        )?;
        if let Some((provider, model)) = self.provider.zip(self.upstream_model) {
            write!(line, " -> {} {}", Word(provider), Word(model))?;
        }
        write!(line, " key={} {} ms", Word(self.key), self.total_ms)?;
        if let Some(first) = self.first_content_ms {
            write!(line, " first={first}")?;
        }
        write!(line, " own={} us", self.own_us)?;
        write!(line, " in={} out={}", self.input_tokens, self.output_tokens)?;
        match &self.cost_usd {
            Some(cost) => write!(line, " cost=${cost}")?,
            None => line.push_str(" cost=?"),
        }
        if self.attempts != 1 {
            write!(line, " attempts={}", self.attempts)?;
        }
        if let Some(failure) = self.failure {
            write!(line, " failure={failure}")?;
        }
        write!(line, " id={}", Word(self.request_id))
    }
}

impl Early<'_> {
    fn words(&self, line: &mut String) -> fmt::Result {
        write!(line, "{} {} {}", self.time, self.status, self.end)?;
        if let Some((method, endpoint)) = self.method.zip(self.endpoint) {
            write!(line, " {method} {endpoint}")?;
        }
        write!(line, " failure={}", self.failure)?;
        write!(line, " id={}", Word(self.request_id))
    }
}

/// What a consumer may have chosen: one word on one line, whatever is in it.
struct Word<'w>(&'w str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"\\".contains(c);
        match !self.0.is_empty() && self.0.chars().all(plain) {
            true => f.write_str(self.0),
            false => write!(f, "\"{}\"", self.0.escape_debug()),
        }
    }
}

/// Unix milliseconds as `2026-11-25T12:00:00.000Z`.
fn stamp(unix_ms: u64) -> String {
    let seconds = rfc3339(Duration::from_secs(unix_ms / 1000));
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), unix_ms % 1000)
}
