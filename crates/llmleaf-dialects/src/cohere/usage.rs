//! Token counts: `billed_units` is what is paid, `tokens` what the model read and wrote, `cached_tokens` how much of that
//! input came from a cache.
//!
//! The two differ: the service's own prompt around tools and documents is in `tokens` and costs nothing (recorded: 78 billed
//! of 1694). Accounting follows the bill, as the service's own compatible endpoint does: its `prompt_tokens` are the billed
//! ones (recorded 2025-02). What came from the cache is a part of `tokens`, so it is told apart only where both counts are
//! the same. The whole report goes along as it was written.

use super::wire::{ObjectWriter, dollars, one_line};
use crate::object::Object;
use llmleaf_model::{DialectName, Json, Usage};
use serde_json::value::RawValue;

/// Reads `usage`; `None` where it counts nothing.
pub(super) fn parse(raw: &RawValue) -> Option<Usage> {
    let report = Object::from_raw(raw)?;
    let group = |name: &str| super::wire::inner(&report, name);
    let (billed, tokens) = (group("billed_units"), group("tokens"));
    let of = |group: &Option<Object<'_>>, name: &str| {
        let raw = group.as_ref()?.get(name)?;
        count(raw)
    };
    // Images are billed as input, and counted beside the words.
    let read = of(&tokens, "input_tokens")
        .map(|n| n.saturating_add(of(&tokens, "image_tokens").unwrap_or(0)));
    let input = of(&billed, "input_tokens").or(read);
    let output = of(&billed, "output_tokens").or(of(&tokens, "output_tokens"));
    let searches = of(&billed, "search_units");
    if input.is_none() && output.is_none() && searches.is_none() {
        return None;
    }
    let mut usage = Usage {
        server_tool_calls: searches.unwrap_or(0),
        native: Some((DialectName::CohereChat, Json::from(raw))),
        ..Usage::default()
    };
    let cached = report.get("cached_tokens").and_then(count);
    let cached = cached.filter(|_| read.is_none() || read == input);
    usage.set_inclusive_input(input.unwrap_or(0), cached.unwrap_or(0), 0, 0);
    let reasoning = of(&tokens, "reasoning_tokens").unwrap_or(0);
    usage.set_inclusive_output(output.unwrap_or(0), reasoning, 0);
    Some(usage)
}

/// A count; the reference calls them numbers, and services have written `25.0`. Negative, fractional, huge and quoted
/// ones are none.
fn count(raw: &RawValue) -> Option<u64> {
    let text = raw.get();
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    let count = whole.parse().ok();
    count.filter(|count| *count <= crate::LARGEST_COUNT)
}

/// Writes the counts as this wire has them.
pub(super) fn render(out: &mut Vec<u8>, usage: &Usage) {
    if let Some((DialectName::CohereChat, native)) = &usage.native {
        return one_line(out, native.as_str());
    }
    let mut object = ObjectWriter::new(out);
    let both = |object: &mut ObjectWriter<'_>| {
        object
            .number("input_tokens", usage.input_total())
            .number("output_tokens", usage.output_total());
    };
    object.object("billed_units", |object| {
        both(object);
        if usage.server_tool_calls > 0 {
            object.number("search_units", usage.server_tool_calls);
        }
    });
    object.object("tokens", |object| {
        both(object);
        if usage.output_reasoning > 0 {
            object.number("reasoning_tokens", usage.output_reasoning);
        }
    });
    if usage.input_cache_read > 0 {
        object.number("cached_tokens", usage.input_cache_read);
    }
    if let Some(nano) = usage.cost_nano_usd {
        dollars(object.key("cost_usd"), nano);
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
    fn the_bill_is_what_counts() {
        let usage = read(
            r#"{"billed_units":{"input_tokens":51,"output_tokens":66.0},"tokens":{"input_tokens":267,"output_tokens":91,"reasoning_tokens":58},"cached_tokens":144}"#,
        )
        .unwrap();
        assert_eq!((usage.input, usage.input_cache_read), (51, 0));
        assert_eq!((usage.output, usage.output_reasoning), (8, 58));
        // Without a bill the tokens are all there is, and the cache is a part of them.
        let usage =
            read(r#"{"tokens":{"input_tokens":34,"image_tokens":6,"output_tokens":2},"cached_tokens":8}"#)
                .unwrap();
        assert_eq!(
            (usage.input, usage.input_cache_read, usage.output),
            (32, 8, 2)
        );
        assert_eq!(read(r#"{"billed_units":{}}"#), None);
        assert_eq!(read("[]"), None);
    }

    #[test]
    fn counts_that_make_no_sense_are_none() {
        for (text, read) in [
            ("7", Some(7)),
            ("7.00", Some(7)),
            ("9007199254740993", None),
            ("-1", None),
            ("1.5", None),
            ("\"7\"", None),
            ("1e3", None),
        ] {
            assert_eq!(count(Json::parse(text).unwrap().raw()), read, "{text}");
        }
    }

    #[test]
    fn what_is_rendered_reads_back() {
        let usage = Usage {
            input: 3,
            input_cache_read: 4,
            output: 5,
            output_reasoning: 6,
            server_tool_calls: 1,
            ..Usage::default()
        };
        let mut out = Vec::new();
        render(&mut out, &usage);
        let mut again = read(std::str::from_utf8(&out).unwrap()).unwrap();
        again.native = None;
        assert_eq!(again, usage);
    }
}
