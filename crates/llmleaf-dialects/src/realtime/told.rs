//! Events that the gateway says itself.

use crate::Dialect;
use crate::object::{self, Object};
use crate::writer::json_object;
use llmleaf_model::Failure;

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

/// Where an event tells of an error: the status that a reply would have had. The event itself holds `error` as a body does.
pub fn error_of(text: &str) -> Option<u16> {
    let event = Object::parse(text).ok()?;
    if event.get("type").and_then(object::string)? != "error" {
        return None;
    }
    let said = event.get("error").and_then(Object::from_raw)?;
    let word = |field: &str| {
        let text = said.get(field).and_then(object::string);
        text.unwrap_or_default().into_owned()
    };
    let (kind, code) = (word("type"), word("code"));
    let has = |part: &str| kind.contains(part) || code.contains(part);
    Some(if has("rate_limit") || has("quota") {
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
    })
}
