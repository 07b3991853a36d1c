//! Laws of the decoder, on recorded and on made streams.

use super::recorded::{self, decode, frame, frames};
use crate::chat_completions::Quirks;
use crate::{Encoder as _, ReplyContext};
use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, Collector, Delta, Event, FailureKind, FinishReason,
    Provenance, ReasoningForm, Response, ResponseStart, ToolFlavour,
};
use proptest::prelude::*;
use serde_json::Value;

fn collect(events: &[Event]) -> Response {
    let mut collector = Collector::new();
    for event in events {
        if collector.push(event.clone()).is_err() {
            break;
        }
    }
    collector.into_response()
}

fn text_of(response: &Response, choice: usize, wanted: fn(&BlockKind) -> bool) -> String {
    let blocks = response.choices.get(choice).map(|c| c.blocks.as_slice());
    blocks
        .unwrap_or_default()
        .iter()
        .filter(|b| wanted(&b.kind))
        .map(|b| b.text.as_str())
        .collect()
}

fn is_text(kind: &BlockKind) -> bool {
    matches!(kind, BlockKind::Text)
}

/// What the raw chunks say, read without the decoder.
#[derive(Default, Debug)]
struct Plain {
    content: String,
    arguments: String,
    total: Option<u64>,
    failed: bool,
}

fn plain(sse: &str) -> Plain {
    let mut plain = Plain::default();
    for line in sse.lines() {
        let Some(Ok(chunk)) = line
            .strip_prefix("data:")
            .map(serde_json::from_str::<Value>)
        else {
            continue;
        };
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            if choice["index"].as_u64().unwrap_or(0) != 0 || plain.failed {
                continue;
            }
            match &choice["delta"]["content"] {
                Value::String(text) => plain.content.push_str(text),
                Value::Array(parts) => {
                    for part in parts {
                        plain
                            .content
                            .push_str(part["text"].as_str().unwrap_or_default());
                    }
                }
                _ => {}
            }
            for call in choice["delta"]["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let arguments = call["function"]["arguments"].as_str();
                plain.arguments.push_str(arguments.unwrap_or_default());
            }
        }
        plain.failed |= chunk.get("error").is_some_and(|e| !e.is_null());
        if let Some(total) = chunk["usage"]["total_tokens"].as_u64() {
            plain.total = Some(total);
        }
    }
    plain
}

#[test]
fn recorded_streams_keep_the_grammar_and_lose_nothing() {
    for recording in recorded::all() {
        let Some(sse) = recording.sse.as_deref().filter(|_| recording.status < 400) else {
            continue;
        };
        let events = decode(&recording.quirks(), &frames(sse, usize::MAX));
        let plain = plain(sse);
        let ended = matches!(events.last(), Some(Event::ResponseEnd));
        assert_eq!(
            ended,
            !plain.failed,
            "{}: {:?}",
            recording.id,
            events.last()
        );
        let response = collect(&events);
        assert_eq!(
            text_of(&response, 0, is_text),
            plain.content,
            "{}",
            recording.id
        );
        let mut arguments: Vec<u8> = response
            .choices
            .first()
            .into_iter()
            .flat_map(|c| &c.blocks)
            .flat_map(|b| b.arguments.bytes())
            .collect();
        let mut expected: Vec<u8> = plain.arguments.bytes().collect();
        // Parallel calls are told call by call, so the order of bytes may differ.
        arguments.sort_unstable();
        expected.sort_unstable();
        assert_eq!(arguments, expected, "{}", recording.id);
        if let Some(total) = plain.total
            && ended
        {
            let usage = response.usage.as_ref().expect("usage");
            assert_eq!(usage.total(), total, "{}", recording.id);
        }
    }
}

#[test]
fn where_the_network_cuts_changes_nothing() {
    for recording in recorded::all() {
        let Some(sse) = recording.sse.as_deref() else {
            continue;
        };
        let whole = decode(&recording.quirks(), &frames(sse, usize::MAX));
        for size in [1, 7, 100] {
            let cut = decode(&recording.quirks(), &frames(sse, size));
            assert_eq!(whole, cut, "{} cut every {size}", recording.id);
        }
    }
}

#[test]
fn a_cut_stream_is_never_a_success() {
    for recording in recorded::all() {
        let Some(sse) = recording.sse.as_deref() else {
            continue;
        };
        let frames = frames(sse, usize::MAX);
        let step = (frames.len() / 24).max(1);
        for cut in (0..frames.len()).step_by(step) {
            // The reference demands `[DONE]`, so every proper prefix is truncated or has failed.
            let events = decode(&Quirks::REFERENCE, &frames[..cut]);
            match events.last() {
                Some(Event::Error(_)) => {}
                Some(Event::ResponseEnd) => {
                    let done = frames[..cut].iter().any(|f| f.data.as_ref() == b"[DONE]");
                    assert!(done, "{} cut at {cut}", recording.id);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

fn run(chunks: &[&str]) -> Vec<Event> {
    let frames: Vec<_> = chunks.iter().map(|c| frame(c)).collect();
    decode(&Quirks::REFERENCE, &frames)
}

fn failure_kind(events: &[Event]) -> Option<FailureKind> {
    match events.last() {
        Some(Event::Error(failure)) => Some(failure.kind),
        _ => None,
    }
}

#[test]
fn errors_inside_a_stream_end_it_with_their_kind() {
    let start = r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    for (chunk, kind) in [
        (
            r#"{"error":{"message":"x","type":"server_error"}}"#,
            FailureKind::Server,
        ),
        (
            r#"{"error":{"message":"x","code":429}}"#,
            FailureKind::RateLimit,
        ),
        (
            r#"{"error":{"message":"x","code":"insufficient_quota"}}"#,
            FailureKind::Quota,
        ),
        (
            r#"{"error":{"message":"x","code":502},"choices":[{"finish_reason":"stop"}]}"#,
            FailureKind::Server,
        ),
        (
            r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            FailureKind::Server,
        ),
        (
            r#"{"error":{"message":"maximum context length is 5","type":"invalid_request_error"}}"#,
            FailureKind::ContextLength,
        ),
        (
            r#"{"error":"overloaded","code":"overloaded_error"}"#,
            FailureKind::Overloaded,
        ),
        (
            r#"{"object":"error","message":"no","code":400}"#,
            FailureKind::InvalidRequest,
        ),
        (
            r#"{"base_resp":{"status_code":1002,"status_msg":"slow"}}"#,
            FailureKind::RateLimit,
        ),
        (r#"{"id":"a"} {"id":"b"}"#, FailureKind::InvalidResponse),
        (r#"{"id":"a","choices":[{"#, FailureKind::InvalidResponse),
        ("[1]", FailureKind::InvalidResponse),
    ] {
        let events = run(&[start, chunk, "[DONE]"]);
        assert_eq!(failure_kind(&events), Some(kind), "{chunk}");
    }
    let named = frames(
        "event: error\ndata: {\"message\":\"no\",\"status_code\":429}\n\n",
        9,
    );
    let events = decode(&Quirks::REFERENCE, &named);
    assert_eq!(failure_kind(&events), Some(FailureKind::RateLimit));
    assert_eq!(
        failure_kind(&run(&["[DONE]"])),
        Some(FailureKind::InvalidResponse)
    );
    let report = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#;
    assert_eq!(
        failure_kind(&run(&[report, "[DONE]"])),
        Some(FailureKind::InvalidResponse)
    );
    assert_eq!(failure_kind(&run(&[start])), Some(FailureKind::Truncated));
    assert_eq!(failure_kind(&run(&[])), Some(FailureKind::Truncated));
}

#[test]
fn done_without_a_finish_is_unstated_and_a_start_waits_for_a_name() {
    let events = run(&[
        r#"{"id":"","model":"","created":0,"choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"a","model":"m","created":7,"choices":[{"index":0,"delta":{"role":"assistant"}}]}"#,
        "[DONE]",
    ]);
    let Some(Event::ResponseStart(start)) = events.first() else {
        panic!("{events:?}");
    };
    assert_eq!((start.id.as_deref(), start.created), (Some("a"), Some(7)));
    let Some(Event::ChoiceEnd { finish, .. }) = events.get(1) else {
        panic!("{events:?}");
    };
    assert_eq!(finish.reason, FinishReason::Unstated);
    assert!(!events.iter().take(1).any(Event::bears_content));
}

#[test]
fn c13_odd_types_cost_nothing_but_themselves() {
    let events = run(&[
        r#"{"id":5,"model":["x"],"created":"now","choices":[{"index":"0","delta":{"content":"a","tool_calls":{},"reasoning":7,"audio":[]},"logprobs":4}],"usage":"much"}"#,
        r#"{"id":"a","choices":[7,null,{"delta":"x"},{"index":0,"delta":{"content":{"x":1}},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let response = collect(&events);
    assert_eq!(text_of(&response, 0, is_text), "a");
    assert!(matches!(events.last(), Some(Event::ResponseEnd)));
}

#[test]
fn usage_beside_the_documented_place_counts() {
    let events = run(&[
        r#"{"id":"a","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":12,"completion_tokens":24,"total_tokens":36}}}"#,
        "[DONE]",
    ]);
    let usage = collect(&events).usage.unwrap_or_default();
    assert_eq!((usage.input_total(), usage.output_total()), (12, 24));
}

#[test]
fn a_message_counts_in_a_whole_answer_and_a_delta_in_a_stream() {
    let both = r#"{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"all of it"},"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#;
    let whole =
        crate::chat_completions::response::parse_response(both.as_bytes(), &Quirks::REFERENCE);
    assert_eq!(text_of(&collect(&whole), 0, is_text), "all of it");
    assert_eq!(text_of(&collect(&run(&[both, "[DONE]"])), 0, is_text), "");
}

#[test]
fn reasoning_told_twice_is_read_once_and_artefacts_stay() {
    let events = run(&[
        r#"{"id":"a","choices":[{"delta":{"reasoning":"th","reasoning_details":[{"type":"reasoning.text","text":"th","index":0,"format":"anthropic-claude-v1"}]}}]}"#,
        r#"{"id":"a","choices":[{"delta":{"reasoning":"ink","reasoning_content":"ink","reasoning_details":[{"type":"reasoning.text","text":"ink","signature":"sig","index":0,"format":"anthropic-claude-v1"}]}}]}"#,
        r#"{"id":"a","choices":[{"delta":{"reasoning":null,"reasoning_details":[{"type":"reasoning.encrypted","data":"xx","id":"rs","index":1}]}}]}"#,
        r#"{"id":"a","choices":[{"delta":{"content":"yes"},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]);
    let response = collect(&events);
    let blocks = &response.choices[0].blocks;
    assert_eq!(blocks.len(), 3, "{blocks:?}");
    assert_eq!(blocks[0].text, "think");
    let first = blocks[0].artefact.as_ref().unwrap();
    assert_eq!(
        (first.data.as_str(), &*first.provenance.0),
        ("sig", "anthropic-claude-v1")
    );
    assert_eq!(blocks[1].artefact.as_ref().unwrap().data, "xx");
    assert_eq!(blocks[2].text, "yes");
}

#[test]
fn content_may_come_as_parts_and_after_a_finish() {
    let events = run(&[
        r#"{"id":"a","choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
        r#"{"id":"a","choices":[{"delta":{"content":[{"type":"text","text":"a"}]},"finish_reason":"stop"}]}"#,
        r#"{"id":"a","choices":[{"delta":{"content":"b"},"finish_reason":"length","native_finish_reason":"MAX"}]}"#,
        "[DONE]",
    ]);
    let response = collect(&events);
    assert_eq!(text_of(&response, 0, is_text), "ab");
    assert_eq!(
        text_of(&response, 0, |k| matches!(k, BlockKind::Reasoning { .. })),
        "hm"
    );
    let finish = response.choices[0].finish.as_ref().unwrap();
    assert_eq!(
        (finish.reason, finish.native.as_deref()),
        (FinishReason::Length, Some("MAX"))
    );
}

#[test]
fn custom_calls_and_thought_signatures_are_read() {
    let events = run(&[
        r#"{"id":"a","choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","type":"custom","custom":{"name":"sh","input":"l"}}]}}]}"#,
        r#"{"id":"a","choices":[{"delta":{"tool_calls":[{"index":0,"custom":{"input":"s"}},{"index":1,"id":"c2","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"ts"}}}]},"finish_reason":"tool_calls"}]}"#,
        "[DONE]",
    ]);
    let response = collect(&events);
    let blocks = &response.choices[0].blocks;
    assert!(
        matches!(&blocks[0].kind, BlockKind::ToolCall { flavour: ToolFlavour::Custom, name, .. } if name == "sh")
    );
    assert_eq!(blocks[0].arguments, "ls");
    assert_eq!(blocks[1].artefact.as_ref().unwrap().data, "ts");
}

proptest! {
    #[test]
    fn decoding_never_panics(texts in prop::collection::vec(".{0,60}", 0..6)) {
        let frames: Vec<_> = texts.iter().flat_map(|t| frames(&format!("data: {t}\n\n"), 5)).collect();
        decode(&Quirks::REFERENCE, &frames);
    }
}

#[test]
fn proofs_of_calls_and_thoughts_share_no_number() {
    let mut events = vec![Event::ResponseStart(ResponseStart::default())];
    let kinds = ["a", "", "b", ""].map(|id| match id {
        "" => BlockKind::Reasoning {
            id: None,
            form: ReasoningForm::Full,
        },
        id => BlockKind::ToolCall {
            id: id.into(),
            name: "f".into(),
            flavour: ToolFlavour::Function,
        },
    });
    for (block, kind) in (0..).zip(kinds) {
        let proof = Delta::Artefact(Artefact {
            provenance: Provenance::UNKNOWN,
            kind: ArtefactKind::Signature,
            data: block.to_string(),
        });
        let choice = 0;
        events.push(Event::BlockStart {
            block,
            choice,
            kind,
        });
        events.push(Event::BlockDelta {
            block,
            delta: proof,
        });
        events.push(Event::BlockEnd { block });
    }
    events.push(Event::ResponseEnd);
    for whole_calls in [false, true] {
        let context = ReplyContext {
            whole_calls,
            ..super::encoding::context()
        };
        let mut out = Vec::new();
        let mut encoder = crate::chat_completions::events::encoder(context);
        for event in &events {
            encoder.encode(event, &mut out);
        }
        let numbers: Vec<u64> = String::from_utf8(out)
            .unwrap()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .filter_map(|chunk| {
                chunk["choices"][0]["delta"]["reasoning_details"][0]["index"].as_u64()
            })
            .collect();
        assert_eq!(numbers, [0, 1, 2, 3], "whole: {whole_calls}");
    }
}

/// The names of the calls that are told, and whether an error ends them.
fn told_calls(events: &[Event]) -> (Vec<&str>, bool) {
    let names = events.iter().filter_map(|event| match event {
        Event::BlockStart {
            kind: BlockKind::ToolCall { name, .. },
            ..
        } => Some(name.as_str()),
        _ => None,
    });
    (names.collect(), failure_kind(events).is_some())
}

#[test]
fn calls_that_wait_for_a_name_before_them_are_told_before_an_error() {
    let first = r#"{"id":"r","choices":[{"delta":{"tool_calls":[
        {"index":0,"id":"a","function":{"arguments":"{"}},
        {"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#;
    let first = first.replace('\n', " ");
    for end in [
        r#"{"error":{"message":"x","type":"server_error"}}"#,
        "[1]",
        "{",
        "",
    ] {
        let events = run(&[&first, end]);
        assert_eq!(told_calls(&events), (vec!["g"], true), "{end}");
        let ended = events
            .iter()
            .filter(|e| matches!(e, Event::BlockEnd { .. }));
        assert_eq!(ended.count(), 0, "nobody says that the call is whole");
    }
}
