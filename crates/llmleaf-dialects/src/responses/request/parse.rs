//! A consumer's request to the model.

use super::{items, settings, tools};
use crate::level::{Level, wrong};
use crate::object::string;
use llmleaf_model::{ChatRequest, DialectName, Failure, Json, Message, Role};

/// The entry of `include` by which a consumer asks for artefacts of reasoning.
pub(super) const ARTEFACTS: &str = "reasoning.encrypted_content";
/// The entry of `include` by which a consumer asks for log-probabilities.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Fields that name what only the service that holds it can read.
const BOUND: [&str; 2] = ["conversation", "prompt"];

/// Parses a consumer's request.
///
/// # Errors
/// A field that is read has another type than the wire says, or nothing is asked; the failure names its path.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    let mut top = Level::top(body)?;
    let model = top.model()?;
    if model.is_empty() {
        return Err(wrong("model", "a non-empty string"));
    }
    let mut request = ChatRequest::new(DialectName::Responses, model);
    // This wire reports usage unasked.
    request.stream_usage = true;
    request.stream = top.bool("stream")?.unwrap_or(false);
    request.bound = BOUND
        .into_iter()
        .find(|name| top.peek(name).is_some_and(|raw| raw.get() != "null"))
        .map(str::to_owned);
    request.previous_response_id = top.string("previous_response_id")?;
    if let Some(text) = top.string("instructions")? {
        request.messages.push(Message::text(Role::System, text));
    }
    input(&mut top, &mut request)?;
    for (at, raw) in top
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let tool = tools::parse(raw, format!("tools[{at}]"))?;
        request.tools.push(tool);
    }
    request.tool_choice = top.raw("tool_choice").map(tools::parse_choice);
    request.parallel_tool_calls = top.bool("parallel_tool_calls")?;
    settings::parse(&mut top, &mut request)?;
    include(&mut top, &mut request)?;
    request.store = top.bool("store")?;
    request.service_tier = top.string("service_tier")?;
    request.prompt_cache_key = top.string("prompt_cache_key")?;
    request.user = top.string("safety_identifier")?;
    if request.user.is_none() {
        request.user = top.string("user")?;
    }
    request.metadata = top.raw("metadata").map(Json::from);
    if request
        .metadata
        .as_ref()
        .is_some_and(|json| !json.as_str().starts_with('{'))
    {
        return Err(wrong("metadata", "an object"));
    }
    request.rest.0.extend(top.into_rest().0);
    Ok(request)
}

fn input(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let elsewhere = request.bound.is_some() || request.previous_response_id.is_some();
    match top.raw("input") {
        None if elsewhere => {}
        None => return Err(top.missing("input")),
        Some(raw) => match string(raw) {
            Some(text) => request.messages.push(Message::text(Role::User, text)),
            None => {
                let list = crate::object::items(raw)
                    .ok_or_else(|| wrong("input", "a string or a list of items"))?;
                items::parse(&list, request)?;
            }
        },
    }
    if request.messages.is_empty() && !elsewhere {
        return Err(wrong("input", "a string or a list of at least one item"));
    }
    Ok(())
}

/// Reads `include`: two entries have a place in the model, the others stay.
fn include(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let mut left = Vec::new();
    for (at, raw) in top
        .list("include")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let entry = string(raw).ok_or_else(|| wrong(&format!("include[{at}]"), "a string"))?;
        match &*entry {
            ARTEFACTS => request.artefacts = true,
            LOGPROBS => request.sampling.logprobs = Some(true),
            _ => left.push(entry),
        }
    }
    if !left.is_empty() {
        request.rest.push("include", Json::from_value(&left));
    }
    Ok(())
}
