//! Citations and log-probabilities, both ways.

use crate::object::{Object, items, string};
use crate::responses::wire::{ObjectWriter, one_line};
use llmleaf_model::{Citation, DialectName, Json};
use serde_json::value::RawValue;

/// Reads an annotation of any of this wire's kinds.
pub(in crate::responses) fn citation(raw: &RawValue) -> Citation {
    let object = Object::from_raw(raw).unwrap_or_default();
    let text = |name: &str| {
        let text = object.get(name).and_then(string)?;
        Some(text.into_owned())
    };
    let number = |name: &str| object.get(name)?.get().parse::<u64>().ok();
    Citation {
        dialect: DialectName::Responses,
        native: Json::from(raw),
        url: text("url"),
        title: text("title").or_else(|| text("filename")),
        cited_text: None,
        span: number("start_index").zip(number("end_index")),
    }
}

/// A citation as an annotation; `None` where this wire has no place for it.
pub(super) fn annotation(citation: &Citation) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if citation.dialect == DialectName::Responses {
        one_line(&mut out, citation.native.as_str());
        return Some(out);
    }
    let url = citation.url.as_deref()?;
    let mut object = ObjectWriter::new(&mut out);
    // The wire requires both; a router writes zeros where the place is unknown.
    let (start, end) = citation.span.unwrap_or((0, 0));
    object
        .string("type", "url_citation")
        .string("url", url)
        .string("title", citation.title.as_deref().unwrap_or(url))
        .number("start_index", start)
        .number("end_index", end);
    object.end();
    Some(out)
}

/// Log-probabilities as the chat wire writes them, and so the model; `None` for an empty list.
pub(in crate::responses) fn chat_logprobs(raw: &RawValue) -> Option<Json> {
    items(raw).filter(|list| !list.is_empty())?;
    Some(crate::writer::json_object(|object| {
        object.raw("content", raw.get());
    }))
}

/// The tokens in log-probabilities of the model, each as this wire has it.
pub(super) fn tokens(json: &Json) -> Vec<Vec<u8>> {
    let object = Object::from_raw(json.raw()).unwrap_or_default();
    let lists = ["content", "refusal"]
        .into_iter()
        .filter_map(|name| object.get(name).and_then(items));
    lists
        .flatten()
        .map(|token| {
            let mut out = Vec::new();
            one_line(&mut out, token.get());
            out
        })
        .collect()
}
