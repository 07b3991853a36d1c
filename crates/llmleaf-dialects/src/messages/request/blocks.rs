//! Content blocks of a request.

use super::media;
use crate::level::{Level, wrong};
use crate::messages::content::citation;
use crate::messages::reasoning;
use crate::messages::wire::{is_server_tool_result, is_server_tool_use};
use crate::object::{items, string};
use llmleaf_model::{
    Artefact, ArtefactKind, CacheHint, DialectName, Failure, Json, Part, PartKind,
    ServerToolResult, ServerToolUse, ToolCall, ToolFlavour, ToolResult,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads a list of blocks.
pub(super) fn list(raw: &RawValue, path: &str) -> Result<Vec<Part>, Failure> {
    let blocks = items(raw).ok_or_else(|| wrong(path, "a string or a list of blocks"))?;
    let mut parts = Vec::with_capacity(blocks.len());
    let mut proofs = Vec::new();
    for (at, raw) in blocks.into_iter().enumerate() {
        match block(raw, format!("{path}[{at}]"))? {
            Read::Part(part) => parts.push(*part),
            Read::Proof(id, artefact) => proofs.push((id, artefact)),
        }
    }
    for (id, artefact) in proofs {
        let call = parts.iter_mut().find_map(|part| match &mut part.kind {
            PartKind::ToolCall(call) if call.id == id => Some(call),
            _ => None,
        });
        // Without its call a proof proves nothing.
        if let Some(call) = call {
            call.artefact = Some(artefact);
        }
    }
    Ok(parts)
}

/// What a block turned out to be.
enum Read {
    Part(Box<Part>),
    /// The sealed artefact of the tool call with the id.
    Proof(String, Artefact),
}

fn block(raw: &RawValue, path: String) -> Result<Read, Failure> {
    let mut level = Level::of(raw, path)?;
    let kind = level
        .peek("type")
        .and_then(string)
        .ok_or_else(|| wrong(&level.at("type"), "a string"))?;
    let kind = match kind.as_ref() {
        "text" => text(&mut level)?,
        "tool_use" => tool_use(&mut level)?,
        "tool_result" => tool_result(&mut level)?,
        "thinking" | "redacted_thinking" => match thinking(&mut level, &kind)? {
            Ok(kind) => kind,
            Err((id, artefact)) => return Ok(Read::Proof(id, artefact)),
        },
        "image" | "document" => match media::parse(raw, &kind) {
            Some(part) => return Ok(Read::Part(Box::new(part))),
            None => return Ok(opaque(raw, kind)),
        },
        name if is_server_tool_use(name) => {
            return Ok(whole(server_tool_use(raw, &mut level)?));
        }
        name if is_server_tool_result(name) => {
            return Ok(whole(PartKind::ServerToolResult(ServerToolResult {
                dialect: DialectName::Messages,
                call_id: level.string("tool_use_id")?.unwrap_or_default(),
                kind: name.to_owned(),
                json: Json::from(raw),
            })));
        }
        _ => return Ok(opaque(raw, kind)),
    };
    level.raw("type");
    let cache = cache(&mut level)?;
    Ok(Read::Part(Box::new(Part {
        kind,
        cache,
        rest: level.into_rest(),
    })))
}

fn whole(kind: PartKind) -> Read {
    Read::Part(Box::new(Part::from(kind)))
}

fn opaque(raw: &RawValue, kind: Cow<'_, str>) -> Read {
    whole(PartKind::Opaque {
        dialect: DialectName::Messages,
        kind: kind.into_owned(),
        json: Json::from(raw),
    })
}

/// Reads `cache_control`.
pub(super) fn cache(level: &mut Level<'_>) -> Result<Option<CacheHint>, Failure> {
    let Some(mut control) = level.object("cache_control")? else {
        return Ok(None);
    };
    // The one type there is needs no place in the model; another one is kept.
    if control.peek("type").and_then(string).as_deref() == Some("ephemeral") {
        control.raw("type");
    }
    Ok(Some(CacheHint {
        ttl: control.string("ttl")?,
        rest: control.into_rest(),
    }))
}

fn text(level: &mut Level<'_>) -> Result<PartKind, Failure> {
    let text = level.required("text")?;
    let citations = level.list("citations")?.unwrap_or_default();
    Ok(PartKind::Text {
        text,
        citations: citations.into_iter().map(citation).collect(),
    })
}

fn tool_use(level: &mut Level<'_>) -> Result<PartKind, Failure> {
    let (id, name) = (level.required("id")?, level.required("name")?);
    let arguments = match level.raw("input") {
        Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
        Some(_) => return Err(wrong(&level.at("input"), "an object")),
        None => "{}".to_owned(),
    };
    Ok(PartKind::ToolCall(ToolCall {
        id,
        name,
        arguments,
        ..ToolCall::default()
    }))
}

fn tool_result(level: &mut Level<'_>) -> Result<PartKind, Failure> {
    let call_id = level.required("tool_use_id")?;
    let (parts, bare) = match level.raw("content") {
        None => (Vec::new(), false),
        Some(raw) => match string(raw) {
            Some(text) => (vec![Part::text(text)], true),
            None => (list(raw, &level.at("content"))?, false),
        },
    };
    Ok(PartKind::ToolResult(ToolResult {
        call_id,
        name: None,
        parts,
        bare,
        is_error: level.bool("is_error")?,
        flavour: ToolFlavour::Function,
    }))
}

type Thought = Result<PartKind, (String, Artefact)>;

fn thinking(level: &mut Level<'_>, kind: &str) -> Result<Thought, Failure> {
    let echoed = if kind == "thinking" {
        let text = level.string("thinking")?.unwrap_or_default();
        let signature = level.string("signature")?;
        let artefact = signature.map(|s| (ArtefactKind::Signature, Cow::Owned(s)));
        reasoning::echoed(&text, artefact)
    } else {
        let data = level.required("data")?;
        reasoning::echoed("", Some((ArtefactKind::Encrypted, Cow::Owned(data))))
    };
    Ok(echoed.map(PartKind::Reasoning))
}

fn server_tool_use(raw: &RawValue, level: &mut Level<'_>) -> Result<PartKind, Failure> {
    Ok(PartKind::ServerToolUse(ServerToolUse {
        dialect: DialectName::Messages,
        id: level.string("id")?.unwrap_or_default(),
        name: level.string("name")?.unwrap_or_default(),
        input: level.raw("input").map_or("{}", RawValue::get).to_owned(),
        json: Some(Json::from(raw)),
    }))
}
