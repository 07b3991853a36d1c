//! A whole answer that is forwarded as it is, read for its usage only.

use super::{json_text, usage};
use llmleaf_model::Usage;
use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The usage of an answer; `None` where the answer must be read whole: it is not JSON, reports no usage or several, has no
/// choice, or may hold an error.
pub fn outline(body: &[u8]) -> Option<Usage> {
    let text = json_text(body)?;
    // Quotes inside strings are escaped, so that these are keys or whole strings, and never part of a text.
    let has = |mark: &str| memmem::find(text.as_bytes(), mark.as_bytes()).is_some();
    if has("\"error\"") || has("\"base_resp\"") {
        return None;
    }
    let outline: Outline<'_> = serde_json::from_str(text).ok()?;
    usage::parse(outline.usage)
}

/// What of an answer's top level has to be known. serde refuses a field that is given twice.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(rename = "choices")]
    _choices: Choices,
    #[serde(borrow)]
    usage: &'a RawValue,
}

/// A list that begins with an object.
struct Choices;

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self)
    }
}

impl<'de> Visitor<'de> for Choices {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of choices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        if items.next_element::<AnObject>()?.is_none() {
            return Err(serde::de::Error::custom("no choice"));
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

/// Any object.
struct AnObject;

impl<'de> Deserialize<'de> for AnObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for AnObject {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a choice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}
