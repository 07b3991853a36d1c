//! Laws of this dialect, over recordings and over generated values.
//!
//! The recordings are data beside the repository; where they are absent the tests that need them say so.

mod edits;
mod errors;
mod losses;
mod recordings;
mod requests;
mod streams;
mod whole;

use super::Quirks;
use crate::{Decoder, Encoder, Frame, ReplyContext};
use bytes::Bytes;
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Collector, Event, Failure, Grammar, Response};

/// Cuts an event stream, pushed in pieces of `step` bytes, into frames.
fn frames(text: &str, step: usize) -> Vec<Frame> {
    let mut framer = SseFramer::new(SseLimits::default());
    let mut out = Vec::new();
    for piece in text.as_bytes().chunks(step.max(1)) {
        framer.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = framer.next() {
            out.push(frame.unwrap());
        }
    }
    out
}

/// Decodes frames and holds the events to the grammar.
fn decode(frames: &[Frame]) -> Vec<Event> {
    let mut decoder = super::events::decoder(&Quirks::REFERENCE);
    let mut out = Vec::new();
    for frame in frames {
        decoder.push(frame, &mut out);
    }
    decoder.finish(&mut out);
    lawful(&out);
    out
}

fn lawful(events: &[Event]) {
    let mut grammar = Grammar::new();
    for event in events {
        if let Err(broken) = grammar.check(event) {
            panic!("{broken} at {event:?}");
        }
    }
    grammar.finish().unwrap();
}

fn encode(events: &[Event], context: ReplyContext) -> String {
    let mut encoder = super::events::encoder(context);
    let mut out = Vec::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn collect(events: &[Event]) -> Result<Response, Box<Failure>> {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event.clone())?;
    }
    Ok(collector.into_response())
}

fn whole(response: &Response, context: &ReplyContext) -> serde_json::Value {
    let reply = super::response::render_response(response, context);
    assert_eq!(reply.status, 200);
    serde_json::from_slice(&reply.body).unwrap()
}

fn context() -> ReplyContext {
    ReplyContext {
        fallback_id: "1".into(),
        request_id: "req_1".into(),
        model: "asked".into(),
        ..ReplyContext::default()
    }
}
