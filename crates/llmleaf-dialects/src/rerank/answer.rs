//! Answers of either form.
//!
//! They are one form but for what is beside the results: Cohere tells `meta` (ApiMeta in its OpenAPI document 1.0), others `usage`. Some say
//! `data` for `results` and `score` for `relevance_score`.

use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array, json_object};
use llmleaf_model::{
    Document, Failure, FailureKind, Json, Ranked, Ranking, RerankRequest, Usage, usage::nano_usd,
};
use serde_json::value::RawValue;
use std::cmp::Ordering;
use std::collections::HashSet;

/// Reads a provider's answer.
pub fn parse(body: &[u8], request: &RerankRequest) -> Result<Ranking, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let mut renamed = false;
    let mut either = |object: &Object<'_>, name: &str, other: &str| {
        if object.get(name).is_none() && object.get(other).is_some() {
            renamed = true;
            return other.to_owned();
        }
        name.to_owned()
    };
    let list = object.get(&either(&object, "results", "data"));
    let list = list.and_then(items);
    let list = list.ok_or_else(|| broken("the answer holds no results"))?;
    let mut results = Vec::with_capacity(list.len());
    let mut seen = HashSet::with_capacity(list.len());
    let count = request.documents.len();
    for raw in list {
        let item = Object::from_raw(raw).ok_or_else(|| broken("a result is no object"))?;
        let index = item.get("index").and_then(|raw| raw.get().parse().ok());
        let index = index.filter(|index: &usize| *index < count);
        let index = index.ok_or_else(|| broken("a result is of no document of the request"))?;
        if !seen.insert(index) {
            return Err(broken("a document is ranked twice"));
        }
        let score = item.get(&either(&item, "relevance_score", "score"));
        let score = score.filter(|raw| number(raw).is_some());
        let score = score.ok_or_else(|| broken("a result has no score"))?;
        results.push(Ranked {
            index,
            score: Json::from(score),
            document: item
                .get("document")
                .filter(|raw| tells(raw))
                .map(Json::from),
        });
    }
    if results.is_empty() && count > 0 && request.top_n != Some(0) {
        return Err(broken("the answer ranks nothing"));
    }
    let text = |name: &str| object.get(name).and_then(string).map(|s| s.into_owned());
    Ok(Ranking {
        id: text("id"),
        model: text("model"),
        results,
        usage: usage(&object),
        renamed,
    })
}

fn number(raw: &RawValue) -> Option<f64> {
    let number = raw.get().parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

/// A document that is repeated: a text, or an object with something in it (Together writes empty ones; recorded).
fn tells(raw: &RawValue) -> bool {
    string(raw).is_some() || Object::from_raw(raw).is_some_and(|object| !object.fields.is_empty())
}

/// The counts: search units, tokens, or both.
fn usage(object: &Object<'_>) -> Option<Usage> {
    let meta = object.get("meta").and_then(Object::from_raw);
    let of = |name: &str| Object::from_raw(meta.as_ref()?.get(name)?);
    let (billed, tokens) = (of("billed_units"), of("tokens"));
    let told = object.get("usage").and_then(Object::from_raw);
    let count = |object: &Option<Object<'_>>, name: &str| object.as_ref()?.count(name);
    let searches = count(&billed, "search_units").or_else(|| count(&told, "search_units"));
    let input = count(&told, "prompt_tokens")
        .or_else(|| count(&told, "total_tokens"))
        .or_else(|| count(&tokens, "input_tokens"))
        .or_else(|| count(&billed, "input_tokens"));
    if searches.is_none() && input.is_none() {
        return None;
    }
    let cost = told.as_ref().and_then(|told| told.get("cost"));
    let mut usage = Usage {
        input: input.unwrap_or_default(),
        cost_nano_usd: cost.and_then(|cost| nano_usd(cost.get())),
        ..Usage::default()
    };
    usage.units.searches = searches.unwrap_or_default();
    Some(usage)
}

/// The results as a consumer gets them from here: the best first, no more than were asked for.
fn ordered<'a>(answer: &'a Ranking, request: &RerankRequest) -> Vec<&'a Ranked> {
    let mut results: Vec<&Ranked> = answer.results.iter().collect();
    let score = |one: &Ranked| number(one.score.raw()).unwrap_or(f64::MIN);
    results.sort_by(|a, b| score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal));
    let most = request.top_n.and_then(|most| usize::try_from(most).ok());
    results.truncate(most.unwrap_or(usize::MAX));
    results
}

/// Renders the plain form. It tells the counts in both ways that are in use.
pub fn render_plain(answer: &Ranking, request: &RerankRequest) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string_if("id", answer.id.as_deref());
    object.string("object", "list");
    object.string("model", answer.model.as_deref().unwrap_or(&request.model));
    let repeats = request.return_documents == Some(true);
    array(
        object.key("results"),
        ordered(answer, request),
        |out, one| {
            let mut result = ObjectWriter::new(out);
            result.number("index", one.index as u64);
            result.raw("relevance_score", one.score.as_str());
            if repeats && let Some(document) = repeated(one, request) {
                result.raw("document", document.as_str());
            }
            result.end();
        },
    );
    let usage = answer.usage.clone().unwrap_or_default();
    object.object("usage", |told| {
        told.number("prompt_tokens", usage.input_total());
        told.number("total_tokens", usage.total());
        if usage.units.searches > 0 {
            told.number("search_units", usage.units.searches);
        }
        if let Some(cost) = usage.cost_nano_usd {
            crate::writer::dollars(told.key("cost"), cost);
        }
    });
    meta(&mut object, &usage, "1");
    object.end();
    out
}

/// Renders the form of texts.
pub fn render_texts(answer: &Ranking, request: &RerankRequest) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string_if("id", answer.id.as_deref());
    array(
        object.key("results"),
        ordered(answer, request),
        |out, one| {
            let mut result = ObjectWriter::new(out);
            result.number("index", one.index as u64);
            result.raw("relevance_score", one.score.as_str());
            result.end();
        },
    );
    meta(&mut object, &answer.usage.clone().unwrap_or_default(), "2");
    object.end();
    out
}

/// Cohere's report.
fn meta(object: &mut ObjectWriter<'_>, usage: &Usage, version: &str) {
    object.object("meta", |meta| {
        meta.object("api_version", |api| {
            api.string("version", version);
        });
        if usage.units.searches > 0 {
            meta.object("billed_units", |billed| {
                billed.number("search_units", usage.units.searches);
            });
        }
        if usage.input_total() > 0 {
            meta.object("tokens", |tokens| {
                tokens.number("input_tokens", usage.input_total());
            });
        }
    });
}

/// A document as an object, the provider's or else the consumer's own.
fn repeated(one: &Ranked, request: &RerankRequest) -> Option<Json> {
    let wrapped = |text: &str| {
        json_object(|object| {
            object.string("text", text);
        })
    };
    if let Some(json) = &one.document {
        return Some(match string(json.raw()) {
            Some(text) => wrapped(&text),
            None => json.clone(),
        });
    }
    Some(match request.documents.get(one.index)? {
        Document::Text(text) => wrapped(text),
        Document::Object(json) => json.clone(),
    })
}

fn broken(why: &'static str) -> Failure {
    Failure::upstream(FailureKind::InvalidResponse, why)
}
