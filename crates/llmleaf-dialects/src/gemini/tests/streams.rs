//! Answers: streams and whole, both ends.

use super::{read, wire};
use crate::gemini::signature;
use crate::{Dialect, ReplyContext};
use llmleaf_model::{
    ArtefactKind, BlockKind, Collector, Delta, Event, FailureKind, FinishReason, Provenance,
    Response,
};
use serde_json::{Value, json};

fn collected(events: Vec<Event>) -> Response {
    let mut collector = Collector::new();
    for event in events {
        collector.push(event).unwrap();
    }
    assert!(collector.is_complete());
    collector.into_response()
}

/// What a consumer of this dialect is told of events, chunk by chunk.
fn told(events: &[Event]) -> Vec<Value> {
    let mut encoder = Dialect::GenerateContent.encoder(ReplyContext::default());
    let mut out = Vec::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    let chunks = text.split("\r\n\r\n").filter(|chunk| !chunk.is_empty());
    chunks
        .map(|chunk| serde_json::from_str(chunk.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[test]
fn a_stream_ends_with_its_bytes_and_not_with_a_finish_reason() {
    // Services repeat the finish reason and go on (recorded, 2024-2026); usage may come last.
    let response = collected(read(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"responseId":"r","modelVersion":"m"}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"}]}"#,
        r#"{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3}}"#,
    ]));
    assert_eq!(response.choices[0].blocks[0].text, "ab");
    assert_eq!(
        response.choices[0].finish.as_ref().unwrap().reason,
        FinishReason::Length
    );
    assert_eq!(response.usage.unwrap().total(), 3);
    assert_eq!(response.start.id.as_deref(), Some("r"));
}

#[test]
fn a_stream_without_a_finish_reason_is_cut() {
    for chunks in [
        &[r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#][..],
        &[],
        &[r#"{"candidates":[{"index":0,"finishReason":"STOP"},{"index":1}]}"#],
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#,
        ],
        &[r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":0}]}"#],
    ] {
        let events = read(chunks);
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{events:?}");
        };
        assert_eq!(failure.kind, FailureKind::Truncated);
    }
}

#[test]
fn a_blocked_prompt_is_an_answer() {
    let chunk = r#"{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"#;
    let events = read(&[chunk]);
    let response = collected(events.clone());
    let finish = response.choices[0].finish.as_ref().unwrap();
    assert_eq!(finish.reason, FinishReason::ContentFilter);
    assert_eq!(finish.native.as_deref(), Some("SAFETY"));
    let again = told(&events);
    assert_eq!(again[0]["promptFeedback"]["blockReason"], "SAFETY");
    assert_eq!(again[0]["candidates"], json!(null));
}

#[test]
fn signatures_stand_with_what_they_prove() {
    let response = collected(read(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"t","thought":true}]}}],"responseId":"r-1"}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":1}},"thoughtSignature":"c1"},{"functionCall":{"name":"f","args":{}}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2"}]},"finishReason":"STOP"}]}"#,
    ]));
    let choice = &response.choices[0];
    assert_eq!(
        choice.finish.as_ref().unwrap().reason,
        FinishReason::ToolCalls
    );
    let kinds: Vec<_> = choice
        .blocks
        .iter()
        .map(|block| {
            let proof = block.artefact.as_ref().map(|a| a.data.as_str());
            match &block.kind {
                BlockKind::Reasoning { .. } => format!("thought {} {proof:?}", block.text),
                BlockKind::ToolCall { id, .. } => format!("{id} {} {proof:?}", block.arguments),
                _ => block.text.clone(),
            }
        })
        .collect();
    let expected = [
        "thought t None",
        "a",
        "leaf_r-1_0 {\"x\":1} Some(\"c1\")",
        "leaf_r-1_1 {} None",
        "thought  Some(\"c2\")",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn arguments_in_pieces_become_one_call() {
    // Recorded, Vertex AI with `streamFunctionCallArguments`, 2026.
    let response = collected(read(&[
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"w","willContinue":true},"thoughtSignature":"s"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.city","stringValue":"Bos","willContinue":true}],"willContinue":true}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.city","stringValue":"ton"}],"willContinue":true}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]},"finishReason":"STOP"}]}"#,
    ]));
    let [call] = &response.choices[0].blocks[..] else {
        panic!("{response:?}");
    };
    assert_eq!(call.arguments, r#"{"city":"Boston"}"#);
    assert_eq!(call.artefact.as_ref().unwrap().data, "s");
}

#[test]
fn arguments_past_a_bound_end_the_answer_in_an_error() {
    let chunk = |path: String| {
        let piece = serde_json::json!({"jsonPath":path,"boolValue":true});
        json!({"candidates":[{"content":{"parts":[{"functionCall":{"name":"w","partialArgs":[piece]}}]},"finishReason":"STOP"}]}).to_string()
    };
    let deep = chunk(format!("${}", "[0]".repeat(1_000_000)));
    for events in [read(&[&deep]), wire().parse_response(deep.as_bytes())] {
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{:?}", events.last());
        };
        assert_eq!(failure.kind, FailureKind::InvalidResponse);
        assert!(failure.possibly_billed);
    }
    let events = read(&[&chunk("$.a[3]".into())]);
    assert_eq!(events.last(), Some(&Event::ResponseEnd));
}

#[test]
fn drafts_of_a_thought_are_not_told_as_media_of_the_answer() {
    let response = collected(read(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"inlineData":{"mimeType":"image/png","data":"ZHJhZnQ="},"thought":true},
            {"fileData":{"mimeType":"image/png","fileUri":"gs://draft"},"thought":true},{"inlineData":{"mimeType":"image/png","data":"ZmluYWw="}}]},"finishReason":"STOP"}]}"#,
    ]));
    let media: Vec<_> = response.choices[0]
        .blocks
        .iter()
        .filter_map(|block| block.media.clone())
        .collect();
    let last = llmleaf_model::MediaSource::Base64("ZmluYWw=".into());
    assert_eq!(media, [last]);
}

#[test]
fn errors_in_a_stream_are_errors() {
    let error = r#"{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    let events = read(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#,
        error,
    ]);
    let Some(Event::Error(failure)) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(failure.kind, FailureKind::Overloaded);
    // One that stands in no event (recorded, Vertex AI).
    let mut decoder = wire().decoder();
    let mut events = Vec::new();
    let mut frame = super::frame("");
    (frame.has_data, frame.data) = (false, bytes::Bytes::new());
    frame.raw = "{\n  \"error\": {\n    \"code\": 499,\n    \"message\": \"The operation was cancelled.\",\n    \"status\": \"CANCELLED\"\n  }\n}\n".into();
    decoder.push(&frame, &mut events);
    assert!(matches!(&events[..], [Event::Error(_)]), "{events:?}");
}

#[test]
fn an_array_of_chunks_reads_as_an_answer() {
    let chunks = r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":1}]}]"#;
    let response = collected(wire().parse_response(chunks.as_bytes()));
    assert_eq!(response.choices[0].blocks[0].text, "ab");
    let cut = r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}]"#;
    let events = wire().parse_response(cut.as_bytes());
    assert!(matches!(events.last(), Some(Event::Error(f)) if f.kind == FailureKind::Truncated));
}

/// Thinking of another family, told to a consumer of this dialect, and sent back by it.
#[test]
fn foreign_reasoning_travels_in_an_envelope() {
    let chunks = told(&foreign_thinking());
    let parts: Vec<Value> = chunks
        .iter()
        .map(|chunk| chunk["candidates"][0]["content"]["parts"][0].clone())
        .collect();
    assert_eq!(parts[0], json!({"text":"think","thought":true}));
    let proof = parts[1]["thoughtSignature"].as_str().unwrap();
    assert!(signature::open(proof).is_some(), "{proof}");
    assert_eq!(
        parts[2]["functionCall"],
        json!({"id":"toolu_1","name":"f","args":{"a":1}})
    );
    assert_eq!(
        chunks.last().unwrap()["candidates"][0]["finishReason"],
        "STOP"
    );
    // The client sends back what it got, each part in a turn of its own, as chats of the SDK do.
    let mut contents = vec![json!({"role":"user","parts":[{"text":"q"}]})];
    contents.extend(
        parts[..3]
            .iter()
            .map(|part| json!({"role":"model","parts":[part]})),
    );
    contents.push(json!({"role":"user","parts":[{"functionResponse":{"id":"toolu_1","name":"f","response":{"output":"r"}}}]}));
    let body = json!({ "contents": contents }).to_string();
    let request = Dialect::GenerateContent.parse_request(&body).unwrap();
    let messages = crate::ChatWire::Messages(crate::messages::Quirks::REFERENCE);
    let target = crate::Target {
        model: "m",
        stream: false,
    };
    let rendered = messages.render_request(&request, target).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type":"thinking","thinking":"think","signature":"EqQB+/="},{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}])
    );
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], "toolu_1");
}

/// An answer of another family that thinks, proves it, and calls a tool.
fn foreign_thinking() -> [Event; 9] {
    let artefact = llmleaf_model::Artefact {
        provenance: Provenance("anthropic-claude-v1".into()),
        kind: ArtefactKind::Signature,
        data: "EqQB+/=".into(),
    };
    let start = |block, kind| Event::BlockStart {
        block,
        choice: 0,
        kind,
    };
    let grow = |block, delta| Event::BlockDelta { block, delta };
    [
        start(
            0,
            BlockKind::Reasoning {
                id: None,
                form: llmleaf_model::ReasoningForm::Full,
            },
        ),
        grow(0, Delta::Text("think".into())),
        grow(0, Delta::Artefact(artefact.clone())),
        Event::BlockEnd { block: 0 },
        start(
            1,
            BlockKind::ToolCall {
                id: "toolu_1".into(),
                name: "f".into(),
                flavour: llmleaf_model::ToolFlavour::Function,
            },
        ),
        grow(1, Delta::Arguments("{\"a\":1}".into())),
        Event::BlockEnd { block: 1 },
        Event::ChoiceEnd {
            choice: 0,
            finish: llmleaf_model::Finish::new(FinishReason::ToolCalls, "tool_use"),
        },
        Event::ResponseEnd,
    ]
}

/// A thought signature on a call, told to consumers of the other dialects, and sent back by them.
#[test]
fn own_signatures_travel_through_other_dialects() {
    let events = read(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"functionCall":{"id":"c1","name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],"responseId":"r"}"#,
    ]);
    let response = collected(events);
    let tell = |dialect: Dialect| -> Value {
        let reply = dialect.render_response(&response, &ReplyContext::default());
        serde_json::from_slice(&reply.body).unwrap()
    };
    let messages = tell(Dialect::Messages);
    let body = json!({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":messages["content"]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r"}]}]});
    let chat = tell(Dialect::ChatCompletions);
    let other = json!({"model":"m","messages":[{"role":"user","content":"q"},chat["choices"][0]["message"],{"role":"tool","tool_call_id":"c1","content":"r"}]});
    for (dialect, body) in [(Dialect::Messages, body), (Dialect::ChatCompletions, other)] {
        let request = dialect.parse_request(&body.to_string()).unwrap();
        let (body, _) = super::rendered(&request, "gemini-3-pro");
        let parts = body["contents"][1]["parts"].as_array().unwrap();
        let call = parts.last().unwrap();
        assert_eq!(
            call["functionCall"],
            json!({"id":"c1","name":"f","args":{"a":1}}),
            "{body}"
        );
        assert_eq!(call["thoughtSignature"], "c2ln", "{dialect:?}: {body}");
    }
}

#[test]
fn sources_that_chunks_repeat_are_told_and_counted_once() {
    let chunk = |queries: &[&str], sources: &[&str], end: &str| {
        let sources: Vec<Value> = sources
            .iter()
            .map(|uri| json!({"web":{"uri":uri}}))
            .collect();
        let cited: Vec<Value> = queries.iter().map(|uri| json!({"uri":uri})).collect();
        let mut candidate = json!({"content":{"parts":[{"text":"a"}]},"citationMetadata":{"citationSources":cited},
            "groundingMetadata":{"webSearchQueries":queries,"groundingChunks":sources}});
        if !end.is_empty() {
            candidate["finishReason"] = end.into();
        }
        json!({"candidates":[candidate],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}).to_string()
    };
    let chunks = [
        chunk(&["q"], &["u"], ""),
        chunk(&["q", "r"], &["u", "v"], ""),
        chunk(&["q", "r"], &["u", "v"], ""),
        chunk(&["s"], &["w"], "STOP"),
    ];
    let response = collected(read(&chunks.each_ref().map(|chunk| &**chunk)));
    let cited: Vec<_> = response.choices[0].blocks[0]
        .citations
        .iter()
        .filter_map(|citation| citation.url.as_deref())
        .collect();
    assert_eq!(cited, ["q", "u", "r", "v", "s", "w"]);
    assert_eq!(response.usage.unwrap().server_tool_calls, 3);
}

#[test]
fn a_stream_is_what_googles_own_clients_can_read() {
    let alive = Dialect::GenerateContent.keep_alive();
    let mut encoder = Dialect::GenerateContent.encoder(ReplyContext::default());
    let mut events = read(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2}}"#,
    ]);
    // A loss that shows when the head is gone: what another wire said beside its answer.
    if let Some(Event::ResponseStart(start)) = events.first_mut() {
        start.rest.0.push((
            "service_tier".to_owned(),
            llmleaf_model::Json::from_value("default"),
        ));
    }
    for event in &mut events {
        if let Event::UsageReport(usage) = event {
            usage.native = None;
        }
    }
    let mut out = alive.to_vec();
    for event in &events {
        encoder.encode(event, &mut out);
        out.extend_from_slice(alive);
    }
    // As the JavaScript SDK does: white space, `data: `, a line, a blank line; whatever else there is stops it for good.
    let text = String::from_utf8(out).unwrap();
    let (mut rest, mut last) = (text.as_str(), Value::Null);
    while let Some(line) = rest.trim_start().strip_prefix("data: ") {
        let (data, after) = line.split_once("\r\n\r\n").unwrap();
        (rest, last) = (after, serde_json::from_str(data).unwrap());
    }
    assert_eq!(rest.trim(), "");
    let loss = last["x_llmleaf_loss"].as_str().unwrap_or_default();
    assert!(loss.contains("service_tier"), "{last}");
}
