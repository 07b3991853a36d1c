//! What an answer used, and what writing down what was heard used.

use crate::object::{self, Object};
use crate::writer::json_object;
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

/// Of an answer of the Responses wire, where an answer of a session is one.
pub(super) fn of_answer(report: &Object<'_>) -> Usage {
    let detail = |object: &str, name: &str| {
        let details = report.get(object).and_then(Object::from_raw);
        details.map_or(0, |details| number(details.get(name)))
    };
    let mut usage = Usage::default();
    let cached = detail("input_tokens_details", "cached_tokens");
    usage.set_inclusive_input(number(report.get("input_tokens")), cached, 0, 0);
    let reasoning = detail("output_tokens_details", "reasoning_tokens");
    usage.set_inclusive_output(number(report.get("output_tokens")), reasoning, 0);
    usage
}

/// A usage in the words of a session.
pub(super) fn report(usage: &Usage) -> String {
    let (input, output) = (usage.input_total(), usage.output_total());
    let json = json_object(|object| {
        object
            .number("total_tokens", input.saturating_add(output))
            .number("input_tokens", input)
            .number("output_tokens", output)
            .object("input_token_details", |details| {
                details
                    .number(
                        "text_tokens",
                        usage.input.saturating_add(usage.input_cache_read),
                    )
                    .number("audio_tokens", usage.input_audio)
                    .number("image_tokens", usage.input_image)
                    .number("cached_tokens", usage.input_cache_read);
            })
            .object("output_token_details", |details| {
                details
                    .number(
                        "text_tokens",
                        usage.output.saturating_add(usage.output_reasoning),
                    )
                    .number("audio_tokens", usage.output_audio);
                if usage.output_reasoning > 0 {
                    details.number("reasoning_tokens", usage.output_reasoning);
                }
            });
    });
    json.as_str().to_owned()
}

/// A count; what is none, or beyond belief, counts nothing.
fn number(raw: Option<&RawValue>) -> u64 {
    let count = raw.and_then(|raw| raw.get().parse().ok());
    count
        .filter(|count| *count <= crate::LARGEST_COUNT)
        .unwrap_or_default()
}
