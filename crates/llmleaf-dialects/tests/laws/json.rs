//! An independent reading of JSON: nothing of the crate's own readers is used here.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The fields of one object, in order, doubles included.
pub struct Fields<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The fields of a text that must be one JSON object.
pub fn fields(text: &[u8]) -> Vec<(String, &RawValue)> {
    match serde_json::from_slice::<Fields<'_>>(text) {
        Ok(fields) => fields.0,
        Err(error) => panic!("{error} in {}", String::from_utf8_lossy(text)),
    }
}

/// A text that must be one JSON value whose objects name no field twice, as far as we wrote them: what stands under
/// the names of `passed` came from outside.
pub fn assert_strict(text: &[u8], passed: &[&str]) {
    match serde_json::from_slice::<&RawValue>(text) {
        Ok(raw) => {
            if let Some(name) = doubled(raw, passed, 0) {
                panic!("`{name}` twice in {}", String::from_utf8_lossy(text));
            }
        }
        Err(error) => panic!("{error} in {}", String::from_utf8_lossy(text)),
    }
}

/// True where some object of a text names a field twice, at any depth that a law looks at.
pub fn has_doubles(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok_and(|raw| doubled(raw, &[], 0).is_some())
}

/// How deep doubles are looked for.
const DEPTH: usize = 24;

fn doubled(raw: &RawValue, passed: &[&str], depth: usize) -> Option<String> {
    if depth > DEPTH {
        return None;
    }
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        return items
            .into_iter()
            .find_map(|i| doubled(i, passed, depth + 1));
    }
    if !raw.get().starts_with('{') {
        return None;
    }
    let fields: Fields<'_> = serde_json::from_str(raw.get()).ok()?;
    let mut names: Vec<&str> = fields.0.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Some(pair[0].to_owned());
    }
    fields
        .0
        .iter()
        .filter(|(name, _)| !passed.contains(&name.as_str()))
        .find_map(|(_, value)| doubled(value, passed, depth + 1))
}
