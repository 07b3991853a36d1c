//! OpenAI's form, `POST /embeddings` (OpenAPI document 2.3.0), and what others that speak it change.

use super::{OpenAiInputs, OpenAiQuirks, broken, lost, parts, typed, unsupported, vector};
use crate::head::{self, Field};
use crate::level::Level;
use crate::object::Object;
use crate::splice::{Splices, quote};
use crate::writer::{ObjectWriter, array};
use crate::{Head, Rendered};
use bytes::Bytes;
use llmleaf_model::{
    DialectName, EmbeddingInput, EmbeddingRequest, Embeddings, Failure, Json, Loss, Usage, Vector,
    VectorEncoding,
};
use serde_json::value::RawValue;

/// Parses a consumer's request.
pub fn parse_request(body: &str, model: &str) -> Result<EmbeddingRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let input = top.raw("input").ok_or_else(|| top.missing("input"))?;
    let (inputs, bare) = inputs(input)?;
    let encoding = match top.string("encoding_format")?.as_deref() {
        None | Some("float") => VectorEncoding::Float,
        Some("base64") => VectorEncoding::Base64,
        Some(other) => {
            let why = format!("`encoding_format` must be \"float\" or \"base64\", not {other:?}");
            return Err(Failure::invalid(why, Some("encoding_format")));
        }
    };
    // Not OpenAI's, but of routers and of servers of open models.
    let word = top.peek("input_type").and_then(crate::object::string);
    let task = word.as_deref().and_then(typed::task_of).map(str::to_owned);
    if task.is_some() {
        top.raw("input_type");
    }
    Ok(EmbeddingRequest {
        dialect: DialectName::ChatCompletions,
        model: model.to_owned(),
        inputs,
        bare,
        dimensions: top.integer("dimensions")?,
        encoding,
        user: top.string("user")?,
        types: Vec::new(),
        truncate: None,
        task,
        title: None,
        mixed: false,
        rest: top.into_rest(),
    })
}

/// A text, a list of texts, a list of token ids, a list of such lists, or what only a few services know.
fn inputs(raw: &RawValue) -> Result<(Vec<EmbeddingInput>, bool), Failure> {
    let wrong = || {
        let why = "`input` must be a text, a list of texts, or token ids";
        Failure::invalid(why, Some("input"))
    };
    let Some(list) = crate::object::items(raw) else {
        return Ok((vec![one(raw)], true));
    };
    let first = list.first().ok_or_else(wrong)?;
    if first.get().starts_with(|c: char| c.is_ascii_digit()) {
        return Ok((vec![EmbeddingInput::Tokens(Json::from(raw))], true));
    }
    Ok((list.into_iter().map(one).collect(), false))
}

fn one(raw: &RawValue) -> EmbeddingInput {
    if let Some(text) = crate::object::string(raw) {
        return EmbeddingInput::Text(text.into_owned());
    }
    if let Some(parts) = parts::read(raw) {
        return parts;
    }
    match raw.get().starts_with('[') {
        true => EmbeddingInput::Tokens(Json::from(raw)),
        false => EmbeddingInput::Opaque {
            dialect: DialectName::ChatCompletions,
            json: Json::from(raw),
        },
    }
}

/// Whether the service can read the inputs at all.
fn readable(request: &EmbeddingRequest, quirks: &OpenAiQuirks) -> Result<(), Failure> {
    let tokens = |input: &EmbeddingInput| matches!(input, EmbeddingInput::Tokens(_));
    if quirks.inputs < OpenAiInputs::Tokens && request.inputs.iter().any(tokens) {
        return Err(unsupported("input", "the target takes no token ids"));
    }
    Ok(())
}

/// Same form: the model's name, what `dimensions` is called, and base64 where the service has none.
pub fn edit(
    head: &Head,
    body: &Bytes,
    request: &EmbeddingRequest,
    model: &str,
    quirks: &OpenAiQuirks,
) -> Result<Rendered, Failure> {
    readable(request, quirks)?;
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    let wish = |field: &Field| field.is_wish(text) && !quirks.routes;
    if head.routes() && !quirks.routes {
        for field in head.fields().iter().filter(|field| wish(field)) {
            losses.push(Loss::dropped(field.name(text), "the target does not route"));
        }
        head.cuts(wish)
            .into_iter()
            .for_each(|cut| splices.remove(cut));
    }
    match head.field(text, "model") {
        Some(field) if head.model != model => splices.replace(field.value.clone(), quote(model)),
        Some(_) => {}
        None => {
            if let Some(at) = head.insertion() {
                splices.insert(at, format!("\"model\":{},", quote(model)));
            }
        }
    }
    if quirks.dimensions != "dimensions"
        && let Some(field) = head.field(text, "dimensions")
        && let Some((key, _)) = field.key(text)
    {
        splices.replace(key, quote(&quirks.dimensions));
    }
    if request.encoding == VectorEncoding::Base64
        && !quirks.base64
        && let Some(field) = head.field(text, "encoding_format")
    {
        splices.replace(field.value.clone(), "\"float\"");
    }
    let body = match splices.is_empty() {
        true => body.slice_ref(text.as_bytes()),
        false => Bytes::from(splices.apply(text)),
    };
    Ok(Rendered {
        body,
        losses,
        usage_added: false,
    })
}

/// Renders a request of another form.
pub fn render_request(
    request: &EmbeddingRequest,
    model: &str,
    quirks: &OpenAiQuirks,
) -> Result<Rendered, Failure> {
    readable(request, quirks)?;
    if request.mixed {
        return Err(unsupported(
            "requests",
            "the target asks the same of all inputs",
        ));
    }
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    let only_texts = request
        .inputs
        .iter()
        .all(|one| parts::as_text(one).is_some());
    if quirks.inputs == OpenAiInputs::Parts && !only_texts {
        parts::write_all(object.key("input"), &request.inputs)?;
    } else {
        texts(&mut object, request)?;
    }
    if let Some(dimensions) = request.dimensions {
        object.number(&quirks.dimensions, dimensions);
    }
    object.string("encoding_format", "float");
    object.string_if("user", request.user.as_deref());
    let word = request.task.as_deref().and_then(typed::input_type_of);
    let word = word.filter(|_| quirks.inputs == OpenAiInputs::Parts);
    if let Some((word, alike)) = word {
        object.string("input_type", word);
        if !alike {
            losses.push(Loss::approximated(
                super::task_field(request),
                "the target knows fewer tasks",
            ));
        }
    }
    object.end();
    if request.task.is_some() && word.is_none() {
        losses.push(super::same_for_all(request));
    }
    let own = [
        ("title", request.title.is_some()),
        ("truncate", request.truncate.is_some()),
    ];
    let gone = own.into_iter().filter(|(_, there)| *there);
    losses.extend(gone.map(|(name, _)| Loss::dropped(name, "the target has no such field")));
    lost(request, &mut losses);
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

fn texts(object: &mut ObjectWriter<'_>, request: &EmbeddingRequest) -> Result<(), Failure> {
    let texts = request.inputs.iter().map(super::text);
    let texts = texts.collect::<Result<Vec<&str>, Failure>>()?;
    match (request.bare, texts.as_slice()) {
        (true, [only]) => {
            object.string("input", only);
        }
        _ => array(object.key("input"), texts, crate::writer::string),
    }
    Ok(())
}

/// Reads a provider's answer.
pub fn parse_answer(body: &[u8]) -> Result<Embeddings, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let data = object.get("data").and_then(crate::object::items);
    let data = data.ok_or_else(|| broken("the answer holds no vectors"))?;
    let mut vectors = Vec::with_capacity(data.len());
    for (place, item) in data.into_iter().enumerate() {
        let item = Object::from_raw(item).ok_or_else(|| broken("a vector is no object"))?;
        let index = item.get("index").and_then(|raw| raw.get().parse().ok());
        let vector = item.get("embedding").and_then(vector::read);
        let vector = vector.ok_or_else(|| broken("an entry of the answer holds no vector"))?;
        vectors.push((index.unwrap_or(place), vector));
    }
    vectors.sort_by_key(|(index, _)| *index);
    if vectors
        .iter()
        .enumerate()
        .any(|(at, (index, _))| at != *index)
    {
        return Err(broken("the vectors are not numbered in order"));
    }
    Ok(Embeddings {
        id: None,
        model: object
            .get("model")
            .and_then(crate::object::string)
            .map(std::borrow::Cow::into_owned),
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage: object.get("usage").and_then(usage),
    })
}

/// The counts. There is no output: what is not of the prompt is nothing.
fn usage(raw: &RawValue) -> Option<Usage> {
    let object = Object::from_raw(raw)?;
    let input = object.count("prompt_tokens");
    let input = input.or_else(|| object.count("total_tokens"))?;
    let mut usage = Usage {
        input,
        ..Usage::default()
    };
    let cost = object.get("cost").map(RawValue::get);
    usage.cost_nano_usd = cost.and_then(llmleaf_model::usage::nano_usd);
    Some(usage)
}

/// Renders an answer for a consumer.
pub fn render(answer: &Embeddings, request: &EmbeddingRequest) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("object", "list");
    let data = object.key("data");
    data.push(b'[');
    for (at, vector) in answer.vectors.iter().enumerate() {
        if at > 0 {
            data.push(b',');
        }
        entry(data, at, vector, request.encoding)?;
    }
    data.push(b']');
    object.string("model", answer.model.as_deref().unwrap_or(&request.model));
    let tokens = answer.usage.as_ref().map_or(0, Usage::input_total);
    object.object("usage", |usage| {
        usage.number("prompt_tokens", tokens);
        usage.number("total_tokens", tokens);
    });
    object.end();
    Ok(out)
}

fn entry(
    out: &mut Vec<u8>,
    at: usize,
    vector: &Vector,
    encoding: VectorEncoding,
) -> Result<(), Failure> {
    let mut object = ObjectWriter::new(out);
    object.string("object", "embedding");
    object.number("index", at as u64);
    match encoding {
        VectorEncoding::Float => object.raw("embedding", &vector::numbers(vector)?),
        VectorEncoding::Base64 => object.string("embedding", &vector::base64(vector)?),
    };
    object.end();
    Ok(())
}
