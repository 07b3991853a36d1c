//! Events that the gateway says itself, and those of providers that tell of failures.

use super::consumer::place;
use crate::Dialect;
use crate::object::{self, Object};
use crate::splice::{Splices, quote};
use crate::writer::json_object;
use llmleaf_model::Failure;
use std::ops::Range;

/// A failure as an event; `about` is the consumer's event that it is about, and `id` the event's own name.
pub fn error(failure: &Failure, id: &str, about: Option<&str>) -> String {
    let body = Dialect::ChatCompletions.render_error(failure, "").body;
    let body = String::from_utf8_lossy(&body);
    let said = Object::parse(&body).unwrap_or_default();
    let said = said.get("error").and_then(Object::from_raw);
    let said = said.unwrap_or_default();
    let json = json_object(|event| {
        event.string("type", "error").string("event_id", id);
        event.object("error", |error| {
            for field in ["type", "code", "message", "param"] {
                error.raw(field, said.get(field).map_or("null", |raw| raw.get()));
            }
            match about {
                Some(about) => error.string("event_id", about),
                None => error.raw("event_id", "null"),
            };
        });
    });
    json.as_str().to_owned()
}

/// What went wrong, where an event of a provider tells of it.
#[derive(Debug)]
pub struct Wrong {
    /// The status that a reply would have had.
    pub status: u16,
    /// The event says nothing else.
    alone: bool,
    error: Range<usize>,
    message: Option<Range<usize>>,
}

impl Wrong {
    /// What the event says of it, as the body of a reply.
    pub fn body(&self, text: &str) -> String {
        let error = text.get(self.error.clone()).unwrap_or("null");
        format!("{{\"error\":{error}}}")
    }

    /// The event with other words for it.
    pub fn reworded(&self, text: &str, message: &str) -> Option<String> {
        let mut splices = Splices::new();
        splices.replace(self.message.clone()?, quote(message));
        String::from_utf8(splices.apply(text)).ok()
    }
}

/// Looks for what went wrong in an event of a provider: an error, an answer that failed, speech that could not be written down.
pub fn wrong_in(text: &str) -> Option<Wrong> {
    // Most events are long and hold none.
    if !text.contains("\"error\"") {
        return None;
    }
    let event = Object::parse(text).ok()?;
    let below = |object: &Object<'_>, name: &str| object.get(name).map(|raw| place(text, raw));
    let inner = |at: Range<usize>| Object::parse(text.get(at)?).ok();
    let kind = event.get("type").and_then(object::string)?;
    let error = match &*kind {
        "error" | "conversation.item.input_audio_transcription.failed" => below(&event, "error")?,
        "response.done" => {
            let response = inner(below(&event, "response")?)?;
            let details = inner(below(&response, "status_details")?)?;
            below(&details, "error")?
        }
        _ => return None,
    };
    let said = inner(error.clone())?;
    let message = said.get("message").filter(|raw| raw.get().starts_with('"'));
    Some(Wrong {
        status: status(&said),
        alone: kind == "error",
        message: message.map(|raw| place(text, raw)),
        error,
    })
}

/// Where an event tells of an error and nothing else: the status that a reply would have had. The event itself holds `error` as a body
/// does.
pub fn error_of(text: &str) -> Option<u16> {
    let wrong = wrong_in(text).filter(|wrong| wrong.alone);
    wrong.map(|wrong| wrong.status)
}

fn status(said: &Object<'_>) -> u16 {
    let word = |field: &str| {
        let text = said.get(field).and_then(object::string);
        text.unwrap_or_default().into_owned()
    };
    let (kind, code) = (word("type"), word("code"));
    let has = |part: &str| kind.contains(part) || code.contains(part);
    if has("rate_limit") || has("quota") {
        429
    } else if has("authentication") || has("invalid_api_key") {
        401
    } else if has("permission") {
        403
    } else if has("not_found") {
        404
    } else if kind == "invalid_request_error" {
        400
    } else {
        500
    }
}
