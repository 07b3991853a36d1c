//! A consumer's request to the model.

use super::{messages, sampling, thinking, tools};
use crate::cohere::document;
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use llmleaf_model::{
    ChatRequest, DialectName, Failure, Json, Message, Part, PartKind, ResponseFormat, Role,
};
use serde_json::value::RawValue;

/// Parses a consumer's request.
///
/// # Errors
/// A field that the wire demands is missing, or one that is read has another type; the failure names its path.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    let mut top = Level::top(body)?;
    let model = top.required("model")?;
    if model.is_empty() {
        return Err(wrong("model", "a non-empty string"));
    }
    let mut request = ChatRequest::new(DialectName::CohereChat, model);
    // This wire reports usage unasked.
    request.stream_usage = true;
    request.stream = top.bool("stream")?.unwrap_or(false);
    let list = top
        .list("messages")?
        .ok_or_else(|| top.missing("messages"))?;
    if list.is_empty() {
        return Err(wrong("messages", "a list of at least one message"));
    }
    for (at, raw) in list.into_iter().enumerate() {
        let message = messages::parse(raw, format!("messages[{at}]"))?;
        request.messages.push(message);
    }
    documents(&mut top, &mut request.messages)?;
    tools::parse(&mut top, &mut request)?;
    request.response_format = top.raw("response_format").map(format);
    request.reasoning = thinking::parse(&mut top)?;
    sampling::parse(&mut top, &mut request.sampling)?;
    request.rest.0.extend(top.into_rest().0);
    Ok(request)
}

/// `documents` are what the last turn of the user is about.
fn documents(top: &mut Level<'_>, messages: &mut Vec<Message>) -> Result<(), Failure> {
    let list = top.list("documents")?.unwrap_or_default();
    if list.is_empty() {
        return Ok(());
    }
    let cited = top.peek("citation_options").is_none_or(wants_citations);
    let mut parts = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        let mut part = document::parse(raw, format!("documents[{at}]"))?;
        if let PartKind::Media(media) = &mut part.kind {
            media.citations = Some(cited);
        }
        parts.push(part);
    }
    match messages.iter_mut().rev().find(|m| m.role == Role::User) {
        Some(last) => {
            last.parts.splice(0..0, parts);
        }
        None => messages.push(Message::new(Role::User, parts)),
    }
    Ok(())
}

fn wants_citations(options: &RawValue) -> bool {
    let mode = Object::from_raw(options).and_then(|o| o.get("mode").and_then(string));
    let mode = mode.map(|mode| mode.to_ascii_uppercase());
    !matches!(mode.as_deref(), Some("DISABLED" | "OFF"))
}

fn format(raw: &RawValue) -> ResponseFormat {
    let read = || {
        let mut level = Level::of(raw, String::new()).ok()?;
        let kind = level.string("type").ok()??;
        let schema = level.raw("json_schema");
        if !level.is_empty() {
            return None;
        }
        match (kind.as_str(), schema) {
            ("text", None) => Some(ResponseFormat::Text),
            ("json_object", None) => Some(ResponseFormat::JsonObject),
            ("json_object", Some(schema)) => Some(ResponseFormat::JsonSchema {
                name: None,
                description: None,
                schema: Json::from(schema),
                strict: None,
            }),
            _ => None,
        }
    };
    read().unwrap_or_else(|| ResponseFormat::Opaque {
        dialect: DialectName::CohereChat,
        json: Json::from(raw),
    })
}

/// A part that is kept whole.
pub(super) fn opaque(kind: String, raw: &RawValue) -> Part {
    let dialect = DialectName::CohereChat;
    let json = Json::from(raw);
    PartKind::Opaque {
        dialect,
        kind,
        json,
    }
    .into()
}
