//! Fields as services write them: numbers as numbers or texts, times in seconds or spelt out.

use crate::object::{self, Object};
use crate::ollama::moment;
use serde_json::value::RawValue;

/// A text that says something.
pub(super) fn text(object: &Object<'_>, name: &str) -> Option<String> {
    let text = object::string(object.get(name)?)?.into_owned();
    (!text.is_empty()).then_some(text)
}

/// A count, written as a number or as its text.
pub(super) fn count(object: &Object<'_>, name: &str) -> Option<u64> {
    let raw = object.get(name)?;
    number(raw)
}

fn number(raw: &RawValue) -> Option<u64> {
    let text = raw.get().trim_matches('"');
    text.parse().ok().or_else(|| {
        let float: f64 = text.parse().ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float that is not in the range saturates"
        )]
        (float >= 0.0).then_some(float as u64)
    })
}

/// A time, in unix seconds: a number, a text of RFC 3339, or a date alone.
pub(super) fn time(object: &Object<'_>, name: &str) -> Option<u64> {
    let raw = object.get(name)?;
    let Some(text) = object::string(raw) else {
        return number(raw).filter(|at| *at > 0);
    };
    match text.contains('T') {
        true => moment::read(&text),
        false => moment::read(&format!("{text}T00:00:00Z")),
    }
}

/// An object below a field.
pub(super) fn inner<'a>(object: &Object<'a>, name: &str) -> Option<Object<'a>> {
    Object::from_raw(object.get(name)?)
}

/// The items of a list below a field.
pub(super) fn list<'a>(object: &Object<'a>, name: &str) -> Vec<&'a RawValue> {
    object.get(name).and_then(object::items).unwrap_or_default()
}

/// Pairs of texts.
pub(super) fn labels(object: &Object<'_>, name: &str) -> Vec<(String, String)> {
    let Some(inner) = inner(object, name) else {
        return Vec::new();
    };
    let pair = |(key, raw): &(std::borrow::Cow<'_, str>, &RawValue)| {
        let value = object::string(raw)?.into_owned();
        Some((key.clone().into_owned(), value))
    };
    inner.fields.iter().filter_map(pair).collect()
}
