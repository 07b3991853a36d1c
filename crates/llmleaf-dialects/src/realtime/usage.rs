//! What an answer used, and what writing down what was heard used.

use crate::object::{self, Object};
use llmleaf_model::{Units, Usage};
use serde_json::value::RawValue;

/// Of `response.done`. Cached tokens are a part of the input there, and are told by kind.
pub(super) fn of_response(raw: &RawValue) -> Option<Usage> {
    let report = Object::from_raw(raw)?;
    let total = |field: &str| number(report.get(field));
    let input = report.get("input_token_details").and_then(Object::from_raw);
    let input = input.unwrap_or_default();
    let cached = input
        .get("cached_tokens_details")
        .and_then(Object::from_raw);
    let cached = cached.unwrap_or_default();
    let output = report
        .get("output_token_details")
        .and_then(Object::from_raw);
    let output = output.unwrap_or_default();
    let mut usage = Usage::default();
    // Audio that was cached is counted with what was cached.
    let fresh = |field: &str| {
        let all = number(input.get(field));
        all.saturating_sub(number(cached.get(field)))
    };
    usage.set_inclusive_input(
        total("input_tokens"),
        number(input.get("cached_tokens")),
        0,
        fresh("audio_tokens"),
    );
    let images = fresh("image_tokens").min(usage.input);
    usage.input -= images;
    usage.input_image = images;
    usage.set_inclusive_output(
        total("output_tokens"),
        number(output.get("reasoning_tokens")),
        number(output.get("audio_tokens")),
    );
    Some(usage)
}

/// Of a transcription, which is counted in tokens or by its length.
pub(super) fn of_transcription(raw: &RawValue) -> Option<Usage> {
    let report = Object::from_raw(raw)?;
    if report.get("type").and_then(object::string).as_deref() == Some("duration") {
        let seconds: f64 = report.get("seconds")?.get().parse().ok()?;
        let millis = std::time::Duration::try_from_secs_f64(seconds)
            .ok()?
            .as_millis();
        return Some(Usage {
            units: Units {
                audio_ms: u64::try_from(millis).unwrap_or(u64::MAX),
                ..Units::default()
            },
            ..Usage::default()
        });
    }
    of_response(raw)
}

/// A count; what is none, or beyond belief, counts nothing.
fn number(raw: Option<&RawValue>) -> u64 {
    let count = raw.and_then(|raw| raw.get().parse().ok());
    count
        .filter(|count| *count <= crate::LARGEST_COUNT)
        .unwrap_or_default()
}
