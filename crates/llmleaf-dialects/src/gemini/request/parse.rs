//! A consumer's request to the model.

use super::parts::{self, Calls};
use super::{config, tools};
use crate::gemini::wire::{inner, level, list, top};
use crate::level::{Level, wrong};
use crate::object::string;
use llmleaf_model::{ChatRequest, DialectName, Failure, Message, Part, PartKind, Role};
use serde_json::value::RawValue;

/// Parses a consumer's request. The model and whether to stream stand in the path: `model` is what the body repeats of it,
/// and `stream` is false.
///
/// # Errors
/// A field that the wire demands is missing, or one that is read has another type; the failure names its path.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    read(top(body)?)
}

/// Reads a request whose top is known.
pub(in crate::gemini) fn read(mut top: Level<'_>) -> Result<ChatRequest, Failure> {
    let model = top.string("model")?.unwrap_or_default();
    let model = model.strip_prefix("models/").unwrap_or(&model);
    let mut request = ChatRequest::new(DialectName::GenerateContent, model);
    // This wire reports usage unasked.
    request.stream_usage = true;
    if let Some(raw) = top.raw("systemInstruction") {
        let path = top.at("systemInstruction");
        request.messages.push(instruction(raw, path)?);
    }
    let contents = top.raw("contents").ok_or_else(|| top.missing("contents"))?;
    conversation(contents, &top.at("contents"), &mut request)?;
    tools::parse(&mut top, &mut request)?;
    tools::parse_config(&mut top, &mut request)?;
    if let Some(config) = inner(&mut top, "generationConfig")? {
        config::parse(config, &mut request)?;
    }
    request.service_tier = top.string("serviceTier")?.map(|tier| {
        // The one word of the ladder that other wires spell otherwise.
        match tier.as_str() {
            "standard" => "default".to_owned(),
            _ => tier,
        }
    });
    request.store = top.bool("store")?;
    // The beginning of the prompt lies at the service: without it something else would be asked.
    if top
        .peek("cachedContent")
        .is_some_and(|raw| raw.get() != "null")
    {
        request.bound = Some("cachedContent".to_owned());
    }
    request.rest.0.extend(top.into_rest().0);
    Ok(request)
}

/// `systemInstruction`: a content, or the bare text that SDKs take in its place.
fn instruction(raw: &RawValue, path: String) -> Result<Message, Failure> {
    if let Some(text) = string(raw) {
        return Ok(Message::new(Role::System, vec![Part::text(text)]));
    }
    let mut content = level(raw, path)?;
    let mut calls = Calls::default();
    let parts = match content.raw("parts") {
        Some(raw) => parts::read_all(raw, &content.at("parts"), &mut calls)?,
        None => Vec::new(),
    };
    // Whose content it is says the field that it stands in ("Currently, text only": reference of `systemInstruction`).
    content.raw("role");
    let mut message = Message::new(Role::System, parts);
    message.rest = content.into_rest();
    Ok(message)
}

fn conversation(raw: &RawValue, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let mut calls = Calls::default();
    let contents = list(raw, path)?;
    if contents.is_empty() {
        return Err(wrong(path, "a list of at least one content"));
    }
    for (at, raw) in contents.into_iter().enumerate() {
        let mut content = level(raw, format!("{path}[{at}]"))?;
        let role = match content.string("role")?.as_deref() {
            Some("user") | None => Role::User,
            Some("model") => Role::Assistant,
            // What the first SDKs wrote for results of calls.
            Some("function") => Role::Tool,
            Some(_) => return Err(wrong(&content.at("role"), "user or model")),
        };
        let parts = match content.raw("parts") {
            Some(raw) => parts::read_all(raw, &content.at("parts"), &mut calls)?,
            None => Vec::new(),
        };
        let rest = content.into_rest();
        // Clients keep the chunks of a stream as turns of their own; a thought and its proof belong together.
        match request.messages.last_mut() {
            Some(last)
                if role == Role::Assistant
                    && last.role == role
                    && rest.is_empty()
                    && last.rest.is_empty() =>
            {
                for part in parts {
                    push_joined(&mut last.parts, part);
                }
            }
            _ => {
                let mut message = Message::new(role, Vec::new());
                for part in parts {
                    match role {
                        Role::Assistant => push_joined(&mut message.parts, part),
                        _ => message.parts.push(part),
                    }
                }
                message.parts.iter_mut().for_each(without_empty);
                message.rest = rest;
                request.messages.push(message);
            }
        }
    }
    Ok(())
}

/// A proof without text says its form with an empty one, which is of no more use.
fn without_empty(part: &mut Part) {
    if let PartKind::Reasoning(reasoning) = &mut part.kind {
        reasoning.texts.retain(|text| !text.text.is_empty());
    }
}

/// Adds a part of the model's turn, joined to the one before where both are pieces of one text or of one thought.
fn push_joined(parts: &mut Vec<Part>, next: Part) {
    let Some(last) = parts.last_mut() else {
        return parts.push(next);
    };
    if !last.rest.is_empty() || !next.rest.is_empty() {
        return parts.push(next);
    }
    match (&mut last.kind, next.kind) {
        (PartKind::Text { text, .. }, PartKind::Text { text: more, .. }) => text.push_str(&more),
        // A proof ends its thought. A thought without text is only a proof, which belongs to the thought before it.
        (PartKind::Reasoning(have), PartKind::Reasoning(more))
            if have.artefact.is_none() && (have.id.is_none() || have.id == more.id) =>
        {
            have.id = have.id.take().or(more.id);
            have.artefact = more.artefact;
            for text in more.texts {
                match have.texts.last_mut() {
                    // The envelope knows what the thought was; the wire's own words for it do not.
                    Some(last) if text.text.is_empty() => last.form = text.form,
                    Some(last) if last.form == text.form => last.text.push_str(&text.text),
                    _ => have.texts.push(text),
                }
            }
        }
        (_, kind) => parts.push(kind.into()),
    }
}
