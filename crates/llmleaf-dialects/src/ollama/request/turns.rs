//! The conversation, from the wire.

use super::signatures;
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use crate::ollama::wire::{NAMELESS, SIGNATURES, sniff};
use llmleaf_model::{
    Failure, Json, Media, MediaKind, MediaSource, Message, Part, PartKind, Rest, Role, ToolCall,
    ToolFlavour, ToolResult,
};
use serde_json::value::RawValue;

/// Calls seen so far and not answered: results that name no call answer the first of their tool, or the first of all.
#[derive(Default)]
struct Calls {
    /// Id and name.
    open: Vec<(String, String)>,
    /// How many calls there were.
    count: usize,
}

impl Calls {
    fn answered(&mut self, id: Option<String>, name: Option<&str>) -> String {
        let at = match (&id, name) {
            (Some(id), _) => self.open.iter().position(|(open, _)| open == id),
            (None, Some(name)) => self.open.iter().position(|(_, open)| open == name),
            (None, None) => (!self.open.is_empty()).then_some(0),
        };
        let found = at.map(|at| self.open.remove(at).0);
        id.or(found)
            .unwrap_or_else(|| format!("{NAMELESS}to-{}", name.unwrap_or_default()))
    }
}

/// Reads `messages`.
pub(super) fn parse(list: Vec<&RawValue>) -> Result<Vec<Message>, Failure> {
    let mut calls = Calls::default();
    let messages = list.into_iter().enumerate();
    messages
        .map(|(at, raw)| message(Level::of(raw, format!("messages[{at}]"))?, &mut calls))
        .collect()
}

fn message(mut turn: Level<'_>, calls: &mut Calls) -> Result<Message, Failure> {
    let role = match turn.required("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(wrong(&turn.at("role"), "system, user, assistant or tool")),
    };
    let text = turn.string("content")?.filter(|text| !text.is_empty());
    let images = images(&mut turn)?;
    let bare = images.is_empty();
    let images = images.into_iter().map(PartKind::Media).map(Part::from);
    let mut said: Vec<Part> = images.collect();
    said.extend(text.map(Part::text));
    let mut parts = Vec::new();
    match role {
        Role::Assistant => {
            let thinking = turn.string("thinking")?.unwrap_or_default();
            let sealed = signatures::open(turn.peek(SIGNATURES));
            if sealed.is_some() {
                turn.raw(SIGNATURES);
            }
            let sealed = sealed.unwrap_or_default();
            parts.extend(signatures::thoughts(&thinking, &sealed));
            parts.append(&mut said);
            for (at, raw) in turn
                .list("tool_calls")?
                .unwrap_or_default()
                .iter()
                .enumerate()
            {
                let path = turn.at(&format!("tool_calls[{at}]"));
                let mut part = call(raw, path, calls)?;
                signatures::prove(&mut part, &sealed);
                parts.push(part);
            }
        }
        Role::Tool => {
            let name = turn.string("tool_name")?.filter(|name| !name.is_empty());
            let id = turn.string("tool_call_id")?.filter(|id| !id.is_empty());
            let result = ToolResult {
                call_id: calls.answered(id, name.as_deref()),
                name,
                parts: said,
                bare,
                is_error: None,
                flavour: ToolFlavour::Function,
            };
            parts.push(PartKind::ToolResult(result).into());
        }
        _ => parts = said,
    }
    let mut message = Message::new(role, parts);
    message.bare = bare;
    message.rest = turn.into_rest();
    Ok(message)
}

/// Reads `images`.
pub(super) fn images(level: &mut Level<'_>) -> Result<Vec<Media>, Failure> {
    let path = level.at("images");
    let list = level.list("images")?.unwrap_or_default();
    list.into_iter()
        .map(|raw| {
            let Some(data) = string(raw) else {
                return Err(wrong(&path, "a list of images in base64"));
            };
            // Clients that know other wires send data URLs, which the service refuses; across they are what they mean.
            let source = match data.starts_with("data:") {
                true => MediaSource::Url(data.into_owned()),
                false => MediaSource::Base64(data.into_owned()),
            };
            let mime = match &source {
                MediaSource::Base64(data) => sniff(data).map(str::to_owned),
                _ => None,
            };
            let mut media = Media::new(MediaKind::Image, source);
            media.mime = mime;
            Ok(media)
        })
        .collect()
}

fn call(raw: &RawValue, path: String, calls: &mut Calls) -> Result<Part, Failure> {
    let mut call = Level::of(raw, path)?;
    let mut function = call
        .object("function")?
        .ok_or_else(|| call.missing("function"))?;
    let name = function.required("name")?;
    let arguments = match function.raw("arguments") {
        None => "{}".to_owned(),
        Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
        // What clients of other wires send; the service reads it, too.
        Some(raw) => match string(raw).filter(|text| Object::parse(text).is_ok()) {
            Some(text) => text.into_owned(),
            None => return Err(wrong(&function.at("arguments"), "an object")),
        },
    };
    // Its place in the list says the same.
    function.raw("index");
    let id = call.string("id")?.filter(|id| !id.is_empty());
    let id = id.unwrap_or_else(|| format!("{NAMELESS}{}", calls.count));
    calls.count += 1;
    calls.open.push((id.clone(), name.clone()));
    let inner = function.into_rest();
    let mut rest = call.into_rest();
    if !inner.is_empty() {
        rest.push("function", object_of(&inner));
    }
    let call = ToolCall {
        id,
        name,
        arguments,
        ..ToolCall::default()
    };
    Ok(Part {
        kind: PartKind::ToolCall(call),
        cache: None,
        rest,
    })
}

/// Fields that were kept, as an object.
pub(super) fn object_of(rest: &Rest) -> Json {
    crate::ollama::wire::json_object(|object| {
        object.rest(rest);
    })
}
