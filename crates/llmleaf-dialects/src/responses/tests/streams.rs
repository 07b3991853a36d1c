//! Streams to consumers: the whole sequence of events that official clients build their answer from.

use super::*;
use llmleaf_model::{Failure, FailureKind};
use serde_json::json;

/// Rebuilds the output from the events alone, as official clients do, and holds the sequence to its rules on the way.
fn assemble(events: &[Value]) -> Vec<Value> {
    let mut output: Vec<Value> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let at = event["output_index"]
            .as_u64()
            .map(|at| usize::try_from(at).unwrap());
        let kind = event["type"].as_str().unwrap();
        if let (Some(at), Some(id)) = (at, event["item_id"].as_str()) {
            assert_eq!(output[at]["id"], id, "{event}");
        }
        let index = |name: &str| usize::try_from(event[name].as_u64().unwrap()).unwrap();
        match kind {
            "response.output_item.added" => {
                assert_eq!(at, Some(output.len()), "{event}");
                output.push(event["item"].clone());
            }
            "response.content_part.added" => {
                let item = &mut output[at.unwrap()];
                if item["content"].is_null() {
                    item["content"] = json!([]);
                }
                let list = item["content"].as_array_mut().unwrap();
                assert_eq!(list.len(), index("content_index"));
                list.push(event["part"].clone());
            }
            "response.reasoning_summary_part.added" => {
                let list = output[at.unwrap()]["summary"].as_array_mut().unwrap();
                assert_eq!(list.len(), index("summary_index"));
                list.push(event["part"].clone());
            }
            "response.output_text.delta" | "response.reasoning_text.delta" => {
                let part = &mut output[at.unwrap()]["content"][index("content_index")];
                grow(&mut part["text"], event);
            }
            "response.refusal.delta" => {
                let part = &mut output[at.unwrap()]["content"][index("content_index")];
                grow(&mut part["refusal"], event);
            }
            "response.reasoning_summary_text.delta" => {
                let part = &mut output[at.unwrap()]["summary"][index("summary_index")];
                grow(&mut part["text"], event);
            }
            "response.function_call_arguments.delta" => {
                grow(&mut output[at.unwrap()]["arguments"], event)
            }
            "response.custom_tool_call_input.delta" => {
                grow(&mut output[at.unwrap()]["input"], event)
            }
            "response.output_text.done" | "response.reasoning_text.done" => {
                let part = &output[at.unwrap()]["content"][index("content_index")];
                assert_eq!(part["text"], event["text"]);
            }
            "response.output_text.annotation.added" => {
                let part = &mut output[at.unwrap()]["content"][index("content_index")];
                let list = part["annotations"].as_array_mut().unwrap();
                assert_eq!(list.len(), index("annotation_index"));
                list.push(event["annotation"].clone());
            }
            "response.output_item.done" => {
                let told = &output[at.unwrap()];
                for field in ["content", "summary", "call_id", "name"] {
                    let of = |item: &Value| item.get(field).map(without_logprobs);
                    assert_eq!(of(told), of(&event["item"]), "{field}");
                }
                output[at.unwrap()] = event["item"].clone();
            }
            _ => {}
        }
    }
    output
}

/// Official clients take log-probabilities from the part when it is done.
fn without_logprobs(value: &Value) -> Value {
    let mut value = value.clone();
    for part in value.as_array_mut().into_iter().flatten() {
        part.as_object_mut().into_iter().for_each(|part| {
            part.remove("logprobs");
        });
    }
    value
}

fn grow(slot: &mut Value, event: &Value) {
    let text = slot.as_str().unwrap().to_owned() + event["delta"].as_str().unwrap();
    *slot = text.into();
}

const CHAT: &str = "data: {\"id\":\"chatcmpl-1\",\"model\":\"x\",\"created\":5,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"th\"}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"ink\"}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-1,\"bytes\":[97],\"top_logprobs\":[]}]}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\",\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"url\":\"https://x.example\",\"title\":\"t\",\"start_index\":0,\"end_index\":1}}]}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n\
    data: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":1},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n\
    data: [DONE]\n\n";

#[test]
fn a_chat_stream_is_told_in_whole_items() {
    let request = parse(
        &json!({"model": "asked", "input": "x", "instructions": "i", "temperature": 0.5, "metadata": {"a": "b"}}),
    );
    let events = told(&encode(&decode(&chat(), CHAT), context(Some(request))));
    let names: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["response.created", "response.in_progress"]);
    assert_eq!(names.last(), Some(&"response.completed"));
    let output = assemble(&events);
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"], Value::from(output.clone()));
    let kinds: Vec<&str> = output.iter().map(|o| o["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["reasoning", "message", "function_call", "function_call"]
    );
    assert_eq!(
        output[0]["content"],
        json!([{"type": "reasoning_text", "text": "think"}])
    );
    let text = &output[1]["content"][0];
    assert_eq!(text["text"], "ab");
    assert_eq!(text["annotations"][0]["url"], "https://x.example");
    assert_eq!(text["logprobs"][0]["token"], "a");
    assert_eq!(
        (&output[2]["arguments"], &output[3]["arguments"]),
        (&json!("{}"), &json!("{}"))
    );
    assert_eq!(
        response["usage"],
        json!({
        "input_tokens": 3, "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 12})
    );
    for (name, value) in [
        ("instructions", json!("i")),
        ("temperature", json!(0.5)),
        ("status", json!("completed")),
        ("created_at", json!(5)),
        ("model", json!("x")),
        ("object", json!("response")),
        ("metadata", json!({"a": "b"})),
    ] {
        assert_eq!(response[name], value, "{name}");
    }
}

#[test]
fn an_answer_that_was_cut_short_is_incomplete() {
    for (word, reason) in [
        ("length", "max_output_tokens"),
        ("content_filter", "content_filter"),
    ] {
        let text = CHAT.replace("\"tool_calls\"}", &format!("\"{word}\"}}"));
        let events = told(&encode(&decode(&chat(), &text), context(None)));
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["status"], "incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], reason);
    }
}

#[test]
fn a_break_ends_with_a_failed_response_and_the_next_numbers() {
    let mut events = decode(
        &chat(),
        &CHAT[..CHAT
            .find("data: {\"id\":\"chatcmpl-1\",\"choices\":[],")
            .unwrap()],
    );
    let broken = matches!(events.pop(), Some(Event::Error(_)));
    assert!(broken);
    let failure = Failure::upstream(FailureKind::Truncated, "cut");
    events.push(Event::Error(Box::new(failure)));
    let events = told(&encode(&events, context(None)));
    assemble(&events);
    let [.., error, failed] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(
        (&error["type"], &error["error"]["message"]),
        (&json!("error"), &json!("cut"))
    );
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["error"]["code"], "server_error");
    assert_eq!(failed["response"]["id"], events[0]["response"]["id"]);
    assert!(
        !events
            .iter()
            .any(|event| event["type"] == "response.completed")
    );
}

#[test]
fn a_forwarded_stream_that_breaks_ends_under_its_own_id() {
    let failure = Failure::upstream(FailureKind::RateLimit, "slow");
    let first = br#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_9","created_at":7,"model":"x"}}"#;
    let last = br#"{"type":"response.output_text.delta","sequence_number":41,"delta":"x"}"#;
    let bytes = super::super::errors::render_break(&failure, "req", Some((first, last)));
    let events = told(std::str::from_utf8(&bytes).unwrap());
    let numbers: Vec<_> = events
        .iter()
        .map(|e| e["sequence_number"].clone())
        .collect();
    assert_eq!(numbers, [42, 43]);
    let response = &events[1]["response"];
    assert_eq!(
        (&response["id"], &response["status"], &response["model"]),
        (&json!("resp_9"), &json!("failed"), &json!("x"))
    );
    assert_eq!(response["error"]["code"], "rate_limit_exceeded");
}

#[test]
fn what_comes_in_no_pieces_is_taken_from_the_whole() {
    let whole = "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[\
        {\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"E\"},\
        {\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\",\"annotations\":[]}]},\
        {\"type\":\"web_search_call\",\"id\":\"ws\",\"status\":\"completed\",\"action\":{}},\
        {\"type\":\"image_generation_call\",\"id\":\"ig\",\"status\":\"completed\",\"result\":\"AA==\"}],\
        \"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n";
    let events = decode(&own(), whole);
    assert!(
        matches!(events.last(), Some(Event::ResponseEnd)),
        "{events:?}"
    );
    let again = told(&encode(&events, context(None)));
    let output = assemble(&again);
    let kinds: Vec<&str> = output.iter().map(|o| o["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "reasoning",
            "message",
            "web_search_call",
            "image_generation_call"
        ]
    );
    assert_eq!(output[0]["encrypted_content"], "E");
    assert_eq!(output[3]["result"], "AA==");
}

#[test]
fn an_end_without_its_terminal_is_an_error() {
    let cut = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n\
        data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"x\"}\n\n\
        data: [DONE]\n\n";
    let Some(Event::Error(failure)) = decode(&own(), cut).pop() else {
        panic!("no error");
    };
    assert_eq!(failure.kind, FailureKind::Truncated);
}

#[test]
fn arguments_whose_call_is_never_named_are_told() {
    let text = concat!(
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"output\":[]}}\n\n",
        "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"item_id\":\"fc_1\",\"delta\":\"{\\\"a\\\":1}\"}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[]}}\n\n",
    );
    let events = decode(&own(), text);
    let mut collector = llmleaf_model::Collector::new();
    for event in events {
        collector.push(event).unwrap();
    }
    let response = collector.into_response();
    let blocks = &response.choices[0].blocks;
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].arguments, "{\"a\":1}");
}

#[test]
fn an_answer_that_cannot_be_read_may_be_billed() {
    for wire in [own(), anthropic(), chat()] {
        for body in ["", "[]", "{", "\u{feff}<html>"] {
            let events = wire.parse_response(body.as_bytes());
            let Some(Event::Error(failure)) = events.last() else {
                panic!("{events:?}");
            };
            assert!(failure.possibly_billed, "{body}: {failure:?}");
            assert_eq!(failure.kind, FailureKind::InvalidResponse);
        }
    }
}

#[test]
fn facts_of_an_answer_that_a_wire_has_no_field_for_are_named() {
    let events = decode(
        &anthropic(),
        concat!(
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\",\"content\":[],\"usage\":{\"input_tokens\":1},\"context\":{}}}\n\n",
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\",\"container\":{}},\"usage\":{\"output_tokens\":1}}\n\n",
            "data: {\"type\":\"message_stop\"}\n\n",
        ),
    );
    let response = {
        let mut collector = llmleaf_model::Collector::new();
        events
            .iter()
            .for_each(|event| collector.push(event.clone()).unwrap());
        collector.into_response()
    };
    for dialect in [
        Dialect::Responses,
        Dialect::ChatCompletions,
        Dialect::GenerateContent,
    ] {
        let mut encoder = dialect.encoder(context(None));
        events
            .iter()
            .for_each(|event| encoder.encode(event, &mut Vec::new()));
        let streamed = encoder.take_losses();
        let whole = dialect.render_response(&response, &context(None)).losses;
        for losses in [streamed, whole] {
            for field in ["context", "container", "stop_sequence"] {
                assert!(
                    losses.iter().any(|loss| loss.field == field),
                    "{dialect:?} {field}: {losses:?}"
                );
            }
        }
    }
}

#[test]
fn an_item_announced_as_nothing_known_is_what_it_is_when_whole() {
    let item = json!({"id":"i","type":"message","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]});
    let mut announced = item.clone();
    announced["type"] = json!(true);
    announced["content"] = json!([]);
    let events = [
        json!({"type":"response.created","response":{"id":"r","model":"m","output":[]}}),
        json!({"type":"response.output_item.added","output_index":0,"item":announced}),
        json!({"type":"response.output_text.delta","output_index":0,"content_index":0,"item_id":"i","delta":"hi"}),
        json!({"type":"response.output_item.done","output_index":0,"item":item}),
        json!({"type":"response.completed","response":{"id":"r","model":"m","status":"completed","output":[item]}}),
    ];
    let text: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let said = decode(&own(), &text)
        .into_iter()
        .filter_map(|event| match event {
            Event::BlockDelta {
                delta: llmleaf_model::Delta::Text(text),
                ..
            } => Some(text),
            _ => None,
        });
    assert_eq!(said.collect::<Vec<_>>(), ["hi"]);
}
