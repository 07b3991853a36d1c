//! What was recorded of Google's own services.

use super::wire;
use crate::{Dialect, Target};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Event, Grammar};
use llmleaf_testkit::recordings::{Body, Recording, load_where};

fn recordings() -> Option<Vec<Recording>> {
    let found = load_where("gemini-generate", |r| r.wire == "gemini-generate")?;
    assert!(found.len() >= 195, "only {}", found.len());
    Some(found)
}

fn events(recording: &Recording) -> Vec<Event> {
    let Body::Sse(text) = &recording.body else {
        let text = recording.body.text().unwrap_or_default();
        return wire().parse_response(text.as_bytes());
    };
    let mut framer = SseFramer::new(SseLimits::default());
    framer.push(text.clone().into());
    let mut decoder = wire().decoder();
    let mut events = Vec::new();
    while let Some(frame) = framer.next() {
        decoder.push(&frame.unwrap(), &mut events);
    }
    if let Some(tail) = framer.finish() {
        let tail = tail.unwrap();
        let silent = crate::Frame {
            raw: tail.raw,
            event: None,
            data: bytes::Bytes::new(),
            has_data: false,
        };
        decoder.push(&tail.frame.unwrap_or(silent), &mut events);
    }
    decoder.finish(&mut events);
    events
}

#[test]
fn every_recorded_answer_reads_to_its_end() {
    let Some(recordings) = recordings() else {
        return;
    };
    let mut errors = 0;
    for recording in recordings.iter().filter(|r| r.status == 200) {
        let events = events(recording);
        let mut grammar = Grammar::new();
        for event in &events {
            if let Err(broken) = grammar.check(event) {
                panic!("{}: {broken} at {event:?}", recording.id);
            }
        }
        // One mock of a broken service streams something else altogether.
        let known = !events.iter().any(|e| matches!(e, Event::Unknown { .. }));
        assert!(
            known || recording.capture == "vendor-mock",
            "{}",
            recording.id
        );
        match events.last() {
            Some(Event::ResponseEnd) => {}
            Some(Event::Error(failure)) => {
                errors += 1;
                eprintln!("{}: {:?} {}", recording.id, failure.kind, failure.message);
            }
            other => panic!("{}: {other:?}", recording.id),
        }
    }
    // One mock stream ends in an error, and some mocks of broken services hold no answer at all.
    assert!(errors <= 8, "{errors}");
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
        let request = match Dialect::GenerateContent.parse_request(body) {
            Ok(request) => request,
            Err(failure) => {
                assert_eq!(recording.status, 400, "{}: {failure:?}", recording.id);
                continue;
            }
        };
        let target = Target {
            model: &request.model,
            stream: false,
        };
        let rendered = wire().render_request(&request, target).unwrap();
        assert!(
            rendered.losses.is_empty(),
            "{}: {:?}",
            recording.id,
            rendered.losses
        );
        let written = std::str::from_utf8(&rendered.body).unwrap();
        let mut again = Dialect::GenerateContent.parse_request(written).unwrap();
        again.model.clone_from(&request.model);
        assert_eq!(again, request, "{}: {written}", recording.id);
        read += 1;
    }
    assert!(read >= 150, "only {read}");
}
