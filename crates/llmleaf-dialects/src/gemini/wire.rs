//! The words of this wire, and Google's JSON mapping: two spellings of a name, numbers as strings, lists of one.

pub(super) use crate::writer::{
    ObjectWriter, array, json_object, one_line, string as write_string,
};

use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use llmleaf_model::Failure;
use serde_json::value::RawValue;

/// First letters of the id of a provider's call that had none. Rendered requests leave it out again.
pub(super) const MADE_UP: &str = "leaf_";

/// First letters of the id of a consumer's call that had none: it is known within one request alone.
pub(super) const NAMELESS: &str = "leaf-";

/// Name of the one field that holds the free text of a custom tool's input.
pub(super) const FREE_TEXT: &str = "input";

/// The top of a request, its names in `camelCase`.
pub(super) fn top(body: &str) -> Result<Level<'_>, Failure> {
    Level::top(body)?.renamed(camel)
}

/// An object inside a request, its names in `camelCase`.
pub(super) fn level(raw: &RawValue, path: String) -> Result<Level<'_>, Failure> {
    Level::of(raw, path)?.renamed(camel)
}

/// An object field, its names in `camelCase`.
pub(super) fn inner<'a>(level: &mut Level<'a>, name: &str) -> Result<Option<Level<'a>>, Failure> {
    match level.object(name)? {
        Some(found) => found.renamed(camel).map(Some),
        None => Ok(None),
    }
}

/// The `camelCase` spelling of a `snake_case` name; `None` where it is no such name.
pub(super) fn camel(name: &str) -> Option<String> {
    if !name.contains('_') {
        return None;
    }
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' => raise = !out.is_empty(),
            letter if raise => {
                raise = false;
                out.extend(letter.to_uppercase());
            }
            letter => out.push(letter),
        }
    }
    Some(out).filter(|camel| !camel.is_empty())
}

/// A list; one item without its brackets is a list of one.
pub(super) fn list<'a>(raw: &'a RawValue, path: &str) -> Result<Vec<&'a RawValue>, Failure> {
    match items(raw) {
        Some(items) => Ok(items),
        None if raw.get().starts_with('{') => Ok(vec![raw]),
        None => Err(wrong(path, "a list")),
    }
}

/// An integer, which may be written as a string or with a fraction of zero.
pub(super) fn integer(level: &mut Level<'_>, name: &str) -> Result<Option<i64>, Failure> {
    let path = level.at(name);
    level
        .raw(name)
        .map(|raw| whole(raw).ok_or_else(|| wrong(&path, "an integer")))
        .transpose()
}

/// An integer of at least 0, which may be written as a string.
pub(super) fn count(level: &mut Level<'_>, name: &str) -> Result<Option<u64>, Failure> {
    let path = level.at(name);
    match integer(level, name)? {
        Some(found) => u64::try_from(found)
            .map(Some)
            .map_err(|_| wrong(&path, "an integer of at least 0")),
        None => Ok(None),
    }
}

/// A whole number as the JSON mapping reads it.
pub(super) fn whole(raw: &RawValue) -> Option<i64> {
    let text = string(raw);
    let text = text.as_deref().unwrap_or(raw.get());
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A token count of an answer; what makes no sense is none.
pub(super) fn tokens(object: &Object<'_>, name: &str) -> u64 {
    object
        .get(name)
        .and_then(whole)
        .and_then(|count| u64::try_from(count).ok())
        .filter(|count| *count <= crate::LARGEST_COUNT)
        .unwrap_or(0)
}

/// A string field of an answer.
pub(super) fn text<'a>(object: &Object<'a>, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    object.get(name).and_then(string)
}

/// Writes one chunk of a stream. The service itself ends its lines with CRLF.
pub(super) fn chunk(out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.extend_from_slice(b"data: ");
    let mut object = ObjectWriter::new(out);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::{camel, whole};
    use llmleaf_model::Json;

    #[test]
    fn names_have_two_spellings() {
        for (written, read) in [
            ("inline_data", Some("inlineData")),
            ("response_json_schema", Some("responseJsonSchema")),
            ("text", None),
            ("inlineData", None),
            ("_x", Some("x")),
            ("_", None),
        ] {
            assert_eq!(camel(written).as_deref(), read, "{written}");
        }
    }

    #[test]
    fn whole_numbers_are_read_as_the_mapping_writes_them() {
        for (text, read) in [
            ("7", Some(7)),
            ("\"7\"", Some(7)),
            ("-1", Some(-1)),
            ("7.0", Some(7)),
            ("1e3", Some(1000)),
            ("7.5", None),
            ("\"x\"", None),
            ("1e300", None),
            ("true", None),
        ] {
            assert_eq!(whole(Json::parse(text).unwrap().raw()), read, "{text}");
        }
    }
}
