//! Requests of either form.
//!
//! The plain form's fields are those of RerankRequest in the OpenAPI documents of Cohere (1.0, 2026-08, `/v1/rerank`), Together (2.0.0,
//! 2026-04) and OpenRouter (1.0.0, 2026-08); the other form's those of `/v2/rerank` in Cohere's.

use super::{PlainQuirks, RerankForm};
use crate::head::{self, Field};
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use crate::splice::{Splices, quote};
use crate::writer::{ObjectWriter, array};
use crate::{Head, Rendered, Target, edits};
use bytes::Bytes;
use llmleaf_model::{
    DialectName, Document, Failure, FailureKind, Json, Loss, RerankRequest, Retry,
};
use serde_json::value::RawValue;

/// Parses a consumer's request.
pub fn parse(form: RerankForm, body: &str, model: &str) -> Result<RerankRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let query = top.raw("query").ok_or_else(|| top.missing("query"))?;
    let query = document(query).ok_or_else(|| wrong("query", "a text"))?;
    let list = top.list("documents")?;
    let list = list.ok_or_else(|| top.missing("documents"))?;
    let mut documents = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let read = document(raw);
        documents.push(read.ok_or_else(|| wrong(&format!("documents[{at}]"), "a text"))?);
    }
    let top_n = top.integer("top_n")?;
    let (mut return_documents, mut rank_fields) = (None, Vec::new());
    if form == RerankForm::Plain {
        return_documents = top.bool("return_documents")?;
        for raw in top.list("rank_fields")?.into_iter().flatten() {
            let name = string(raw).ok_or_else(|| wrong("rank_fields", "a list of names"))?;
            rank_fields.push(name.into_owned());
        }
    }
    Ok(RerankRequest {
        dialect: match form {
            RerankForm::Plain => DialectName::ChatCompletions,
            RerankForm::Texts => DialectName::CohereChat,
        },
        model: model.to_owned(),
        query,
        documents,
        top_n,
        return_documents,
        rank_fields,
        rest: top.into_rest(),
    })
}

fn document(raw: &RawValue) -> Option<Document> {
    if let Some(text) = string(raw) {
        return Some(Document::Text(text.into_owned()));
    }
    let object = raw.get().starts_with('{');
    object.then(|| Document::Object(Json::from(raw)))
}

/// Same form: the model's name, and what `top_n` is called.
pub fn edit(
    head: &Head,
    body: &Bytes,
    model: &str,
    quirks: &PlainQuirks,
) -> Result<Rendered, Failure> {
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    if head.routes() && !quirks.routes {
        let wish = |field: &&Field| field.is_wish(text);
        for field in head.fields().iter().filter(wish) {
            losses.push(Loss::dropped(field.name(text), "the target does not route"));
        }
    }
    let target = Target {
        model,
        stream: head.stream,
    };
    edits::address(head, text, target, quirks.routes, &mut splices);
    if quirks.top_n != "top_n"
        && let Some(field) = head.field(text, "top_n")
        && let Some((key, _)) = field.key(text)
    {
        splices.replace(key, quote(&quirks.top_n));
    }
    Ok(edits::rendered(text, body, splices, losses))
}

/// Renders the plain form.
pub fn render_plain(
    request: &RerankRequest,
    model: &str,
    quirks: &PlainQuirks,
) -> Result<Rendered, Failure> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    write(object.key("query"), &request.query);
    array(object.key("documents"), &request.documents, write);
    if let Some(top_n) = request.top_n {
        object.number(&quirks.top_n, top_n);
    }
    if quirks.returns {
        // The other form has no place for them, and they are put in here where they were asked for.
        object.bool("return_documents", false);
    }
    object.end();
    let mut losses = Vec::new();
    lost(request, &mut losses);
    Ok(rendered(out, losses))
}

/// Renders the form of texts.
pub fn render_texts(request: &RerankRequest, model: &str) -> Result<Rendered, Failure> {
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    object.string("query", &text(&request.query, "query", &[], &mut losses)?);
    let texts = request.documents.iter();
    let texts = texts.map(|one| text(one, "documents", &request.rank_fields, &mut losses));
    let texts = texts.collect::<Result<Vec<String>, Failure>>()?;
    array(object.key("documents"), &texts, |out, text| {
        crate::writer::string(out, text);
    });
    if let Some(top_n) = request.top_n {
        object.number("top_n", top_n);
    }
    object.end();
    lost(request, &mut losses);
    Ok(rendered(out, losses))
}

fn rendered(body: Vec<u8>, losses: Vec<Loss>) -> Rendered {
    Rendered {
        body: Bytes::from(body),
        losses,
        usage_added: false,
    }
}

/// Fields of the one form that the other has no place for.
fn lost(request: &RerankRequest, losses: &mut Vec<Loss>) {
    const WHY: &str = "the target has no such field";
    let names = request.rest.iter().map(|(name, _)| name);
    losses.extend(names.map(|name| Loss::dropped(name, WHY)));
}

fn write(out: &mut Vec<u8>, one: &Document) {
    match one {
        Document::Text(text) => crate::writer::string(out, text),
        Document::Object(json) => crate::writer::one_line(out, json.as_str()),
    }
}

/// A document as a text. Of an object that is the fields that are to count, else its `text`, else all of them, a line each: Cohere wants
/// structured documents as YAML ("Best practices for using Rerank", docs.cohere.com, 2026-11). JSON values are YAML values.
fn text(
    one: &Document,
    field: &str,
    rank_fields: &[String],
    losses: &mut Vec<Loss>,
) -> Result<String, Failure> {
    let json = match one {
        Document::Text(text) => return Ok(text.clone()),
        Document::Object(json) => json,
    };
    let object = Object::from_raw(json.raw()).ok_or_else(|| unsupported(field))?;
    let plain = object.get("text").and_then(string);
    if let (Some(text), true) = (&plain, object.fields.len() == 1) {
        return Ok(text.clone().into_owned());
    }
    if object.get("image").is_some() {
        return Err(unsupported(field));
    }
    if losses.iter().all(|loss| loss.field != field) {
        losses.push(Loss::approximated(field, "the target takes texts only"));
    }
    let all: Vec<&str> = object.fields.iter().map(|(name, _)| &**name).collect();
    let named: Vec<&str> = rank_fields.iter().map(String::as_str).collect();
    let chosen = match (named.is_empty(), plain) {
        (false, _) => named,
        (true, Some(text)) => return Ok(text.into_owned()),
        (true, None) => all,
    };
    let mut lines = String::new();
    for name in chosen {
        let Some(value) = object.get(name) else {
            continue;
        };
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(name);
        lines.push_str(": ");
        lines.push_str(&string(value).unwrap_or_else(|| value.get().into()));
    }
    Ok(lines)
}

fn unsupported(field: &str) -> Failure {
    let why = format!("`{field}`: the target takes texts only");
    let mut failure = Failure::invalid(why, Some(field));
    failure.kind = FailureKind::Unsupported;
    failure.retry = Retry::NextTarget;
    failure
}
