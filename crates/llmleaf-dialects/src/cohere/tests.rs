//! Tests of this wire: requests, streams, errors and edits, and what was recorded.

mod edits;
mod errors;
mod recorded;
mod requests;
mod streams;

use crate::{ChatWire, Dialect, Target};
use llmleaf_model::{ChatRequest, Event, Loss};
use serde_json::Value;

fn wire() -> ChatWire {
    ChatWire::CohereChat
}

/// Renders a request for a service of this wire: the body as a tree, and what was lost.
fn rendered(request: &ChatRequest) -> (Value, Vec<Loss>) {
    let target = Target {
        model: "m",
        stream: false,
    };
    let rendered = wire().render_request(request, target).unwrap();
    let body = serde_json::from_slice(&rendered.body).unwrap();
    (body, rendered.losses)
}

/// What a request of another dialect becomes.
fn translated(from: Dialect, body: &str) -> (Value, Vec<String>) {
    let request = from.parse_request(body).unwrap();
    let (body, losses) = rendered(&request);
    let fields = losses.into_iter().map(|loss| loss.field).collect();
    (body, fields)
}

/// The events of a stream of these frames' data.
fn read(data: &[&str]) -> Vec<Event> {
    let mut decoder = wire().decoder();
    let mut events = Vec::new();
    for data in data {
        decoder.push(&frame(data), &mut events);
    }
    decoder.finish(&mut events);
    events
}

fn frame(data: &str) -> crate::Frame {
    crate::Frame {
        raw: format!("data: {data}\n\n").into(),
        event: None,
        data: data.to_owned().into(),
        has_data: true,
    }
}
