//! Answers, both ends.

use super::broken;
use crate::object::{Object, items, string};
use crate::splice::{Splices, range_of};
use crate::writer::{self, ObjectWriter, array};
use llmleaf_model::{Failure, Json, ModerationRequest, Moderations, Usage};
use serde_json::value::RawValue;

/// Reads an answer. `flags`: its verdicts do not say `flagged`, and shall.
pub(super) fn parse(
    body: &[u8],
    flags: bool,
    request: &ModerationRequest,
) -> Result<Moderations, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let results = object.get("results").and_then(items);
    let results = results.ok_or_else(|| broken("the answer holds no verdicts"))?;
    let (wanted, got) = (request.inputs.len(), results.len());
    if wanted != got {
        let why = format!("the provider answered {got} verdicts for {wanted} inputs");
        return Err(broken(why));
    }
    let verdict = |raw: &RawValue| {
        let verdict = Object::from_raw(raw);
        let verdict = verdict.filter(|one| one.get("categories").is_some());
        let verdict = verdict.ok_or_else(|| broken("a verdict names no categories"))?;
        Ok(match flags && verdict.get("flagged").is_none() {
            true => flagged(&verdict),
            false => Json::from(raw),
        })
    };
    let name = |name: &str| Some(object.get(name).and_then(string)?.into_owned());
    Ok(Moderations {
        id: name("id"),
        model: name("model"),
        results: results
            .into_iter()
            .map(verdict)
            .collect::<Result<_, Failure>>()?,
        usage: object.get("usage").and_then(usage),
    })
}

/// Puts in front of each verdict what it comes to, where it does not say so. All else stays as it came; `None`: all of it.
pub(super) fn flagging(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let object = Object::parse(text).ok()?;
    let mut splices = Splices::new();
    for raw in object.get("results").and_then(items)? {
        let verdict = Object::from_raw(raw)?;
        if verdict.get("flagged").is_none() {
            let at = range_of(text, raw)?.start + 1;
            splices.insert(at, format!("\"flagged\":{},", applies(&verdict)));
        }
    }
    (!splices.is_empty()).then(|| splices.apply(text))
}

/// Whether any of a verdict's categories applies.
fn applies(verdict: &Object<'_>) -> bool {
    let categories = verdict.get("categories").and_then(Object::from_raw);
    let mut each = categories.iter().flat_map(|categories| &categories.fields);
    each.any(|(_, value)| value.get() == "true")
}

/// A verdict with what it comes to in front.
fn flagged(verdict: &Object<'_>) -> Json {
    writer::json_object(|object| {
        object.bool("flagged", applies(verdict));
        for (name, value) in &verdict.fields {
            object.raw(name, value.get());
        }
    })
}

/// The counts. There is no output: what is not of the prompt is nothing.
fn usage(raw: &RawValue) -> Option<Usage> {
    let object = Object::from_raw(raw)?;
    let input = object.count("prompt_tokens");
    let input = input.or_else(|| object.count("total_tokens"))?;
    Some(Usage {
        input,
        ..Usage::default()
    })
}

pub(super) fn render(answer: &Moderations, request: &ModerationRequest) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("id", answer.id.as_deref().unwrap_or("modr-leaf"));
    object.string("model", answer.model.as_deref().unwrap_or(&request.model));
    array(object.key("results"), &answer.results, |out, one| {
        writer::one_line(out, one.as_str());
    });
    object.end();
    out
}
