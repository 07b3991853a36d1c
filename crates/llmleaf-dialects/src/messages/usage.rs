//! Token counts: this wire counts exclusively, `input_tokens` without what a cache gave or took.

use super::wire::{ObjectWriter, json_object, one_line};
use crate::object::{Object, string};
use llmleaf_model::usage::nano_usd;
use llmleaf_model::{DialectName, Json, Usage};
use serde_json::value::RawValue;

/// What a stream has reported so far: `message_start` first, then cumulative counts that may leave fields out.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The last value of each field, as written.
    fields: Vec<(String, Json)>,
}

impl Counts {
    /// Takes the next report: its fields replace those of the ones before, what it leaves out stays.
    ///
    /// A `null` is not a count and does not replace one.
    pub fn merge(&mut self, raw: &RawValue) {
        let Some(object) = Object::from_raw(raw) else {
            return;
        };
        for (key, value) in object.fields {
            match self.fields.iter_mut().find(|(k, _)| *k == key) {
                Some(_) if value.get() == "null" => {}
                Some((_, slot)) => *slot = Json::from(value),
                None => self.fields.push((key.into_owned(), Json::from(value))),
            }
        }
    }

    /// The counts in disjoint classes; `None` where nothing was reported.
    pub fn usage(&self) -> Option<Usage> {
        if self.fields.is_empty() {
            return None;
        }
        let native = json_object(|object| {
            for (key, value) in &self.fields {
                object.raw(key, value.as_str());
            }
        });
        let mut usage = Usage {
            input: self.count("input_tokens"),
            input_cache_read: self.count("cache_read_input_tokens"),
            server_tool_calls: self.server_tool_calls(),
            cost_nano_usd: self.get("cost").and_then(|json| nano_usd(json.as_str())),
            native: Some((DialectName::Messages, native)),
            ..Usage::default()
        };
        let long = self.inner("cache_creation", "ephemeral_1h_input_tokens");
        let short = self.inner("cache_creation", "ephemeral_5m_input_tokens");
        // The total is what is billed; the breakdown may be missing, or be older than the total.
        let total = self
            .get("cache_creation_input_tokens")
            .and_then(|json| count(json.raw()))
            .unwrap_or_else(|| long.saturating_add(short));
        usage.input_cache_write_1h = long.min(total);
        usage.input_cache_write = total - usage.input_cache_write_1h;
        let thinking = self.inner("output_tokens_details", "thinking_tokens");
        usage.set_inclusive_output(self.count("output_tokens"), thinking, 0);
        // Fast mode is told apart from the class of service, and costs more than any (platform.claude.com, fast mode, 2026-11).
        let said = |name: &str| self.get(name).and_then(|json| string(json.raw()));
        match said("speed").as_deref() {
            Some("fast") => usage.set_tier("fast"),
            _ => usage.set_tier(&said("service_tier").unwrap_or_default()),
        }
        Some(usage)
    }

    fn get(&self, key: &str) -> Option<&Json> {
        self.fields.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn count(&self, key: &str) -> u64 {
        self.get(key)
            .and_then(|json| count(json.raw()))
            .unwrap_or(0)
    }

    fn inner(&self, key: &str, name: &str) -> u64 {
        self.get(key)
            .and_then(|json| Object::from_raw(json.raw()))
            .and_then(|object| object.get(name).and_then(count))
            .unwrap_or(0)
    }

    fn server_tool_calls(&self) -> u64 {
        self.get("server_tool_use")
            .and_then(|json| Object::from_raw(json.raw()))
            .map_or(0, |object| {
                object
                    .fields
                    .iter()
                    .filter_map(|(_, raw)| count(raw))
                    .fold(0, u64::saturating_add)
            })
    }
}

/// A count; negative, fractional, huge and quoted ones are none.
pub(super) fn count(raw: &RawValue) -> Option<u64> {
    let count = raw.get().parse().ok();
    count.filter(|count| *count <= crate::LARGEST_COUNT)
}

/// Writes the counts as this wire has them; `None` writes zeros, for consumers that demand the fields.
pub(super) fn render(out: &mut Vec<u8>, usage: Option<&Usage>) {
    let zero = Usage::default();
    let usage = usage.unwrap_or(&zero);
    if let Some((DialectName::Messages, native)) = &usage.native {
        return one_line(out, native.as_str());
    }
    let mut object = ObjectWriter::new(out);
    object
        .number(
            "input_tokens",
            usage.input.saturating_add(usage.input_audio),
        )
        .number("cache_creation_input_tokens", usage.cache_write_total())
        .number("cache_read_input_tokens", usage.input_cache_read);
    if usage.cache_write_total() > 0 {
        object.object("cache_creation", |object| {
            object
                .number("ephemeral_5m_input_tokens", usage.input_cache_write)
                .number("ephemeral_1h_input_tokens", usage.input_cache_write_1h);
        });
    }
    object.number("output_tokens", usage.output_total());
    if usage.output_reasoning > 0 {
        object.object("output_tokens_details", |object| {
            object.number("thinking_tokens", usage.output_reasoning);
        });
    }
    if let Some(nano) = usage.cost_nano_usd {
        super::wire::dollars(object.key("cost_usd"), nano);
    }
    object.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c12_counts_that_make_no_sense_are_none() {
        for (text, read) in [
            ("7", Some(7)),
            ("9007199254740992", Some(1 << 53)),
            ("9007199254740993", None),
            ("18446744073709551615", None),
            ("-1", None),
            ("1.5", None),
            ("\"7\"", None),
        ] {
            assert_eq!(count(Json::parse(text).unwrap().raw()), read, "{text}");
        }
        let mut counts = Counts::default();
        let report = r#"{"input_tokens":18446744073709551615,"output_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":9007199254740993}}"#;
        counts.merge(Json::parse(report).unwrap().raw());
        assert_eq!(counts.usage().unwrap().total(), 3);
    }
}
