//! Requests to chat and as they are, answers in both forms, and what a chat model says that a completion cannot.

use super::quirks::Answers;
use super::{Quirks, logprobs};
use crate::{ChatWire, Dialect, Frame, Head, ReplyContext, Target};
use bytes::Bytes;
use llmleaf_model::{
    BlockKind, Collector, Delta, Event, Failure, FailureKind, Finish, FinishReason, Json, Response,
    Retry,
};
use serde_json::{Value, json};

const OPENAI: ChatWire = ChatWire::TextCompletions(Quirks::REFERENCE);
const CHAT: ChatWire = ChatWire::Completions(crate::chat_completions::Quirks::REFERENCE);
/// Fills in the middle, one text at a time, and answers as chat.
const MIDDLE: ChatWire = ChatWire::TextCompletions(Quirks {
    lists: false,
    answers: Answers::Chat,
    ..Quirks::REFERENCE
});
const WHOLE: Target<'static> = Target {
    model: "theirs",
    stream: false,
};

fn to_chat(body: &Value) -> Result<(Value, Vec<String>), Failure> {
    let request = Dialect::TextCompletions.parse_request(&body.to_string())?;
    let rendered = CHAT.render_request(&request, WHOLE)?;
    let lost = rendered.losses.iter().map(|loss| loss.field.clone());
    let body = serde_json::from_slice(&rendered.body).expect("json");
    Ok((body, lost.collect()))
}

fn edited(wire: &ChatWire, body: &str, target: Target<'_>) -> Result<String, Failure> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let head = Head::read_as(Dialect::TextCompletions, &body)?;
    let rendered = wire.edit_request(&head, &body, target)?;
    Ok(String::from_utf8(rendered.body.to_vec()).expect("text"))
}

#[test]
fn a_prompt_becomes_a_message_and_what_chat_cannot_say_is_named() {
    let asked = json!({"model": "m", "prompt": ["Once"], "max_tokens": 5, "n": 2, "stop": "x", "logprobs": 3,
        "echo": false, "suffix": "", "best_of": 1, "temperature": 0.5});
    let (sent, lost) = to_chat(&asked).expect("rendered");
    let turn = json!([{"role": "user", "content": "Once"}]);
    let expected = json!({"model": "theirs", "messages": turn, "max_completion_tokens": 5, "temperature": 0.5,
        "stop": ["x"], "n": 2, "logprobs": true, "top_logprobs": 3});
    assert_eq!((sent, lost), (expected, vec![]));
    let asked = json!({"model": "m", "prompt": "a", "echo": true, "best_of": 4});
    assert_eq!(to_chat(&asked).expect("rendered").1, ["echo", "best_of"]);
}

#[test]
fn as_many_answers_as_chat_takes_are_asked_for() {
    for n in [0, 129] {
        let failure = to_chat(&json!({"model": "m", "prompt": "a", "n": n})).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some("n"), "{n}");
    }
    for n in [1, 128] {
        let (sent, lost) =
            to_chat(&json!({"model": "m", "prompt": "a", "n": n})).expect("rendered");
        assert_eq!((sent["n"].as_u64().unwrap_or(1), lost), (n, vec![]));
        assert!(
            Dialect::ChatCompletions
                .parse_request(&sent.to_string())
                .is_ok()
        );
    }
}

#[test]
fn what_would_ask_for_something_else_goes_to_the_next_target() {
    for (field, asked) in [
        ("prompt", json!({"model": "m", "prompt": ["a", "b"]})),
        ("prompt", json!({"model": "m", "prompt": [1, 2]})),
        ("prompt", json!({"model": "m", "prompt": [[1], [2]]})),
        ("prompt", json!({"model": "m"})),
        (
            "suffix",
            json!({"model": "m", "prompt": "a", "suffix": "b"}),
        ),
        (
            "max_tokens",
            json!({"model": "m", "prompt": "a", "max_tokens": 0, "echo": true}),
        ),
    ] {
        let failure = to_chat(&asked).expect_err("unsupported");
        let said = (failure.kind, failure.retry, failure.param.as_deref());
        let expected = (FailureKind::Unsupported, Retry::NextTarget, Some(field));
        assert_eq!(said, expected, "{asked}");
        // Its own wire says it again.
        let request = Dialect::TextCompletions.parse_request(&asked.to_string());
        let rendered = OPENAI
            .render_request(&request.expect("read"), WHOLE)
            .expect("rendered");
        let mut expected = asked;
        expected["model"] = "theirs".into();
        assert_eq!(
            serde_json::from_slice::<Value>(&rendered.body).expect("json"),
            expected
        );
    }
    let wrong = json!({"model": "m", "prompt": [{"text": "a"}]}).to_string();
    let failure = Dialect::TextCompletions
        .parse_request(&wrong)
        .expect_err("no prompt");
    assert_eq!(failure.param.as_deref(), Some("prompt"));
}

#[test]
fn the_same_wire_keeps_its_bytes_but_for_named_edits() {
    let body = r#"{ "model":"ours" ,"prompt":[ 1,2 ],"best_of":2,"x":1.50}"#;
    let sent = edited(&OPENAI, body, WHOLE).expect("edited");
    assert_eq!(sent, body.replace("ours", "theirs"));
    let streamed = r#"{"model":"theirs","prompt":"a","stream":true}"#;
    let target = Target {
        stream: true,
        ..WHOLE
    };
    let sent = edited(&OPENAI, streamed, target).expect("edited");
    assert!(
        sent.contains(r#""stream_options":{"include_usage":true}"#),
        "{sent}"
    );
    let one = r#"{"model":"theirs","prompt":[ "a\"b" ],"suffix":"c"}"#;
    let sent = edited(&MIDDLE, one, WHOLE).expect("edited");
    assert_eq!(sent, r#"{"model":"theirs","prompt":"a\"b","suffix":"c"}"#);
    let failure = edited(&MIDDLE, body, WHOLE).expect_err("a list");
    assert_eq!(
        (failure.kind, failure.retry),
        (FailureKind::Unsupported, Retry::NextTarget)
    );
    assert!(OPENAI.answers_in_kind() && !MIDDLE.answers_in_kind());
}

#[test]
fn models_of_other_families_are_served_as_chat() {
    let wire = ChatWire::TextCompletions(Quirks {
        models: vec!["davinci".into()].into(),
        ..Quirks::REFERENCE
    });
    let served = |model| wire.serves(model);
    assert!(served("davinci-002") && served("ft:davinci-002:me") && !served("gpt-4o"));
    assert!(OPENAI.serves("anything") && CHAT.serves("anything"));
}

fn response(events: Vec<Event>) -> Response {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event).expect("no error");
    }
    collector.into_response()
}

fn context() -> ReplyContext {
    ReplyContext {
        fallback_id: "f".into(),
        model: "asked".into(),
        created: 7,
        stream_usage: true,
        ..ReplyContext::default()
    }
}

#[test]
fn answers_of_either_form_reach_its_consumers() {
    let text = r#"{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"hi","logprobs":{"tokens":["h","i"],"token_logprobs":[-0.5,-1e-2],"top_logprobs":[{"h":-0.5,"H":-2},{"i":-1e-2}],"text_offset":[0,1]},"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#;
    let whole = response(OPENAI.parse_response(text.as_bytes()));
    let mut told: Value = Dialect::TextCompletions
        .render_response(&whole, &context())
        .body
        .as_slice()
        .pipe();
    let mut expected: Value = serde_json::from_str(text).expect("json");
    for one in [&mut told, &mut expected] {
        one["usage"] = Value::Null;
    }
    assert_eq!(told, expected);
    let chat = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let whole = response(MIDDLE.parse_response(chat.as_bytes()));
    let reply = Dialect::TextCompletions.render_response(&whole, &context());
    let told: Value = reply.body.as_slice().pipe();
    assert_eq!(told["choices"][0]["text"], "hi");
    for (broken, kind) in [
        ("[]", FailureKind::InvalidResponse),
        (r#"{"id":"c"}"#, FailureKind::InvalidResponse),
        (
            r#"{"error":{"message":"no","type":"server_error"}}"#,
            FailureKind::Server,
        ),
    ] {
        let events = OPENAI.parse_response(broken.as_bytes());
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{events:?}");
        };
        assert_eq!(failure.kind, kind, "{broken}");
    }
}

/// Bytes as a tree.
trait Pipe {
    fn pipe(self) -> Value;
}

impl Pipe for &[u8] {
    fn pipe(self) -> Value {
        serde_json::from_slice(self).expect("json")
    }
}

/// The events of a stream of these data.
fn read(wire: &ChatWire, data: &[&str]) -> Vec<Event> {
    let mut decoder = wire.decoder();
    let mut events = Vec::new();
    for one in data {
        let frame = Frame {
            raw: Bytes::copy_from_slice(format!("data: {one}\n\n").as_bytes()),
            event: None,
            data: Bytes::copy_from_slice(one.as_bytes()),
            has_data: true,
        };
        decoder.push(&frame, &mut events);
    }
    decoder.finish(&mut events);
    events
}

#[test]
fn a_stream_is_told_and_reads_back() {
    let chunk = |text: &str, finish: &str| {
        format!(
            r#"{{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{{"index":0,"text":"{text}","logprobs":null,"finish_reason":{finish}}}],"usage":null}}"#
        )
    };
    let report = r#"{"id":"c","object":"text_completion","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#;
    let (a, b, end) = (
        chunk("a", "null"),
        chunk("b", "null"),
        chunk("", "\"stop\""),
    );
    let events = read(&OPENAI, &[&a, &b, &end, report, "[DONE]"]);
    let mut encoder = Dialect::TextCompletions.encoder(context());
    let mut out = Vec::new();
    for event in &events {
        encoder.encode(event, &mut out);
    }
    let told = String::from_utf8(out).expect("text");
    let frames: Vec<&str> = told
        .split("\n\n")
        .filter_map(|f| f.strip_prefix("data: "))
        .collect();
    let [first, second, last, usage, done] = frames.as_slice() else {
        panic!("{told}");
    };
    assert_eq!([*first, *second, *last, *done], [&*a, &*b, &*end, "[DONE]"]);
    assert!(
        usage.contains(r#""choices":[],"usage":{"prompt_tokens":2"#),
        "{usage}"
    );
    for cut in [&[&*a][..], &[&*a, &*end], &[]] {
        let events = read(&OPENAI, cut);
        assert!(
            matches!(events.last(), Some(Event::Error(f)) if f.kind == FailureKind::Truncated),
            "{events:?}"
        );
    }
    let events = read(
        &OPENAI,
        &[
            &a,
            r#"{"error":{"message":"no","code":"server_error"}}"#,
            "[DONE]",
        ],
    );
    assert!(matches!(events.last(), Some(Event::Error(_))), "{events:?}");
}

#[test]
fn what_a_chat_model_says_beside_text_is_named() {
    let start = |block, kind| Event::BlockStart {
        block,
        choice: 0,
        kind,
    };
    let call = BlockKind::ToolCall {
        id: "t".into(),
        name: "f".into(),
        flavour: llmleaf_model::ToolFlavour::Function,
    };
    let events = vec![
        start(0, call),
        Event::BlockEnd { block: 0 },
        start(1, BlockKind::Text),
        Event::BlockDelta {
            block: 1,
            delta: Delta::Text("hi".into()),
        },
        Event::BlockEnd { block: 1 },
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::ToolCalls, "tool_calls"),
        },
        Event::ResponseEnd,
    ];
    let mut encoder = Dialect::TextCompletions.encoder(context());
    let mut out = Vec::new();
    for event in &events {
        encoder.encode(event, &mut out);
    }
    let lost: Vec<String> = encoder.take_losses().into_iter().map(|l| l.field).collect();
    assert_eq!(lost, ["choices[0].tool_calls"]);
    let reply = Dialect::TextCompletions.render_response(&response(events), &context());
    assert_eq!(
        reply.losses.first().map(|l| &*l.field),
        Some("choices[0].tool_calls")
    );
    let told: Value = reply.body.as_slice().pipe();
    assert_eq!(
        (&told["choices"][0]["text"], &told["object"]),
        (&json!("hi"), &json!("text_completion"))
    );
    let error = Failure::upstream(FailureKind::Truncated, "cut");
    let told = Dialect::TextCompletions.render_stream_error(&error, "r");
    let told = String::from_utf8(told).expect("text");
    assert!(
        told.starts_with(r#"data: {"id":"cmpl-r","object":"text_completion""#),
        "{told}"
    );
}

#[test]
fn alternatives_are_named_once_however_many_there_are() {
    const MANY: usize = 50_000;
    let other = |n: usize| json!({"token": format!("t{n}"), "logprob": -1.5});
    let mut others: Vec<Value> = (0..MANY).map(other).collect();
    others.push(json!({"token": "t0", "logprob": -9}));
    let entry = json!({"token": "t0", "logprob": -1.5, "top_logprobs": others});
    let json = Json::from_value(&json!({"content": [entry]}));
    let (mut out, mut offset) = (Vec::new(), 0);
    logprobs::write(&mut out, &[&json], &mut offset);
    let told: Value = serde_json::from_slice(&out).expect("json");
    let named = told["top_logprobs"][0].as_object().expect("an object");
    assert_eq!(named.len(), MANY);
    assert_eq!(named["t0"], json!(-1.5), "the likelier of two");
    assert_eq!(offset, 2);
}
