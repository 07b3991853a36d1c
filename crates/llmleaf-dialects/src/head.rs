//! The first reading of a consumer's body: what routing needs, and where each top-level field lies.

use crate::object::Object;
use crate::preferences;
use crate::sane;
use crate::skim::{self, Entry, MOST_FIELDS};
use crate::wire::Dialect;
use llmleaf_model::{Failure, FailureKind, Origin};
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
    /// Some field is of the routing language.
    routes: bool,
    asks_cost: bool,
    proofs: Proofs,
}

/// Whether some message may carry proofs of thoughts.
#[derive(Debug, PartialEq, Eq)]
enum Proofs {
    None,
    /// An object has a key of [`PROOFS`].
    Possible,
}

/// The keys under which a message of Chat Completions carries proofs of thoughts, as they are looked for in
/// [`crate::chat_completions::edits::takes`]. Whoever reads a body first passes all its keys anyway.
pub(crate) const PROOFS: [&str; 2] = ["\"reasoning_details\"", "\"thought_signature\""];

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
        Self::of(utf8(body)?, false, None)
    }

    /// Reads a body that need not name a model: `unnamed` is the one that is meant then.
    ///
    /// # Errors
    /// Those of [`Head::read`], but for a missing model.
    pub fn read_or(body: &[u8], unnamed: &str) -> Result<Self, Failure> {
        Self::of(utf8(body)?, false, Some(unnamed))
    }

    /// Reads a body of a dialect, by its rule for what streams.
    ///
    /// # Errors
    /// Those of [`Head::read`].
    pub fn read_in(dialect: Dialect, body: &[u8]) -> Result<Self, Failure> {
        Self::of(utf8(body)?, dialect.streams_unasked(), None)
    }

    /// Reads a body of a dialect, and refuses what no provider of that wire takes ([`sane`]).
    ///
    /// # Errors
    /// Those of [`Head::read`], and a field that cannot be meant.
    pub fn read_as(dialect: Dialect, body: &[u8]) -> Result<Self, Failure> {
        let text = utf8(body)?;
        let head = Self::of(text, dialect.streams_unasked(), None)?;
        sane::check(dialect, &head, text)?;
        Ok(head)
    }

    /// Whether a body without messages is a request of the Responses wire.
    pub fn is_of_responses(body: &[u8]) -> bool {
        let fields = utf8(body).and_then(|text| Ok((text, located(text)?)));
        fields.is_ok_and(|(text, (fields, _))| {
            let has = |name: &str| fields.iter().any(|field| field.is(text, name));
            has("input") && !has("messages")
        })
    }

    /// `unasked`: it streams where the body does not say. `unnamed`: the model that is meant where it names none.
    fn of(text: &str, unasked: bool, unnamed: Option<&str>) -> Result<Self, Failure> {
        let (fields, proofs) = located(text)?;
        let value = |name: &str| {
            let field = fields.iter().find(|field| field.is(text, name))?;
            text.get(field.value.clone())
        };
        let listed = || first(value("models")?);
        let named = value("model").or_else(listed);
        let named = named.filter(|json| unnamed.is_none() || *json != "null");
        let model = match (named, unnamed) {
            (Some(json), _) => string(json)
                .filter(|model| !model.is_empty())
                .ok_or("`model` must be a non-empty string"),
            (None, Some(unnamed)) => Ok(unnamed.to_owned()),
            (None, None) => Err("the field `model` is missing"),
        };
        let model = model.map_err(|why| Failure::invalid(why, Some("model")))?;
        let stream = match value("stream") {
            None | Some("null") => unasked,
            Some("false") => false,
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
            routes: fields.iter().any(|field| field.is_wish(text)),
            asks_cost: asks_cost(value("usage")),
            proofs,
            fields,
        })
    }

    /// Reads a body of a dialect that names the model, and whether to stream, in the request's path.
    ///
    /// # Errors
    /// Not UTF-8, not one JSON object, too deep, a field given twice, no model.
    pub fn addressed(body: &[u8], model: impl Into<String>, stream: bool) -> Result<Self, Failure> {
        let (fields, proofs) = located(utf8(body)?)?;
        let model = model.into();
        if model.is_empty() {
            let why = "the path names no model";
            return Err(Failure::invalid(why, Some("model")));
        }
        Ok(Self {
            model,
            stream,
            routes: false,
            asks_cost: false,
            proofs,
            fields,
        })
    }

    /// Whether the body says how it wants to be routed (see [`preferences`]).
    pub fn routes(&self) -> bool {
        self.routes
    }

    /// Whether it asks in the way of a router for what its answer costs: `usage: {"include": true}`.
    pub fn asks_cost(&self) -> bool {
        self.asks_cost
    }

    /// Whether the body may carry proofs of thoughts in the way of Chat Completions. Without the keys it has none.
    pub(crate) fn may_prove(&self) -> bool {
        self.proofs == Proofs::Possible
    }

    /// Where a field lies. `body` must be the text the head was read from.
    pub fn field(&self, body: &str, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.is(body, name))
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
        let at = self.fields.iter().position(|field| field.is(body, name))?;
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

    /// The ranges to remove so that several fields are gone and every comma between the others is right.
    pub fn cuts(&self, gone: impl Fn(&Field) -> bool) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        let mut kept_end = None;
        let mut run = None;
        for field in &self.fields {
            if gone(field) {
                run.get_or_insert(field.entry.start);
                continue;
            }
            // A run with a kept field behind it goes up to that field.
            if let Some(start) = run.take() {
                cuts.push(start..field.entry.start);
            }
            kept_end = Some(field.entry.end);
        }
        // A run at the end takes the comma before it.
        if let Some(start) = run
            && let Some(last) = self.fields.last()
        {
            cuts.push(kept_end.unwrap_or(start)..last.entry.end);
        }
        cuts
    }

    /// Where a new field can be inserted as `"name":value,` (before the first field).
    pub fn insertion(&self) -> Option<usize> {
        self.fields.first().map(|f| f.entry.start)
    }
}

fn asks_cost(usage: Option<&str>) -> bool {
    let usage = usage.and_then(|json| Object::parse(json).ok());
    usage.is_some_and(|usage| {
        usage
            .get("include")
            .is_some_and(|value| value.get() == "true")
    })
}

impl Field {
    /// Whether it is part of the routing language (see [`preferences`]). `body` must be the text the head was read from.
    pub fn is_wish(&self, body: &str) -> bool {
        let value = body.get(self.value.clone()).unwrap_or_default();
        preferences::is_wish(self.name(body), value)
    }

    /// Whether this is the key. `body` must be the text the head was read from.
    pub fn is(&self, body: &str, name: &str) -> bool {
        self.name(body) == name
    }

    /// Its name, decoded.
    pub fn name<'b>(&'b self, body: &'b str) -> &'b str {
        match &self.name {
            Name::Plain(range) => body.get(range.clone()).unwrap_or_default(),
            Name::Escaped(key) => key,
        }
    }

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
    let text = utf8(body)?;
    if depth_exceeds(text, MAX_DEPTH) {
        return Err(too_deep());
    }
    Ok(text)
}

fn too_deep() -> Failure {
    Failure::invalid(
        format!("the body is nested deeper than {MAX_DEPTH} levels"),
        None,
    )
}

fn utf8(body: &[u8]) -> Result<&str, Failure> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    simdutf8::basic::from_utf8(body).map_err(|_| {
        let valid = std::str::from_utf8(body).map_or_else(|e| e.valid_up_to(), str::len);
        Failure::invalid(format!("the body is not UTF-8 (at byte {valid})"), None)
    })
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
    utf8(body)
}

/// The first item of a JSON array, as text.
fn first(list: &str) -> Option<&str> {
    let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(list).ok()?;
    items.first().map(|item| item.get())
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

/// Every field of the object that a text is, and whether an object in it has a key of [`PROOFS`].
fn located(text: &str) -> Result<(Vec<Field>, Proofs), Failure> {
    let mut fields: Vec<Field> = Vec::with_capacity(8);
    let (mut count, mut broken) = (0, None);
    let read = skim::each_watching(text, &PROOFS, |entry| {
        count += 1;
        if count > MOST_FIELDS || broken.is_some() {
            return;
        }
        match field(text, entry) {
            Ok(field) => fields.push(field),
            Err(error) => broken = Some(error),
        }
    });
    let Some(proofs) = read else {
        if depth_exceeds(text, MAX_DEPTH) {
            return Err(too_deep());
        }
        // The parser says what is wrong, and where.
        let error = Object::parse(text).err().unwrap_or_else(|| {
            debug_assert!(false, "only one of two readings takes this for an object");
            serde::de::Error::custom("it cannot be read")
        });
        return Err(invalid_json(&error));
    };
    let proofs = if proofs {
        Proofs::Possible
    } else {
        Proofs::None
    };
    if count > MOST_FIELDS {
        let message = format!("the body has more than {MOST_FIELDS} fields");
        return Err(Failure::invalid(message, None));
    }
    if let Some(error) = broken {
        return Err(invalid_json(&error));
    }
    match double(text, &fields) {
        None => Ok((fields, proofs)),
        Some(name) => Err(invalid_json(&serde::de::Error::custom(format_args!(
            "field `{name}` is given twice"
        )))),
    }
}

fn field(text: &str, entry: Entry) -> Result<Field, serde_json::Error> {
    let name = if entry.escaped {
        let quoted = text.get(entry.key.clone()).unwrap_or_default();
        let key: String = serde_json::from_str(quoted)?;
        Name::Escaped(key.into())
    } else {
        Name::Plain(entry.key.start + 1..entry.key.end - 1)
    };
    Ok(Field {
        name,
        entry: entry.key.start..entry.value.end,
        value: entry.value,
    })
}

/// A name that stands twice: which of the two a provider would read is anyone's guess, so neither is taken.
fn double<'t>(text: &'t str, fields: &'t [Field]) -> Option<&'t str> {
    // Past this many fields comparing each with each gives way to a set.
    const PAIRWISE: usize = 32;
    if fields.len() > PAIRWISE {
        let mut seen = std::collections::HashSet::with_capacity(fields.len());
        return fields
            .iter()
            .map(|field| field.name(text))
            .find(|name| !seen.insert(*name));
    }
    fields.iter().enumerate().find_map(|(at, field)| {
        let name = field.name(text);
        let before = fields.iter().take(at);
        before
            .map(|field| field.name(text))
            .find(|earlier| *earlier == name)
    })
}

/// A JSON string; `None` where it is not one.
fn string(json: &str) -> Option<String> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok();
    }
    Some(inner.to_owned())
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
    fn keys_of_proofs_are_seen_on_the_way() {
        for (messages, sees) in [
            (r#"[{"reasoning_details":[]}]"#, true),
            (r#"[{"x":[{"y":{"a":1,"thought_signature":"s"}}]}]"#, true),
            (
                r#"[{"content":"\"reasoning_details\":","reasoning_details_":1}]"#,
                false,
            ),
            (r#"["thought_signature",{"":"reasoning_details"}]"#, false),
        ] {
            let body = format!(r#"{{"model":"m","messages":{messages}}}"#);
            let head = Head::read(body.as_bytes()).unwrap();
            assert_eq!(head.may_prove(), sees, "{body}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let flat = format!(r#"{{"model":"m","x":"{}\" {{"}}"#, "[".repeat(1000));
        assert!(Head::read(flat.as_bytes()).is_ok());
    }
}
