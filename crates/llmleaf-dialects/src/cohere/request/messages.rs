//! A consumer's messages to the model.

use super::parse::opaque;
use crate::cohere::wire::{SIGNATURE, json_object};
use crate::cohere::{citation, document};
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use llmleaf_model::{
    Citation, Failure, Media, MediaKind, MediaSource, Message, Part, PartKind, Reasoning,
    ReasoningForm, ReasoningText, Rest, Role, ToolCall, ToolResult,
};
use serde_json::value::RawValue;

/// Reads a message.
pub(super) fn parse(raw: &RawValue, path: String) -> Result<Message, Failure> {
    let mut level = Level::of(raw, path)?;
    match level.required("role")?.as_str() {
        "user" => spoken(Role::User, level),
        "system" => spoken(Role::System, level),
        "assistant" => assistant(level),
        "tool" => tool(level),
        _ => Err(wrong(&level.at("role"), "user, assistant, system or tool")),
    }
}

fn spoken(role: Role, mut level: Level<'_>) -> Result<Message, Failure> {
    let raw = level
        .raw("content")
        .ok_or_else(|| level.missing("content"))?;
    let mut message = content(role, raw, &level.at("content"))?;
    message.rest = level.into_rest();
    Ok(message)
}

fn content(role: Role, raw: &RawValue, path: &str) -> Result<Message, Failure> {
    if let Some(text) = string(raw) {
        return Ok(Message::text(role, text));
    }
    let list = items(raw).ok_or_else(|| wrong(path, "a string or a list"))?;
    let mut parts = Vec::with_capacity(list.len());
    for (at, raw) in list.into_iter().enumerate() {
        parts.push(part(role, raw, format!("{path}[{at}]"))?);
    }
    Ok(Message::new(role, parts))
}

fn part(role: Role, raw: &RawValue, path: String) -> Result<Part, Failure> {
    let mut level = Level::of(raw, path)?;
    let kind = level.required("type")?;
    let kind = match kind.as_str() {
        "text" => PartKind::Text {
            text: level.required("text")?,
            citations: Vec::new(),
        },
        "image_url" => match image(level.raw("image_url")) {
            Some(media) => PartKind::Media(media),
            None => return Ok(opaque(kind, raw)),
        },
        "thinking" if role == Role::Assistant => thought(&mut level)?,
        "document" if role == Role::Tool => {
            let inner = level
                .raw("document")
                .ok_or_else(|| level.missing("document"))?;
            let part = document::parse(inner, level.at("document"))?;
            return Ok(if level.is_empty() {
                part
            } else {
                opaque(kind, raw)
            });
        }
        _ => return Ok(opaque(kind, raw)),
    };
    let mut part = Part::from(kind);
    part.rest = level.into_rest();
    Ok(part)
}

/// `None` for a form that the model has no place for, so that the part is kept whole.
fn image(raw: Option<&RawValue>) -> Option<Media> {
    let mut level = Level::of(raw?, String::new()).ok()?;
    let url = level.string("url").ok()??;
    let detail = level.string("detail").ok()?;
    if !level.is_empty() {
        return None;
    }
    let data = url.strip_prefix("data:").and_then(|rest| {
        let (mime, data) = rest.split_once(";base64,")?;
        (!mime.is_empty()).then(|| (mime.to_owned(), data.to_owned()))
    });
    let mut media = match data {
        Some((mime, data)) => Media {
            mime: Some(mime),
            ..Media::new(MediaKind::Image, MediaSource::Base64(data))
        },
        None => Media::new(MediaKind::Image, MediaSource::Url(url)),
    };
    media.detail = detail;
    Some(media)
}

fn thought(level: &mut Level<'_>) -> Result<PartKind, Failure> {
    let text = level.required("thinking")?;
    let mut reasoning = Reasoning::default();
    let mut form = ReasoningForm::Full;
    if let Some(sealed) = envelope(level) {
        reasoning.artefact = sealed.artefact;
        reasoning.id = sealed.id;
        form = sealed.form;
    }
    if !text.is_empty() || reasoning.artefact.is_none() {
        reasoning.texts.push(ReasoningText { form, text });
    }
    Ok(PartKind::Reasoning(reasoning))
}

/// The envelope under `signature`; a signature that is none of ours stays where it is.
fn envelope(level: &mut Level<'_>) -> Option<crate::sealed::Sealed> {
    let raw = level.peek(SIGNATURE)?;
    let sealed = crate::sealed::Sealed::open(&string(raw)?)?;
    level.raw(SIGNATURE);
    Some(sealed)
}

fn assistant(mut level: Level<'_>) -> Result<Message, Failure> {
    let mut message = match level.raw("content") {
        Some(raw) => content(Role::Assistant, raw, &level.at("content"))?,
        None => Message::new(Role::Assistant, Vec::new()),
    };
    if let Some(raw) = level.peek("citations")
        && cite(raw, &mut message.parts).is_some()
    {
        level.raw("citations");
    }
    if let Some(text) = level.string("tool_plan")?.filter(|text| !text.is_empty()) {
        let form = ReasoningForm::Summary;
        let reasoning = Reasoning {
            texts: vec![ReasoningText { form, text }],
            ..Reasoning::default()
        };
        message.parts.push(PartKind::Reasoning(reasoning).into());
    }
    let calls = level.list("tool_calls")?.unwrap_or_default();
    for (at, raw) in calls.into_iter().enumerate() {
        let path = format!("{}[{at}]", level.at("tool_calls"));
        message.parts.push(call(raw, path)?);
    }
    message.rest = level.into_rest();
    Ok(message)
}

/// Gives each citation to the text that it stands in; `None`, and nothing is given, where one stands in no text.
fn cite(raw: &RawValue, parts: &mut [Part]) -> Option<()> {
    let list = items(raw)?;
    let is_text = |part: &&Part| part.as_text().is_some();
    let first = parts.iter().position(|part| is_text(&part));
    let mut given: Vec<(usize, Vec<Citation>)> = Vec::with_capacity(list.len());
    for raw in list {
        Object::from_raw(raw)?;
        let at = match citation::content_index(raw) {
            Some(index) => usize::try_from(index).ok()?,
            None => first?,
        };
        parts.get(at).filter(is_text)?;
        // How much text stands before is only known for the first.
        let before = (Some(at) == first).then_some(0);
        given.push((at, citation::parse(raw, before)));
    }
    for (at, mut sources) in given {
        if let Some(PartKind::Text { citations, .. }) = parts.get_mut(at).map(|p| &mut p.kind) {
            citations.append(&mut sources);
        }
    }
    Some(())
}

fn call(raw: &RawValue, path: String) -> Result<Part, Failure> {
    let mut level = Level::of(raw, path)?;
    if level.string("type")?.is_some_and(|kind| kind != "function") {
        return Err(wrong(&level.at("type"), "`function`"));
    }
    let id = level.required("id")?;
    let mut function = level
        .object("function")?
        .ok_or_else(|| level.missing("function"))?;
    let mut call = ToolCall {
        id,
        name: function.required("name")?,
        arguments: function.string("arguments")?.unwrap_or_default(),
        ..ToolCall::default()
    };
    call.artefact = envelope(&mut level).and_then(|sealed| sealed.artefact);
    let inner = function.into_rest();
    let mut part = Part::from(PartKind::ToolCall(call));
    part.rest = level.into_rest();
    keep_inner(&mut part.rest, &inner);
    Ok(part)
}

/// Keeps what an inner `function` holds beside what is read.
pub(super) fn keep_inner(rest: &mut Rest, inner: &Rest) {
    if !inner.is_empty() {
        let json = json_object(|object| {
            object.rest(inner);
        });
        rest.push("function", json);
    }
}

fn tool(mut level: Level<'_>) -> Result<Message, Failure> {
    let call_id = level.required("tool_call_id")?;
    let said = match level.raw("content") {
        Some(raw) => content(Role::Tool, raw, &level.at("content"))?,
        None => Message::new(Role::Tool, Vec::new()),
    };
    let result = ToolResult {
        call_id,
        parts: said.parts,
        bare: said.bare,
        ..ToolResult::default()
    };
    let mut message = Message::new(Role::Tool, vec![PartKind::ToolResult(result).into()]);
    message.rest = level.into_rest();
    Ok(message)
}
