//! Tests of this wire: requests, streams, errors and edits, and what was recorded.

mod errors;
mod recorded;
mod requests;
mod streams;

use super::Quirks;
use crate::{ChatWire, Target};
use llmleaf_model::{ChatRequest, Event, Loss};
use serde_json::Value;

fn wire() -> ChatWire {
    ChatWire::GenerateContent(Quirks::REFERENCE)
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

/// The events of a stream of these chunks.
fn read(chunks: &[&str]) -> Vec<Event> {
    let mut decoder = wire().decoder();
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(&frame(chunk), &mut events);
    }
    decoder.finish(&mut events);
    events
}

fn frame(data: &str) -> crate::Frame {
    crate::Frame {
        raw: format!("data: {data}\r\n\r\n").into(),
        event: None,
        data: data.to_owned().into(),
        has_data: true,
    }
}
