//! Requests, both ends.

use super::Quirks;
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array, foreign};
use crate::{Rendered, Target, writer};
use bytes::Bytes;
use llmleaf_model::{
    ChatRequest, DialectName, Failure, FailureKind, Json, Loss, Message, Part, PartKind, Retry,
    Role,
};
use serde_json::value::RawValue;

/// Most answers of one request: each costs a whole generation. The wire's own bound.
const MAX_CHOICES: u64 = 128;

/// Parses a consumer's request.
///
/// # Errors
/// A field has a type that this wire does not allow; the failure names it.
pub fn parse_request(body: &str) -> Result<ChatRequest, Failure> {
    let mut top = Level::top(body)?;
    let model = top.model()?;
    let mut request = ChatRequest::new(DialectName::TextCompletions, model);
    prompt(&mut top, &mut request)?;
    sampling(&mut top, &mut request)?;
    request.stream = top.bool("stream")?.unwrap_or_default();
    if let Some(mut options) = top.object("stream_options")? {
        request.stream_usage = options.bool("include_usage")?.unwrap_or_default();
        let left = options.into_rest();
        if !left.is_empty() {
            let json = writer::json_object(|object| {
                object.rest(&left);
            });
            request.rest.push("stream_options", json);
        }
    }
    request.user = top.string("user")?;
    // What asks for nothing is no loss where it is left out.
    let idle = |name: &str, raw: &RawValue| match name {
        "echo" => raw.get() == "false",
        "suffix" => raw.get() == "\"\"",
        "best_of" => raw.get() == "1",
        _ => false,
    };
    for name in ["echo", "suffix", "best_of"] {
        if let Some(raw) = top.raw(name).filter(|raw| !idle(name, raw)) {
            request.rest.push(name, Json::from(raw));
        }
    }
    if request.bound.is_none() && request.rest.get("suffix").is_some() {
        request.bound = Some("suffix".to_owned());
    }
    request.rest.0.extend(top.into_rest().0);
    Ok(request)
}

/// The prompt as a message of the user. One that only this wire can say binds the request to it, and stays as it is.
fn prompt(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let must = || wrong("prompt", "a text, a list of texts, or token ids");
    let Some(raw) = top.raw("prompt") else {
        // It begins a document of its own then.
        request.bound = Some("prompt".to_owned());
        return Ok(());
    };
    let say = |request: &mut ChatRequest, text: String| {
        request.messages.push(Message::text(Role::User, text));
    };
    if let Some(text) = string(raw) {
        say(request, text.into_owned());
        return Ok(());
    }
    let list = items(raw)
        .filter(|list| !list.is_empty())
        .ok_or_else(must)?;
    let texts: Option<Vec<_>> = list.iter().map(|item| string(item)).collect();
    if let Some([only]) = texts.as_deref() {
        say(request, only.clone().into_owned());
        return Ok(());
    }
    if texts.is_none() && list.iter().any(|item| item.get().starts_with('{')) {
        return Err(must());
    }
    // Read for what it is thought to take.
    for text in texts.into_iter().flatten() {
        say(request, text.into_owned());
    }
    request.bound = Some("prompt".to_owned());
    request.rest.push("prompt", Json::from(raw));
    Ok(())
}

fn sampling(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let sampling = &mut request.sampling;
    sampling.max_output_tokens = match top.peek("max_tokens").map(RawValue::get) {
        // The prompt alone is to be judged.
        Some("0") => {
            request.bound.get_or_insert_with(|| "max_tokens".to_owned());
            top.integer("max_tokens")?
        }
        // Local servers read it as no limit.
        Some("-1") => {
            top.raw("max_tokens");
            None
        }
        _ => top.integer("max_tokens")?,
    };
    sampling.temperature = top.number("temperature")?;
    sampling.top_p = top.number("top_p")?;
    sampling.top_k = top.number("top_k")?;
    sampling.min_p = top.number("min_p")?;
    sampling.frequency_penalty = top.number("frequency_penalty")?;
    sampling.presence_penalty = top.number("presence_penalty")?;
    sampling.repetition_penalty = top.number("repetition_penalty")?;
    sampling.seed = top.number("seed")?;
    sampling.choices = top.integer("n")?;
    if sampling
        .choices
        .is_some_and(|count| !(1..=MAX_CHOICES).contains(&count))
    {
        return Err(wrong("n", "a whole number from 1 to 128"));
    }
    if let Some(count) = top.integer("logprobs")? {
        sampling.logprobs = Some(true);
        sampling.top_logprobs = Some(count).filter(|count| *count > 0);
    }
    sampling.logit_bias = top.raw("logit_bias").map(Json::from);
    let Some(stop) = top.raw("stop") else {
        return Ok(());
    };
    let must = || wrong("stop", "a text or a list of texts");
    sampling.stop = match string(stop) {
        Some(one) => vec![one.into_owned()],
        None => items(stop)
            .ok_or_else(must)?
            .into_iter()
            .map(|item| Some(string(item)?.into_owned()))
            .collect::<Option<_>>()
            .ok_or_else(must)?,
    };
    Ok(())
}

/// Renders a request. One of another dialect must be a single text of the user's: there are no turns here.
///
/// # Errors
/// It is more than that (kind `Unsupported`: the next target may).
pub fn render_request(
    request: &ChatRequest,
    target: Target<'_>,
    quirks: &Quirks,
) -> Result<Rendered, Failure> {
    let own = request.dialect == DialectName::TextCompletions;
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", target.model);
    let prompt = request.rest.get("prompt").filter(|_| own);
    match prompt {
        Some(list) if quirks.lists => {
            object.raw("prompt", list.as_str());
        }
        Some(_) => {
            return Err(unsupported(
                "prompt",
                "the target takes one prompt at a time",
            ));
        }
        None if own && request.messages.is_empty() => {}
        None => {
            object.string("prompt", &single(request)?);
        }
    }
    write_sampling(&mut object, request);
    if target.stream {
        object.bool("stream", true);
    }
    let reports =
        quirks.chat.stream.usage == crate::chat_completions::quirks::StreamUsage::OnRequest;
    let asks = target.stream && reports;
    if asks {
        object.object("stream_options", |options| {
            options.bool("include_usage", true);
            let left = request.rest.get("stream_options").filter(|_| own);
            let left = left.and_then(|json| Object::from_raw(json.raw()));
            for (name, value) in left.iter().flat_map(|left| &left.fields) {
                options.raw(name, value.get());
            }
        });
    }
    object.string_if("user", request.user.as_deref());
    if own {
        for (name, value) in request.rest.iter() {
            if !matches!(name, "prompt" | "stream_options") {
                object.raw(name, value.as_str());
            }
        }
    } else {
        lose(request, &mut losses);
    }
    object.end();
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: asks && !request.stream_usage,
    })
}

/// The one text of the user's.
fn single(request: &ChatRequest) -> Result<String, Failure> {
    let why = "the target goes on with one text: there are no turns, instructions, tools or media";
    let plain = |part: &Part| matches!(part.kind, PartKind::Text { .. });
    match request.messages.as_slice() {
        [only]
            if only.role == Role::User
                && only.parts.iter().all(plain)
                && request.tools.is_empty()
                && request.response_format.is_none() =>
        {
            Ok(only.joined_text())
        }
        _ => Err(unsupported("messages", why)),
    }
}

fn write_sampling(object: &mut ObjectWriter<'_>, request: &ChatRequest) {
    let sampling = &request.sampling;
    if let Some(cap) = sampling.max_output_tokens {
        object.number("max_tokens", cap);
    }
    for (name, value) in [
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("top_k", &sampling.top_k),
        ("min_p", &sampling.min_p),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("repetition_penalty", &sampling.repetition_penalty),
        ("seed", &sampling.seed),
    ] {
        if let Some(value) = value {
            object.raw(name, &value.to_string());
        }
    }
    if !sampling.stop.is_empty() {
        array(object.key("stop"), &sampling.stop, |out, text| {
            writer::string(out, text);
        });
    }
    if let Some(n) = sampling.choices {
        object.number("n", n);
    }
    if sampling.logprobs == Some(true) {
        object.number("logprobs", sampling.top_logprobs.unwrap_or_default());
    }
    if let Some(bias) = &sampling.logit_bias {
        object.raw("logit_bias", bias.as_str());
    }
}

/// Names what a chat request says and this wire cannot.
fn lose(request: &ChatRequest, losses: &mut Vec<Loss>) {
    const WHY: &str = "completions have no such field";
    let output = &request.output;
    let fields = [
        ("tool_choice", request.tool_choice.is_some()),
        ("parallel_tool_calls", request.parallel_tool_calls.is_some()),
        ("reasoning", request.reasoning.is_some()),
        ("modalities", !output.modalities.is_empty()),
        ("audio", output.audio.is_some()),
        ("verbosity", output.verbosity.is_some()),
        ("metadata", request.metadata.is_some()),
        ("service_tier", request.service_tier.is_some()),
        ("prompt_cache_key", request.prompt_cache_key.is_some()),
        ("cache_control", request.cache.is_some()),
        ("store", request.store.is_some()),
    ];
    let gone = fields.into_iter().filter(|(_, there)| *there);
    losses.extend(gone.map(|(name, _)| Loss::dropped(name, WHY)));
    losses.extend(foreign(&request.rest, ""));
    for (at, message) in request.messages.iter().enumerate() {
        if message.name.is_some() {
            losses.push(Loss::dropped(format!("messages[{at}].name"), WHY));
        }
        if message.parts.iter().any(|part| part.cache.is_some()) {
            losses.push(Loss::dropped(format!("messages[{at}].cache_control"), WHY));
        }
    }
}

/// The target cannot do this; another may.
pub(super) fn unsupported(field: &str, why: &str) -> Failure {
    let mut failure = Failure::gateway(FailureKind::Unsupported, format!("`{field}`: {why}"));
    failure.param = Some(field.to_owned());
    failure.retry = Retry::NextTarget;
    failure
}
