//! Token counts and durations.

use super::quirks::is_kin;
use super::wire::{ObjectWriter, json_object, tokens};
use crate::object::Object;
use llmleaf_model::Usage;

/// Fields of the last line, in the order the service writes them. Durations are in nanoseconds.
const FIELDS: [&str; 6] = [
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
];

/// Reads the counts of a last line; `None` where there are none. What was read from a cache is not told apart, and what
/// was thought counts as output.
pub(super) fn parse(chunk: &Object<'_>, dialect: llmleaf_model::DialectName) -> Option<Usage> {
    let counts = ["prompt_eval_count", "eval_count"];
    if counts.iter().all(|name| chunk.get(name).is_none()) {
        return None;
    }
    let native = json_object(|object| {
        for name in FIELDS {
            if let Some(value) = chunk.get(name) {
                object.raw(name, value.get());
            }
        }
    });
    Some(Usage {
        input: tokens(chunk, "prompt_eval_count"),
        output: tokens(chunk, "eval_count"),
        native: Some((dialect, native)),
        ..Usage::default()
    })
}

/// Writes counts as fields of the last line. False where they tell more apart than this wire does.
pub(super) fn render(object: &mut ObjectWriter<'_>, usage: &Usage) -> bool {
    if let Some((dialect, native)) = &usage.native
        && is_kin(*dialect)
        && let Some(native) = Object::from_raw(native.raw())
    {
        object.rest(&native.into_rest());
        return true;
    }
    object
        .number("prompt_eval_count", usage.input_total())
        .number("eval_count", usage.output_total());
    (usage.input, usage.output) == (usage.input_total(), usage.output_total())
}
