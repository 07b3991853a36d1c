//! Messages, read.

mod write;

pub(super) use write::write_all;

use super::fields::{Fields, Path};
use super::{media, reasoning, tools};
use llmleaf_model::{
    DialectName, Failure, Json, Media, MediaKind, MediaSource, Message, Part, PartKind, Rest, Role,
    ToolCall, ToolFlavour, ToolResult,
};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// Reads the conversation.
pub(super) fn parse(list: &[&RawValue], path: &Path<'_>) -> Result<Vec<Message>, Failure> {
    let mut calls = Calls::default();
    list.iter()
        .enumerate()
        .map(|(at, raw)| {
            let path = path.index(at);
            parse_message(raw, at, &path, &mut calls)
        })
        .collect()
}

/// The calls seen so far, for results that say less than other wires need.
#[derive(Default)]
struct Calls {
    flavours: HashMap<String, ToolFlavour>,
    /// Those without a result, in order.
    open: Vec<String>,
    /// Id given to the last call of the legacy form, which has none.
    legacy: Option<String>,
}

fn parse_message(
    raw: &RawValue,
    at: usize,
    path: &Path<'_>,
    calls: &mut Calls,
) -> Result<Message, Failure> {
    let mut fields = Fields::read(raw, path)?;
    let role = fields.needed_string("role")?;
    match role.as_str() {
        "system" => spoken(fields, Role::System, path),
        "developer" => spoken(fields, Role::Developer, path),
        "user" => spoken(fields, Role::User, path),
        "assistant" => assistant(fields, at, path, calls),
        "tool" => {
            // A service takes results without an id (recorded); they are those of the calls in their order.
            let call_id = fields.string("tool_call_id")?.filter(|id| !id.is_empty());
            let call_id = call_id.or_else(|| calls.open.first().cloned());
            tool_result(fields, call_id.unwrap_or_default(), path, calls)
        }
        "function" => {
            // The legacy form: the result of the one call before it. Some send the id of the newer form with it.
            let legacy = calls.legacy.take();
            let call_id = fields
                .string("tool_call_id")?
                .or(legacy)
                .unwrap_or_else(|| format!("call_legacy_{at}"));
            tool_result(fields, call_id, path, calls)
        }
        _ => Err(fields.must(
            "role",
            "one of system, developer, user, assistant, tool, function",
        )),
    }
}

fn spoken(mut fields: Fields<'_, '_>, role: Role, path: &Path<'_>) -> Result<Message, Failure> {
    let name = fields.string("name")?;
    let Some((parts, bare)) = content(&mut fields, path)? else {
        return Err(fields.must("content", "a string or a list of parts"));
    };
    Ok(Message {
        role,
        parts,
        name,
        id: None,
        bare,
        rest: fields.rest(),
    })
}

fn assistant(
    mut fields: Fields<'_, '_>,
    at: usize,
    path: &Path<'_>,
    calls: &mut Calls,
) -> Result<Message, Failure> {
    // Mistral's SDKs write it into every message of a model (AssistantMessage of the OpenAPI document 1.0.0).
    fields.pass("prefix", "false");
    let name = fields.string("name")?;
    let mut parts = reasoning::parse_echo(&mut fields, path)?;
    let content = content(&mut fields, path)?;
    let silent = content.is_none();
    let (said, bare) = content.unwrap_or((Vec::new(), true));
    // The wire refuses an empty list, so it goes on as no content at all.
    let bare = bare || said.is_empty();
    // An empty string says nothing; many clients write one beside tool calls.
    parts.extend(
        said.into_iter()
            .filter(|part| !bare || part.as_text() != Some("")),
    );
    if let Some(refusal) = fields.string("refusal")? {
        parts.push(PartKind::Refusal(refusal).into());
    }
    if let Some(id) = audio_id(&mut fields, path)? {
        let media = Media::new(MediaKind::Audio, MediaSource::FileId(id));
        parts.push(PartKind::Media(media).into());
    }
    let list = path.key("tool_calls");
    for (index, raw) in fields.list("tool_calls")?.into_iter().flatten().enumerate() {
        let part = tools::parse_call(raw, &list.index(index))?;
        if let PartKind::ToolCall(call) = &part.kind {
            calls.flavours.insert(call.id.clone(), call.flavour);
            calls.open.push(call.id.clone());
        }
        parts.push(part);
    }
    if let Some(part) = legacy_call(&mut fields, at, path, calls)? {
        parts.push(part);
    }
    reasoning::proofs_of_calls(&mut parts);
    if silent && parts.is_empty() {
        return Err(fields.must(
            "content",
            "a string or a list of parts, unless tools are called",
        ));
    }
    Ok(Message {
        role: Role::Assistant,
        parts,
        name,
        id: None,
        bare,
        rest: fields.rest(),
    })
}

/// Takes `audio: {id}`, which names an earlier spoken answer.
fn audio_id(fields: &mut Fields<'_, '_>, path: &Path<'_>) -> Result<Option<String>, Failure> {
    let Some(raw) = fields.raw("audio") else {
        return Ok(None);
    };
    let path = path.key("audio");
    Fields::read(raw, &path)?.needed_string("id").map(Some)
}

fn legacy_call(
    fields: &mut Fields<'_, '_>,
    at: usize,
    path: &Path<'_>,
    calls: &mut Calls,
) -> Result<Option<Part>, Failure> {
    let Some(raw) = fields.raw("function_call") else {
        return Ok(None);
    };
    let path = path.key("function_call");
    let mut function = Fields::read(raw, &path)?;
    let id = format!("call_legacy_{at}");
    calls.legacy = Some(id.clone());
    let call = ToolCall {
        id,
        name: function.needed_string("name")?,
        arguments: tools::arguments(&mut function, "arguments"),
        ..ToolCall::default()
    };
    Ok(Some(PartKind::ToolCall(call).into()))
}

fn tool_result(
    mut fields: Fields<'_, '_>,
    call_id: String,
    path: &Path<'_>,
    calls: &mut Calls,
) -> Result<Message, Failure> {
    if let Some(at) = calls.open.iter().position(|open| *open == call_id) {
        calls.open.remove(at);
    }
    let name = fields.string("name")?;
    let Some((parts, bare)) = content(&mut fields, path)? else {
        return Err(fields.must("content", "a string or a list of parts"));
    };
    let result = ToolResult {
        flavour: calls.flavours.get(&call_id).copied().unwrap_or_default(),
        call_id,
        name,
        parts,
        bare,
        is_error: None,
    };
    Ok(Message {
        role: Role::Tool,
        parts: vec![PartKind::ToolResult(result).into()],
        name: None,
        id: None,
        bare: false,
        rest: fields.rest(),
    })
}

/// Reads `content`: its parts, and whether it was one bare string.
fn content(
    fields: &mut Fields<'_, '_>,
    path: &Path<'_>,
) -> Result<Option<(Vec<Part>, bool)>, Failure> {
    let Some(raw) = fields.raw("content") else {
        return Ok(None);
    };
    if let Some(text) = crate::object::string(raw) {
        return Ok(Some((vec![Part::text(text)], true)));
    }
    let path = path.key("content");
    let Some(items) = crate::object::items(raw) else {
        return Err(path.must("a string or a list of parts"));
    };
    let parts = items
        .into_iter()
        .enumerate()
        .map(|(at, item)| part(item, &path.index(at)))
        .collect::<Result<_, _>>()?;
    Ok(Some((parts, false)))
}

fn part(raw: &RawValue, path: &Path<'_>) -> Result<Part, Failure> {
    let mut fields = Fields::read(raw, path)?;
    let kind = fields.needed_string("type")?;
    let mut left: Option<(&'static str, Json)> = None;
    let parsed = match kind.as_str() {
        "text" => PartKind::Text {
            text: fields.needed_string("text")?,
            citations: Vec::new(),
        },
        "refusal" => PartKind::Refusal(fields.needed_string("refusal")?),
        "thinking" => reasoning::parse_thinking_part(&mut fields, path)?,
        other => match media::parse(other, &mut fields, path)? {
            Some((media, inner)) => {
                left = inner;
                PartKind::Media(media)
            }
            None => {
                let json = Json::from(raw);
                return Ok(Part {
                    kind: PartKind::Opaque {
                        dialect: DialectName::ChatCompletions,
                        kind,
                        json,
                    },
                    cache: None,
                    rest: Rest::default(),
                });
            }
        },
    };
    let cache = fields.cache()?;
    let mut rest = fields.rest();
    if let Some((key, json)) = left {
        rest.push(key, json);
    }
    Ok(Part {
        kind: parsed,
        cache,
        rest,
    })
}
