//! Vertex's `:predict` of text embedding models: instances in, predictions out ("Text embeddings API", cloud.google.com, 2026-11; recorded).

use super::{broken, lost, vector};
use crate::Rendered;
use crate::object::{Object, items};
use crate::writer::ObjectWriter;
use bytes::Bytes;
use llmleaf_model::{EmbeddingRequest, Embeddings, Failure, Loss, Usage, VectorEncoding};

/// Renders a request.
pub fn render_request(request: &EmbeddingRequest) -> Result<Rendered, Failure> {
    if request.mixed {
        let why = "the target asks the same of all inputs";
        return Err(super::unsupported("requests", why));
    }
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    let list = object.key("instances");
    list.push(b'[');
    for (at, input) in request.inputs.iter().enumerate() {
        if at > 0 {
            list.push(b',');
        }
        let mut one = ObjectWriter::new(list);
        one.string("content", super::text(input)?);
        one.string_if("task_type", request.task.as_deref());
        one.string_if("title", request.title.as_deref());
        one.end();
    }
    list.push(b']');
    if request.dimensions.is_some() || request.truncate.is_some() {
        object.object("parameters", |parameters| {
            if let Some(dimensions) = request.dimensions {
                parameters.number("outputDimensionality", dimensions);
            }
            parameters.bool_if("autoTruncate", request.truncate);
        });
    }
    object.end();
    if request.user.is_some() {
        losses.push(Loss::dropped("user", "the target has no such field"));
    }
    lost(request, &mut losses);
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

/// Reads an answer. Tokens are told of each prediction by itself.
pub fn parse_answer(body: &[u8]) -> Result<Embeddings, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    let list = object.get("predictions").and_then(items);
    let list = list.ok_or_else(|| broken("the answer holds no vectors"))?;
    let mut vectors = Vec::with_capacity(list.len());
    let mut tokens: Option<u64> = None;
    for raw in list {
        let one = Object::from_raw(raw);
        let one = one.and_then(|one| Object::from_raw(one.get("embeddings")?));
        let one = one.ok_or_else(|| broken("an entry of the answer holds no vector"))?;
        let values = one.get("values").and_then(vector::read);
        let values = values.filter(|values| vector::encoding(values) == VectorEncoding::Float);
        vectors.push(values.ok_or_else(|| broken("an entry of the answer holds no vector"))?);
        let statistics = one.get("statistics").and_then(Object::from_raw);
        if let Some(count) = statistics.and_then(|statistics| statistics.count("token_count")) {
            tokens = Some(tokens.unwrap_or_default().saturating_add(count));
        }
    }
    Ok(Embeddings {
        id: None,
        model: None,
        vectors,
        usage: tokens.map(|tokens| Usage {
            input: tokens.min(crate::LARGEST_COUNT),
            ..Usage::default()
        }),
    })
}
