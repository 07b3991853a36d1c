//! What was recorded of Cohere's own service.

use super::wire;
use crate::{Dialect, Head, ReplyContext, Target};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{BlockKind, Collector, Event, Grammar, Response};
use llmleaf_testkit::recordings::{Body, Recording, load_where};

fn recordings() -> Option<Vec<Recording>> {
    let found = load_where("cohere-v2", |r| r.wire == "cohere-v2")?;
    assert!(found.len() >= 69, "only {}", found.len());
    Some(found)
}

fn decoded(text: &str) -> Vec<Event> {
    let mut framer = SseFramer::new(SseLimits::default());
    framer.push(text.to_owned().into());
    let mut decoder = wire().decoder();
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

fn events(recording: &Recording) -> Vec<Event> {
    match &recording.body {
        Body::Sse(text) => decoded(text),
        body => wire().parse_response(body.text().unwrap_or_default().as_bytes()),
    }
}

fn collected(events: &[Event]) -> Response {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event.clone()).unwrap();
    }
    collector.into_response()
}

#[test]
fn every_recorded_answer_reads_to_its_end() {
    let Some(recordings) = recordings() else {
        return;
    };
    for recording in recordings.iter().filter(|r| r.status == 200) {
        let events = events(recording);
        let mut grammar = Grammar::new();
        for event in &events {
            if let Err(broken) = grammar.check(event) {
                panic!("{}: {broken} at {event:?}", recording.id);
            }
            let known = !matches!(event, Event::Unknown { .. });
            assert!(known, "{}: {event:?}", recording.id);
        }
        assert_eq!(events.last(), Some(&Event::ResponseEnd), "{}", recording.id);
        let usage = collected(&events).usage;
        assert!(usage.is_some_and(|u| u.total() > 0), "{}", recording.id);
    }
}

#[test]
fn every_recorded_request_reads_and_renders_to_itself() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut read = 0;
    for recording in &recordings {
        let Some(body) = &recording.request_body else {
            continue;
        };
        let request = Dialect::CohereChat.parse_request(body).unwrap();
        let target = Target {
            model: &request.model,
            stream: request.stream,
        };
        let rendered = wire().render_request(&request, target).unwrap();
        let losses = &rendered.losses;
        assert!(losses.is_empty(), "{}: {losses:?}", recording.id);
        let written = std::str::from_utf8(&rendered.body).unwrap();
        let again = Dialect::CohereChat.parse_request(written).unwrap();
        assert_eq!(again, request, "{}: {written}", recording.id);
        // Nothing of it is known to nobody: the reading has a place for every field of the reference.
        let known = ["safety_mode", "citation_options", "priority"];
        for (name, _) in request.rest.iter() {
            assert!(known.contains(&name), "{}: {name}", recording.id);
        }
        read += 1;
    }
    assert!(read >= 62, "only {read}");
}

/// Told to a consumer of this wire again, whole or as a stream, an answer says what it said, citations and all.
#[test]
fn every_recorded_answer_is_told_again() {
    let Some(recordings) = recordings() else {
        return;
    };
    for recording in recordings.iter().filter(|r| r.status == 200) {
        let events = events(recording);
        let response = collected(&events);
        let context = ReplyContext::default();
        let reply = Dialect::CohereChat.render_response(&response, &context);
        assert!(
            reply.losses.is_empty(),
            "{}: {:?}",
            recording.id,
            reply.losses
        );
        let mut encoder = Dialect::CohereChat.encoder(context);
        let mut bytes = Vec::new();
        for event in &events {
            encoder.encode(event, &mut bytes);
        }
        assert!(encoder.take_losses().is_empty(), "{}", recording.id);
        let whole = collected(&wire().parse_response(&reply.body));
        let streamed = collected(&decoded(std::str::from_utf8(&bytes).unwrap()));
        assert_eq!(streamed, whole, "{}", recording.id);
        assert_eq!(whole.usage, response.usage, "{}", recording.id);
        let said = |response: &Response| {
            let choice = response.choices.first().unwrap();
            let mut blocks = choice.blocks.clone();
            for block in &mut blocks {
                // A call without arguments is told with none.
                if matches!(block.kind, BlockKind::ToolCall { .. }) && block.arguments.is_empty() {
                    block.arguments = "{}".into();
                }
            }
            blocks.retain(|block| !block.text.is_empty() || !block.arguments.is_empty());
            (blocks, choice.finish.clone())
        };
        assert_eq!(said(&whole), said(&response), "{}", recording.id);
    }
}

#[test]
fn a_recorded_request_keeps_its_bytes_but_for_the_model() {
    let Some(recordings) = recordings() else {
        return;
    };
    for body in recordings.iter().filter_map(|r| r.request_body.as_ref()) {
        let bytes = bytes::Bytes::from(body.clone());
        let head = Head::read_as(Dialect::CohereChat, &bytes).unwrap();
        let target = Target {
            model: "other",
            stream: head.stream,
        };
        let edited = wire().edit_request(&head, &bytes, target).unwrap();
        let model = format!("\"{}\"", head.model);
        let expected = body.replacen(&model, "\"other\"", 1);
        assert_eq!(std::str::from_utf8(&edited.body).unwrap(), expected);
        assert!(edited.losses.is_empty());
    }
}
