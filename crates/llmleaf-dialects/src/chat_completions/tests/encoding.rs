//! Answers: what is told to a consumer reads back as what was received.

use super::recorded::{self, decode, frame, frames};
use crate::chat_completions::answer::finish_word;
use crate::chat_completions::events::encoder;
use crate::chat_completions::response::{parse_response, render_response};
use crate::chat_completions::{Quirks, errors};
use crate::{Encoder, ReplyContext};
use llmleaf_model::*;
use serde_json::{Value, json};

pub(super) fn context() -> ReplyContext {
    ReplyContext {
        fallback_id: "fallback".into(),
        request_id: "req".into(),
        model: "asked".into(),
        created: 9,
        stream_usage: true,
        hide_reasoning: false,
        whole_calls: false,
        request: None,
    }
}

fn collect(events: &[Event]) -> Option<Response> {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event.clone()).ok()?;
    }
    Some(collector.into_response())
}

fn encode(events: &[Event], context: ReplyContext) -> String {
    let mut encoder = encoder(context);
    let mut out = Vec::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

/// An answer without what a rewriting may change: native reports and words, and where citations came from.
fn essence(mut response: Response) -> Response {
    response.start.created = None;
    response.start.id = response.start.id.filter(|id| id != "chatcmpl-fallback");
    response.start.model = response.start.model.filter(|m| m != "asked");
    if let Some(usage) = &mut response.usage {
        usage.native = None;
        usage.server_tool_calls = 0;
        usage.input_cache_write += std::mem::take(&mut usage.input_cache_write_1h);
    }
    for choice in &mut response.choices {
        let has_calls = choice
            .blocks
            .iter()
            .any(|b| matches!(b.kind, BlockKind::ToolCall { .. }));
        if let Some(finish) = &mut choice.finish {
            let word = finish_word(finish, has_calls);
            *finish = Finish::new(FinishReason::Other, word);
        }
        for block in &mut choice.blocks {
            if matches!(
                block.kind,
                BlockKind::ToolCall {
                    flavour: ToolFlavour::Function,
                    ..
                }
            ) && block.arguments.is_empty()
            {
                block.arguments = "{}".into();
            }
            for citation in &mut block.citations {
                citation.native = Json::from_value(&());
                citation.span = citation.span.filter(|span| *span != (0, 0));
                citation.title = citation.title.take().or(citation.url.clone());
            }
        }
    }
    response
}

#[test]
fn recorded_streams_are_told_so_that_they_read_back() {
    for recording in recorded::all() {
        let Some(sse) = recording.sse.as_deref() else {
            continue;
        };
        let events = decode(&recording.quirks(), &frames(sse, usize::MAX));
        let Some(before) = collect(&events) else {
            let told = encode(&events, context());
            assert!(!told.contains("[DONE]") && told.contains("\"finish_reason\":\"error\""));
            continue;
        };
        let told = encode(&events, context());
        let after = collect(&decode(&Quirks::REFERENCE, &frames(&told, 50))).unwrap();
        assert_eq!(essence(before), essence(after), "{}", recording.id);
    }
}

#[test]
fn recorded_responses_are_told_so_that_they_read_back() {
    let mut seen = 0;
    for recording in recorded::all().into_iter().filter(|r| r.status < 400) {
        let Some(body) = recording.body else { continue };
        let events = parse_response(body.as_bytes(), &Quirks::REFERENCE);
        recorded::check(&events);
        let Some(before) = collect(&events) else {
            // A body of the right status that is no answer at all.
            assert!(!body.contains("\"message\":{"), "{}", recording.id);
            continue;
        };
        seen += 1;
        let reply = render_response(&before, &context());
        assert_eq!(reply.status, 200);
        let told = parse_response(&reply.body, &Quirks::REFERENCE);
        let mut after = collect(&told).unwrap();
        let mut before = essence(before);
        // A whole message joins what a stream keeps apart, so only the joined texts can be compared.
        for response in [&mut before, &mut after] {
            for choice in &mut response.choices {
                flatten(choice);
            }
        }
        assert_eq!(before, essence(after), "{}", recording.id);
    }
    assert!(seen == 0 || seen > 200, "{seen}");
}

/// One text block per lane, in a fixed order, the rest behind.
fn flatten(choice: &mut Choice) {
    let mut joined: Vec<Block> = Vec::new();
    for block in choice.blocks.drain(..) {
        let prose = matches!(block.kind, BlockKind::Text);
        match joined.iter_mut().find(|b| prose && b.kind == block.kind) {
            Some(have) => {
                have.text.push_str(&block.text);
                have.citations.extend(block.citations);
                have.logprobs.extend(block.logprobs);
            }
            None => joined.push(block),
        }
    }
    joined.sort_by_key(|b| !matches!(b.kind, BlockKind::Reasoning { .. }));
    for block in &mut joined {
        if !block.logprobs.is_empty() {
            let tokens: usize = block
                .logprobs
                .iter()
                .map(|l| l.as_str().matches("\"token\"").count())
                .sum();
            block.logprobs = vec![Json::from_value(&tokens)];
        }
    }
    choice.blocks = joined;
}

fn block(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart {
        block,
        choice: 0,
        kind,
    }
}

fn call(id: &str) -> BlockKind {
    BlockKind::ToolCall {
        id: id.into(),
        name: "f".into(),
        flavour: ToolFlavour::Function,
    }
}

fn delta(block: u32, delta: Delta) -> Event {
    Event::BlockDelta { block, delta }
}

fn finish(reason: FinishReason, native: &str) -> Event {
    Event::ChoiceEnd {
        choice: 0,
        finish: Finish::new(reason, native),
    }
}

#[test]
fn a_stream_looks_like_the_reference() {
    let usage = Usage {
        input: 3,
        input_cache_read: 2,
        output: 4,
        output_reasoning: 1,
        ..Usage::default()
    };
    let events = [
        Event::ResponseStart(ResponseStart::default()),
        block(0, BlockKind::Text),
        delta(0, Delta::Text("hi\n\"".into())),
        Event::BlockEnd { block: 0 },
        block(1, call("a")),
        block(2, call("b")),
        delta(1, Delta::Arguments("{}".into())),
        Event::UsageReport(usage),
        Event::BlockEnd { block: 2 },
        Event::BlockEnd { block: 1 },
        finish(FinishReason::Stop, "end_turn"),
        Event::ResponseEnd,
        delta(0, Delta::Text("late".into())),
    ];
    let head = r#"{"id":"chatcmpl-fallback","object":"chat.completion.chunk","created":9,"model":"asked","choices":["#;
    let chunk = |delta: &str, finish: &str| {
        format!(
            "data: {head}{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let expected = [
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"hi\n\""}"#, "null"),
        chunk(
            r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
            "null",
        ),
        chunk(
            r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"f","arguments":""}}]}"#,
            "null",
        ),
        chunk(
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
            "null",
        ),
        chunk(
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
            "null",
        ),
        chunk("{}", r#""tool_calls","native_finish_reason":"end_turn""#),
        format!(
            "data: {head}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":5,\"total_tokens\":10,\"prompt_tokens_details\":{{\"cached_tokens\":2,\"audio_tokens\":0}},\"completion_tokens_details\":{{\"reasoning_tokens\":1,\"audio_tokens\":0}}}}}}\n\n"
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(encode(&events, context()), expected.concat());
}

#[test]
fn an_error_ends_a_stream_without_a_success_mark() {
    let failure = Failure::upstream(FailureKind::Truncated, "cut");
    let events = [
        block(0, BlockKind::Text),
        delta(0, Delta::Text("x".into())),
        Event::Error(Box::new(failure)),
        Event::ResponseEnd,
    ];
    let told = encode(&events, context());
    assert!(!told.contains("[DONE]"));
    let last = told.trim_end().rsplit("data: ").next().unwrap();
    let read = errors::in_band(last);
    assert_eq!(read.code.as_deref(), Some("upstream_truncated"));
    let frames = frames(&told, 3);
    assert!(matches!(
        decode(&Quirks::REFERENCE, &frames).last(),
        Some(Event::Error(_))
    ));
}

#[test]
fn hidden_reasoning_is_hidden_and_foreign_blocks_are_losses() {
    let thought = BlockKind::Reasoning {
        id: None,
        form: ReasoningForm::Full,
    };
    let opaque = BlockKind::Opaque {
        dialect: DialectName::Messages,
        kind: "x".into(),
        json: Json::from_value(&1),
    };
    let events = [
        block(0, thought),
        delta(0, Delta::Text("secret".into())),
        Event::BlockEnd { block: 0 },
        block(1, opaque),
        Event::BlockEnd { block: 1 },
        finish(FinishReason::Stop, "stop"),
        Event::ResponseEnd,
    ];
    let mut hidden = context();
    hidden.hide_reasoning = true;
    assert!(!encode(&events, hidden.clone()).contains("secret"));
    let response = collect(&events).unwrap();
    let reply = render_response(&response, &hidden);
    assert!(!String::from_utf8(reply.body).unwrap().contains("secret"));
    assert_eq!(reply.losses.len(), 1);
    let mut encoder = encoder(context());
    let mut out = Vec::new();
    for event in &events {
        encoder.encode(event, &mut out);
    }
    assert_eq!(encoder.take_losses().len(), 1);
    assert_eq!(encoder.take_losses().len(), 0);
}

#[test]
fn whole_answers_have_their_shape() {
    let body = json!({
        "id": "a", "model": "m", "created": 1, "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": null, "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}],
            "audio": {"id": "au", "data": "QQ==", "transcript": "t"},
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]
        }}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0.5}
    });
    let response = collect(&parse_response(
        body.to_string().as_bytes(),
        &Quirks::REFERENCE,
    ))
    .unwrap();
    let reply = render_response(&response, &context());
    let told: Value = serde_json::from_slice(&reply.body).unwrap();
    let message = &told["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(message["images"], body["choices"][0]["message"]["images"]);
    assert_eq!(message["audio"], body["choices"][0]["message"]["audio"]);
    assert_eq!(told["usage"]["cost"], 0.5);
    assert_eq!(told["object"], "chat.completion");
}

#[test]
fn a_body_that_is_no_answer_is_an_error() {
    for (body, kind) in [
        ("", FailureKind::InvalidResponse),
        ("<html>", FailureKind::InvalidResponse),
        (r#"{"id":"a","choices":[]}"#, FailureKind::InvalidResponse),
        (
            r#"{"error":{"message":"m","code":429}}"#,
            FailureKind::RateLimit,
        ),
        (
            r#"{"base_resp":{"status_code":1008,"status_msg":"m"},"choices":null}"#,
            FailureKind::Quota,
        ),
    ] {
        let events = parse_response(body.as_bytes(), &Quirks::REFERENCE);
        recorded::check(&events);
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{events:?}");
        };
        assert_eq!(failure.kind, kind, "{body}");
    }
    assert!(frame("[DONE]").has_data);
}

#[test]
fn the_outline_of_an_answer_is_what_the_whole_reading_says() {
    use crate::chat_completions::outline::outline;
    let mut outlined = 0;
    for recording in recorded::all() {
        let Some(body) = recording.body else { continue };
        let Some(usage) = outline(body.as_bytes()) else {
            continue;
        };
        outlined += 1;
        let events = parse_response(body.as_bytes(), &Quirks::REFERENCE);
        let told = events.iter().rev().find_map(|event| match event {
            Event::UsageReport(usage) => Some(Usage {
                native: None,
                ..usage.clone()
            }),
            _ => None,
        });
        assert_eq!(told, Some(usage), "{}", recording.id);
        assert_eq!(events.last(), Some(&Event::ResponseEnd), "{}", recording.id);
    }
    assert!(outlined == 0 || outlined > 200, "{outlined}");
}

#[test]
fn no_outline_where_the_answer_must_be_read_whole() {
    use crate::chat_completions::outline::outline;
    let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#;
    let answer = format!(r#"{{"choices":[{{"index":0}}],{usage}}}"#);
    assert!(outline(answer.as_bytes()).is_some());
    for body in [
        answer.replace("{\"index\":0}", ""),
        answer.replace("{\"index\":0}", "7"),
        answer.replace("{\"index\":0}", "{\"finish_reason\":\"error\"}"),
        answer.replace("\"usage\"", "\"error\":{},\"usage\""),
        format!(r#"{{"x":{answer}}}"#),
        format!(r#"{{"choices":[{{}}],{usage},{usage}}}"#),
        format!("{answer}x"),
        format!("[{answer}]"),
    ] {
        assert_eq!(outline(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn calls_come_whole_where_that_is_wanted() {
    let usage = Usage {
        input: 3,
        output: 4,
        ..Usage::default()
    };
    let events = [
        Event::ResponseStart(ResponseStart::default()),
        block(0, call("a")),
        block(1, call("b")),
        delta(0, Delta::Arguments("{\"x\"".into())),
        delta(1, Delta::Arguments("{}".into())),
        delta(0, Delta::Arguments(":1}".into())),
        Event::BlockEnd { block: 0 },
        Event::BlockEnd { block: 1 },
        block(2, call("c")),
        Event::BlockEnd { block: 2 },
        finish(FinishReason::ToolCalls, "tool_use"),
        Event::UsageReport(usage),
        Event::ResponseEnd,
    ];
    for stream_usage in [false, true] {
        let wanted = ReplyContext {
            whole_calls: true,
            stream_usage,
            ..context()
        };
        let told = encode(&events, wanted);
        let chunks: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        let (done, chunks) = chunks.split_last().unwrap();
        assert_eq!(*done, "data: [DONE]");
        let chunks: Vec<Value> = chunks
            .iter()
            .map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        let calls: Vec<&Value> = chunks
            .iter()
            .flat_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array())
            .flatten()
            .collect();
        let whole = |index: u32, id: &str, arguments: &str| json!({"index": index, "id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
        let expected = [
            whole(0, "a", "{\"x\":1}"),
            whole(1, "b", "{}"),
            whole(2, "c", "{}"),
        ];
        assert_eq!(calls, expected.iter().collect::<Vec<_>>());
        // Every chunk has a choice, also the one that tells the use.
        assert!(chunks.iter().all(|c| c["choices"][0].is_object()), "{told}");
        let (last, before) = chunks.split_last().unwrap();
        assert!(before.iter().all(|c| c.get("usage").is_none()), "{told}");
        assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(last["usage"]["total_tokens"], 7);
    }
}

#[test]
fn a_call_that_was_cut_is_not_told_as_a_whole_one() {
    let events = [
        Event::ResponseStart(ResponseStart::default()),
        block(0, call("a")),
        delta(0, Delta::Arguments("{\"x\"".into())),
        Event::Error(Box::new(Failure::upstream(FailureKind::Truncated, "cut"))),
    ];
    let wanted = ReplyContext {
        whole_calls: true,
        ..context()
    };
    let told = encode(&events, wanted);
    assert!(
        !told.contains("tool_calls") && told.contains("\"error\""),
        "{told}"
    );
}

/// Side by side, no call is too large; together they are more than is kept for one stream.
#[test]
fn calls_that_are_held_are_bounded_together() {
    const MOST: usize = 6 * 1024 * 1024;
    let long = || "x".repeat(MOST);
    let more = |block| delta(block, Delta::Arguments(long()));
    let proof = |block| {
        let artefact = Artefact {
            provenance: Provenance("anthropic".into()),
            kind: ArtefactKind::Signature,
            data: long(),
        };
        delta(block, Delta::Artefact(artefact))
    };
    let end = |block| Event::BlockEnd { block };
    let told = |events: &[Event]| {
        let mut encoder = encoder(ReplyContext {
            whole_calls: true,
            ..context()
        });
        let mut told = Vec::new();
        encoder.encode(&Event::ResponseStart(ResponseStart::default()), &mut told);
        let last = [
            finish(FinishReason::ToolCalls, "tool_use"),
            Event::ResponseEnd,
        ];
        for event in events.iter().chain(&last) {
            encoder.encode(event, &mut told);
            if let Some(failure) = encoder.failure().cloned() {
                encoder.encode(&Event::Error(Box::new(failure)), &mut told);
            }
        }
        let losses = encoder.take_losses();
        let kept = losses.iter().all(|loss| !loss.field.contains("tool_calls"));
        assert!(kept, "{losses:?}");
        String::from_utf8(told).unwrap()
    };
    let [a, b, c] = [(0, "a"), (1, "b"), (2, "c")].map(|(at, id)| block(at, call(id)));
    // What was told is no longer held.
    let whole = told(&[
        a.clone(),
        b.clone(),
        more(0),
        proof(0),
        end(0),
        more(1),
        proof(1),
        proof(1),
        end(1),
        c.clone(),
        more(2),
        proof(2),
        end(2),
    ]);
    assert!(whole.ends_with("data: [DONE]\n\n") && !whole.contains("\"error\""));
    // An answer without one of its calls is another one: it ends as what it is.
    let named = block(2, call(&long()));
    for last in [vec![c.clone(), more(2)], vec![proof(1)], vec![named]] {
        let begun = [a.clone(), b.clone(), more(0), more(1)];
        let ended = [end(0), end(1)];
        let events = [begun.as_slice(), &last, &ended].concat();
        let cut = told(&events);
        assert!(!cut.contains("tool_calls") && !cut.contains("[DONE]"));
        let last = cut.trim_end().rsplit("data: ").next().unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], "error");
        assert!(last["error"].is_object(), "{last}");
    }
}

#[test]
fn the_use_is_told_also_where_no_answer_ends() {
    let usage = Usage {
        input: 5,
        output: 2,
        ..Usage::default()
    };
    let events = [
        Event::ResponseStart(ResponseStart::default()),
        Event::UsageReport(usage),
        Event::ResponseEnd,
    ];
    let wanted = ReplyContext {
        whole_calls: true,
        ..context()
    };
    let told = encode(&events, wanted);
    assert!(told.contains("\"total_tokens\":7"), "{told}");
}
