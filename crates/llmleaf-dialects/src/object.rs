//! One level of a JSON object, read without losing anything.

use llmleaf_model::Json;
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
        serde_json::from_str(text)
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

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
        // Past this many fields the pairwise check for doubles gives way to a set.
        const PAIRWISE: usize = 32;
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
    if raw.get().starts_with('[') {
        serde_json::from_str(raw.get()).ok()
    } else {
        None
    }
}

/// Reads a JSON string; `None` where it is not one.
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<Key<'_>>(raw.get()).ok().map(|k| k.0)
}
