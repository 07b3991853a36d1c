//! Gemini's form: `embedContent` for one input, `batchEmbedContents` for several (discovery document of
//! generativelanguage v1beta, 2026-08). Vectors are lists of numbers always.

use super::parts::data_uri;
use super::{broken, lost, unsupported, vector};
use crate::level::Level;
use crate::object::Object;
use crate::splice::{Splices, quote, range_of};
use crate::writer::{ObjectWriter, array};
use crate::{Head, Rendered, edits};
use bytes::Bytes;
use llmleaf_model::{
    DialectName, EmbeddingInput, EmbeddingPart, EmbeddingRequest, Embeddings, Failure, Json, Loss,
    Usage, VectorEncoding,
};
use serde_json::value::RawValue;

/// Parses `embedContent`.
pub fn parse_one(body: &str, model: &str) -> Result<EmbeddingRequest, Failure> {
    read(Level::top(body)?, model)
}

/// Parses `batchEmbedContents`.
pub fn parse_batch(body: &str, model: &str) -> Result<EmbeddingRequest, Failure> {
    let mut top = Level::top(body)?;
    let list = top.list("requests")?;
    let list = list.ok_or_else(|| top.missing("requests"))?;
    let mut whole: Option<EmbeddingRequest> = None;
    for (at, raw) in list.into_iter().enumerate() {
        let one = read(Level::of(raw, format!("requests[{at}]"))?, model)?;
        let Some(first) = &mut whole else {
            whole = Some(EmbeddingRequest { bare: false, ..one });
            continue;
        };
        let wishes = |one: &EmbeddingRequest| {
            let own = (one.dimensions, one.truncate, one.task.clone());
            (own, one.title.clone(), one.rest.clone())
        };
        let same = wishes(&one) == wishes(first);
        first.mixed |= !same;
        first.inputs.extend(one.inputs);
    }
    let mut whole =
        whole.ok_or_else(|| Failure::invalid("`requests` is empty", Some("requests")))?;
    whole.rest.0.extend(top.into_rest().0);
    Ok(whole)
}

fn read(mut level: Level<'_>, model: &str) -> Result<EmbeddingRequest, Failure> {
    level.raw("model");
    let content = level
        .raw("content")
        .ok_or_else(|| level.missing("content"))?;
    let input = input(content, level.at("content"))?;
    let mut task = level.string("taskType")?;
    let mut title = level.string("title")?;
    let mut dimensions = level.integer("outputDimensionality")?;
    let mut truncate = level.bool("autoTruncate")?;
    let mut rest = Vec::new();
    if let Some(mut config) = level.object("embedContentConfig")? {
        task = config.string("taskType")?.or(task);
        title = config.string("title")?.or(title);
        dimensions = config.integer("outputDimensionality")?.or(dimensions);
        truncate = config.bool("autoTruncate")?.or(truncate);
        let more = config.into_rest().0.into_iter();
        rest.extend(more.map(|(key, json)| (format!("embedContentConfig.{key}"), json)));
    }
    rest.extend(level.into_rest().0);
    Ok(EmbeddingRequest {
        dialect: DialectName::GenerateContent,
        model: model.to_owned(),
        inputs: vec![input],
        bare: true,
        dimensions,
        encoding: VectorEncoding::Float,
        types: Vec::new(),
        truncate,
        user: None,
        task,
        title,
        mixed: false,
        rest: llmleaf_model::Rest(rest),
    })
}

/// A content of text parts, else one that only this wire can say.
fn input(raw: &RawValue, path: String) -> Result<EmbeddingInput, Failure> {
    let mut content = Level::of(raw, path)?;
    let parts = content.list("parts")?;
    let parts = parts.ok_or_else(|| content.missing("parts"))?;
    let read: Option<Vec<EmbeddingPart>> = parts.into_iter().map(part).collect();
    let opaque = || EmbeddingInput::Opaque {
        dialect: DialectName::GenerateContent,
        json: Json::from(raw),
    };
    let Some(read) = read else {
        return Ok(opaque());
    };
    let text = |part: &EmbeddingPart| match part {
        EmbeddingPart::Text(text) => Some(text.clone()),
        EmbeddingPart::Image(_) => None,
    };
    let texts: Option<Vec<String>> = read.iter().map(text).collect();
    Ok(match texts {
        Some(texts) => EmbeddingInput::Text(texts.concat()),
        None => EmbeddingInput::Parts(read),
    })
}

/// A text or an inline image; sounds, films and files only this wire can say.
fn part(raw: &RawValue) -> Option<EmbeddingPart> {
    let part = Object::from_raw(raw).filter(|part| part.fields.len() == 1)?;
    if let Some(text) = part.get("text").and_then(crate::object::string) {
        return Some(EmbeddingPart::Text(text.into_owned()));
    }
    let inline = part.get("inlineData").or_else(|| part.get("inline_data"))?;
    let inline = Object::from_raw(inline)?;
    let kind = inline.get("mimeType").or_else(|| inline.get("mime_type"))?;
    let kind = crate::object::string(kind).filter(|kind| kind.starts_with("image/"))?;
    let data = inline.get("data").and_then(crate::object::string)?;
    Some(EmbeddingPart::Image(format!("data:{kind};base64,{data}")))
}

/// Renders `batchEmbedContents`.
pub fn render_request(request: &EmbeddingRequest, model: &str) -> Result<Rendered, Failure> {
    let mut losses = Vec::new();
    let own = request.dialect == DialectName::GenerateContent;
    let full = resource(model);
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    let list = object.key("requests");
    list.push(b'[');
    for (at, input) in request.inputs.iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        let mut one = ObjectWriter::new(list);
        one.string("model", &full);
        content(&mut one, input)?;
        one.string_if("taskType", request.task.as_deref());
        one.string_if("title", request.title.as_deref());
        if let Some(dimensions) = request.dimensions {
            one.number("outputDimensionality", dimensions);
        }
        let truncate = request.truncate;
        config(&mut one, request, own, |object| {
            object.bool_if("autoTruncate", truncate);
        });
        if own {
            rest(&mut one, request);
        }
        one.end();
    }
    list.push(b']');
    object.end();
    if request.user.is_some() {
        losses.push(Loss::dropped("user", "the target has no such field"));
    }
    if !own {
        lost(request, &mut losses);
    }
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

/// Renders `embedContent` for the one input. All wishes stand in its `embedContentConfig`: beside it they are deprecated (discovery
/// document of aiplatform v1, revision 20261106).
pub fn render_one_request(request: &EmbeddingRequest) -> Result<Rendered, Failure> {
    let [input] = request.inputs.as_slice() else {
        return Err(unsupported(
            "input",
            "the target embeds one input at a time",
        ));
    };
    let own = request.dialect == DialectName::GenerateContent;
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    content(&mut object, input)?;
    config(&mut object, request, own, |object| {
        object.string_if("taskType", request.task.as_deref());
        object.string_if("title", request.title.as_deref());
        if let Some(dimensions) = request.dimensions {
            object.number("outputDimensionality", dimensions);
        }
        object.bool_if("autoTruncate", request.truncate);
    });
    if own {
        rest(&mut object, request);
    } else {
        lost(request, &mut losses);
    }
    object.end();
    if request.user.is_some() {
        losses.push(Loss::dropped("user", "the target has no such field"));
    }
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

fn content(object: &mut ObjectWriter<'_>, input: &EmbeddingInput) -> Result<(), Failure> {
    const WHY: &str = "the target embeds texts, inline images and its own contents";
    let parts = match input {
        EmbeddingInput::Opaque { dialect, json } if *dialect == DialectName::GenerateContent => {
            object.raw("content", json.as_str());
            return Ok(());
        }
        EmbeddingInput::Text(text) => &vec![EmbeddingPart::Text(text.clone())],
        EmbeddingInput::Parts(parts) => parts,
        EmbeddingInput::Tokens(_) | EmbeddingInput::Opaque { .. } => {
            return Err(unsupported("input", WHY));
        }
    };
    let images = parts.iter().filter_map(|part| match part {
        EmbeddingPart::Image(uri) => Some(uri),
        EmbeddingPart::Text(_) => None,
    });
    if images.into_iter().any(|uri| data_uri(uri).is_none()) {
        return Err(unsupported("input", WHY));
    }
    object.object("content", |content| {
        array(content.key("parts"), parts, |out, one| {
            let mut part = ObjectWriter::new(out);
            match one {
                EmbeddingPart::Text(text) => {
                    part.string("text", text);
                }
                EmbeddingPart::Image(uri) => {
                    let (kind, data) = data_uri(uri).unwrap_or_default();
                    part.object("inlineData", |inline| {
                        inline.string("mimeType", kind);
                        inline.string("data", data);
                    });
                }
            }
            part.end();
        });
    });
    Ok(())
}

const CONFIG: &str = "embedContentConfig.";

/// The object of wishes, where there are any: those that are named here, and of its own dialect what the reading does not name.
fn config(
    one: &mut ObjectWriter<'_>,
    request: &EmbeddingRequest,
    own: bool,
    named: impl FnOnce(&mut ObjectWriter<'_>),
) {
    let mut fields = Vec::new();
    let mut object = ObjectWriter::new(&mut fields);
    named(&mut object);
    for (key, json) in request.rest.iter().filter(|_| own) {
        if let Some(key) = key.strip_prefix(CONFIG) {
            object.raw(key, json.as_str());
        }
    }
    object.end();
    if fields != b"{}" {
        one.key("embedContentConfig").extend(fields);
    }
}

/// What the reading does not name beside that object.
fn rest(one: &mut ObjectWriter<'_>, request: &EmbeddingRequest) {
    let outer = request.rest.iter();
    for (key, json) in outer.filter(|(key, _)| !key.starts_with(CONFIG)) {
        one.raw(key, json.as_str());
    }
}

/// Same form of one content: the path names the model, and the service knows it by another name.
pub fn edit_one(head: &Head, body: &Bytes) -> Result<Rendered, Failure> {
    let text = crate::head::checked(body)?;
    let mut splices = Splices::new();
    if let Some(range) = head.removal(text, "model") {
        splices.remove(range);
    }
    Ok(edits::rendered(text, body, splices, Vec::new()))
}

/// Same form: the model's name in each request of a batch.
pub fn edit(body: &Bytes, model: &str) -> Result<Rendered, Failure> {
    let text = crate::head::checked(body)?;
    let full = quote(&resource(model));
    let mut splices = Splices::new();
    let mut top = Level::top(text)?;
    for (at, raw) in top.list("requests")?.into_iter().flatten().enumerate() {
        let one = Level::of(raw, format!("requests[{at}]"))?;
        let named = one.peek("model").and_then(|raw| range_of(text, raw));
        match (named, range_of(text, raw)) {
            (Some(named), _) => splices.replace(named, full.clone()),
            (None, Some(whole)) => splices.insert(whole.start + 1, format!("\"model\":{full},")),
            _ => {}
        }
    }
    Ok(Rendered {
        body: Bytes::from(splices.apply(text)),
        losses: Vec::new(),
        usage_added: false,
    })
}

fn resource(model: &str) -> String {
    match model.contains('/') {
        true => model.to_owned(),
        false => format!("models/{model}"),
    }
}

/// Reads an answer to `batchEmbedContents`, or to `embedContent`.
pub fn parse_answer(body: &[u8]) -> Result<Embeddings, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let list = object.get("embeddings").and_then(crate::object::items);
    let list = list.or_else(|| object.get("embedding").map(|one| vec![one]));
    let list = list.ok_or_else(|| broken("the answer holds no vectors"))?;
    let vectors = list.into_iter().map(|raw| {
        let vector = Object::from_raw(raw)?.get("values").and_then(vector::read);
        vector.filter(|vector| vector::encoding(vector) == VectorEncoding::Float)
    });
    let vectors: Option<Vec<_>> = vectors.collect();
    Ok(Embeddings {
        id: None,
        model: None,
        vectors: vectors.ok_or_else(|| broken("an entry of the answer holds no vector"))?,
        usage: object.get("usageMetadata").and_then(usage),
    })
}

fn usage(raw: &RawValue) -> Option<Usage> {
    let object = Object::from_raw(raw)?;
    Some(Usage {
        input: object.count("promptTokenCount")?,
        ..Usage::default()
    })
}

/// Renders an answer to `embedContent`.
pub fn render_one(answer: &Embeddings) -> Result<Vec<u8>, Failure> {
    let only = answer.vectors.first();
    let only = only.ok_or_else(|| broken("the answer holds no vectors"))?;
    let values = vector::numbers(only)?;
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.object("embedding", |one| {
        one.raw("values", &values);
    });
    told(&mut object, answer);
    object.end();
    Ok(out)
}

/// Renders an answer to `batchEmbedContents`.
pub fn render_batch(answer: &Embeddings) -> Result<Vec<u8>, Failure> {
    let vectors = answer.vectors.iter().map(vector::numbers);
    let vectors = vectors.collect::<Result<Vec<_>, _>>()?;
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    array(object.key("embeddings"), vectors, |out, values| {
        let mut one = ObjectWriter::new(out);
        one.raw("values", &values);
        one.end();
    });
    told(&mut object, answer);
    object.end();
    Ok(out)
}

fn told(object: &mut ObjectWriter<'_>, answer: &Embeddings) {
    if let Some(usage) = &answer.usage {
        object.object("usageMetadata", |told| {
            told.number("promptTokenCount", usage.input_total());
        });
    }
}
