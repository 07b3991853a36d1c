//! Cohere's forms, `POST /v2/embed` and the `POST /v1/embed` before it (OpenAPI document 1.0, 2026-08): vectors by type of number.
//!
//! The older one answers a bare list of vectors where no types are named; else both are the same.

use super::parts::{self, as_image, as_text};
use super::{broken, lost, unsupported, vector};
use crate::Rendered;
use crate::level::Level;
use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array};
use bytes::Bytes;
use llmleaf_model::{
    DialectName, EmbeddingInput, EmbeddingPart, EmbeddingRequest, Embeddings, Failure, Json, Loss,
    Usage, Vector, VectorEncoding,
};
use serde_json::value::RawValue;

/// What vectors are for, in the words of either side. Those of Google's that this wire does not tell apart come after the one that it does.
const TASKS: &[(&str, &str)] = &[
    ("RETRIEVAL_DOCUMENT", "search_document"),
    ("RETRIEVAL_QUERY", "search_query"),
    ("CLASSIFICATION", "classification"),
    ("CLUSTERING", "clustering"),
    ("QUESTION_ANSWERING", "search_query"),
    ("FACT_VERIFICATION", "search_query"),
    ("CODE_RETRIEVAL_QUERY", "search_query"),
    ("SEMANTIC_SIMILARITY", "clustering"),
];

/// The first of them are the same thing on both sides.
const ALIKE: usize = 4;

/// Said where nobody says what for: the wire wants a word, and most vectors are of documents.
const DEFAULT: &str = "search_document";

/// The task that a word of this wire names.
pub fn task_of(input_type: &str) -> Option<&'static str> {
    let mut tasks = TASKS.iter();
    let found = tasks.find(|(_, own)| *own == input_type);
    found.map(|(task, _)| *task)
}

/// The word for a task, and whether it says the same.
pub fn input_type_of(task: &str) -> Option<(&'static str, bool)> {
    let at = TASKS.iter().position(|(known, _)| *known == task)?;
    TASKS.get(at).map(|(_, own)| (*own, at < ALIKE))
}

/// Parses a consumer's request. `first` is the older form.
pub fn parse_request(body: &str, model: &str, first: bool) -> Result<EmbeddingRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let mut inputs = Vec::new();
    for raw in top.list("texts")?.into_iter().flatten() {
        let text = string(raw).ok_or_else(|| crate::level::wrong("texts", "a list of texts"))?;
        inputs.push(EmbeddingInput::Text(text.into_owned()));
    }
    for raw in top.list("images")?.into_iter().flatten() {
        let wrong = || crate::level::wrong("images", "a list of data URIs");
        let image = string(raw).ok_or_else(wrong)?;
        inputs.push(EmbeddingInput::Parts(vec![EmbeddingPart::Image(
            image.into_owned(),
        )]));
    }
    for raw in top.list("inputs")?.into_iter().flatten() {
        inputs.push(parts::read(raw).unwrap_or_else(|| EmbeddingInput::Opaque {
            dialect: DialectName::CohereChat,
            json: Json::from(raw),
        }));
    }
    if inputs.is_empty() {
        return Err(top.missing("texts"));
    }
    let mut types = Vec::new();
    let named = top.list("embedding_types")?;
    for raw in named.into_iter().flatten() {
        let wrong = || crate::level::wrong("embedding_types", "a list of types");
        types.push(string(raw).ok_or_else(wrong)?.into_owned());
    }
    if types.is_empty() && !first {
        types.push("float".to_owned());
    }
    let input_type = top.peek("input_type").and_then(string);
    let task = input_type.as_deref().and_then(task_of).map(str::to_owned);
    if task.is_some() || input_type.as_deref() == Some("image") {
        top.raw("input_type");
    }
    let mut truncate = None;
    if let Some(word) = top.peek("truncate").and_then(string)
        && let "NONE" | "END" = &*word
    {
        truncate = Some(word == "END");
        top.raw("truncate");
    }
    Ok(EmbeddingRequest {
        dialect: DialectName::CohereChat,
        model: model.to_owned(),
        inputs,
        bare: false,
        dimensions: top.integer("output_dimension")?,
        encoding: match types.iter().all(|one| one == "base64") && !types.is_empty() {
            true => VectorEncoding::Base64,
            false => VectorEncoding::Float,
        },
        types,
        truncate,
        user: None,
        task,
        title: None,
        mixed: false,
        rest: top.into_rest(),
    })
}

/// Renders a request of another form.
pub fn render_request(request: &EmbeddingRequest, model: &str) -> Result<Rendered, Failure> {
    if request.mixed {
        let why = "the target asks the same of all inputs";
        return Err(unsupported("requests", why));
    }
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    let images = inputs(&mut object, request)?;
    let known = request.task.as_deref().map(input_type_of);
    let input_type = match known {
        _ if images => {
            if request.task.is_some() {
                losses.push(Loss::dropped(
                    super::task_field(request),
                    "the target has one word for what images are for",
                ));
            }
            "image"
        }
        Some(Some((own, alike))) => {
            if !alike {
                losses.push(Loss::approximated(
                    super::task_field(request),
                    "the target knows fewer tasks",
                ));
            }
            own
        }
        Some(None) => {
            losses.push(Loss::dropped(
                super::task_field(request),
                "not a task of the target",
            ));
            DEFAULT
        }
        None => DEFAULT,
    };
    object.string("input_type", input_type);
    array(
        object.key("embedding_types"),
        ["float"],
        crate::writer::string,
    );
    if let Some(dimensions) = request.dimensions {
        object.number("output_dimension", dimensions);
    }
    if let Some(truncate) = request.truncate {
        object.string("truncate", if truncate { "END" } else { "NONE" });
    }
    object.end();
    let gone = [("user", &request.user), ("title", &request.title)];
    let gone = gone.into_iter().filter(|(_, there)| there.is_some());
    losses.extend(gone.map(|(name, _)| Loss::dropped(name, "the target has no such field")));
    lost(request, &mut losses);
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

/// Writes what is to be embedded; tells whether it is images alone, which the older models take in a field of their own.
fn inputs(object: &mut ObjectWriter<'_>, request: &EmbeddingRequest) -> Result<bool, Failure> {
    let texts: Option<Vec<&str>> = request.inputs.iter().map(as_text).collect();
    if let Some(texts) = texts {
        array(object.key("texts"), texts, crate::writer::string);
        return Ok(false);
    }
    let images: Option<Vec<&str>> = request.inputs.iter().map(as_image).collect();
    if let Some(images) = images {
        array(object.key("images"), images, crate::writer::string);
        return Ok(true);
    }
    parts::write_all(object.key("inputs"), &request.inputs)?;
    Ok(false)
}

/// Reads a provider's answer, of either version.
pub fn parse_answer(body: &[u8], request: &EmbeddingRequest) -> Result<Embeddings, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let all = object.get("embeddings");
    let all = all.ok_or_else(|| broken("the answer holds no vectors"))?;
    let types = Object::from_raw(all).unwrap_or_default();
    let asked = request.types.iter().map(String::as_str);
    // The type that carries the most stands for all of them.
    let mut names = ["float", "base64"].into_iter().chain(asked);
    let list = items(all).or_else(|| names.find_map(|name| items(types.get(name)?)));
    let list = list.ok_or_else(|| broken("the answer holds no vectors"))?;
    let vectors: Option<Vec<Vector>> = list.into_iter().map(vector::read).collect();
    Ok(Embeddings {
        id: object.get("id").and_then(string).map(|id| id.into_owned()),
        model: None,
        vectors: vectors.ok_or_else(|| broken("an entry of the answer holds no vector"))?,
        usage: object.get("meta").and_then(usage),
    })
}

fn usage(raw: &RawValue) -> Option<Usage> {
    let meta = Object::from_raw(raw)?;
    let of = |name: &str| meta.get(name).and_then(Object::from_raw);
    let (billed, tokens) = (of("billed_units"), of("tokens"));
    let count = |object: &Option<Object<'_>>, name: &str| object.as_ref()?.count(name);
    let (input, images) = (count(&billed, "input_tokens"), count(&billed, "images"));
    let input = input.or_else(|| count(&tokens, "input_tokens"));
    let image_tokens = count(&billed, "image_tokens");
    if input.is_none() && images.is_none() && image_tokens.is_none() {
        return None;
    }
    let mut usage = Usage {
        input: input.unwrap_or_default(),
        input_image: image_tokens.unwrap_or_default(),
        ..Usage::default()
    };
    usage.units.images = images.unwrap_or_default();
    Some(usage)
}

/// Renders an answer for a consumer. A request without types is one of the older form, and gets a bare list.
pub fn render(
    answer: &Embeddings,
    request: &EmbeddingRequest,
    first: bool,
) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("id", answer.id.as_deref().unwrap_or_default());
    let texts: Vec<&str> = request.inputs.iter().filter_map(as_text).collect();
    array(object.key("texts"), texts, crate::writer::string);
    let floats = || {
        answer
            .vectors
            .iter()
            .map(vector::numbers)
            .collect::<Result<Vec<_>, _>>()
    };
    if request.types.is_empty() {
        lists(object.key("embeddings"), &floats()?);
    } else {
        let mut types = ObjectWriter::new(object.key("embeddings"));
        // What is made here is made of floats: under any other name it would not be what it is called.
        super::makeable(request)?;
        for name in &request.types {
            if name == "base64" {
                let coded = answer.vectors.iter().map(vector::base64);
                let coded = coded.collect::<Result<Vec<_>, _>>()?;
                array(types.key(name), &coded, |out, text| {
                    crate::writer::string(out, text)
                });
            } else {
                lists(types.key(name), &floats()?);
            }
        }
        types.end();
    }
    object.object("meta", |meta| {
        meta.object("api_version", |api| {
            api.string("version", if first { "1" } else { "2" });
        });
        if let Some(usage) = &answer.usage {
            meta.object("billed_units", |billed| {
                billed.number("input_tokens", usage.input);
                if usage.input_image > 0 {
                    billed.number("image_tokens", usage.input_image);
                }
                if usage.units.images > 0 {
                    billed.number("images", usage.units.images);
                }
            });
        }
    });
    object.string(
        "response_type",
        match request.types.is_empty() {
            true => "embeddings_floats",
            false => "embeddings_by_type",
        },
    );
    object.end();
    Ok(out)
}

fn lists(out: &mut Vec<u8>, vectors: &[String]) {
    array(out, vectors, |out, numbers| {
        crate::writer::one_line(out, numbers);
    });
}
