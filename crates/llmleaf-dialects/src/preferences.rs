//! The request-level routing language: wishes about where a request goes, at the top level of a body.
//!
//! It is OpenRouter's (its OpenAPI document 1.0.0, 2026-08: `ChatRequest.models`, `route`, `ProviderPreferences`; the
//! suffixes are its "model variants"), and it reads the same in every dialect whose bodies carry it. The fields are honoured over
//! this gateway's own chain. A service that speaks the language itself gets them as they are; for every other one they are cut.

use crate::Head;
use crate::head;
use crate::object::{self, Object};
use llmleaf_model::preferences::nano_dollars;
use llmleaf_model::{Failure, MaxPrice, Preferences, Sort};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Most names in one list; more say nothing that a chain could follow.
const MOST: usize = 64;

/// The fields of the language.
pub const FIELDS: [&str; 3] = ["models", "provider", "route"];

/// Whether a name is one of the language's.
pub fn is_field(name: &str) -> bool {
    matches!(name, "models" | "provider" | "route")
}

/// Whether a field is part of the language, by its name and its value's type: other clients have a `provider` that is a word.
pub fn is_wish(name: &str, value: &str) -> bool {
    match name {
        "models" => value.starts_with('['),
        "provider" => value.starts_with('{'),
        "route" => value.starts_with('"'),
        _ => false,
    }
}

/// The model of a body that names its models in a list only.
pub(crate) fn listed(models: &RawValue) -> Option<String> {
    let first = object::items(models)?.into_iter().next()?;
    object::string(first).map(Cow::into_owned)
}

/// Reads what a request asks of routing; `None` where it asks for nothing. `body` must be the one `head` was read from.
///
/// # Errors
/// A field of the language has the wrong type.
pub fn read(head: &Head, body: &[u8]) -> Result<Option<Box<Preferences>>, Failure> {
    if !head.routes() {
        return Ok(None);
    }
    let text = head::checked(body)?;
    let mut out = Preferences::default();
    if let Some(list) = value(head, text, "models") {
        out.models = names(list, "models")?;
        // The list may begin with the model itself.
        out.models.retain(|model| *model != head.model);
    }
    if let Some(provider) = value(head, text, "provider") {
        let object = Object::parse(provider).map_err(|_| must("provider", "an object"))?;
        for (name, raw) in &object.fields {
            if raw.get() != "null" {
                one(&mut out, name, raw)?;
            }
        }
    }
    // `route` says "fallback" or, for a while, "sort": both are what is done anyway.
    Ok(Some(Box::new(out)))
}

/// A model's name without its routing suffix, and what that suffix asks for. Other suffixes belong to the name.
pub fn suffix(model: &str) -> Option<(&str, Suffix)> {
    let (name, word) = model.rsplit_once(':')?;
    let suffix = match word {
        "nitro" => Suffix::Sort(Sort::Throughput),
        "floor" => Suffix::Sort(Sort::Price),
        "free" => Suffix::Free,
        _ => return None,
    };
    (!name.is_empty()).then_some((name, suffix))
}

/// What a routing suffix asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// What decides between providers.
    Sort(Sort),
    /// Only what costs nothing.
    Free,
}

impl Suffix {
    /// Adds the wish to others; what the body says itself counts before it.
    pub fn apply(self, preferences: &mut Preferences) {
        match self {
            Self::Sort(sort) => {
                preferences.sort.get_or_insert(sort);
            }
            Self::Free => {
                preferences.max_price = MaxPrice {
                    input: Some(0),
                    output: Some(0),
                    request: Some(0),
                };
            }
        }
    }
}

fn value<'b>(head: &Head, text: &'b str, name: &str) -> Option<&'b str> {
    head.value(text, name).filter(|value| is_wish(name, value))
}

fn one(out: &mut Preferences, name: &str, raw: &RawValue) -> Result<(), Failure> {
    let path = || ["provider.", name].concat();
    match name {
        "order" => out.order = names(raw.get(), "provider.order")?,
        "only" => out.only = names(raw.get(), "provider.only")?,
        "ignore" => out.ignore = names(raw.get(), "provider.ignore")?,
        "allow_fallbacks" => out.no_fallbacks = !flag(raw, name)?,
        "require_parameters" => out.demands.all_parameters = flag(raw, name)?,
        "zdr" => out.demands.zero_retention = flag(raw, name)?,
        "data_collection" => {
            out.demands.no_collection = match word(raw).as_deref() {
                Some("deny") => true,
                Some("allow") => false,
                _ => return Err(must(&path(), "\"allow\" or \"deny\"")),
            };
        }
        "quantizations" => out.quantizations = names(raw.get(), "provider.quantizations")?,
        "sort" => sort(out, raw)?,
        "max_price" => max_price(out, raw)?,
        _ => out.unheeded.push(path()),
    }
    Ok(())
}

fn sort(out: &mut Preferences, raw: &RawValue) -> Result<(), Failure> {
    // A word, or an object around it that also says over how many models the order goes.
    let inner = Object::from_raw(raw);
    let by = match &inner {
        Some(object) => object.get("by").filter(|by| by.get() != "null"),
        None => Some(raw),
    };
    let partition = inner.as_ref().and_then(|object| object.get("partition"));
    out.across_models = partition.and_then(word).as_deref() == Some("none");
    let Some(by) = by else {
        return Ok(());
    };
    out.sort = match word(by).as_deref() {
        Some("price") => Some(Sort::Price),
        Some("throughput") => Some(Sort::Throughput),
        Some("latency") => Some(Sort::Latency),
        Some(_) => {
            out.unheeded.push("provider.sort".to_owned());
            None
        }
        None => return Err(must("provider.sort", "a string")),
    };
    Ok(())
}

/// Dollars per million tokens, as numbers or as texts.
fn max_price(out: &mut Preferences, raw: &RawValue) -> Result<(), Failure> {
    let object = Object::from_raw(raw).ok_or_else(|| must("provider.max_price", "an object"))?;
    for (name, raw) in object.fields {
        if raw.get() == "null" {
            continue;
        }
        let path = ["provider.max_price.", &name].concat();
        let slot = match &*name {
            "prompt" => &mut out.max_price.input,
            "completion" => &mut out.max_price.output,
            "request" => &mut out.max_price.request,
            _ => {
                out.unheeded.push(path);
                continue;
            }
        };
        let text = object::string(raw).unwrap_or(Cow::Borrowed(raw.get()));
        *slot = Some(nano_dollars(&text).ok_or_else(|| must(&path, "a price in dollars"))?);
    }
    Ok(())
}

fn names(list: &str, path: &str) -> Result<Vec<String>, Failure> {
    let wrong = || must(path, "a list of strings");
    let items: Vec<&RawValue> = serde_json::from_str(list).map_err(|_| wrong())?;
    if items.len() > MOST {
        return Err(must(path, "a list of at most 64 names"));
    }
    let mut out: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        let name = object::string(item).ok_or_else(wrong)?;
        if !out.iter().any(|known| *known == name) {
            out.push(name.into_owned());
        }
    }
    Ok(out)
}

fn flag(raw: &RawValue, name: &str) -> Result<bool, Failure> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(must(&["provider.", name].concat(), "true or false")),
    }
}

fn word(raw: &RawValue) -> Option<Cow<'_, str>> {
    object::string(raw)
}

fn must(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}` must be {what}"), Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::Demands;

    fn preferences(fields: &str) -> Result<Option<Box<Preferences>>, Failure> {
        let body = format!(r#"{{"model":"m",{fields}"messages":[]}}"#);
        let head = Head::read(body.as_bytes()).unwrap();
        read(&head, body.as_bytes())
    }

    #[test]
    fn wishes_are_read() {
        for none in ["", r#""provider":"x","#, r#""models":null,"#] {
            assert_eq!(preferences(none).unwrap(), None, "{none}");
        }
        let asked = preferences(
            r#""models":["m","a","b","a"],"route":"fallback","provider":{"order":["Groq"],"only":null,"ignore":["x"],
            "allow_fallbacks":false,"sort":{"by":"latency","partition":"none"},"max_price":{"prompt":0.25,"completion":"3","image":"1"},
            "require_parameters":true,"data_collection":"deny","zdr":true,"quantizations":["fp8"],
            "preferred_max_latency":3},"#,
        );
        let expected = Preferences {
            models: vec!["a".into(), "b".into()],
            order: vec!["Groq".into()],
            ignore: vec!["x".into()],
            no_fallbacks: true,
            sort: Some(Sort::Latency),
            across_models: true,
            max_price: MaxPrice {
                input: Some(250_000_000),
                output: Some(3_000_000_000),
                request: None,
            },
            demands: Demands {
                all_parameters: true,
                no_collection: true,
                zero_retention: true,
            },
            quantizations: vec!["fp8".into()],
            unheeded: vec![
                "provider.max_price.image".into(),
                "provider.preferred_max_latency".into(),
            ],
            ..Preferences::default()
        };
        assert_eq!(asked.unwrap().as_deref(), Some(&expected));
    }

    #[test]
    fn a_wish_of_the_wrong_type_is_the_consumers_fault() {
        for (fields, param) in [
            (r#""models":[1],"#, "models"),
            (r#""provider":{"order":"a"},"#, "provider.order"),
            (
                r#""provider":{"allow_fallbacks":"no"},"#,
                "provider.allow_fallbacks",
            ),
            (
                r#""provider":{"data_collection":true},"#,
                "provider.data_collection",
            ),
            (r#""provider":{"sort":1},"#, "provider.sort"),
            (
                r#""provider":{"max_price":{"prompt":-1}},"#,
                "provider.max_price.prompt",
            ),
            (
                r#""provider":{"max_price":{"prompt":"1e9"}},"#,
                "provider.max_price.prompt",
            ),
        ] {
            let failure = preferences(fields).unwrap_err();
            assert_eq!(failure.param.as_deref(), Some(param), "{fields}");
        }
    }

    #[test]
    fn only_routing_suffixes_are_taken_off() {
        assert_eq!(
            suffix("a/b:nitro"),
            Some(("a/b", Suffix::Sort(Sort::Throughput)))
        );
        assert_eq!(suffix("a:floor"), Some(("a", Suffix::Sort(Sort::Price))));
        assert_eq!(suffix("a:free"), Some(("a", Suffix::Free)));
        for name in ["a", "a:8b", "llama3:latest", ":free", "a:thinking"] {
            assert_eq!(suffix(name), None, "{name}");
        }
    }
}
