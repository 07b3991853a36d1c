//! What this dialect promises beyond the laws of all: recorded traffic, tool loops with proofs of reasoning, and what is
//! refused rather than lost.

mod edits;
mod loops;
mod recorded;
mod requests;
mod streams;

use super::Quirks;
use crate::{ChatWire, Dialect, Rendered, ReplyContext, Target, chat_completions, messages};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Artefact, ArtefactKind, ChatRequest, Event, Provenance};
use serde_json::Value;
use std::borrow::Cow;
use std::rc::Rc;

const TARGET: Target<'static> = Target {
    model: "m",
    stream: false,
};

fn parse(body: &Value) -> ChatRequest {
    Dialect::Responses.parse_request(&body.to_string()).unwrap()
}

fn chat() -> ChatWire {
    ChatWire::Completions(chat_completions::Quirks::REFERENCE)
}

fn anthropic() -> ChatWire {
    ChatWire::Messages(messages::Quirks::REFERENCE)
}

fn own() -> ChatWire {
    ChatWire::Responses(Quirks::REFERENCE)
}

fn sent(rendered: &Rendered) -> Value {
    serde_json::from_slice(&rendered.body).unwrap()
}

fn losses(rendered: &Rendered) -> Vec<String> {
    rendered.losses.iter().map(ToString::to_string).collect()
}

/// The events of a stream's text, read as a provider's of the wire.
fn decode(wire: &ChatWire, text: &str) -> Vec<Event> {
    let mut framer = SseFramer::new(SseLimits::default());
    framer.push(bytes::Bytes::copy_from_slice(text.as_bytes()));
    let mut decoder = wire.decoder();
    let mut events = Vec::new();
    while let Some(frame) = framer.next() {
        decoder.push(&frame.unwrap(), &mut events);
    }
    decoder.finish(&mut events);
    events
}

/// Type and data of each event of a stream.
fn told(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn encode(events: &[Event], context: ReplyContext) -> String {
    let mut encoder = Dialect::Responses.encoder(context);
    let mut out = Vec::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn context(request: Option<ChatRequest>) -> ReplyContext {
    ReplyContext {
        fallback_id: "1f".into(),
        request_id: "req".into(),
        model: "asked".into(),
        request: request.map(Rc::new),
        ..ReplyContext::default()
    }
}

fn artefact(family: &'static str, kind: ArtefactKind, data: &str) -> Artefact {
    Artefact {
        provenance: Provenance(Cow::Borrowed(family)),
        kind,
        data: data.into(),
    }
}
