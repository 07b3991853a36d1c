//! What was recorded of Ollama.

use crate::ollama::{Form, Quirks};
use crate::{ChatWire, Dialect, Target};
use bytes::Bytes;
use llmleaf_framing::{NdjsonFramer, NdjsonLimits};
use llmleaf_model::{Event, Grammar};
use llmleaf_testkit::recordings::{Body, Recording, load_where};

fn recordings() -> Option<Vec<Recording>> {
    let found = load_where("ollama-chat and ollama-generate", |r| {
        matches!(r.wire.as_str(), "ollama-chat" | "ollama-generate")
    })?;
    assert!(found.len() >= 51, "only {}", found.len());
    Some(found)
}

fn form(recording: &Recording) -> Form {
    match recording.wire.as_str() {
        "ollama-generate" => Form::Generate,
        _ => Form::Chat,
    }
}

fn wire(recording: &Recording) -> ChatWire {
    ChatWire::Ollama(match form(recording) {
        Form::Chat => Quirks::REFERENCE,
        Form::Generate => Quirks::GENERATE,
    })
}

fn events(recording: &Recording) -> Vec<Event> {
    let Body::Ndjson(text) = &recording.body else {
        let text = recording.body.text().unwrap_or_default();
        return wire(recording).parse_response(text.as_bytes());
    };
    let mut framer = NdjsonFramer::new(NdjsonLimits::default());
    framer.push(Bytes::from(text.clone()));
    let mut decoder = wire(recording).decoder();
    let mut events = Vec::new();
    while let Some(frame) = framer.next() {
        decoder.push(&frame.unwrap(), &mut events);
    }
    if let Some(frame) = framer.finish().and_then(|tail| tail.unwrap().frame) {
        decoder.push(&frame, &mut events);
    }
    decoder.finish(&mut events);
    events
}

#[test]
fn every_recorded_answer_reads_to_its_end() {
    let Some(recordings) = recordings() else {
        return;
    };
    for recording in &recordings {
        let events = events(recording);
        let mut grammar = Grammar::new();
        for event in &events {
            if let Err(broken) = grammar.check(event) {
                panic!("{}: {broken} at {event:?}", recording.id);
            }
        }
        let known = !events.iter().any(|e| matches!(e, Event::Unknown { .. }));
        let ended = matches!(events.last(), Some(Event::ResponseEnd));
        assert!(known && ended, "{}: {:?}", recording.id, events.last());
    }
}

#[test]
fn every_recorded_request_reads_and_renders_to_itself() {
    let Some(recordings) = recordings() else {
        return;
    };
    for recording in &recordings {
        let Some(body) = &recording.request_body else {
            continue;
        };
        let dialect = Dialect::Ollama(form(recording));
        let request = dialect.parse_request(body).unwrap();
        let target = Target {
            model: &request.model,
            stream: request.stream,
        };
        let rendered = wire(recording).render_request(&request, target).unwrap();
        let losses = &rendered.losses;
        assert!(losses.is_empty(), "{}: {losses:?}", recording.id);
        let written = std::str::from_utf8(&rendered.body).unwrap();
        let again = dialect.parse_request(written).unwrap();
        assert_eq!(again, request, "{}: {written}", recording.id);
    }
}
