//! Whole responses, both ends.

use super::Quirks;
use super::errors;
use super::events::MessagesDecoder;
use crate::object::Object;
use crate::{Reply, ReplyContext};
use bytes::Bytes;
use llmleaf_model::{Event, Failure, FailureKind, Response};

/// Reads a whole response as events.
pub fn parse_response(body: &[u8], quirks: &Quirks) -> Vec<Event> {
    let mut out = Vec::new();
    match std::str::from_utf8(body)
        .ok()
        .and_then(|text| Object::parse(text).ok())
    {
        Some(object) if object.get("type").map(|t| t.get()) == Some("\"error\"") => {
            let failure = errors::stream_failure(&Bytes::copy_from_slice(body));
            out.push(Event::Error(Box::new(failure)));
        }
        Some(message) => MessagesDecoder::new(quirks).whole(message, &mut out),
        None => out.push(Event::Error(Box::new(Failure::upstream(
            FailureKind::InvalidResponse,
            "the provider's answer is not a JSON object",
        )))),
    }
    out
}

/// Renders a whole response for a consumer.
pub fn render_response(_response: &Response, _context: &ReplyContext) -> Reply {
    Reply {
        status: 500,
        body: Vec::new(),
        losses: Vec::new(),
    }
}
