//! A consumer's request to the model.

use super::{options, thinking, tools, turns};
use crate::level::{Level, wrong};
use crate::object::string;
use crate::ollama::Form;
use llmleaf_model::{ChatRequest, Failure, Json, Message, Part, PartKind, ResponseFormat, Role};

/// Parses a consumer's request.
///
/// # Errors
/// A field that the wire demands is missing, or one that is read has another type; the failure names its path.
pub fn parse_request(body: &str, form: Form) -> Result<ChatRequest, Failure> {
    let mut top = Level::top(body)?;
    let model = top.required("model")?;
    let mut request = ChatRequest::new(form.name(), model);
    // It streams unless told not to, and reports usage unasked.
    request.stream = top.bool("stream")?.unwrap_or(true);
    request.stream_usage = true;
    match form {
        Form::Chat => {
            if let Some(list) = top.list("messages")? {
                request.messages = turns::parse(list)?;
            }
            tools::parse(&mut top, &mut request)?;
        }
        Form::Generate => prompt(&mut top, &mut request)?,
    }
    request.response_format = format(&mut top)?;
    if let Some(raw) = top.raw("think") {
        request.reasoning = Some(thinking::parse(raw)?);
    }
    if let Some(found) = top.object("options")? {
        options::parse(found, &mut request)?;
    }
    request.sampling.logprobs = top.bool("logprobs")?;
    request.sampling.top_logprobs = top.integer("top_logprobs")?;
    request.rest.0.extend(top.into_rest().0);
    if form == Form::Generate {
        request.bound = bound(&request);
    }
    Ok(request)
}

/// The one prompt of `/api/generate`, with its instructions and images.
fn prompt(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    if let Some(system) = top.string("system")?.filter(|text| !text.is_empty()) {
        request.messages.push(Message::text(Role::System, system));
    }
    let images = turns::images(top)?;
    let text = top.string("prompt")?.filter(|text| !text.is_empty());
    if images.is_empty() && text.is_none() {
        return Ok(());
    }
    let bare = images.is_empty();
    let mut parts: Vec<Part> = images
        .into_iter()
        .map(PartKind::Media)
        .map(Part::from)
        .collect();
    parts.extend(text.map(Part::text));
    let mut message = Message::new(Role::User, parts);
    message.bare = bare;
    request.messages.push(message);
    Ok(())
}

/// What makes a prompt more than a message: a template of its own, what shall stand behind the answer, tokens of an earlier
/// answer.
fn bound(request: &ChatRequest) -> Option<String> {
    let said = |name: &&&str| {
        let value = request.rest.get(name).map(Json::as_str);
        value.is_some_and(|value| !matches!(value, "\"\"" | "false" | "[]" | "null"))
    };
    let names = ["raw", "template", "suffix", "context"];
    names.iter().find(said).map(|name| (*name).to_owned())
}

fn format(top: &mut Level<'_>) -> Result<Option<ResponseFormat>, Failure> {
    let Some(raw) = top.raw("format") else {
        return Ok(None);
    };
    if raw.get().starts_with('{') {
        return Ok(Some(ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema: Json::from(raw),
            strict: None,
        }));
    }
    match string(raw).as_deref() {
        Some("") => Ok(None),
        Some("json") => Ok(Some(ResponseFormat::JsonObject)),
        _ => Err(wrong("format", "\"json\" or a JSON schema")),
    }
}
