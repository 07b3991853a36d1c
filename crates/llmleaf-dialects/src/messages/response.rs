//! Whole responses, both ends.

mod blocks;

use super::Quirks;
use super::answer::{Answer, write_usage};
use super::errors;
use super::events::MessagesDecoder;
use super::wire::ObjectWriter;
use crate::broken::{ANSWER, corrupt};
use crate::object::Object;
use crate::{Reply, ReplyContext};
use bytes::Bytes;
use llmleaf_model::{Event, Failure, FailureKind, Response};

/// Reads a whole response as events.
pub fn parse_response(body: &[u8], quirks: &Quirks) -> Vec<Event> {
    let mut out = Vec::new();
    let text = std::str::from_utf8(body).map(crate::surrogates::mended);
    match text.as_ref().ok().and_then(|text| Object::parse(text).ok()) {
        Some(object) if object.get("type").map(|t| t.get()) == Some("\"error\"") => {
            let failure = errors::stream_failure(&Bytes::copy_from_slice(body));
            out.push(Event::Error(Box::new(failure)));
        }
        Some(message) => MessagesDecoder::new(quirks).whole(message, &mut out),
        None => out.push(Event::Error(Box::new(corrupt(
            ANSWER,
            "it is not a JSON object",
        )))),
    }
    out
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext) -> Reply {
    let start = &response.start;
    let mut answer = Answer::default();
    answer.start(start);
    let content = blocks::render(response, &mut answer, context.hide_reasoning);
    let finish = response.choices.first().and_then(|c| c.finish.as_ref());
    let Ok(ending) = answer.end(finish) else {
        let failure = Failure::upstream(
            FailureKind::Server,
            "the provider ended the answer with an error",
        );
        return errors::render_error(&failure, &context.request_id);
    };
    let mut body = Vec::with_capacity(content.len() + 512);
    let mut object = ObjectWriter::new(&mut body);
    Answer::head(&mut object, start, context);
    object.key("content").extend_from_slice(&content);
    ending.write(&mut object);
    for (name, value) in &ending.facts {
        object.raw(name, value.as_str());
    }
    answer.facts(&mut object, start, Some(&ending));
    write_usage(&mut object, response.usage.as_ref());
    object.end();
    Reply {
        status: 200,
        body,
        losses: answer.take_losses(),
    }
}
