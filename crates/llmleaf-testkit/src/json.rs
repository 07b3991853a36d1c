//! A JSON reader that keeps what a judge must see and a mapper may not lose: the spelling of every
//! number and string, and the order of keys.
//!
//! Written for this crate alone, so that a bug in the JSON parser of the product cannot hide itself.

mod number;
mod parse;

use std::fmt;

/// One JSON value, with the source spelling of numbers and strings and the source order of keys.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number exactly as it was spelled.
    Number(String),
    /// A string: its decoded text, and the characters between the quotes as they were spelled.
    String {
        /// The text the string stands for. A lone surrogate reads as U+FFFD.
        text: String,
        /// The spelling, escapes included.
        raw: String,
    },
    /// `[…]`
    Array(Vec<Value>),
    /// `{…}` in source order; a repeated key stays in the list.
    Object(Vec<(String, Value)>),
}

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What was wrong.
    pub what: &'static str,
    /// Byte offset in the text.
    pub at: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for ParseError {}

/// Reads one JSON text, strictly by RFC 8259, nested at most 512 deep.
///
/// # Errors
/// When the text is not JSON or something follows the value.
pub fn parse(text: &str) -> Result<Value, ParseError> {
    parse::document(text)
}

impl Value {
    /// The member of an object; the last one where a key is repeated, as most readers do.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members()
            .iter()
            .rev()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The value behind a chain of keys; `null` counts as absent.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        let found = keys.iter().try_fold(self, |value, key| value.get(key))?;
        (!matches!(found, Value::Null)).then_some(found)
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text behind a chain of keys, or the empty text.
    #[must_use]
    pub fn text_at(&self, keys: &[&str]) -> &str {
        self.at(keys).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number that is a plain non-negative integer. Anything else (negative, fraction, string, too
    /// large) is no count and reads as `None`.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Number(raw) => raw.parse().ok(),
            _ => None,
        }
    }

    /// The count behind a chain of keys.
    #[must_use]
    pub fn u64_at(&self, keys: &[&str]) -> Option<u64> {
        self.at(keys).and_then(Value::as_u64)
    }

    /// The elements of an array; none for any other value.
    #[must_use]
    pub fn elements(&self) -> &[Value] {
        match self {
            Value::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The elements of the array behind a chain of keys; none when it is absent or no array.
    #[must_use]
    pub fn elements_at(&self, keys: &[&str]) -> &[Value] {
        self.at(keys).map_or(&[], Value::elements)
    }

    /// The members of an object in source order; none for any other value.
    #[must_use]
    pub fn members(&self) -> &[(String, Value)] {
        match self {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// Whether a script would take it for true: an error field of `null`, `false`, `""`, `0` or absent
    /// is no error.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(raw) => number::canonical(raw) != number::canonical("0"),
            Value::String { text, .. } => !text.is_empty(),
            Value::Array(_) | Value::Object(_) => true,
        }
    }

    /// Whether two values mean the same: numbers by value, strings by text, objects whatever the key
    /// order.
    #[must_use]
    pub fn same_meaning(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => number::canonical(a) == number::canonical(b),
            (Value::String { text: a, .. }, Value::String { text: b, .. }) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_meaning(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| {
                        other
                            .get(key)
                            .is_some_and(|theirs| value.same_meaning(theirs))
                    })
            }
            _ => false,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(raw) => out.push_str(raw),
            Value::String { raw, .. } => quote(raw, out),
            Value::Array(elements) => {
                out.push('[');
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    element.write(out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (position, (key, value)) in members.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(raw: &str, out: &mut String) {
    out.push('"');
    out.push_str(raw);
    out.push('"');
}

/// Compact text: no whitespace, spellings and key order as in the source.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

/// For tests that already hold a `serde_json` value; number spelling and key order are by then gone.
impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        parse(&value.to_string()).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests;
