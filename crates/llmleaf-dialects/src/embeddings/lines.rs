//! Ollama's forms: `POST /api/embed`, and the `POST /api/embeddings` before it, which takes one prompt (docs/openapi.yaml of
//! ollama/ollama, 2026-08; the older one is recorded).

use super::{broken, lost, unsupported, vector};
use crate::Rendered;
use crate::level::Level;
use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array};
use bytes::Bytes;
use llmleaf_model::{
    DialectName, EmbeddingInput, EmbeddingRequest, Embeddings, Failure, Loss, Usage, Vector,
    VectorEncoding,
};
use serde_json::value::RawValue;

/// Parses a consumer's request: of one prompt, or of what `input` holds. An empty one asks for nothing but that the model be loaded, and is
/// answered with no vectors (`EmbedHandler` and `EmbeddingsHandler` in server/routes.go of ollama/ollama, read 2026-11).
pub fn parse_request(body: &str, model: &str, prompt: bool) -> Result<EmbeddingRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    top.raw("name");
    let (inputs, bare) = if prompt {
        let text = top.string("prompt")?.filter(|text| !text.is_empty());
        (text.map(EmbeddingInput::Text).into_iter().collect(), true)
    } else {
        let raw = top.raw("input").ok_or_else(|| top.missing("input"))?;
        let wrong = || crate::level::wrong("input", "a text or a list of texts");
        let text = |raw: &RawValue| string(raw).map(|text| EmbeddingInput::Text(text.into_owned()));
        match items(raw) {
            Some(list) => {
                let texts: Option<Vec<EmbeddingInput>> = list.into_iter().map(text).collect();
                (texts.ok_or_else(wrong)?, false)
            }
            None if raw.get() == "\"\"" => (Vec::new(), true),
            None => (vec![text(raw).ok_or_else(wrong)?], true),
        }
    };
    Ok(EmbeddingRequest {
        dialect: DialectName::OllamaChat,
        model: model.to_owned(),
        inputs,
        bare,
        dimensions: top.integer("dimensions")?,
        encoding: VectorEncoding::Float,
        types: Vec::new(),
        truncate: top.bool("truncate")?,
        user: None,
        task: None,
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
    let texts = request.inputs.iter().map(super::text);
    let texts = texts.collect::<Result<Vec<&str>, Failure>>()?;
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    array(object.key("input"), texts, crate::writer::string);
    if let Some(dimensions) = request.dimensions {
        object.number("dimensions", dimensions);
    }
    object.bool_if("truncate", request.truncate);
    let own = request.dialect == DialectName::OllamaChat;
    if own {
        object.rest(&request.rest);
    }
    object.end();
    if request.task.is_some() {
        losses.push(super::same_for_all(request));
    }
    let gone = [("user", &request.user), ("title", &request.title)];
    let gone = gone.into_iter().filter(|(_, there)| there.is_some());
    losses.extend(gone.map(|(name, _)| Loss::dropped(name, "the target has no such field")));
    if !own {
        lost(request, &mut losses);
    }
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

/// Reads an answer of either form.
pub fn parse_answer(body: &[u8]) -> Result<Embeddings, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let list = object.get("embeddings").and_then(items);
    let one = |raw| match items(raw)?.as_slice() {
        [] => Some(Vec::new()),
        _ => Some(vec![raw]),
    };
    let list = list.or_else(|| object.get("embedding").and_then(one));
    let list = list.ok_or_else(|| broken("the answer holds no vectors"))?;
    let vectors: Option<Vec<Vector>> = list.into_iter().map(vector::read).collect();
    Ok(Embeddings {
        id: None,
        model: object
            .get("model")
            .and_then(string)
            .map(|name| name.into_owned()),
        vectors: vectors.ok_or_else(|| broken("an entry of the answer holds no vector"))?,
        usage: object.count("prompt_eval_count").map(|input| Usage {
            input,
            ..Usage::default()
        }),
    })
}

/// Renders an answer for a consumer.
pub fn render(
    answer: &Embeddings,
    request: &EmbeddingRequest,
    prompt: bool,
) -> Result<Vec<u8>, Failure> {
    let vectors = answer.vectors.iter().map(vector::numbers);
    let vectors = vectors.collect::<Result<Vec<String>, Failure>>()?;
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    if prompt {
        let none = request.inputs.is_empty().then_some("[]");
        let only = vectors.first().map(String::as_str).or(none);
        let only = only.ok_or_else(|| broken("the answer holds no vectors"))?;
        object.raw("embedding", only);
        object.end();
        return Ok(out);
    }
    object.string("model", answer.model.as_deref().unwrap_or(&request.model));
    array(object.key("embeddings"), &vectors, |out, numbers| {
        crate::writer::one_line(out, numbers);
    });
    if let Some(usage) = &answer.usage {
        object.number("prompt_eval_count", usage.input_total());
    }
    object.end();
    Ok(out)
}
