//! Streams of providers, and streams to consumers.

use super::recordings;
use super::*;
use llmleaf_model::{
    Artefact, ArtefactKind, Block, BlockKind, Delta, DialectName, FailureKind, Finish,
    FinishReason, Loss, Provenance, ReasoningForm, ResponseStart, ToolFlavour, Usage,
};
use proptest::prelude::*;

const WIRES: [&str; 2] = ["anthropic-messages", "vertex-anthropic"];

fn recorded(test: &str) -> Vec<(String, String)> {
    recordings::of(test, &WIRES)
        .into_iter()
        .filter_map(|e| Some((e.id, e.sse?)))
        .collect()
}

/// The first message of a recording: some hold several, one behind the other.
fn first(frames: Vec<Frame>) -> Vec<Frame> {
    let last = |f: &Frame| f.event.as_deref() == Some(b"message_stop");
    let end = frames.iter().position(last).map_or(frames.len(), |i| i + 1);
    frames.into_iter().take(end).collect()
}

#[test]
fn every_recorded_stream_is_read_whole() {
    for (id, sse) in recorded("every_recorded_stream_is_read_whole") {
        let events = decode(&frames(&sse, usize::MAX));
        assert_eq!(events.last(), Some(&Event::ResponseEnd), "{id}");
        assert!(
            !events.iter().any(|e| matches!(e, Event::Unknown { .. })),
            "{id}"
        );
        let response = collect(&events).unwrap();
        let finish = response.choices[0].finish.as_ref().unwrap();
        assert_ne!(finish.reason, FinishReason::Other, "{id}");
        let usage = response.usage.unwrap();
        assert!(usage.total() > 0, "{id}");
        for block in &response.choices[0].blocks {
            if let BlockKind::ToolCall { .. } = block.kind {
                let cut = finish.reason == FinishReason::Length;
                let read = serde_json::from_str::<serde_json::Value>(&block.arguments);
                assert!(cut || read.is_ok_and(|v| v.is_object()), "{id}: {block:?}");
            }
        }
    }
}

#[test]
fn where_the_network_cuts_changes_nothing() {
    for (id, sse) in recorded("where_the_network_cuts_changes_nothing") {
        let text = &sse[..sse.len().min(20_000)];
        let text = &text[..text.floor_char_boundary(text.len())];
        assert_eq!(
            decode(&frames(text, usize::MAX)),
            decode(&frames(text, 1)),
            "{id}"
        );
    }
}

#[test]
fn a_stream_cut_anywhere_is_an_error() {
    for (id, sse) in recorded("a_stream_cut_anywhere_is_an_error") {
        let all = first(frames(&sse, usize::MAX));
        for cut in 0..all.len() {
            let events = decode(&all[..cut]);
            let Some(Event::Error(failure)) = events.last() else {
                panic!("{id} cut at {cut} ends in {:?}", events.last());
            };
            assert_eq!(failure.kind, FailureKind::Truncated, "{id}");
        }
    }
}

#[test]
fn what_is_encoded_reads_back_the_same() {
    for (id, sse) in recorded("what_is_encoded_reads_back_the_same") {
        let events = decode(&first(frames(&sse, usize::MAX)));
        let response = collect(&events).unwrap();
        let again = encode(&events, context());
        let read = decode(&frames(&again, usize::MAX));
        assert_eq!(collect(&read).unwrap(), response, "{id}");
        assert_eq!(
            whole(&collect(&read).unwrap(), &context()),
            whole(&response, &context()),
            "{id}"
        );
    }
}

fn delta(index: usize, delta: &str) -> String {
    format!("data: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{delta}}}\n\n")
}

const START: &str = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":9,\"cache_creation\":{\"ephemeral_5m_input_tokens\":2,\"ephemeral_1h_input_tokens\":7}}}}\n\n";
const OPEN: &str = "data: {\"type\":\"content_block_start\",\"index\":7,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const CLOSE: &str = "data: {\"type\":\"content_block_stop\",\"index\":7}\n\n";
const END: &str = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"},\"usage\":{\"output_tokens\":20,\"output_tokens_details\":{\"thinking_tokens\":8}}}\n\n";
const STOP: &str = "data: {\"type\":\"message_stop\"}\n\n";

#[test]
fn a_broken_order_is_the_providers_fault() {
    let text = delta(7, "{\"type\":\"text_delta\",\"text\":\"a\"}");
    for broken in [
        OPEN.to_owned(),
        format!("{START}{START}"),
        format!("{START}{text}"),
        format!("{START}{OPEN}{OPEN}"),
        format!("{START}{OPEN}{END}"),
        format!("{START}{OPEN}{STOP}"),
        format!("{START}{CLOSE}"),
        format!("{START}{END}{OPEN}"),
        format!("{START}data: not json\n\n"),
        format!(
            "{START}{OPEN}{}",
            delta(7, "{\"type\":\"text_delta\",\"text\":1}")
        ),
        format!("{START}{OPEN}{}", delta(7, "{\"text\":\"a\"}")),
        "data: {\"type\":\"message_stop\"}\n\n".to_owned(),
    ] {
        let events = decode(&frames(&broken, usize::MAX));
        let Some(Event::Error(failure)) = events.last() else {
            panic!("{broken} was read");
        };
        assert_eq!(failure.kind, FailureKind::InvalidResponse, "{broken}");
    }
}

#[test]
fn counts_are_merged_and_disjoint() {
    let stream = format!("{START}data: {{\"type\":\"ping\"}}\n\n{OPEN}{CLOSE}{END}{STOP}{START}");
    let events = decode(&frames(&stream, usize::MAX));
    let response = collect(&events).unwrap();
    let usage = response.usage.unwrap();
    let classes = (
        usage.input,
        usage.input_cache_read,
        usage.input_cache_write,
        usage.input_cache_write_1h,
        usage.output,
        usage.output_reasoning,
    );
    assert_eq!(classes, (3, 5, 2, 7, 12, 8));
    let finish = response.choices[0].finish.clone().unwrap();
    assert_eq!(finish.reason, FinishReason::StopSequence);
    assert_eq!(finish.stop_sequence.as_deref(), Some("END"));
}

#[test]
fn an_error_event_keeps_its_body_and_ends_the_stream() {
    let said =
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";
    let events = decode(&frames(
        &format!("{START}event: error\ndata: {said}\n\n{STOP}"),
        usize::MAX,
    ));
    let Some(Event::Error(failure)) = events.last() else {
        panic!("no error");
    };
    assert_eq!(failure.kind, FailureKind::Overloaded);
    assert_eq!(failure.body.as_deref(), Some(said.as_bytes()));
    assert!(failure.possibly_billed);
}

fn start_of(block: u32, kind: BlockKind) -> Event {
    Event::BlockStart {
        block,
        choice: 0,
        kind,
    }
}

fn grows(block: u32, delta: Delta) -> Event {
    Event::BlockDelta { block, delta }
}

fn reasoning(id: Option<&str>) -> BlockKind {
    BlockKind::Reasoning {
        id: id.map(str::to_owned),
        form: ReasoningForm::Summary,
    }
}

fn call(id: &str) -> BlockKind {
    BlockKind::ToolCall {
        id: id.into(),
        name: "f".into(),
        flavour: ToolFlavour::Function,
    }
}

fn foreign(kind: ArtefactKind, data: &str) -> Delta {
    Delta::Artefact(Artefact {
        provenance: Provenance("openai-responses-v1".into()),
        kind,
        data: data.into(),
    })
}

/// An answer of another dialect whose blocks grow side by side.
fn interleaved() -> Vec<Event> {
    vec![
        Event::ResponseStart(ResponseStart::default()),
        start_of(0, reasoning(Some("rs_1"))),
        start_of(1, call("a")),
        start_of(2, call("b")),
        grows(1, Delta::Arguments("{\"x\"".into())),
        grows(0, Delta::Text("hm".into())),
        grows(2, Delta::Arguments("{}".into())),
        grows(1, Delta::Arguments(":1}".into())),
        Event::BlockEnd { block: 2 },
        grows(0, foreign(ArtefactKind::Encrypted, "sealed")),
        Event::BlockEnd { block: 0 },
        grows(1, foreign(ArtefactKind::Signature, "proof")),
        Event::BlockEnd { block: 1 },
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::Stop, "stop"),
        },
        Event::UsageReport(Usage {
            input: 4,
            input_cache_read: 6,
            output: 2,
            ..Usage::default()
        }),
        Event::ResponseEnd,
    ]
}

#[test]
fn blocks_that_grow_side_by_side_leave_one_at_a_time() {
    let events = interleaved();
    lawful(&events);
    let text = encode(&events, context());
    let names: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(names[..2], ["message_start", "ping"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    let mut open = None;
    let mut next = 0;
    for frame in frames(&text, usize::MAX) {
        let event: serde_json::Value = serde_json::from_slice(&frame.data).unwrap();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, event["index"].as_u64()), (None, Some(next)));
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(event["index"].as_u64(), open),
            "content_block_stop" => {
                assert_eq!(event["index"].as_u64(), open);
                open = None;
            }
            "message_start" => assert_eq!(event["message"]["usage"]["input_tokens"], 0),
            "message_delta" => {
                assert_eq!(event["delta"]["stop_reason"], "tool_use");
                assert_eq!(event["usage"]["input_tokens"], 4);
                assert_eq!(event["usage"]["cache_read_input_tokens"], 6);
            }
            _ => {}
        }
    }
    // Reasoning, call `a`, the proof of `a`, call `b`.
    assert_eq!(next, 4);
}

/// Puts a stream together as an official client does, knowing nothing of the decoder.
fn assemble(text: &str) -> serde_json::Value {
    use serde_json::Value;
    let mut message = Value::Null;
    let mut partial = String::new();
    for frame in frames(text, usize::MAX) {
        let mut event: Value = serde_json::from_slice(&frame.data).unwrap();
        let at = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].take(),
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(content.len(), at);
                content.push(event["content_block"].take());
                partial.clear();
            }
            "content_block_delta" => {
                grow(&mut message["content"][at], &event["delta"], &mut partial)
            }
            "content_block_stop" if !partial.is_empty() => {
                message["content"][at]["input"] = serde_json::from_str(&partial).unwrap();
            }
            "message_delta" => {
                for part in ["delta", "usage"] {
                    for (key, value) in event[part].as_object().unwrap() {
                        let place = if part == "delta" {
                            &mut message
                        } else {
                            &mut message["usage"]
                        };
                        place[key] = value.clone();
                    }
                }
            }
            _ => {}
        }
    }
    message
}

fn grow(block: &mut serde_json::Value, delta: &serde_json::Value, partial: &mut String) {
    for field in ["text", "thinking", "signature"] {
        if let Some(more) = delta[field].as_str() {
            let have = block[field].as_str().unwrap().to_owned();
            block[field] = (have + more).into();
        }
    }
    partial.push_str(delta["partial_json"].as_str().unwrap_or(""));
    if delta["type"] == "citations_delta" {
        if block["citations"].is_null() {
            block["citations"] = serde_json::json!([]);
        }
        block["citations"]
            .as_array_mut()
            .unwrap()
            .push(delta["citation"].clone());
    }
}

#[test]
fn a_collected_stream_equals_the_whole_response() {
    for hide_reasoning in [false, true] {
        let events = interleaved();
        let context = ReplyContext {
            hide_reasoning,
            ..context()
        };
        let mut once = whole(&collect(&events).unwrap(), &context);
        let mut twice = assemble(&encode(&events, context.clone()));
        assert_eq!(
            once["content"][0]["type"] == "redacted_thinking",
            hide_reasoning
        );
        assert_eq!(once["usage"]["cache_read_input_tokens"], 6);
        once["usage"].take();
        twice["usage"].take();
        assert_eq!(once, twice);
    }
    for (id, sse) in recorded("a_collected_stream_equals_the_whole_response") {
        let events = decode(&first(frames(&sse, usize::MAX)));
        // A call that the cap cut off is no JSON: clients cannot assemble it, and the whole form wraps its text.
        let finish = |e: &Event| matches!(e, Event::ChoiceEnd { finish, .. } if finish.reason == FinishReason::Length);
        if events.iter().any(finish) && sse.contains("input_json_delta") {
            continue;
        }
        assert_eq!(
            assemble(&encode(&events, context())),
            whole(&collect(&events).unwrap(), &context()),
            "{id}"
        );
    }
}

#[test]
fn losses_are_named_once() {
    let mut encoder = crate::messages::events::encoder(context());
    let mut out = Vec::new();
    for event in [
        start_of(
            0,
            BlockKind::Media {
                kind: llmleaf_model::MediaKind::Audio,
                mime: None,
                id: None,
            },
        ),
        grows(0, Delta::MediaData("AA".into())),
        Event::BlockEnd { block: 0 },
        Event::BlockStart {
            block: 1,
            choice: 1,
            kind: BlockKind::Text,
        },
        grows(1, Delta::Text("other".into())),
        Event::BlockEnd { block: 1 },
        Event::BlockStart {
            block: 2,
            choice: 1,
            kind: BlockKind::Text,
        },
        Event::BlockEnd { block: 2 },
        Event::ResponseEnd,
    ] {
        encoder.encode(&event, &mut out);
    }
    let fields: Vec<Loss> = encoder.take_losses();
    let fields: Vec<&str> = fields.iter().map(|l| l.field.as_str()).collect();
    assert_eq!(fields, ["content[0]", "choices[1]", "finish_reason"]);
    assert!(!String::from_utf8(out).unwrap().contains("other"));
}

#[test]
fn an_error_ends_the_stream_and_nothing_follows() {
    let failure = Failure::upstream(FailureKind::Truncated, "cut");
    let events = [
        start_of(0, BlockKind::Text),
        grows(0, Delta::Text("a".into())),
        Event::Error(Box::new(failure)),
        Event::ResponseEnd,
    ];
    let text = encode(&events, context());
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    assert_eq!(
        last,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"cut\"},\"request_id\":\"req_1\"}"
    );
    assert!(!text.contains("message_stop"));
    // A provider's own error finish is no success either.
    let events = [
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::Error, "error"),
        },
        Event::ResponseEnd,
    ];
    let text = encode(&events, context());
    assert!(text.contains("event: error") && !text.contains("message_stop"));
}

fn any_event() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
        "new_event",
    ]);
    let inner = prop::sample::select(vec![
        "{\"type\":\"text\",\"text\":\"a\"}",
        "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}",
        "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}",
        "{\"type\":\"server_tool_use\",\"id\":\"s\"}",
        "{\"type\":\"text_delta\",\"text\":\"\\u00e9\\n\"}",
        "{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}",
        "{\"type\":\"signature_delta\",\"signature\":\"S\"}",
        "{\"type\":\"compaction_delta\",\"content\":null}",
        "{\"stop_reason\":\"end_turn\"}",
        "{\"stop_reason\":null}",
        "{}",
        "[]",
        "1",
        "{\"type\":\"compaction\"}",
        "{\"role\":\"assistant\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}",
    ]);
    (kind, inner, 0..3u8).prop_map(|(kind, inner, index)| {
        format!("data: {{\"type\":\"{kind}\",\"index\":{index},\"message\":{inner},\"content_block\":{inner},\"delta\":{inner},\"usage\":{{\"output_tokens\":-1}}}}\n\n")
    })
}

proptest! {
    #[test]
    fn any_events_decode_lawfully_and_encode_readably(events in prop::collection::vec(any_event(), 0..24)) {
        let events = decode(&frames(&events.concat(), usize::MAX));
        let text = encode(&events, context());
        let again = decode(&frames(&text, usize::MAX));
        if events.last() == Some(&Event::ResponseEnd) {
            // Without a report of usage an answer is not known to be of this wire, and of a foreign one reasoning without text or
            // signature is not shown.
            let own = matches!(events.first(), Some(Event::ResponseStart(start)) if start.usage.is_some());
            let shown = |block: &Block| {
                own || !matches!(block.kind, BlockKind::Reasoning { .. }) || !block.text.is_empty() || block.artefact.is_some()
            };
            let blocks = |events: &[Event]| {
                let all = collect(events).unwrap().choices.remove(0).blocks;
                all.into_iter().filter(shown).collect::<Vec<_>>()
            };
            prop_assert_eq!(blocks(&again), blocks(&events));
        }
    }

    #[test]
    fn any_bytes_decode_without_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
        let frame = Frame { raw: Bytes::new(), event: None, data: data.into(), has_data: true };
        decode(&[frame]);
    }
}

#[test]
fn a_message_of_this_dialect_keeps_what_the_model_has_no_name_for() {
    let start = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{},\"caller\":{\"type\":\"code_execution_20260120\",\"tool_id\":\"s\"}}}\n\n";
    let stop = "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    let events = decode(&frames(
        &format!("{START}{start}{stop}{END}{STOP}"),
        usize::MAX,
    ));
    let extras = |e: &Event| {
        matches!(
            e,
            Event::BlockDelta {
                delta: Delta::Opaque {
                    dialect: DialectName::Messages,
                    ..
                },
                ..
            }
        )
    };
    assert!(events.iter().any(extras));
    let response = collect(&events).unwrap();
    assert_eq!(
        whole(&response, &context())["content"][0]["caller"]["tool_id"],
        "s"
    );
    let again = decode(&frames(&encode(&events, context()), usize::MAX));
    assert_eq!(collect(&again).unwrap(), response);
}
