//! Pairs that were cut, in both wires.

use super::*;
use crate::{ChatWire, chat_completions, messages};
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Collector, Grammar, Response};

fn wires() -> [ChatWire; 2] {
    [
        ChatWire::Completions(chat_completions::Quirks::REFERENCE),
        ChatWire::Messages(messages::Quirks::REFERENCE),
    ]
}

/// A stream of one answer whose text comes in these pieces, each written as it stands in JSON.
fn stream(wire: &ChatWire, pieces: &[&str]) -> String {
    let mut out = String::new();
    let mut say = |data: String| out.push_str(&format!("data: {data}\n\n"));
    if matches!(wire, ChatWire::Completions(_)) {
        for piece in pieces {
            say(format!(
                r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}"#
            ));
        }
        say(
            r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#
                .into(),
        );
        say("[DONE]".into());
    } else {
        say(r#"{"type":"message_start","message":{"id":"m","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}"#.into());
        say(
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
                .into(),
        );
        for piece in pieces {
            say(format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{piece}"}}}}"#
            ));
        }
        say(r#"{"type":"content_block_stop","index":0}"#.into());
        say(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#.into());
        say(r#"{"type":"message_stop"}"#.into());
    }
    out
}

fn collect(events: Vec<Event>) -> Response {
    let mut grammar = Grammar::new();
    let mut collector = Collector::new();
    for event in events {
        grammar.check(&event).unwrap();
        collector.push(event).unwrap();
    }
    grammar.finish().unwrap();
    collector.into_response()
}

fn read(wire: &ChatWire, stream: &str) -> Response {
    let mut framer = SseFramer::new(SseLimits::default());
    framer.push(Bytes::from(stream.to_owned()));
    let (mut decoder, mut events) = (wire.decoder(), Vec::new());
    while let Some(frame) = framer.next() {
        decoder.push(&frame.unwrap(), &mut events);
    }
    decoder.finish(&mut events);
    collect(events)
}

#[test]
fn a_pair_that_was_cut_is_joined_and_a_lone_half_replaced() {
    for (pieces, text) in [
        (&[r"\ud83d", r"\ude00"][..], "😀"),
        (&["a", r"b \uD83D", r"\uDE00 c", "d"], "ab 😀 cd"),
        (&[r"\ud83d", r"\ude00\ud83d", r"\ude00"], "😀😀"),
        (&[r"\ud83d\ude00 \\ud83d", "x"], r"😀 \ud83dx"),
        (&[r"\ud83d", "x", r"\ude00"], "\u{fffd}x\u{fffd}"),
        (&[r"\ud83d", r"\ud83d", r"\ude00"], "\u{fffd}😀"),
        (
            &[r"x\ude00y\ud83dz", r"\ud83d"],
            "x\u{fffd}y\u{fffd}z\u{fffd}",
        ),
        (&["\u{10d83d}", "\u{10de00}"], "\u{10d83d}\u{10de00}"),
    ] {
        for wire in wires() {
            let response = read(&wire, &stream(&wire, pieces));
            let [block] = response.choices[0].blocks.as_slice() else {
                panic!("{pieces:?}: {response:?}");
            };
            assert_eq!(block.text, text, "{pieces:?} of {wire:?}");
        }
    }
}

#[test]
fn halves_of_other_blocks_are_not_taken() {
    let [wire, _] = wires();
    let chunk = |choice: u32, piece: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":{choice},\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n"
        )
    };
    let stream = [
        chunk(0, r"\ud83d"),
        chunk(1, r"\ude01"),
        chunk(1, "b"),
        chunk(1, "c"),
        chunk(0, r"\ude00"),
        "data: [DONE]\n\n".to_owned(),
    ];
    let response = read(&wire, &stream.concat());
    let texts: Vec<&str> = response
        .choices
        .iter()
        .map(|choice| choice.blocks[0].text.as_str())
        .collect();
    assert_eq!(texts, ["😀", "\u{fffd}bc"]);
}

#[test]
fn arguments_are_joined_too() {
    let [completions, messages] = wires();
    let call = |piece: &str, head: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,{head}\"function\":{{{}\"arguments\":\"{piece}\"}}}}]}}}}]}}\n\n",
            if head.is_empty() {
                ""
            } else {
                "\"name\":\"f\","
            },
        )
    };
    let stream = [
        call(r#"{\"a\":\"\ud83d"#, "\"id\":\"t\","),
        call(r#"\ude00\"}"#, ""),
        "data: [DONE]\n\n".to_owned(),
    ];
    let response = read(&completions, &stream.concat());
    assert_eq!(response.choices[0].blocks[0].arguments, r#"{"a":"😀"}"#);
    let stream = [
        r#"{"type":"message_start","message":{"id":"m","model":"m","content":[]}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"\ud83d"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\ude00\"}"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_stop"}"#,
    ]
    .map(|data| format!("data: {data}\n\n"));
    let response = read(&messages, &stream.concat());
    assert_eq!(response.choices[0].blocks[0].arguments, r#"{"a":"😀"}"#);
}

#[test]
fn whole_answers_are_read() {
    let bodies = [
        r#"{"id":"c","choices":[{"index":0,"message":{"content":"a\ud83d\ude00\ud83d"},"finish_reason":"stop"}]}"#,
        r#"{"type":"message","id":"m","content":[{"type":"text","text":"a\ud83d\ude00\ud83d"}],"stop_reason":"end_turn"}"#,
    ];
    for (wire, body) in wires().iter().zip(bodies) {
        let response = collect(wire.parse_response(body.as_bytes()));
        assert_eq!(response.choices[0].blocks[0].text, "a😀\u{fffd}");
    }
}
