//! A consumer's request to the model.

use super::blocks;
use super::{thinking, tools};
use crate::level::{Level, wrong};
use crate::messages::errors::THREAD_UNSUPPORTED;
use crate::messages::wire::json_object;
use crate::object::string;
use llmleaf_model::{ChatRequest, DialectName, Failure, Json, Message, ResponseFormat, Role};
use serde_json::value::RawValue;

/// Parses a consumer's request.
///
/// # Errors
/// A field that the wire demands is missing, or one that is read has another type; the failure names its path.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    let mut top = Level::top(body)?;
    // 0 is a request: it fills the prompt cache and answers nothing (reference of 2026-10-21).
    let cap = top
        .integer("max_tokens")?
        .ok_or_else(|| top.missing("max_tokens"))?;
    let mut request = read(top)?;
    request.sampling.max_output_tokens = Some(cap);
    Ok(request)
}

/// Parses a request to count tokens: the same without an output cap.
pub(in crate::messages) fn parse_count(body: &str) -> Result<ChatRequest, Failure> {
    read(Level::top(body)?)
}

fn read(mut top: Level<'_>) -> Result<ChatRequest, Failure> {
    if top.raw("thread").is_some() {
        return Err(threaded());
    }
    let model = top.model()?;
    if model.is_empty() {
        return Err(wrong("model", "a non-empty string"));
    }
    let mut request = ChatRequest::new(DialectName::Messages, model);
    // This wire reports usage unasked.
    request.stream_usage = true;
    request.stream = top.bool("stream")?.unwrap_or(false);
    if let Some(raw) = top.raw("system") {
        request.messages.push(system(raw)?);
    }
    let messages = top
        .list("messages")?
        .ok_or_else(|| top.missing("messages"))?;
    if messages.is_empty() {
        return Err(wrong("messages", "a list of at least one message"));
    }
    for (at, raw) in messages.into_iter().enumerate() {
        request
            .messages
            .push(message(raw, format!("messages[{at}]"))?);
    }
    for (at, raw) in top
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        request
            .tools
            .push(tools::parse(raw, format!("tools[{at}]"))?);
    }
    tools::parse_choice(&mut top, &mut request)?;
    request.reasoning = thinking::parse(&mut top)?;
    output_config(&mut top, &mut request)?;
    sampling(&mut top, &mut request)?;
    metadata(&mut top, &mut request)?;
    request.service_tier = top.string("service_tier")?;
    request.cache = blocks::cache(&mut top)?;
    request.rest.0.extend(top.into_rest().0);
    Ok(request)
}

/// The consumer wants the conversation held by the service that answers, and will send only what is new to it. Nobody
/// holds it who does not speak this wire, so this is refused rather than dropped, in the words on which official
/// clients send the whole conversation instead (their tool runners ask for threads by themselves; source: the types
/// and thread helpers of Anthropic's SDKs, Python 2.14 and TypeScript 1.14, 2026-11).
fn threaded() -> Failure {
    let message =
        "the target of this model holds no conversations: send all of it, without `thread`";
    let mut failure = Failure::invalid(message, Some("thread"));
    failure.code = Some(THREAD_UNSUPPORTED.to_owned());
    failure
}

fn system(raw: &RawValue) -> Result<Message, Failure> {
    if let Some(text) = string(raw) {
        return Ok(Message::text(Role::System, text));
    }
    let parts = blocks::list(raw, "system")?;
    Ok(Message::new(Role::System, parts))
}

fn message(raw: &RawValue, path: String) -> Result<Message, Failure> {
    let mut level = Level::of(raw, path)?;
    let role = match level.required("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(wrong(&level.at("role"), "user, assistant or system")),
    };
    let content = level
        .raw("content")
        .ok_or_else(|| level.missing("content"))?;
    let mut message = match string(content) {
        Some(text) => Message::text(role, text),
        None => Message::new(role, blocks::list(content, &level.at("content"))?),
    };
    message.rest = level.into_rest();
    Ok(message)
}

fn sampling(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    request.sampling.temperature = top.number("temperature")?;
    request.sampling.top_p = top.number("top_p")?;
    request.sampling.top_k = top.number("top_k")?;
    for (at, raw) in top
        .list("stop_sequences")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let text =
            string(raw).ok_or_else(|| wrong(&format!("stop_sequences[{at}]"), "a string"))?;
        request.sampling.stop.push(text.into_owned());
    }
    Ok(())
}

fn metadata(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    if let Some(mut level) = top.object("metadata")? {
        request.user = level.string("user_id")?;
        let rest = level.into_rest();
        if !rest.is_empty() {
            request.metadata = Some(json_object(|object| {
                object.rest(&rest);
            }));
        }
    }
    Ok(())
}

/// Reads `output_config` and its deprecated forerunner `output_format`. What it does not know of it stays in `rest`.
fn output_config(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    if let Some(mut level) = top.object("output_config")? {
        if let Some(effort) = thinking::parse_effort(&mut level)? {
            request.reasoning.get_or_insert_default().effort = Some(effort);
        }
        request.response_format = level.raw("format").map(format);
        let rest = level.into_rest();
        if !rest.is_empty() {
            let json = json_object(|object| {
                object.rest(&rest);
            });
            request.rest.push("output_config", json);
        }
    }
    if request.response_format.is_none() {
        request.response_format = top.raw("output_format").map(format);
    }
    Ok(())
}

fn format(raw: &RawValue) -> ResponseFormat {
    let read = || {
        let mut level = Level::of(raw, String::new()).ok()?;
        let known = level.string("type").ok()?.as_deref() == Some("json_schema");
        let schema = level.raw("schema")?;
        (known && level.is_empty()).then(|| ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema: Json::from(schema),
            strict: None,
        })
    };
    read().unwrap_or_else(|| ResponseFormat::Opaque {
        dialect: DialectName::Messages,
        json: Json::from(raw),
    })
}
