//! Records as lines of the log: one for each attempt, the last of which tells of the exchange's end too. An exchange whose attempts were all of
//! no avail, or that needed none, has a line of its own.

use super::{EndRecord, Sink, UsageRecord};
use llmleaf_model::Units;
use std::sync::Arc;

pub(crate) struct Log;

impl Sink for Log {
    fn aside(&self, attempt: &UsageRecord) {
        line(attempt, None);
    }

    fn ended(&self, record: &Arc<EndRecord>) {
        let mut told = record.attempts.iter();
        let last = told.rfind(|attempt| !attempt.outcome.is_aside());
        for attempt in told.filter(|attempt| !attempt.outcome.is_aside()) {
            line(attempt, None);
        }
        match last {
            Some(last) => line(last, Some(record)),
            None => of_exchange(record),
        }
    }
}

fn line(record: &UsageRecord, end: Option<&EndRecord>) {
    let units = counted(record.usage.units);
    let lost = (!record.losses.is_empty()).then(|| record.losses.join("; "));
    let cost = record.cost.nano_usd();
    tracing::info!(
        target: "llmleaf::usage",
        id = record.id,
        request_id = &*record.request_id,
        attempt = record.attempt,
        key = &*record.key,
        dialect = record.dialect,
        model = &*record.model,
        provider = &*record.provider,
        upstream_model = &*record.upstream_model,
        credential = record.credential,
        stream = record.stream,
        outcome = record.outcome.as_str(),
        failure = record.failure,
        status = record.status,
        grade = record.grade.as_str(),
        input = record.usage.input,
        input_cache_read = record.usage.input_cache_read,
        input_cache_write = record.usage.input_cache_write,
        input_cache_write_1h = record.usage.input_cache_write_1h,
        input_audio = record.usage.input_audio,
        input_image = record.usage.input_image,
        output = record.usage.output,
        output_reasoning = record.usage.output_reasoning,
        output_audio = record.usage.output_audio,
        output_image = record.usage.output_image,
        units = units.as_deref(),
        cost_nano_usd = cost,
        cost_source = cost.map(|_| record.cost.source()),
        possibly_billed = record.possibly_billed,
        losses = record.losses.len(),
        lost = lost.as_deref(),
        connect_ms = record.connect_ms,
        first_content_ms = record.first_content_ms,
        total_ms = record.total_ms,
        end = end.map(|end| end.end.as_str()),
        end_status = end.and_then(|end| end.status),
        own_us = end.map(|end| end.own_us),
        "usage"
    );
}

/// What was counted by something else than tokens, as `images=1 searches=2`.
fn counted(units: Units) -> Option<String> {
    let Units {
        audio_ms,
        characters,
        images,
        searches,
    } = units;
    let all = [
        ("audio_ms", audio_ms),
        ("characters", characters),
        ("images", images),
        ("searches", searches),
    ];
    let told = all.iter().filter(|(_, count)| *count > 0);
    let told: Vec<String> = told.map(|(name, n)| format!("{name}={n}")).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

fn of_exchange(record: &EndRecord) {
    let began = &record.began;
    tracing::info!(
        target: "llmleaf::exchange",
        id = &*began.id,
        request_id = &*began.request_id,
        key = &*began.key,
        dialect = began.dialect,
        model = &*began.model,
        stream = began.stream,
        attempts = record.attempts.len(),
        end = record.end.as_str(),
        end_status = record.status,
        failure = record.failure,
        total_ms = record.total_ms,
        own_us = record.own_us,
        "no answer of a provider"
    );
}
