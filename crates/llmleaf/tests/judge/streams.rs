//! What is in a stream: the rows C of docs/faults.md, between every pair of dialects.

use llmleaf_testkit::digest::Digest;
use llmleaf_testkit::http::{End, Response};
use llmleaf_testkit::replay::{CANARY, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::Stage;

use super::stage;

/// Events of the chat wire, each `data` as given.
fn chat(events: &[&str]) -> String {
    let head = format!(
        "\"id\":\"chatcmpl-{CANARY}\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m-1\""
    );
    events
        .iter()
        .map(|event| format!("data: {{{head},{event}}}\n\n"))
        .collect()
}

const DONE: &str = "data: [DONE]\n\n";

fn delta(delta: &str) -> String {
    format!("\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]")
}

fn finish(reason: &str) -> String {
    format!("\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]")
}

/// Events of the messages wire by their data.
fn messages(events: &[&str]) -> String {
    let event = |data: &&str| {
        let value = llmleaf_testkit::json::parse(data).expect("the test writes JSON");
        format!("event: {}\ndata: {data}\n\n", value.text_at(&["type"]))
    };
    events.iter().map(event).collect()
}

fn message_start() -> String {
    format!(
        "{{\"type\":\"message_start\",\"message\":{{\"id\":\"msg_{CANARY}\",\"type\":\"message\",\"role\":\"assistant\",\
         \"model\":\"m-1\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\
         \"usage\":{{\"input_tokens\":11,\"output_tokens\":1}}}}}}"
    )
}

const STOP: &str = r#"{"type":"message_stop"}"#;

fn message_delta(reason: &str) -> String {
    format!(
        "{{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":5}}}}"
    )
}

fn ask(stage: &Stage, pair: (Wire, Wire), body: impl Into<String>) -> (Response, Digest) {
    let script = Script::sse(body.into());
    let mut asked = stage.play(pair.0, &Stage::alone(pair.1), true, script);
    let response = asked.connection.response();
    let digest = pair.0.read(&response);
    (response, digest)
}

#[track_caller]
fn expect_good(response: &Response, digest: &Digest, case: &str) {
    let good = response.end == End::Clean && digest.terminal && digest.error.is_none();
    assert!(good, "{case}: {:?} {}", response.end, response.text());
}

#[track_caller]
fn expect_error(response: &Response, digest: &Digest, case: &str) {
    let bad = response.status >= 400 || (response.end != End::Clean && !digest.terminal);
    assert!(
        bad && digest.error.is_some(),
        "{case}: {:?} {}",
        response.end,
        response.text()
    );
}

#[test]
fn c4_a_byte_order_mark_is_left_out_once_and_content_later() {
    let stage = stage().judged().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first \u{feff}answer");
        let (response, digest) = ask(&stage, pair, format!("\u{feff}{}", stream.body()));
        let case = format!("{} to {}", pair.0, pair.1);
        expect_good(&response, &digest, &case);
        assert_eq!(digest.text(), "first \u{feff}answer", "{case}");
    }
}

#[test]
fn c6_a_last_event_without_its_blank_line_is_whole_only_after_an_orderly_end() {
    let stage = stage().judged().start();
    for pair in Wire::PAIRS {
        let body = pair.1.stream("first answer").body();
        for cut in 1..3 {
            let case = format!("{} to {}, without the last {cut}", pair.0, pair.1);
            let sent = &body[..body.len() - cut];
            let (response, digest) = ask(&stage, pair, sent);
            assert_eq!(digest.text(), "first answer", "{case}");
            expect_good(&response, &digest, &case);
            let script = Script::sse(sent.to_owned()).close_at(sent.len());
            let mut asked = stage.play(pair.0, &Stage::alone(pair.1), true, script);
            let response = asked.connection.response();
            expect_error(&response, &pair.0.read(&response), &case);
        }
    }
}

#[test]
fn c7_two_objects_in_an_event_and_one_in_two_are_errors() {
    let stage = stage().judged().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let event = &stream.content[1];
        let object = event.split("data: ").nth(1).expect("data").trim_end();
        let (half, rest) = object.split_at(object.len() / 2);
        let head = event.split("data: ").next().expect("a head");
        for (case, odd) in [
            ("two in one", format!("{head}data: {object}{object}\n\n")),
            (
                "one in two",
                format!("{head}data: {half}\n\n{head}data: {rest}\n\n"),
            ),
        ] {
            let body = format!("{}{odd}{}", stream.until(1), stream.ending.concat());
            let (response, digest) = ask(&stage, pair, body);
            let case = format!("{} to {}, {case}", pair.0, pair.1);
            expect_error(&response, &digest, &case);
            assert_eq!(digest.text(), "first ", "{case}");
        }
    }
}

#[test]
fn c8_bytes_that_are_no_utf_8_are_an_error_and_never_replaced() {
    let stage = stage().judged().start();
    for pair in Wire::PAIRS {
        let stream = pair.1.stream("first answer");
        let mut body = stream.body().into_bytes();
        let at = stream.until(1).len() + stream.content[1].find("answer").expect("the word");
        body[at] = 0xff;
        let mut asked = stage.play(pair.0, &Stage::alone(pair.1), true, Script::sse(body));
        let response = asked.connection.response();
        let case = format!("{} to {}", pair.0, pair.1);
        expect_error(&response, &pair.0.read(&response), &case);
        assert!(
            !response.text().contains('\u{fffd}'),
            "{case}: {}",
            response.text()
        );
    }
}

/// Fault C9: the pieces of four calls come in turn; one call has no id, one is named late, the last has no arguments.
#[test]
fn c9_calls_in_interleaved_pieces_are_the_same_calls() {
    let stage = stage().judged().start();
    let piece = |index: usize, more: &str| {
        delta(&format!(
            "{{\"tool_calls\":[{{\"index\":{index},{more}}}]}}"
        ))
    };
    let named = |index: usize, id: &str, name: &str| {
        let id = match id {
            "" => String::new(),
            id => format!("\"id\":\"{id}\","),
        };
        let function = format!("\"function\":{{\"name\":\"{name}\",\"arguments\":\"\"}}");
        piece(index, &format!("{id}\"type\":\"function\",{function}"))
    };
    let argument = |index: usize, text: &str| {
        let text = serde_json::Value::from(text);
        piece(index, &format!("\"function\":{{\"arguments\":{text}}}"))
    };
    let mut events = vec![
        delta("{\"role\":\"assistant\",\"content\":null}"),
        named(0, "call_a", "f"),
        named(1, "", "g"),
        piece(2, "\"id\":\"call_c\",\"type\":\"function\""),
        named(3, "call_d", "h"),
    ];
    for (one, other) in [
        ("{\"a\"", "{\"b\" "),
        (": 1", ": \"\\u0041\""),
        (".0}", "}"),
    ] {
        events.extend([argument(0, one), argument(1, other)]);
    }
    events.insert(
        7,
        piece(2, "\"function\":{\"name\":\"k\",\"arguments\":\"{}\"}"),
    );
    events.push(finish("tool_calls"));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let body = chat(&events) + DONE;
    for consumer in Wire::BOTH {
        let (response, digest) = ask(&stage, (consumer, Wire::Chat), body.clone());
        let case = format!("{consumer}");
        expect_good(&response, &digest, &case);
        let calls: Vec<(&str, &str)> = (digest.tool_calls().iter())
            .map(|call| (call.name.as_str(), call.arguments.as_str()))
            .collect();
        let expected = [
            ("f", "{\"a\": 1.0}"),
            ("g", "{\"b\" : \"\\u0041\"}"),
            ("k", "{}"),
            ("h", ""),
        ];
        assert_eq!(calls.len(), expected.len(), "{case}: {calls:?}");
        for (found, wanted) in calls.iter().zip(expected) {
            assert_eq!(found.0, wanted.0, "{case}: {calls:?}");
            assert!(told(found.1, wanted.1), "{case}: {calls:?}");
        }
    }
}

/// No arguments at all may be told as an empty object.
fn told(found: &str, arguments: &str) -> bool {
    found == arguments || arguments.is_empty() && found == "{}"
}

#[test]
fn c10_arguments_go_through_whatever_they_are() {
    let stage = stage().judged().start();
    // Not JSON, and a MiB of it in pieces.
    let long = "x".repeat(1 << 20);
    for arguments in ["{\"a\": not json", "", "\"[1,2", long.as_str()] {
        let pieces: Vec<&str> = match arguments.len() {
            0 => vec![""],
            length => (0..length)
                .step_by(16 << 10)
                .map(|at| &arguments[at..length.min(at + (16 << 10))])
                .collect(),
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let call = delta(
            "{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}",
        );
        let mut events = vec![call];
        events.extend(pieces.iter().map(|piece| {
            delta(&format!(
                "{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":{}}}}}]}}",
                quoted(piece)
            ))
        }));
        events.push(finish("tool_calls"));
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let of_chat = chat(&events) + DONE;
        let mut blocks = vec![
            message_start(),
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}"#.to_owned(),
        ];
        blocks.extend(pieces.iter().map(|piece| {
            format!("{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\"partial_json\":{}}}}}", quoted(piece))
        }));
        blocks.push(r#"{"type":"content_block_stop","index":0}"#.to_owned());
        blocks.push(message_delta("tool_use"));
        blocks.push(STOP.to_owned());
        let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
        let of_messages = messages(&blocks);
        for pair in Wire::PAIRS {
            let body = match pair.1 {
                Wire::Chat => of_chat.clone(),
                _ => of_messages.clone(),
            };
            let (response, digest) = ask(&stage, pair, body);
            let case = format!("{} to {}, {} bytes", pair.0, pair.1, arguments.len());
            let good = response.end == End::Clean && digest.terminal;
            assert!(good, "{case}: {:?}", response.end);
            assert!(
                digest.tool_calls().len() == 1
                    && told(&digest.tool_calls()[0].arguments, arguments),
                "{case}"
            );
        }
    }
}

/// A way of reporting usage: its name, the events, and the counts that are to be recorded.
type Report = (&'static str, Vec<String>, Option<(u64, u64)>);

fn reports() -> Vec<Report> {
    let usage = |input: u64, output: u64| {
        let total = input + output;
        format!(
            "\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output},\"total_tokens\":{total}}}"
        )
    };
    let role = delta("{\"role\":\"assistant\",\"content\":\"\"}");
    let word = delta("{\"content\":\"first \"}");
    let stop = finish("stop");
    let with = |event: &str, usage: &str| format!("{event},{usage}");
    let all = usage(11, 5);
    let alone = format!("\"choices\":[],{all}");
    let null = with(&word, "\"usage\":null");
    let of = |events: [&String; 3]| events.map(Clone::clone).to_vec();
    let (early, ended) = (with(&role, &all), with(&stop, &all));
    let (none, some) = (with(&role, &usage(11, 0)), with(&word, &usage(11, 3)));
    let told = Some((11, 5));
    let mut last = of([&role, &word, &stop]);
    last.push(alone.clone());
    let mut twice = of([&role, &null, &ended]);
    twice.push(alone);
    vec![
        ("last, without choices", last, told),
        ("with the finish", of([&role, &word, &ended]), told),
        ("first only", of([&early, &word, &stop]), told),
        ("growing", of([&none, &some, &ended]), told),
        ("twice the same", twice, told),
        ("never", of([&role, &word, &stop]), None),
    ]
}

#[test]
fn c11_usage_counts_once_wherever_and_however_often_it_comes() {
    let stage = stage().judged().start();
    for (case, events, told) in reports() {
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        for consumer in Wire::BOTH {
            let script = Script::sse(chat(&events) + DONE);
            let mut asked = stage.play(consumer, &Stage::alone(Wire::Chat), true, script);
            let response = asked.connection.response();
            let case = format!("{consumer}, {case}");
            assert_eq!(response.end, End::Clean, "{case}: {}", response.text());
            let record = &stage.usage(&asked.id, 1)[0];
            let counts = record.u64_at(&["input"]).zip(record.u64_at(&["output"]));
            let grade = record.text_at(&["grade"]);
            match told {
                Some(_) => assert_eq!((counts, grade), (told, "reported"), "{case}"),
                None => assert_eq!(grade, "estimated", "{case}: {counts:?}"),
            }
        }
    }
}

#[test]
fn c14_several_answers_at_once_stay_apart_or_are_refused() {
    let stage = stage().judged().start();
    let of = |index: &str, word: &str, finish: &str| {
        format!(
            "\"choices\":[{{{index}\"delta\":{{\"content\":\"{word}\"}},\"finish_reason\":{finish}}}]"
        )
    };
    let events = [
        of("\"index\":1,", "second ", "null"),
        of("\"index\":0,", "first ", "null"),
        of("\"index\":1,", "answer", "null"),
        of("\"index\":0,", "answer", "\"stop\""),
        of("\"index\":1,", "", "\"stop\""),
    ];
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let body = Wire::Chat.request("chat-first", true);
    let twice = body.replacen('{', "{\"n\":2,", 1);
    stage.first.push(Script::sse(chat(&events) + DONE));
    let mut asked = stage.ask_with(Wire::Chat, &twice);
    let digest = Wire::Chat.read(&asked.connection.response());
    let texts: Vec<&str> = digest
        .choices
        .iter()
        .map(|choice| choice.text.as_str())
        .collect();
    assert_eq!(texts, ["first answer", "second answer"]);
    // The messages wire has one answer only: told before anything is sent, or named as a loss.
    let alone = twice.replace("chat-first", "messages-first");
    stage
        .first
        .push(Script::sse(Wire::Messages.stream("first answer").body()));
    let mut asked = stage.ask_with(Wire::Chat, &alone);
    let response = asked.connection.response();
    let lost = response
        .header("x-llmleaf-loss")
        .is_some_and(|loss| loss.contains('n'));
    assert!(response.status == 400 || lost, "{}", response.text());
}

#[test]
fn c15_signatures_come_through_byte_for_byte() {
    let stage = stage().judged().start();
    let signature = "EqoBCkgIARABGAIiQL8/+==";
    let start = message_start();
    let end = message_delta("end_turn");
    let proof = format!(
        "{{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{signature}\"}}}}"
    );
    let body = messages(&[
        &start,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        &proof,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"c2VhbGVk+/=="}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"first answer"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        &end,
        STOP,
    ]);
    for consumer in Wire::BOTH {
        let (response, digest) = ask(&stage, (consumer, Wire::Messages), body.clone());
        expect_good(&response, &digest, consumer.name());
        let signatures = &digest.choices[0].signatures;
        assert!(
            response.text().contains(signature),
            "{consumer}: {}",
            response.text()
        );
        assert!(
            response.text().contains("c2VhbGVk+/=="),
            "{consumer}: {signatures:?}"
        );
    }
}

#[test]
fn c16_what_has_no_place_in_a_message_is_never_anothers_content() {
    let stage = stage().judged().start();
    let start = message_start();
    let end = message_delta("end_turn");
    let open = |index: u32| {
        format!(
            "{{\"type\":\"content_block_start\",\"index\":{index},\
             \"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}"
        )
    };
    let word = |index: u32, text: &str| {
        format!(
            "{{\"type\":\"content_block_delta\",\"index\":{index},\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}"
        )
    };
    let (zero, one) = (open(0), open(1));
    let (first, other) = (word(0, "first "), word(7, "stray"));
    let second = word(1, "second");
    let close = r#"{"type":"content_block_stop","index":0}"#;
    let close_one = r#"{"type":"content_block_stop","index":1}"#;
    let stray = [&start, &zero, &first, &other, close, &end, STOP];
    let early = [&first, &start, &zero, &first, close, &end, STOP];
    let twice = [&start, &zero, &first, &start, close, &end, STOP];
    let open = [&start, &zero, &first, &end, STOP];
    let both = [
        &start, &zero, &one, &first, &second, close, close_one, &end, STOP,
    ];
    // Blocks that are open side by side have their own indexes: nothing is mixed up.
    for (case, events, whole) in [
        ("a delta of no block", &stray[..], None),
        ("a delta before the start", &early, None),
        ("two starts", &twice, None),
        ("a block that never closes", &open, None),
        ("two blocks at once", &both, Some("first second")),
    ] {
        for consumer in Wire::BOTH {
            let (response, digest) = ask(&stage, (consumer, Wire::Messages), messages(events));
            let case = format!("{consumer}, {case}");
            match whole {
                Some(text) => {
                    expect_good(&response, &digest, &case);
                    assert_eq!(digest.text(), text, "{case}");
                }
                None => expect_error(&response, &digest, &case),
            }
        }
    }
}
