//! Token counts: this wire counts inclusively, cached input inside the input, reasoning inside the output.

use super::wire::ObjectWriter;
use crate::object::{Object, string};
use llmleaf_model::usage::nano_usd;
use llmleaf_model::{DialectName, Json, Usage};
use serde_json::value::RawValue;

/// The report of a response object.
pub(super) fn of(response: &Object<'_>) -> Option<Usage> {
    let mut usage = response.get("usage").and_then(parse)?;
    if let Some(tier) = response.get("service_tier").and_then(string) {
        usage.set_tier(&tier);
    }
    Some(usage)
}

/// Reads a report; `None` where it states neither an input nor an output count that makes sense.
pub(super) fn parse(raw: &RawValue) -> Option<Usage> {
    let object = Object::from_raw(raw)?;
    let (input, output) = (
        number(&object, "input_tokens"),
        number(&object, "output_tokens"),
    );
    if input.is_none() && output.is_none() {
        return None;
    }
    let inner = |name: &str| object.get(name).and_then(Object::from_raw);
    let ins = inner("input_tokens_details").unwrap_or_default();
    let outs = inner("output_tokens_details").unwrap_or_default();
    let count = |object: &Object<'_>, name: &str| number(object, name).unwrap_or(0);
    let mut usage = Usage::default();
    usage.set_inclusive_input(
        input.unwrap_or(0),
        count(&ins, "cached_tokens"),
        count(&ins, "cache_write_tokens"),
        count(&ins, "audio_tokens"),
    );
    usage.set_inclusive_output(
        output.unwrap_or(0),
        count(&outs, "reasoning_tokens"),
        count(&outs, "audio_tokens"),
    );
    // xAI's name for its runs of searches and code (recorded 2026-01).
    usage.server_tool_calls = count(&object, "num_server_side_tools_used");
    usage.cost_nano_usd = object
        .get("cost")
        .and_then(|raw| nano_usd(raw.get()))
        // A tick is 1e-10 dollars: see the chat wire's reading of the same service.
        .or_else(|| number(&object, "cost_in_usd_ticks").map(|ticks| ticks / 10));
    usage.native = Some((DialectName::Responses, Json::from(raw)));
    Some(usage)
}

fn number(object: &Object<'_>, name: &str) -> Option<u64> {
    let count = object.get(name)?.get().parse().ok();
    count.filter(|count| *count <= crate::LARGEST_COUNT)
}

/// Writes the counts as this wire has them.
pub(super) fn render(out: &mut Vec<u8>, usage: &Usage) {
    if let Some((DialectName::Responses, native)) = &usage.native {
        return super::wire::one_line(out, native.as_str());
    }
    let mut object = ObjectWriter::new(out);
    object
        .number("input_tokens", usage.input_total())
        .object("input_tokens_details", |details| {
            details.number("cached_tokens", usage.input_cache_read);
            if usage.cache_write_total() > 0 {
                details.number("cache_write_tokens", usage.cache_write_total());
            }
            if usage.input_audio > 0 {
                details.number("audio_tokens", usage.input_audio);
            }
        })
        .number("output_tokens", usage.output_total())
        .object("output_tokens_details", |details| {
            details.number("reasoning_tokens", usage.output_reasoning);
            if usage.output_audio > 0 {
                details.number("audio_tokens", usage.output_audio);
            }
        })
        .number("total_tokens", usage.total());
    if let Some(nano) = usage.cost_nano_usd {
        crate::writer::dollars(object.key("cost"), nano);
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        parse(Json::parse(text).unwrap().raw())
    }

    #[test]
    fn classes_are_disjoint_and_a_rendered_report_reads_back() {
        let mut usage = read(r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":20,"cache_write_tokens":30},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":7},"total_tokens":150,"cost_in_usd_ticks":12856000}"#).unwrap();
        assert_eq!(
            (
                usage.input,
                usage.input_cache_read,
                usage.input_cache_write,
                usage.output,
                usage.output_reasoning,
                usage.cost_nano_usd
            ),
            (50, 20, 30, 43, 7, Some(1_285_600))
        );
        usage.native = None;
        let mut out = Vec::new();
        render(&mut out, &usage);
        let mut again = read(std::str::from_utf8(&out).unwrap()).unwrap();
        again.native = None;
        assert_eq!(again, usage);
    }

    #[test]
    fn counts_that_make_no_sense_are_unknown() {
        for text in [
            r#"{"input_tokens":-1,"output_tokens":"7"}"#,
            "{}",
            "[1]",
            r#"{"input_tokens":9007199254740993}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
