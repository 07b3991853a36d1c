//! Requests, both ends.

use super::{ModerationForm, ModerationWire, unsupported};
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use crate::splice::Splices;
use crate::writer::{self, ObjectWriter, array};
use crate::{Head, Rendered, edits, head};
use bytes::Bytes;
use llmleaf_model::{DialectName, Failure, Json, Loss, ModerationInput, ModerationRequest};
use serde_json::value::RawValue;

pub(super) fn parse(
    form: ModerationForm,
    body: &str,
    model: &str,
) -> Result<ModerationRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let input = top.raw("input").ok_or_else(|| top.missing("input"))?;
    let (inputs, bare) = match form {
        ModerationForm::Inputs => inputs(input)?,
        ModerationForm::Conversations => conversations(input)?,
    };
    Ok(ModerationRequest {
        dialect: DialectName::ChatCompletions,
        model: model.to_owned(),
        inputs,
        bare,
        rest: top.into_rest(),
    })
}

/// A text, a list of texts, or a list of parts that are one input.
fn inputs(raw: &RawValue) -> Result<(Vec<ModerationInput>, bool), Failure> {
    let must = || wrong("input", "a text, a list of texts, or a list of parts");
    if let Some(text) = string(raw) {
        return Ok((vec![ModerationInput::Text(text.into_owned())], true));
    }
    let list = items(raw)
        .filter(|list| !list.is_empty())
        .ok_or_else(must)?;
    if list.iter().all(|item| item.get().starts_with('{')) {
        return Ok((vec![ModerationInput::Parts(Json::from(raw))], true));
    }
    let text = |item: &RawValue| Some(ModerationInput::Text(string(item)?.into_owned()));
    let texts: Option<Vec<_>> = list.into_iter().map(text).collect();
    Ok((texts.ok_or_else(must)?, false))
}

/// A list of messages, or a list of such lists.
fn conversations(raw: &RawValue) -> Result<(Vec<ModerationInput>, bool), Failure> {
    let must = || wrong("input", "a list of messages, or a list of such lists");
    // Older clients wrap a conversation in an object.
    let own = |raw: &RawValue| match Object::from_raw(raw) {
        Some(object) => object.get("messages").map(Json::from),
        None => raw.get().starts_with('[').then(|| Json::from(raw)),
    };
    let is_message =
        |raw: &&RawValue| Object::from_raw(raw).is_some_and(|object| object.get("role").is_some());
    let one = |json| (vec![ModerationInput::Conversation(json)], true);
    let Some(list) = items(raw) else {
        return own(raw).map(one).ok_or_else(must);
    };
    if list.first().is_some_and(is_message) {
        return Ok(one(Json::from(raw)));
    }
    let each = |raw: &RawValue| own(raw).map(ModerationInput::Conversation);
    let each: Option<Vec<_>> = list.into_iter().map(each).collect();
    let each = each.filter(|each| !each.is_empty()).ok_or_else(must)?;
    Ok((each, false))
}

pub(super) fn edit(
    wire: &ModerationWire,
    head: &Head,
    body: &Bytes,
    request: &ModerationRequest,
    model: &str,
) -> Result<Rendered, Failure> {
    let parts = |input: &ModerationInput| matches!(input, ModerationInput::Parts(_));
    if !wire.parts && request.inputs.iter().any(parts) {
        return render(wire, request, model);
    }
    let text = head::checked(body)?;
    let mut splices = Splices::new();
    let mut losses = Vec::new();
    edits::named(head, text, model, &mut splices, &mut losses);
    Ok(edits::rendered(text, body, splices, losses))
}

pub(super) fn render(
    wire: &ModerationWire,
    request: &ModerationRequest,
    model: &str,
) -> Result<Rendered, Failure> {
    let mut losses = Vec::new();
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.string("model", model);
    match request.inputs.as_slice() {
        [ModerationInput::Parts(parts)] if wire.parts => {
            object.raw("input", parts.as_str());
        }
        inputs => {
            let texts = inputs.iter().enumerate();
            let texts = texts.map(|(at, input)| text(input, at, &mut losses));
            let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
            match texts.as_slice() {
                [only] if request.bare => {
                    object.string("input", only);
                }
                texts => array(object.key("input"), texts, |out, text| {
                    writer::string(out, text)
                }),
            }
        }
    }
    object.end();
    let rest = request.rest.iter();
    losses.extend(rest.map(|(name, _)| Loss::dropped(name, "the target has no such field")));
    Ok(Rendered {
        body: Bytes::from(out),
        losses,
        usage_added: false,
    })
}

/// An input as one text, for a service that judges nothing else.
fn text(input: &ModerationInput, at: usize, losses: &mut Vec<Loss>) -> Result<String, Failure> {
    let json = match input {
        ModerationInput::Text(text) => return Ok(text.clone()),
        ModerationInput::Parts(json) => json,
        ModerationInput::Conversation(json) => {
            let messages = items(json.raw()).unwrap_or_default();
            if messages.len() > 1 {
                let why = "the target judges a text without what was said before it";
                losses.push(Loss::dropped(format!("input[{at}]"), why));
            }
            let last = messages.last().and_then(|raw| Object::from_raw(raw));
            let content = last.as_ref().and_then(|message| message.get("content"));
            return match content.map(|raw| (string(raw), raw)) {
                Some((Some(text), _)) => Ok(text.into_owned()),
                Some((None, raw)) => joined(raw),
                None => Err(unsupported("the last message says nothing")),
            };
        }
    };
    let parts = joined(json.raw())?;
    if items(json.raw()).is_some_and(|list| list.len() > 1) {
        let why = "the target judges one text: the parts are joined";
        losses.push(Loss::approximated("input", why));
    }
    Ok(parts)
}

/// The texts of a list of parts, a line each.
fn joined(raw: &RawValue) -> Result<String, Failure> {
    let text = |part: &RawValue| {
        let part = Object::from_raw(part)?;
        Some(string(part.get("text")?)?.into_owned())
    };
    let list = items(raw).unwrap_or_default();
    let texts: Option<Vec<String>> = list.into_iter().map(text).collect();
    let texts = texts.ok_or_else(|| unsupported("the target judges texts only"))?;
    Ok(texts.join("\n"))
}
