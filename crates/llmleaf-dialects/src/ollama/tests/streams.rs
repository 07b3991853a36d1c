//! Answers: streams and whole, both ends.

use super::{CHAT, GENERATE, read, wire};
use crate::{Dialect, ReplyContext};
use llmleaf_model::{BlockKind, Collector, Event, FailureKind, FinishReason, Response};
use serde_json::{Value, json};

fn collected(events: Vec<Event>) -> Response {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event).unwrap();
    }
    assert!(collector.is_complete());
    collector.into_response()
}

fn context() -> ReplyContext {
    ReplyContext {
        model: "asked".to_owned(),
        created: 1_755_697_674,
        ..ReplyContext::default()
    }
}

/// What a consumer of this dialect is told of events, line by line.
fn told(dialect: Dialect, events: &[Event]) -> Vec<Value> {
    let mut encoder = dialect.encoder(context());
    let mut out = Vec::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const LINES: [&str; 5] = [
    r#"{"model":"qwen3","created_at":"2025-08-20T13:47:54.490267Z","message":{"role":"assistant","content":"","thinking":"th"},"done":false}"#,
    r#"{"model":"qwen3","created_at":"2025-08-20T13:47:54.5Z","message":{"role":"assistant","content":"","thinking":"ink"},"done":false}"#,
    r#"{"model":"qwen3","created_at":"2025-08-20T13:47:54.6Z","message":{"role":"assistant","content":"a"},"done":false}"#,
    r#"{"model":"qwen3","created_at":"2025-08-20T13:47:54.7Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{"x":1}}},{"id":"call_2","function":{"index":0,"name":"f","arguments":{}}}]},"done":false}"#,
    r#"{"model":"qwen3","created_at":"2025-08-20T13:47:55Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":9,"prompt_eval_count":3,"eval_count":2}"#,
];

#[test]
fn a_stream_says_what_its_lines_say() {
    let response = collected(read(&LINES));
    assert_eq!(response.start.model.as_deref(), Some("qwen3"));
    assert_eq!(response.start.created, Some(1_755_697_674));
    let choice = &response.choices[0];
    assert_eq!(
        choice.finish.as_ref().unwrap().reason,
        FinishReason::ToolCalls
    );
    let blocks: Vec<_> = choice
        .blocks
        .iter()
        .map(|block| match &block.kind {
            BlockKind::ToolCall { id, name, .. } => format!("{id} {name} {}", block.arguments),
            _ => block.text.clone(),
        })
        .collect();
    let expected = [
        "think",
        "a",
        "leaf_20250820134754490267_0 f {\"x\":1}",
        "call_2 f {}",
    ];
    assert_eq!(blocks, expected);
    let usage = response.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 2));
}

#[test]
fn a_stream_without_its_last_line_is_cut() {
    let events = read(&LINES[..4]);
    assert!(matches!(events.last(), Some(Event::Error(f)) if f.kind == FailureKind::Truncated));
    let whole = wire().parse_response(LINES[2].as_bytes());
    assert!(matches!(whole.last(), Some(Event::Error(f)) if f.kind == FailureKind::Truncated));
    let other = read(&[r#"{"status":"pulling manifest"}"#]);
    assert!(
        matches!(&other[..], [Event::Unknown { .. }, Event::Error(_)]),
        "{other:?}"
    );
}

#[test]
fn a_consumer_is_told_in_lines() {
    let lines = told(CHAT, &read(&LINES));
    let message = |content: &str, more: Value| {
        let mut message = json!({"role":"assistant","content":content});
        for (name, value) in more.as_object().unwrap() {
            message[name] = value.clone();
        }
        message
    };
    assert_eq!(lines[0]["message"], message("", json!({"thinking":"th"})));
    assert_eq!(lines[2]["message"], message("a", json!({})));
    assert_eq!(
        lines[3]["message"]["tool_calls"][0]["function"],
        json!({"index":0,"name":"f","arguments":{"x":1}})
    );
    assert_eq!(lines[4]["message"]["tool_calls"][0]["id"], "call_2");
    assert_eq!(
        lines[5],
        json!({"model":"qwen3","created_at":"2025-08-20T13:47:54Z","message":{"role":"assistant","content":""},
            "done_reason":"stop","done":true,"total_duration":9,"prompt_eval_count":3,"eval_count":2})
    );
    assert_eq!(lines.len(), 6);
}

#[test]
fn one_prompt_is_answered_in_its_form() {
    let events = read(&[
        r#"{"model":"m","created_at":"2025-08-20T13:48:22Z","response":"a","done":false}"#,
        r#"{"model":"m","created_at":"2025-08-20T13:48:22Z","response":"","done":true,"done_reason":"length","context":[1,2],"eval_count":2}"#,
    ]);
    let lines = told(GENERATE, &events);
    assert_eq!(
        lines,
        [
            json!({"model":"m","created_at":"2025-08-20T13:48:22Z","response":"a","done":false}),
            json!({"model":"m","created_at":"2025-08-20T13:48:22Z","response":"","done_reason":"length","done":true,"context":[1,2],"eval_count":2})
        ]
    );
    let reply = GENERATE.render_response(&collected(events), &context());
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (&body["response"], &body["done"]),
        (&json!("a"), &json!(true))
    );
}

#[test]
fn a_load_is_an_answer() {
    let body = br#"{"model":"m","created_at":"2024-09-12T21:17:29.110811Z","message":{"role":"assistant","content":""},"done_reason":"load","done":true}"#;
    let response = collected(wire().parse_response(body));
    let reply = CHAT.render_response(&response, &context());
    let again: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(again["done_reason"], "load");
    assert!(reply.losses.is_empty());
}

/// Thinking and calls of another family, told to a consumer of this dialect, and sent back by it.
#[test]
fn foreign_reasoning_travels_sealed() {
    let messages = crate::ChatWire::Messages(crate::messages::Quirks::REFERENCE);
    let body = br#"{"type":"message","id":"m","model":"claude","role":"assistant","content":[
        {"type":"thinking","thinking":"think","signature":"sig"},{"type":"text","text":"a"},
        {"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}"#;
    let response = collected(messages.parse_response(body));
    let reply = CHAT.render_response(&response, &context());
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (
            &answer["prompt_eval_count"],
            &answer["eval_count"],
            &answer["done_reason"]
        ),
        (&json!(3), &json!(4), &json!("stop"))
    );
    let request = json!({"model":"m","messages":[{"role":"user","content":"q"}, answer["message"],
        {"role":"tool","tool_name":"f","content":"r"}]});
    let request = super::parsed(CHAT, &request);
    let target = crate::Target {
        model: "claude",
        stream: false,
    };
    let rendered = messages.render_request(&request, target).unwrap();
    let sent: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(
        sent["messages"][1]["content"],
        json!([{"type":"thinking","thinking":"think","signature":"sig"},{"type":"text","text":"a"},
            {"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}])
    );
    assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], "toolu_1");
}

#[test]
fn losses_of_a_stream_stand_in_its_last_line() {
    let chat = crate::ChatWire::Completions(crate::chat_completions::Quirks::REFERENCE);
    let mut events = Vec::new();
    let body = br#"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"b"},"finish_reason":"stop"}]}"#;
    events.extend(chat.parse_response(body));
    let lines = told(CHAT, &events);
    let last = lines.last().unwrap();
    assert_eq!(
        last["x_llmleaf_loss"],
        "dropped choices (this wire gives one answer)"
    );
    assert!(!lines.iter().any(|line| line["message"]["content"] == "b"));
}
