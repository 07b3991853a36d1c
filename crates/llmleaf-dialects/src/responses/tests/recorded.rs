//! Recorded traffic of this wire: every request reads and renders back, every answer reads lawfully, and a stream told anew
//! says what its last event said.

use super::*;
use crate::sealed::Sealed;
use llmleaf_model::{Collector, Grammar, Response};
use llmleaf_testkit::recordings::{Body, Recording, load_where};

/// A stream that is none of this wire: its service answered in chunks of the chat wire (its case says so).
const OTHER_WIRE: &str = "ai-azure-openai-openai-responses-a04c77cbd0";

fn recordings() -> Vec<Recording> {
    let found = load_where("responses: recorded", |one| one.wire == "openai-responses");
    found.unwrap_or_default()
}

fn collected(events: Vec<Event>, id: &str) -> Option<Response> {
    let mut grammar = Grammar::new();
    let mut collector = Collector::new();
    for event in events {
        grammar
            .check(&event)
            .unwrap_or_else(|broken| panic!("{id}: {broken} at {event:?}"));
        if collector.push(event).is_err() {
            return None;
        }
    }
    grammar.finish().unwrap();
    Some(collector.into_response())
}

#[test]
fn requests_read_and_render_back() {
    for recording in recordings() {
        let Some(body) = &recording.request_body else {
            continue;
        };
        let Ok(value) = serde_json::from_str::<Value>(body) else {
            continue;
        };
        let request = parse(&value);
        let target = Target {
            model: &request.model,
            stream: request.stream,
        };
        let rendered = own().render_request(&request, target).unwrap();
        assert_eq!(losses(&rendered), Vec::<String>::new(), "{}", recording.id);
        assert_eq!(parse(&sent(&rendered)), request, "{}", recording.id);
    }
}

#[test]
fn answers_read_lawfully_and_are_told_anew() {
    for recording in recordings() {
        let events = match &recording.body {
            _ if recording.status != 200 || recording.id == OTHER_WIRE => continue,
            Body::Sse(text) => decode(&own(), text),
            body => own().parse_response(body.text().unwrap().as_bytes()),
        };
        let unknown: Vec<_> = events
            .iter()
            .filter(|e| matches!(e, Event::Unknown { .. }))
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", recording.id);
        let stream = encode(&events, context(None));
        let Some(response) = collected(events, &recording.id) else {
            continue;
        };
        let again = collected(decode(&own(), &stream), &recording.id).unwrap();
        let reply = Dialect::Responses.render_response(&response, &context(None));
        let whole = collected(own().parse_response(&reply.body), &recording.id).unwrap();
        for told in [again, whole] {
            assert_eq!(said(&told), said(&response), "{}", recording.id);
            assert_eq!(
                told.usage.map(|u| u.total()),
                response.usage.as_ref().map(|u| u.total())
            );
        }
    }
}

/// An artefact's data, out of its envelope where it is of a family that this wire does not know.
fn opened(artefact: &Artefact) -> String {
    let inner = Sealed::open(&artefact.data).and_then(|sealed| sealed.artefact);
    inner.map_or_else(|| artefact.data.clone(), |inner| inner.data)
}

/// What the blocks of an answer say.
fn said(response: &Response) -> Vec<String> {
    let blocks = response.choices.iter().flat_map(|choice| &choice.blocks);
    let mut said: Vec<String> = blocks
        .map(|block| {
            let kind = format!("{:?}", block.kind);
            let kind = kind
                .split([' ', '(', '{'])
                .next()
                .unwrap_or_default()
                .to_owned();
            format!(
                "{kind} {} {} {:?} {} {}",
                block.text,
                block.arguments,
                block.artefact.as_ref().map(opened),
                block.citations.len(),
                block.logprobs.len().min(1),
            )
        })
        .filter(|one| !one.starts_with("Reasoning   None") && !one.starts_with("Text   None"))
        .collect();
    said.push(format!(
        "{:?}",
        response
            .choices
            .first()
            .and_then(|c| c.finish.clone())
            .map(|f| f.reason)
    ));
    said
}
