//! Tests of this wire: requests, streams, errors and edits, and what was recorded.

mod errors;
mod recorded;
mod requests;
mod streams;

use super::{Form, Quirks};
use crate::{ChatWire, Dialect, Target};
use llmleaf_model::{ChatRequest, Event, Loss};
use serde_json::Value;

fn wire() -> ChatWire {
    ChatWire::Ollama(Quirks::REFERENCE)
}

const CHAT: Dialect = Dialect::Ollama(Form::Chat);
const GENERATE: Dialect = Dialect::Ollama(Form::Generate);

fn parsed(dialect: Dialect, body: &Value) -> ChatRequest {
    dialect.parse_request(&body.to_string()).unwrap()
}

/// Renders a request for a model of this wire: the body as a tree, and what was lost.
fn rendered(request: &ChatRequest, model: &str) -> (Value, Vec<Loss>) {
    let target = Target {
        model,
        stream: false,
    };
    let rendered = wire().render_request(request, target).unwrap();
    let body = serde_json::from_slice(&rendered.body).unwrap();
    (body, rendered.losses)
}

/// The events of a stream of these lines.
fn read(lines: &[&str]) -> Vec<Event> {
    let mut decoder = wire().decoder();
    let mut events = Vec::new();
    for line in lines {
        decoder.push(&frame(line), &mut events);
    }
    decoder.finish(&mut events);
    events
}

fn frame(line: &str) -> crate::Frame {
    crate::Frame {
        raw: format!("{line}\n").into(),
        event: None,
        data: line.to_owned().into(),
        has_data: true,
    }
}
