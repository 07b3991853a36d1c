//! Streams, both ends.

use super::{frame, read, wire};
use crate::{Dialect, ReplyContext};
use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, Citation, Delta, DialectName, Event, Finish, FinishReason,
    Json, Provenance, ReasoningForm, ToolFlavour, Usage,
};
use serde_json::Value;

fn encoded(events: &[Event]) -> Vec<Value> {
    let context = ReplyContext {
        fallback_id: "f".into(),
        ..ReplyContext::default()
    };
    let mut encoder = Dialect::CohereChat.encoder(context);
    let mut bytes = Vec::new();
    for event in events {
        encoder.encode(event, &mut bytes);
    }
    let text = String::from_utf8(bytes).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn start(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart {
        block,
        choice: 0,
        kind,
    }
}

fn grow(block: u32, delta: Delta) -> Event {
    Event::BlockDelta { block, delta }
}

fn call(id: &str) -> BlockKind {
    BlockKind::ToolCall {
        id: id.into(),
        name: "f".into(),
        flavour: ToolFlavour::Function,
    }
}

fn end(reason: FinishReason) -> [Event; 2] {
    let finish = Finish::new(reason, "w");
    [Event::ChoiceEnd { choice: 0, finish }, Event::ResponseEnd]
}

#[test]
fn a_plan_is_reasoning_in_summary_and_citations_may_stand_behind_the_text() {
    let events = read(&[
        r#"{"type":"message-start","id":"i","delta":{"message":{"role":"assistant"}}}"#,
        r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I will"}}}"#,
        r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c","type":"function","function":{"name":"f","arguments":""}}}}}"#,
        r#"{"type":"tool-call-end","index":0}"#,
        r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
        r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"ab"}}}}"#,
        r#"{"type":"content-end","index":0}"#,
        r#"{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":1,"end":2,"text":"b","sources":[{"type":"tool","id":"c:0","tool_output":{"url":"u","title":"t"}},{"type":"document","id":"https://d"}]}}}}"#,
        r#"{"type":"debug","prompt":"p"}"#,
        r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":1,"output_tokens":2}}}}"#,
        "[DONE]",
    ]);
    let plan = BlockKind::Reasoning {
        id: None,
        form: ReasoningForm::Summary,
    };
    assert_eq!(events[1], start(0, plan));
    let cited: Vec<&Citation> = events
        .iter()
        .filter_map(|event| match event {
            Event::BlockDelta {
                block: 2,
                delta: Delta::Citation(citation),
            } => Some(&**citation),
            _ => None,
        })
        .collect();
    let told: Vec<_> = cited
        .iter()
        .map(|c| {
            (
                c.url.as_deref(),
                c.title.as_deref(),
                c.span,
                c.native.is_null(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("u"), Some("t"), Some((1, 2)), false),
            (Some("https://d"), Some("https://d"), Some((1, 2)), true),
        ]
    );
    assert!(events.contains(&Event::Unknown {
        name: "debug".into()
    }));
    assert_eq!(events.last(), Some(&Event::ResponseEnd));
}

#[test]
fn the_end_marker_may_be_missing_but_not_the_end() {
    let begin = r#"{"type":"message-start","id":"i"}"#;
    let end = r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#;
    assert_eq!(read(&[begin, end]).last(), Some(&Event::ResponseEnd));
    for cut in [&[begin][..], &[begin, "[DONE]"], &[]] {
        assert!(matches!(read(cut).last(), Some(Event::Error(_))), "{cut:?}");
    }
}

#[test]
fn calls_that_grow_side_by_side_are_told_one_after_another() {
    let mut events = vec![
        start(0, call("a")),
        start(1, call("b")),
        grow(1, Delta::Arguments("{\"x\"".into())),
        grow(0, Delta::Arguments("{}".into())),
        grow(1, Delta::Arguments(":1}".into())),
        Event::BlockEnd { block: 0 },
        Event::BlockEnd { block: 1 },
    ];
    events.extend(end(FinishReason::Stop));
    let told = encoded(&events);
    let line: Vec<(String, u64)> = told
        .iter()
        .filter_map(|event| {
            let kind = event["type"].as_str()?;
            kind.starts_with("tool-call")
                .then(|| (kind.to_owned(), event["index"].as_u64().unwrap_or(9)))
        })
        .collect();
    let expected = [
        ("tool-call-start", 0),
        ("tool-call-delta", 0),
        ("tool-call-end", 0),
        ("tool-call-start", 1),
        ("tool-call-delta", 1),
        ("tool-call-end", 1),
    ];
    assert_eq!(line, expected.map(|(kind, at)| (kind.to_owned(), at)));
    // Clients of this wire run tools on this word alone.
    assert_eq!(told.last().unwrap()["delta"]["finish_reason"], "TOOL_CALL");
}

#[test]
fn what_others_cite_is_told_at_the_end_of_the_text() {
    let citation = Citation {
        dialect: DialectName::ChatCompletions,
        native: Json::parse("{}").unwrap(),
        url: Some("https://x".into()),
        title: Some("X".into()),
        cited_text: None,
        span: Some((2, 4)),
    };
    let mut events = vec![
        start(0, BlockKind::Text),
        grow(0, Delta::Citation(Box::new(citation))),
        grow(0, Delta::Text("a bé d".into())),
        Event::BlockEnd { block: 0 },
    ];
    events.extend(end(FinishReason::Stop));
    let told = encoded(&events);
    let kinds: Vec<&str> = told.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "message-start",
            "content-start",
            "content-delta",
            "citation-start",
            "citation-end",
            "content-end",
            "message-end"
        ]
    );
    let cited = &told[3]["delta"]["message"]["citations"];
    assert_eq!(
        (&cited["start"], &cited["end"], &cited["text"]),
        (&2.into(), &4.into(), &"bé".into())
    );
    assert_eq!(cited["sources"][0]["document"]["url"], "https://x");
    assert_eq!(told[0]["id"], "f");
}

#[test]
fn artefacts_of_others_travel_beside_thoughts_and_calls_and_come_back() {
    let artefact = |data: &str| Artefact {
        provenance: Provenance("google-gemini-v1".into()),
        kind: ArtefactKind::Signature,
        data: data.into(),
    };
    let thought = BlockKind::Reasoning {
        id: Some("rs".into()),
        form: ReasoningForm::Full,
    };
    let mut events = vec![
        start(0, thought),
        grow(0, Delta::Text("t".into())),
        grow(0, Delta::Artefact(artefact("p"))),
        Event::BlockEnd { block: 0 },
        start(1, call("c")),
        grow(1, Delta::Artefact(artefact("q"))),
        Event::BlockEnd { block: 1 },
    ];
    events.extend(end(FinishReason::ToolCalls));
    let told = encoded(&events);
    let data: Vec<String> = told.iter().map(Value::to_string).collect();
    let again = read(&data.iter().map(String::as_str).collect::<Vec<_>>());
    let proofs: Vec<&Event> = again
        .iter()
        .filter(|e| {
            matches!(
                e,
                Event::BlockDelta {
                    delta: Delta::Artefact(_),
                    ..
                }
            )
        })
        .collect();
    assert_eq!(
        proofs,
        [
            &grow(0, Delta::Artefact(artefact("p"))),
            &grow(1, Delta::Artefact(artefact("q")))
        ]
    );
}

#[test]
fn log_probabilities_are_those_of_the_piece() {
    let events = read(&[
        r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"ab"}}},"logprobs":{"text":"ab","token_ids":[1,2],"logprobs":[-0.5,-0.25]}}"#,
        r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#,
    ]);
    let json = r#"{"content":[{"token":"ab","logprob":-0.75,"bytes":null,"top_logprobs":[]}]}"#;
    assert!(events.contains(&grow(0, Delta::Logprobs(Json::parse(json).unwrap()))));
    let told = encoded(&events);
    assert!(
        told.iter()
            .any(|e| e["logprobs"]["text"] == "ab" && e["logprobs"]["logprobs"][0] == -0.75)
    );
}

#[test]
fn a_decoder_is_silent_about_nothing() {
    let mut decoder = wire().decoder();
    let mut events = Vec::new();
    decoder.push(&frame("{"), &mut events);
    assert!(matches!(events.as_slice(), [Event::Error(_)]));
    let usage = Usage {
        input: 3,
        input_cache_read: 2,
        output: 1,
        ..Usage::default()
    };
    let mut events = vec![Event::UsageReport(usage)];
    events.extend(end(FinishReason::ContentFilter));
    let told = encoded(&events);
    let delta = &told.last().unwrap()["delta"];
    assert_eq!(delta["usage"]["billed_units"]["input_tokens"], 5);
    assert_eq!(delta["usage"]["cached_tokens"], 2);
    assert_eq!(delta["finish_reason"], "ERROR_TOXIC");
}

/// What is beyond a bound is not left out of an answer that then ends well.
#[test]
fn too_many_open_calls_end_in_an_error() {
    let begun = |n: usize| {
        format!(
            r#"{{"type":"tool-call-start","index":{n},"delta":{{"message":{{"tool_calls":{{"id":"c{n}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}}}}}}}"#
        )
    };
    let mut frames = vec![
        r#"{"type":"message-start","id":"i","delta":{"message":{"role":"assistant"}}}"#.to_owned(),
    ];
    frames.extend((0..80).map(begun));
    frames.push(
        r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{}}}"#.to_owned(),
    );
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    let events = read(&frames);
    assert!(matches!(events.last(), Some(Event::Error(failure)) if failure.possibly_billed));
    assert_eq!(events.iter().filter(|event| event.is_terminal()).count(), 1);
}
