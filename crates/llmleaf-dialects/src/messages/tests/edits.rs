//! Same dialect in and out.

use super::*;
use crate::messages::quirks::Addressing;
use crate::messages::{count, edits::edit_request};
use crate::{Head, Rendered, Target};

fn edited(body: &str, model: &str, stream: bool) -> (Bytes, Rendered) {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read(&bytes).unwrap();
    let target = Target { model, stream };
    let rendered = edit_request(&head, &bytes, target, &Quirks::REFERENCE).unwrap();
    (bytes, rendered)
}

#[test]
fn nothing_to_edit_copies_nothing() {
    let (bytes, rendered) = edited(r#"{ "model":"m", "x":[1.0] }"#, "m", false);
    assert_eq!(rendered.body.as_ptr(), bytes.as_ptr());
    assert!(!rendered.usage_added && rendered.losses.is_empty());
}

#[test]
fn only_the_named_fields_change() {
    let body = r#"{ "stream" : true, "model":"m","top_p": 1.00 }"#;
    for (model, stream, want) in [
        (
            "n",
            true,
            r#"{ "stream" : true, "model":"n","top_p": 1.00 }"#,
        ),
        (
            "m",
            false,
            r#"{ "stream" : false, "model":"m","top_p": 1.00 }"#,
        ),
    ] {
        assert_eq!(edited(body, model, stream).1.body, want);
    }
    assert_eq!(
        edited(r#"{"model":"m"}"#, "m", true).1.body,
        r#"{"stream":true,"model":"m"}"#
    );
}

#[test]
fn the_routing_language_goes_to_services_that_speak_it_only() {
    let router = Quirks {
        extended: true,
        ..Quirks::REFERENCE
    };
    for (body, plain, routed) in [
        (
            r#"{"model":"a","provider":{"order":["x"]},"t":0.70,"route":"fallback"}"#,
            r#"{"model":"b","t":0.70}"#,
            r#"{"model":"b","provider":{"order":["x"]},"t":0.70,"route":"fallback"}"#,
        ),
        (
            r#"{"t":1, "provider":null, "models":["b"]}"#,
            r#"{"t":1, "provider":null, "model":"b"}"#,
            r#"{"model":"b","t":1, "provider":null, "models":["b"]}"#,
        ),
    ] {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = Head::read(&bytes).unwrap();
        let target = Target {
            model: "b",
            stream: false,
        };
        let sent = |quirks| edit_request(&head, &bytes, target, quirks).unwrap().body;
        assert_eq!(sent(&Quirks::REFERENCE), plain);
        assert_eq!(sent(&router), routed);
    }
}

#[test]
fn foreign_sealed_reasoning_does_not_reach_a_provider() {
    let seal = "llmleaf.v1.openai-responses-v1.encrypted.Z0FBQQ";
    let ours = "llmleaf.v1.anthropic-claude-v1.signature.QQ";
    let block = |data: &str| format!(r#"{{"type":"redacted_thinking","data":"{data}"}}"#);
    let text = r#"{"type":"text","text":"a"}"#;
    let body = |blocks: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"assistant","content":[{blocks}]}}]}}"#)
    };
    let (first, second) = (block(seal), block(ours));
    for (blocks, want, lost) in [
        (format!("{first}, {text}"), text.to_owned(), 1),
        (format!("{text} ,{first}"), text.to_owned(), 1),
        (
            format!("{first},{first},{text},{first}"),
            text.to_owned(),
            3,
        ),
        (
            format!("{text},{second}"),
            format!("{text},{}", block("A")),
            0,
        ),
        (
            first.clone(),
            r#"{"type":"text","text":"(no text)"}"#.to_owned(),
            1,
        ),
    ] {
        let (_, rendered) = edited(&body(&blocks), "m", false);
        assert_eq!(
            String::from_utf8_lossy(&rendered.body),
            body(&want),
            "{blocks}"
        );
        assert_eq!(rendered.losses.len(), lost);
    }
    // An empty turn beside an envelope is the consumer's own.
    let beside =
        format!(r#"{{"model":"m","user":"{seal}","messages":[{{"role":"user","content":[]}}]}}"#);
    let (_, rendered) = edited(&beside, "m", false);
    assert_eq!(rendered.body, beside);
}

#[test]
fn counting_edits_the_model_only() {
    let bytes = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
    let head = Head::read(&bytes).unwrap();
    let rendered = count::edit_request(&head, &bytes, "n", &Quirks::REFERENCE).unwrap();
    assert_eq!(rendered.body, r#"{"model":"n","messages":[]}"#);
}

/// A service that has the model in its path and the version in the body.
#[test]
fn the_model_leaves_and_the_version_comes_where_a_service_wants_it_so() {
    let quirks = Quirks {
        addressing: Addressing::Path {
            version: "v-1".into(),
        },
        ..Quirks::REFERENCE
    };
    let sent = |body: &str, count: bool| {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let head = Head::read(&body).expect("a request");
        let target = Target {
            model: "other",
            stream: head.stream,
        };
        let rendered = match count {
            true => crate::messages::count::edit_request(&head, &body, "other", &quirks),
            false => edit_request(&head, &body, target, &quirks),
        };
        let rendered = rendered.expect("edits");
        String::from_utf8(rendered.body.to_vec()).expect("text")
    };
    for (body, plain, counted) in [
        (
            r#"{"model":"m", "x": 1}"#,
            r#"{"anthropic_version":"v-1", "x": 1}"#,
            r#"{"anthropic_version":"v-1","model":"other", "x": 1}"#,
        ),
        (
            r#"{"x": 1, "model":"m"}"#,
            r#"{"x": 1, "anthropic_version":"v-1"}"#,
            r#"{"anthropic_version":"v-1","x": 1, "model":"other"}"#,
        ),
        (
            r#"{"x": 1, "model":"other", "anthropic_version":"v-2"}"#,
            r#"{"x": 1, "anthropic_version":"v-2"}"#,
            r#"{"x": 1, "model":"other", "anthropic_version":"v-2"}"#,
        ),
        (
            r#"{"provider":{"sort":"price"}, "models":["m","n"], "x": 1}"#,
            r#"{"anthropic_version":"v-1", "x": 1}"#,
            r#"{"anthropic_version":"v-1","model":"other", "x": 1}"#,
        ),
        (
            r#"{"model":"m"}"#,
            r#"{"anthropic_version":"v-1"}"#,
            r#"{"anthropic_version":"v-1","model":"other"}"#,
        ),
    ] {
        assert_eq!(sent(body, false), plain, "{body}");
        assert_eq!(sent(body, true), counted, "{body}");
    }
}
