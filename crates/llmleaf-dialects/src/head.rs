//! The first reading of a consumer's body: what routing needs, and where each top-level field lies.

use crate::object::{self, Object};
use llmleaf_model::{Failure, FailureKind, Origin};
use serde_json::value::RawValue;
use std::ops::Range;

/// Deepest nesting of a request body. Providers' own limits are lower or unknown; a limit keeps every
/// later reading's stack and time bounded.
pub const MAX_DEPTH: usize = 128;

/// What is known of a request before it is parsed: enough to authorise, route and edit it.
#[derive(Debug)]
pub struct Head {
    /// The model the consumer asks for.
    pub model: String,
    /// The consumer wants a stream.
    pub stream: bool,
    fields: Vec<Field>,
}

/// Where a top-level field lies in the body.
#[derive(Debug, Clone)]
pub struct Field {
    name: Name,
    /// From the first quote of the key to the end of the value.
    pub entry: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

#[derive(Debug, Clone)]
enum Name {
    /// The key lies in the body as it reads, without escapes.
    Plain(Range<usize>),
    /// The key is written with escapes; decoded.
    Escaped(Box<str>),
}

impl Head {
    /// Reads a body of a dialect whose top level has `model` and `stream`.
    ///
    /// # Errors
    /// Not UTF-8, not one JSON object, too deep, a field given twice, `model` missing or not a string,
    /// `stream` not a boolean.
    pub fn read(body: &[u8]) -> Result<Self, Failure> {
        let text = text(body)?;
        let object = Object::parse(text).map_err(|e| invalid_json(&e))?;
        let model = match object.get("model") {
            None => {
                return Err(Failure::invalid(
                    "the field `model` is missing",
                    Some("model"),
                ));
            }
            Some(raw) => object::string(raw)
                .filter(|m| !m.is_empty())
                .ok_or_else(|| {
                    Failure::invalid("`model` must be a non-empty string", Some("model"))
                })?
                .into_owned(),
        };
        let stream = match object.get("stream").map(RawValue::get) {
            None | Some("null" | "false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(Failure::invalid(
                    "`stream` must be true or false",
                    Some("stream"),
                ));
            }
        };
        Ok(Self {
            model,
            stream,
            fields: locate(text, &object),
        })
    }

    /// Where a field lies. `body` must be the text the head was read from.
    pub fn field(&self, body: &str, name: &str) -> Option<&Field> {
        self.fields.iter().find(|f| match &f.name {
            Name::Plain(range) => body.get(range.clone()) == Some(name),
            Name::Escaped(key) => &**key == name,
        })
    }

    /// The text of a field's value.
    pub fn value<'b>(&self, body: &'b str, name: &str) -> Option<&'b str> {
        self.field(body, name)
            .and_then(|f| body.get(f.value.clone()))
    }

    /// All fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The range to remove so that a field is gone and the object stays well-formed: the entry with one comma.
    pub fn removal(&self, body: &str, name: &str) -> Option<Range<usize>> {
        let at = self.fields.iter().position(|f| match &f.name {
            Name::Plain(range) => body.get(range.clone()) == Some(name),
            Name::Escaped(key) => &**key == name,
        })?;
        let entry = &self.fields.get(at)?.entry;
        if let Some(next) = self.fields.get(at + 1) {
            return Some(entry.start..next.entry.start);
        }
        let start = match at.checked_sub(1).and_then(|i| self.fields.get(i)) {
            Some(previous) => previous.entry.end,
            None => entry.start,
        };
        Some(start..entry.end)
    }

    /// Where a new field can be inserted as `"name":value,` (before the first field).
    pub fn insertion(&self) -> Option<usize> {
        self.fields.first().map(|f| f.entry.start)
    }
}

impl Field {
    /// The key with its quotes, as it lies in the body.
    pub fn key<'b>(&self, body: &'b str) -> Option<(Range<usize>, &'b str)> {
        let end = match &self.name {
            Name::Plain(range) => range.end + 1,
            Name::Escaped(_) => {
                let head = body.get(self.entry.start..self.value.start)?;
                self.entry.start + head.rfind('"')? + 1
            }
        };
        let range = self.entry.start..end;
        body.get(range.clone()).map(|text| (range, text))
    }
}

/// A body as text, checked for encoding and depth.
///
/// # Errors
/// Not UTF-8, or nested deeper than [`MAX_DEPTH`].
pub fn text(body: &[u8]) -> Result<&str, Failure> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|e| {
        Failure::invalid(
            format!("the body is not UTF-8 (at byte {})", e.valid_up_to()),
            None,
        )
    })?;
    if depth_exceeds(text, MAX_DEPTH) {
        return Err(Failure::invalid(
            format!("the body is nested deeper than {MAX_DEPTH} levels"),
            None,
        ));
    }
    Ok(text)
}

/// The failure for a body that is not what JSON promises.
pub fn invalid_json(error: &serde_json::Error) -> Failure {
    Failure::new(
        Origin::Consumer,
        FailureKind::InvalidRequest,
        format!("the body is not a valid JSON object: {error}"),
    )
}

/// A body as text that was checked by [`text`] before.
///
/// # Errors
/// Not UTF-8.
pub fn checked(body: &[u8]) -> Result<&str, Failure> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    std::str::from_utf8(body).map_err(|_| Failure::invalid("the body is not UTF-8", None))
}

fn depth_exceeds(text: &str, limit: usize) -> bool {
    let bytes = text.as_bytes();
    // Most bodies open fewer brackets in all than may be open at once.
    if memchr::memchr2_iter(b'{', b'[', bytes)
        .take(limit + 1)
        .count()
        <= limit
    {
        return false;
    }
    let mut depth = 0usize;
    let mut at = 0;
    // Only quotes and brackets matter; between them memchr skips. Malformed text may fool the count,
    // but then the parser that follows refuses it.
    while let Some(rest) = bytes.get(at..) {
        let Some(step) = rest
            .iter()
            .position(|b| matches!(b, b'"' | b'{' | b'[' | b'}' | b']'))
        else {
            break;
        };
        at += step + 1;
        match rest.get(step) {
            Some(b'"') => at += string_length(bytes.get(at..).unwrap_or_default()),
            Some(b'{' | b'[') => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            _ => depth = depth.saturating_sub(1),
        }
    }
    false
}

/// Bytes up to and including the quote that ends a string whose first quote was just passed.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn locate(text: &str, object: &Object<'_>) -> Vec<Field> {
    let base = text.as_ptr() as usize;
    let mut after = text.find('{').map_or(0, |i| i + 1);
    object
        .fields
        .iter()
        .map(|(key, raw)| {
            let start = text
                .get(after..)
                .and_then(|t| t.find('"'))
                .map_or(after, |i| after + i);
            let value_start = raw.get().as_ptr() as usize - base;
            let value = value_start..value_start + raw.get().len();
            after = value.end;
            let name = match key {
                std::borrow::Cow::Borrowed(k) => {
                    let at = k.as_ptr() as usize - base;
                    Name::Plain(at..at + k.len())
                }
                std::borrow::Cow::Owned(k) => Name::Escaped(k.as_str().into()),
            };
            Field {
                name,
                entry: start..value.end,
                value,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splice::Splices;

    #[test]
    fn fields_are_found_where_they_lie() {
        let body = r#" { "mod\u0065l" : "m", "a":[1, {"b":2}] ,"stream":true } "#;
        let head = Head::read(body.as_bytes()).unwrap();
        assert_eq!((head.model.as_str(), head.stream), ("m", true));
        assert_eq!(head.value(body, "a"), Some(r#"[1, {"b":2}]"#));
        assert_eq!(head.value(body, "model"), Some(r#""m""#));
        assert_eq!(
            head.field(body, "model").unwrap().key(body).unwrap().1,
            r#""mod\u0065l""#
        );
        assert_eq!(
            head.field(body, "a").unwrap().key(body).unwrap().1,
            r#""a""#
        );
        for (name, left) in [
            ("model", r#" { "a":[1, {"b":2}] ,"stream":true } "#),
            ("a", r#" { "mod\u0065l" : "m", "stream":true } "#),
            ("stream", r#" { "mod\u0065l" : "m", "a":[1, {"b":2}] } "#),
        ] {
            let mut splices = Splices::new();
            splices.remove(head.removal(body, name).unwrap());
            assert_eq!(String::from_utf8(splices.apply(body)).unwrap(), left);
        }
    }

    #[test]
    fn bad_bodies_are_refused_with_the_reason() {
        let deep = format!(
            r#"{{"model":"m","x":{}{}}}"#,
            "[".repeat(128),
            "]".repeat(128)
        );
        for (body, says) in [
            (&b"{\"model\":\"\xff\"}"[..], "UTF-8"),
            (b"[1]", "JSON object"),
            (b"{\"model\":\"m\",}", "JSON object"),
            (b"{\"model\":\"m\"} x", "JSON object"),
            (b"{\"model\":\"m\",\"model\":\"n\"}", "twice"),
            (b"{}", "missing"),
            (b"{\"model\":3}", "string"),
            (b"{\"model\":\"m\",\"stream\":\"true\"}", "true or false"),
            (deep.as_bytes(), "deeper"),
        ] {
            let failure = Head::read(body).unwrap_err();
            assert!(
                failure.message.contains(says),
                "{} / {says}",
                failure.message
            );
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let flat = format!(r#"{{"model":"m","x":"{}\" {{"}}"#, "[".repeat(1000));
        assert!(Head::read(flat.as_bytes()).is_ok());
    }
}
