//! Items of the conversation, gathered into turns.

use super::content::{self, PART};
use crate::level::{Level, wrong};
use crate::object::string;
use crate::responses::reasoning::{Echoed, echoed, provenance};
use crate::responses::wire::{is_server_call, is_server_output, server_tool_name};
use crate::sealed::SEAL;
use llmleaf_model::{
    Artefact, ArtefactKind, ChatRequest, DialectName, Failure, Json, Message, Part, PartKind,
    Reasoning, ReasoningForm, ReasoningText, Rest, Role, ServerToolResult, ServerToolUse, ToolCall,
    ToolFlavour, ToolResult,
};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Reads the items of `input` behind what the request already holds.
pub(super) fn parse(list: &[&RawValue], request: &mut ChatRequest) -> Result<(), Failure> {
    let mut turns = Turns {
        first: request.messages.len(),
        messages: std::mem::take(&mut request.messages),
        calls: HashMap::new(),
    };
    for (at, raw) in list.iter().enumerate() {
        let path = format!("input[{at}]");
        match turns.item(raw, path.clone())? {
            Read::Done => {}
            Read::Reference => {
                request.bound.get_or_insert(path);
            }
        }
    }
    request.messages = turns.messages;
    Ok(())
}

/// What an item turned out to be.
enum Read {
    Done,
    /// The name of an item that only the service holds.
    Reference,
}

struct Turns {
    /// Messages before this one were not made of items.
    first: usize,
    messages: Vec<Message>,
    /// Where the call of an id stands, by message and part; the last one where several have it.
    calls: HashMap<String, (usize, usize)>,
}

impl Turns {
    fn item(&mut self, raw: &RawValue, path: String) -> Result<Read, Failure> {
        let mut level = Level::of(raw, path)?;
        let kind = level.string("type")?;
        match kind.as_deref() {
            // A message may leave its type out.
            Some("message") => self.message(level)?,
            None if level.peek("role").is_some() => self.message(level)?,
            Some("reasoning") => self.reasoning(raw, level)?,
            Some("function_call") => {
                let part = call(level, ToolFlavour::Function)?;
                self.assistant(part);
            }
            Some("custom_tool_call") => {
                let part = call(level, ToolFlavour::Custom)?;
                self.assistant(part);
            }
            Some("function_call_output") => self.output(level, ToolFlavour::Function)?,
            Some("custom_tool_call_output") => self.output(level, ToolFlavour::Custom)?,
            None if level.peek("id").is_none() => return Err(level.missing("type")),
            None | Some("item_reference") => {
                self.assistant(opaque("item_reference", raw));
                return Ok(Read::Reference);
            }
            Some(kind) if is_server_call(kind) => {
                let part = PartKind::ServerToolUse(ServerToolUse {
                    dialect: DialectName::Responses,
                    id: level.string("id")?.unwrap_or_default(),
                    name: server_tool_name(kind).to_owned(),
                    input: String::new(),
                    json: Some(Json::from(raw)),
                });
                self.assistant(part.into());
            }
            Some(kind) if is_server_output(kind) => {
                let part = PartKind::ServerToolResult(ServerToolResult {
                    dialect: DialectName::Responses,
                    call_id: level.string("call_id")?.unwrap_or_default(),
                    kind: kind.to_owned(),
                    json: Json::from(raw),
                });
                self.assistant(part.into());
            }
            Some(kind) => self.assistant(opaque(kind, raw)),
        }
        Ok(Read::Done)
    }

    fn message(&mut self, mut level: Level<'_>) -> Result<(), Failure> {
        let role = match level.required("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => {
                let what = "user, assistant, system or developer";
                return Err(wrong(&level.at("role"), what));
            }
        };
        let raw = level
            .raw("content")
            .ok_or_else(|| level.missing("content"))?;
        let (parts, bare) = content::parse(raw, &level.at("content"))?;
        let id = level.string("id")?;
        let rest = rest_of(level);
        if role != Role::Assistant {
            self.messages.push(Message {
                id,
                bare,
                rest,
                ..Message::new(role, parts)
            });
            return Ok(());
        }
        let open = self.open();
        let said = |part: &Part| !is_item(part);
        // One message of a turn has the turn's id and further fields; another that has some of its own begins a turn.
        let joins = open
            .is_some_and(|turn| !turn.parts.iter().any(said) || (id.is_none() && rest.is_empty()));
        if !joins {
            self.messages
                .push(Message::new(Role::Assistant, Vec::new()));
        }
        if let Some(turn) = self.messages.last_mut() {
            turn.bare = bare && !turn.parts.iter().any(said);
            if id.is_some() {
                turn.id = id;
            }
            turn.rest.0.extend(rest.0);
            turn.parts.extend(parts);
        }
        Ok(())
    }

    fn reasoning(&mut self, raw: &RawValue, mut level: Level<'_>) -> Result<(), Failure> {
        let mut reasoning = Reasoning {
            id: level.string("id")?,
            ..Reasoning::default()
        };
        let mut known = true;
        for (field, kind, form) in [
            ("summary", "summary_text", ReasoningForm::Summary),
            ("content", "reasoning_text", ReasoningForm::Full),
        ] {
            let Some(list) = level.raw(field) else {
                continue;
            };
            match content::texts(list, kind) {
                Some(texts) => reasoning
                    .texts
                    .extend(texts.into_iter().map(|text| ReasoningText { form, text })),
                None => known = false,
            }
        }
        let format = level.string("format")?;
        let data = level.string("encrypted_content")?;
        let signature = match data {
            Some(_) => None,
            None => level.string("signature")?,
        };
        if !known {
            self.assistant(opaque("reasoning", raw));
            return Ok(());
        }
        let is_sealed = data.as_ref().is_some_and(|data| data.starts_with(SEAL));
        match data.map(|data| echoed(&data, format.as_deref())) {
            None => {
                reasoning.artefact = signature.map(|data| Artefact {
                    provenance: provenance(format.as_deref(), None),
                    kind: ArtefactKind::Signature,
                    data,
                });
            }
            Some(Echoed::Reasoning { artefact, id, text }) => {
                reasoning.artefact = artefact;
                // In an envelope stands the name that its issuer gave it, if it did; that of the item is ours then.
                if id.is_some() || is_sealed {
                    reasoning.id = id;
                }
                if let Some(text) = text {
                    let form = ReasoningForm::Full;
                    reasoning.texts = vec![ReasoningText { form, text }];
                }
            }
            Some(Echoed::Call(id, artefact)) => {
                self.proof(&id, artefact);
                return Ok(());
            }
        }
        let part = Part {
            kind: PartKind::Reasoning(reasoning),
            cache: None,
            rest: rest_of(level),
        };
        self.thought(part);
        Ok(())
    }

    /// Adds a stretch of reasoning: one of the same item as the one before it goes on with that one.
    fn thought(&mut self, part: Part) {
        if let PartKind::Reasoning(next) = &part.kind
            && part.rest.is_empty()
            && let Some(turn) = self.open()
            && let Some(Part {
                kind: PartKind::Reasoning(have),
                rest,
                ..
            }) = turn.parts.last_mut()
            && rest.is_empty()
            && have.artefact.is_none()
            && have.id.is_some()
            && have.id == next.id
        {
            have.texts.extend_from_slice(&next.texts);
            have.artefact.clone_from(&next.artefact);
            return;
        }
        self.assistant(part);
    }

    /// The artefact of a call goes to its call; without one it proves nothing.
    fn proof(&mut self, id: &str, artefact: Artefact) {
        let Some((message, part)) = self.calls.get(id).copied() else {
            return;
        };
        let message = self.messages.get_mut(message);
        let part = message.and_then(|message| message.parts.get_mut(part));
        if let Some(PartKind::ToolCall(call)) = part.map(|part| &mut part.kind) {
            call.artefact = Some(artefact);
        }
    }

    fn output(&mut self, mut level: Level<'_>, flavour: ToolFlavour) -> Result<(), Failure> {
        let call_id = level.required("call_id")?;
        let raw = level.raw("output").ok_or_else(|| level.missing("output"))?;
        let (parts, bare) = content::parse(raw, &level.at("output"))?;
        let result = ToolResult {
            call_id,
            name: level.string("name")?,
            parts,
            bare,
            is_error: None,
            flavour,
        };
        // The item's own id names nothing that anybody else refers to.
        level.raw("id");
        let part = Part {
            kind: PartKind::ToolResult(result),
            cache: None,
            rest: rest_of(level),
        };
        self.messages.push(Message::new(Role::Tool, vec![part]));
        Ok(())
    }

    /// The assistant's turn that is not over.
    fn open(&mut self) -> Option<&mut Message> {
        let known = self.messages.len() > self.first;
        self.messages
            .last_mut()
            .filter(|message| known && message.role == Role::Assistant)
    }

    fn assistant(&mut self, part: Part) {
        let id = match &part.kind {
            PartKind::ToolCall(call) => Some(call.id.clone()),
            _ => None,
        };
        match self.open() {
            Some(turn) => turn.parts.push(part),
            None => self
                .messages
                .push(Message::new(Role::Assistant, vec![part])),
        }
        if let (Some(id), Some(turn)) = (id, self.messages.last()) {
            let place = (self.messages.len() - 1, turn.parts.len() - 1);
            self.calls.insert(id, place);
        }
    }
}

/// True for a part that is an item of its own, and not a part of a message.
pub(super) fn is_item(part: &Part) -> bool {
    match &part.kind {
        PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Reasoning(_)
        | PartKind::ServerToolUse(_)
        | PartKind::ServerToolResult(_) => true,
        PartKind::Opaque { kind, .. } => !kind.starts_with(PART),
        _ => false,
    }
}

fn opaque(kind: &str, raw: &RawValue) -> Part {
    PartKind::Opaque {
        dialect: DialectName::Responses,
        kind: kind.to_owned(),
        json: Json::from(raw),
    }
    .into()
}

fn call(mut level: Level<'_>, flavour: ToolFlavour) -> Result<Part, Failure> {
    let field = match flavour {
        ToolFlavour::Function => "arguments",
        ToolFlavour::Custom => "input",
    };
    let id = level.required("call_id")?;
    let name = level.required("name")?;
    let namespace = level.string("namespace")?;
    let raw = level.raw(field).ok_or_else(|| level.missing(field))?;
    // An object in place of the documented string is taken as its text.
    let arguments = string(raw).map_or_else(|| raw.get().to_owned(), |text| text.into_owned());
    level.raw("id");
    let call = ToolCall {
        id,
        name,
        namespace,
        arguments,
        flavour,
        artefact: None,
    };
    Ok(Part {
        kind: PartKind::ToolCall(call),
        cache: None,
        rest: rest_of(level),
    })
}

/// What was not taken. That an item is complete is what every item is that says nothing.
fn rest_of(mut level: Level<'_>) -> Rest {
    if level.peek("status").and_then(string).as_deref() == Some("completed") {
        level.raw("status");
    }
    let mut rest = level.into_rest();
    rest.0.retain(|(_, value)| !value.is_null());
    rest
}
