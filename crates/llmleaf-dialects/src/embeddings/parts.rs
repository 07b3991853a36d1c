//! Inputs of several parts, as Cohere's `inputs` and OpenRouter's `input` have them: `{"content": [{"type": "text", …}, {"type": "image_url", …}]}`
//! (their OpenAPI documents 1.0 and 1.0.0, 2026-08).

use super::unsupported;
use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array};
use llmleaf_model::{EmbeddingInput, EmbeddingPart, Failure};
use serde_json::value::RawValue;

/// Reads an input of texts and images; `None` where it is something else, or has more to say.
pub fn read(raw: &RawValue) -> Option<EmbeddingInput> {
    let object = Object::from_raw(raw).filter(|object| object.fields.len() == 1)?;
    let parts = items(object.get("content")?)?.into_iter().map(part);
    let parts: Vec<EmbeddingPart> = parts.collect::<Option<_>>()?;
    Some(match parts.as_slice() {
        [EmbeddingPart::Text(text)] => EmbeddingInput::Text(text.clone()),
        _ => EmbeddingInput::Parts(parts),
    })
}

fn part(raw: &RawValue) -> Option<EmbeddingPart> {
    let object = Object::from_raw(raw)?;
    let kind = object.get("type").and_then(string)?;
    match &*kind {
        "text" => {
            let text = object.get("text").and_then(string)?;
            Some(EmbeddingPart::Text(text.into_owned()))
        }
        "image_url" => {
            let image = Object::from_raw(object.get("image_url")?)?;
            let url = image.get("url").and_then(string)?;
            Some(EmbeddingPart::Image(url.into_owned()))
        }
        _ => None,
    }
}

/// Writes all inputs as such objects.
pub fn write_all(out: &mut Vec<u8>, inputs: &[EmbeddingInput]) -> Result<(), Failure> {
    let speaks =
        |one: &EmbeddingInput| matches!(one, EmbeddingInput::Text(_) | EmbeddingInput::Parts(_));
    if !inputs.iter().all(speaks) {
        return Err(unsupported("input", "the target embeds texts and images"));
    }
    array(out, inputs, |out, one| {
        let mut object = ObjectWriter::new(out);
        let content = object.key("content");
        match one {
            EmbeddingInput::Text(text) => {
                array(content, [text], |out, text| write(out, "text", text));
            }
            EmbeddingInput::Parts(parts) => array(content, parts, |out, part| match part {
                EmbeddingPart::Text(text) => write(out, "text", text),
                EmbeddingPart::Image(url) => write(out, "image_url", url),
            }),
            EmbeddingInput::Tokens(_) | EmbeddingInput::Opaque { .. } => content.extend(b"[]"),
        }
        object.end();
    });
    Ok(())
}

fn write(out: &mut Vec<u8>, kind: &str, value: &str) {
    let mut part = ObjectWriter::new(out);
    part.string("type", kind);
    if kind == "text" {
        part.string("text", value);
    } else {
        part.object("image_url", |image| {
            image.string("url", value);
        });
    }
    part.end();
}

/// The text of an input that is nothing else.
pub fn as_text(one: &EmbeddingInput) -> Option<&str> {
    match one {
        EmbeddingInput::Text(text) => Some(text),
        _ => None,
    }
}

/// The image of an input that is nothing else.
pub fn as_image(one: &EmbeddingInput) -> Option<&str> {
    match one {
        EmbeddingInput::Parts(parts) => match parts.as_slice() {
            [EmbeddingPart::Image(url)] => Some(url),
            _ => None,
        },
        _ => None,
    }
}

/// Media type and base64 of a `data:` URI.
pub fn data_uri(uri: &str) -> Option<(&str, &str)> {
    let (kind, data) = uri.strip_prefix("data:")?.split_once(',')?;
    Some((kind.strip_suffix(";base64")?, data))
}
