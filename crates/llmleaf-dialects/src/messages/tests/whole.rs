//! Whole responses.

use super::recordings;
use super::*;
use crate::messages::response::parse_response;
use llmleaf_model::FailureKind;

#[test]
fn every_recorded_response_renders_to_itself() {
    for exchange in recordings::of(
        "every_recorded_response_renders_to_itself",
        &["anthropic-messages", "vertex-anthropic"],
    ) {
        let (Some(body), 200) = (&exchange.body, exchange.status) else {
            continue;
        };
        let events = parse_response(body.as_bytes(), &Quirks::REFERENCE);
        lawful(&events);
        let response = collect(&events).unwrap();
        let reply = crate::messages::response::render_response(&response, &context());
        assert!(
            reply.losses.is_empty(),
            "{}: {:?}",
            exchange.id,
            reply.losses
        );
        let again = parse_response(&reply.body, &Quirks::REFERENCE);
        assert_eq!(again, events, "{}", exchange.id);
        let streamed = decode(&frames(&encode(&events, context()), usize::MAX));
        assert_eq!(collect(&streamed).unwrap(), response, "{}", exchange.id);
    }
}

#[test]
fn a_good_status_can_hold_an_error() {
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
    for (body, kind) in [
        (&body[..], FailureKind::Overloaded),
        (b"<html>", FailureKind::InvalidResponse),
        (b"{}", FailureKind::InvalidResponse),
        (b"{\"content\":1}", FailureKind::InvalidResponse),
        (b"{\"content\":[1]}", FailureKind::InvalidResponse),
        (b"", FailureKind::InvalidResponse),
    ] {
        let events = parse_response(body, &Quirks::REFERENCE);
        lawful(&events);
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{body:?} was read");
        };
        assert_eq!(failure.kind, kind, "{body:?}");
    }
}
