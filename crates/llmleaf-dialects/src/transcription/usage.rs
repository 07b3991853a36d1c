//! What a transcription used: tokens, or the length of what was heard, under the names that services have for them.

use crate::LARGEST_COUNT;
use crate::object::Object;
use crate::writer::ObjectWriter;
use llmleaf_model::usage::nano_usd;
use llmleaf_model::{DialectName, Json, Units, Usage};
use serde_json::value::RawValue;

/// Reads the `usage` of an answer or of an event.
pub(crate) fn of_object(raw: &RawValue) -> Option<Usage> {
    let object = Object::from_raw(raw)?;
    let count = |names: &[&str]| names.iter().find_map(|name| integer(object.get(name)?));
    let details = ["input_token_details", "prompt_tokens_details"]
        .iter()
        .find_map(|name| Object::from_raw(object.get(name)?));
    let audio = details
        .as_ref()
        .and_then(|d| integer(d.get("audio_tokens")?));
    let cached = details
        .as_ref()
        .and_then(|d| integer(d.get("cached_tokens")?));
    // `seconds` of the reference and of OpenRouter; `prompt_audio_seconds` of Mistral (recorded).
    let seconds = object.get("seconds").or(object.get("prompt_audio_seconds"));
    let mut usage = Usage {
        units: Units {
            audio_ms: seconds.map_or(0, |raw| millis(raw.get())),
            ..Units::default()
        },
        cost_nano_usd: object.get("cost").and_then(|raw| nano_usd(raw.get())),
        native: Some((DialectName::ChatCompletions, Json::from(raw))),
        ..Usage::default()
    };
    let output = count(&["output_tokens", "completion_tokens"]).unwrap_or_default();
    let told = count(&["input_tokens", "prompt_tokens"]).unwrap_or_default();
    // Mistral counts the sound beside the prompt, and both in the total (recorded: 3 + 375 + 11 = 389).
    let whole = count(&["total_tokens"]).map_or(told, |total| total.saturating_sub(output));
    let input = told.max(whole);
    usage.set_inclusive_input(
        input,
        cached.unwrap_or_default(),
        0,
        audio.unwrap_or_default(),
    );
    usage.output = output;
    let empty = usage.total() == 0 && usage.units.audio_ms == 0 && usage.cost_nano_usd.is_none();
    (!empty).then_some(usage)
}

/// A number of seconds as milliseconds.
pub(crate) fn millis(seconds: &str) -> u64 {
    let Ok(seconds) = seconds.parse::<f64>() else {
        return 0;
    };
    let millis = (seconds * 1000.0).round();
    if !(0.0..=1e12).contains(&millis) {
        return 0;
    }
    millis as u64
}

fn integer(raw: &RawValue) -> Option<u64> {
    let count = raw.get().parse::<u64>().ok()?;
    (count <= LARGEST_COUNT).then_some(count)
}

/// Writes a usage as the reference does: tokens where there are any, else the length of what was heard.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    object.object("usage", |usage_object| {
        if usage.total() == 0 {
            usage_object.string("type", "duration");
            // Rounded up to the second, as it is billed.
            usage_object.number("seconds", usage.units.audio_ms.div_ceil(1000));
            return;
        }
        let input = usage.input_total();
        usage_object.string("type", "tokens");
        usage_object.number("total_tokens", usage.total());
        usage_object.number("input_tokens", input);
        usage_object.object("input_token_details", |details| {
            details.number("text_tokens", input.saturating_sub(usage.input_audio));
            details.number("audio_tokens", usage.input_audio);
        });
        usage_object.number("output_tokens", usage.output_total());
    });
}
