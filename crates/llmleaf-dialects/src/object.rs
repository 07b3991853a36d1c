//! One level of a JSON object, read without losing anything.

mod written;

pub(crate) use written::raw;

use crate::skim;
use llmleaf_model::Json;
use memchr::memchr;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The fields of a JSON object in order, each value still as text.
///
/// Deeper levels are read by parsing the raw value again, so that a reading touches only what it
/// names, and everything it does not name can be kept as it was written.
#[derive(Debug, Default)]
pub struct Object<'a> {
    /// Name and value, in order.
    pub fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads one level.
    ///
    /// # Errors
    /// The text is not a JSON object, or names a field twice: which of the two a provider would read is
    /// anyone's guess, so neither is taken.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        match Self::skimmed(text) {
            Some(object) => Ok(object),
            // The parser says what is wrong, if anything is.
            None => serde_json::from_str(text),
        }
    }

    /// The same, of what most objects are: few fields, no two of one name.
    fn skimmed(text: &'a str) -> Option<Self> {
        let mut fields: Vec<(Cow<'a, str>, &'a RawValue)> = Vec::with_capacity(8);
        skim::object(text, |scan, key, escaped| {
            let key = match escaped {
                false => Cow::Borrowed(skim::plain_key(text, key, false)?),
                true => serde_json::from_str::<Key<'_>>(text.get(key)?).ok()?.0,
            };
            if fields.len() == PAIRWISE || fields.iter().any(|(k, _)| *k == key) {
                return None;
            }
            fields.push((key, raw(text.get(scan.passed()?)?)?));
            Some(())
        })?;
        Some(Self { fields })
    }

    /// Reads one level of a raw value; `None` where it is not an object.
    pub fn from_raw(raw: &'a RawValue) -> Option<Self> {
        if raw.get().starts_with('{') {
            Self::parse(raw.get()).ok()
        } else {
            None
        }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.iter().find(|(k, _)| k == name).map(|(_, v)| *v)
    }

    /// A count in a report: a whole number, which some write as `7.0`. One that cannot be is none (see [`crate::LARGEST_COUNT`]).
    pub fn count(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?.get();
        let digits = text.strip_suffix(".0").unwrap_or(text);
        let count = digits.parse().ok();
        count.filter(|count| *count <= crate::LARGEST_COUNT)
    }

    /// Removes a field and returns its value. `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.fields.iter().position(|(k, _)| k == name)?;
        let (_, value) = self.fields.remove(at);
        if value.get() == "null" {
            None
        } else {
            Some(value)
        }
    }

    /// What was not taken, in order.
    pub fn into_rest(self) -> llmleaf_model::Rest {
        llmleaf_model::Rest(
            self.fields
                .into_iter()
                .map(|(k, v)| (k.into_owned(), Json::from(v)))
                .collect(),
        )
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Past this many fields the pairwise check for doubles gives way to a set.
const PAIRWISE: usize = 32;

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
        let mut seen = std::collections::HashSet::new();
        while let Some(Key(key)) = map.next_key()? {
            let double = if fields.len() < PAIRWISE {
                fields.iter().any(|(k, _)| *k == key)
            } else {
                if seen.is_empty() {
                    seen.extend(fields.iter().map(|(k, _)| k.clone()));
                }
                !seen.insert(key.clone())
            };
            if double {
                return Err(serde::de::Error::custom(format_args!(
                    "field `{key}` is given twice"
                )));
            }
            fields.push((key, map.next_value()?));
        }
        Ok(Object { fields })
    }
}

/// A key, borrowed where it holds no escape.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Reads a JSON array as raw items; `None` where it is not an array.
pub fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    let text = raw.get();
    if !text.starts_with('[') {
        return None;
    }
    let mut items = Vec::new();
    let skimmed = skim::items(text, |item| {
        items.push(written::raw(text.get(item)?)?);
        Some(())
    });
    match skimmed {
        Some(()) => Some(items),
        None => serde_json::from_str(text).ok(),
    }
}

/// Reads a JSON string; `None` where it is not one.
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    quoted(raw.get())
}

/// The same of a text that is a JSON value.
pub(crate) fn quoted(value: &str) -> Option<Cow<'_, str>> {
    let text = value.strip_prefix('"')?;
    if memchr(b'\\', text.as_bytes()).is_none() {
        return text.strip_suffix('"').map(Cow::Borrowed);
    }
    match unescaped(text) {
        Some(text) => Some(Cow::Owned(text)),
        None => serde_json::from_str::<Key<'_>>(value).ok().map(|k| k.0),
    }
}

/// The text of a string without its first quote; `None` where one of its escapes is a number.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    // Up to here it is done with.
    let mut read = Some(0);
    skim::specials(text.as_bytes(), |at, special| {
        let Some(from) = read.filter(|from| *from <= at && special == b'\\') else {
            // The last quote, or what an escape stands for.
            return;
        };
        read = (|| {
            out.push_str(text.get(from..at)?);
            out.push(match text.as_bytes().get(at + 1)? {
                b'n' => '\n',
                b'"' => '"',
                b'\\' => '\\',
                b't' => '\t',
                b'r' => '\r',
                b'/' => '/',
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                _ => return None,
            });
            Some(at + 2)
        })();
    });
    out.push_str(text.get(read?..)?.strip_suffix('"')?);
    Some(out)
}

#[cfg(test)]
mod tests;
