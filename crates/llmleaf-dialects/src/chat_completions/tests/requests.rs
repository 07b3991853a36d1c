//! Requests: what is read is written again the same.

use super::recorded;
use crate::chat_completions::quirks::{
    Quirks, ReasoningEcho, ReasoningQuirks, ReasoningRequest, RequestQuirks,
};
use crate::chat_completions::request::{parse_request, render_request};
use crate::{ChatWire, Dialect, Target, messages};
use llmleaf_model::{ChatRequest, Loss, PartKind, Role, ToolChoice, ToolFlavour, ToolKind};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A service that takes everything that the request says.
pub fn generous(request: ReasoningRequest, echo: ReasoningEcho) -> Quirks {
    Quirks {
        request: RequestQuirks {
            extended: true,
            cache_control: true,
            ..RequestQuirks::REFERENCE
        },
        reasoning: ReasoningQuirks {
            request,
            echo,
            verifies: [
                "unknown",
                "anthropic-claude-v1",
                "google-gemini-v1",
                "openai-responses-v1",
                "xai-responses-v1",
            ]
            .map(Into::into)
            .to_vec()
            .into(),
        },
        ..Quirks::REFERENCE
    }
}

fn fitting(body: &str) -> Quirks {
    let value: Value = serde_json::from_str(body).unwrap();
    let request = if value.get("thinking").is_some() {
        ReasoningRequest::Thinking
    } else if value.get("reasoning").is_some() || value.get("include_reasoning").is_some() {
        ReasoningRequest::Object
    } else {
        ReasoningRequest::Effort
    };
    let echo = if body.contains("\"type\":\"thinking\"") {
        ReasoningEcho::ContentParts
    } else {
        ReasoningEcho::Details
    };
    generous(request, echo)
}

/// Renders and reads again.
fn again(request: &ChatRequest, quirks: &Quirks) -> (ChatRequest, Vec<Loss>, String) {
    let target = Target {
        model: &request.model,
        stream: request.stream,
    };
    let rendered = render_request(request, target, quirks).unwrap();
    let text = String::from_utf8(rendered.body.to_vec()).unwrap();
    let mut read = parse_request(&text).unwrap_or_else(|f| panic!("{f:?} in {text}"));
    // The usage flag is the one thing that is added.
    assert_eq!(
        rendered.usage_added,
        request.stream && !request.stream_usage
    );
    read.stream_usage = request.stream_usage;
    (read, rendered.losses, text)
}

/// Every `null` was asked for, but for the content of an assistant who says nothing.
fn assert_no_new_nulls(text: &str, asked: &str) {
    let value: Value = serde_json::from_str(text).unwrap();
    let asked: Value = serde_json::from_str(asked).unwrap();
    let same = |object: &Value, asked: &Value| {
        for (key, field) in object.as_object().unwrap() {
            let silent = key == "content" && object["role"] == "assistant";
            let wanted = asked.get(key).is_some_and(Value::is_null);
            assert!(
                silent || wanted || !field.is_null(),
                "{key}: null in {text}"
            );
        }
    };
    same(&value, &asked);
    let messages = value["messages"].as_array().unwrap();
    for (message, asked) in messages.iter().zip(asked["messages"].as_array().unwrap()) {
        same(message, asked);
    }
}

#[test]
fn recorded_requests_come_back_the_same() {
    let mut read = 0;
    let mut refused = 0;
    for recording in recorded::all() {
        let Some(body) = recording.request else {
            continue;
        };
        let request = match parse_request(&body) {
            Ok(request) => request,
            Err(failure) => {
                refused += 1;
                // Mock and malformed requests only: without model or messages, or such that the provider refused too.
                let known =
                    ["model", "messages"].contains(&failure.param.as_deref().unwrap_or("-"));
                assert!(
                    known || recording.status >= 400,
                    "{}: {}",
                    recording.id,
                    failure.message
                );
                continue;
            }
        };
        read += 1;
        let (second, losses, text) = again(&request, &fitting(&body));
        assert_eq!(request, second, "{}", recording.id);
        assert_eq!(losses, [], "{}", recording.id);
        assert_no_new_nulls(&text, &body);
    }
    assert!(
        read == 0 || (read > 450 && refused < 60),
        "{read} {refused}"
    );
}

fn parse(value: &Value) -> ChatRequest {
    parse_request(&value.to_string()).unwrap_or_else(|f| panic!("{f:?}"))
}

fn with_messages(messages: &Value) -> Value {
    json!({"model": "m", "messages": messages})
}

#[test]
fn every_place_of_a_request_is_read_and_kept() {
    let body = json!({
        "model": "m", "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false},
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "d", "cache_control": {"type": "ephemeral", "ttl": "1h", "x": 1}}]},
            {"role": "system", "content": "s", "name": "n"},
            {"role": "user", "content": [
                {"type": "text", "text": "t", "z": 1},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low", "y": 2}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_id": "f1"}},
                {"type": "video_url", "video_url": {"url": "https://x/y.mp4"}},
                {"type": "novel", "a": [1]}
            ]},
            {"role": "assistant", "content": null, "reasoning": "ab", "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "index": 0, "format": "anthropic-claude-v1", "signature": "s"},
                {"type": "reasoning.summary", "summary": "b", "index": 1, "id": "rs", "format": "openai-responses-v1"},
                {"type": "reasoning.encrypted", "data": "e", "index": 1, "id": "rs", "format": "openai-responses-v1"},
                {"type": "reasoning.server_tool_call", "index": 2, "tool": "x"}
             ], "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}, "extra_content": {"google": {"thought_signature": "ts"}}, "v": 0},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "raw"}}
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "r"}, {"type": "image_url", "image_url": {"url": "https://x"}}]},
            {"role": "assistant", "content": "", "refusal": "no", "annotations": [], "audio": {"id": "a1"}},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}, {"type": "text", "text": "t"}]}
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true, "q": 1}, "cache_control": {"type": "ephemeral"}},
            {"type": "function", "function": {"name": "bare"}},
            {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
            {"type": "openrouter:web_search", "max": 3}
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}},
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": true}},
        "max_completion_tokens": 5, "temperature": 0.7, "top_p": 1, "top_k": 4, "min_p": 0.1, "frequency_penalty": -1.5,
        "presence_penalty": 0, "repetition_penalty": 1.1, "seed": 9313781139405380000u64, "stop": "x", "n": 2, "logprobs": true,
        "top_logprobs": 3, "logit_bias": {"5": -100},
        "reasoning": {"effort": "max", "exclude": true, "enabled": true, "max_tokens": 99, "summary": "auto", "w": 1},
        "modalities": ["text", "audio"], "audio": {"voice": "v", "format": "wav"}, "verbosity": "low", "user": "u",
        "metadata": {"a": "b"}, "service_tier": "flex", "prompt_cache_key": "k", "cache_control": {"type": "ephemeral"},
        "store": false, "provider": {"only": ["x"]}, "models": ["y"], "prediction": {"type": "content"}, "unheard_of": [1.50]
    });
    let request = parse(&body);
    let quirks = generous(ReasoningRequest::Object, ReasoningEcho::Details);
    let (second, losses, text) = again(&request, &quirks);
    assert_eq!(request, second);
    assert_eq!(losses, []);
    // All of it is there again, under the same names, but for what one spelling stands for.
    let mut expected = body.clone();
    expected["stop"] = json!(["x"]);
    expected["messages"][6]["content"] = Value::Null;
    expected["messages"][3]
        .as_object_mut()
        .unwrap()
        .remove("reasoning");
    // The proof of a call stands among the thoughts where the service has it there.
    let proof = json!({"type": "reasoning.encrypted", "data": "ts", "id": "c1", "format": "google-gemini-v1", "index": 3});
    let turn = &mut expected["messages"][3];
    turn["reasoning_details"]
        .as_array_mut()
        .unwrap()
        .push(proof);
    let call = turn["tool_calls"][0].as_object_mut().unwrap();
    call.remove("extra_content");
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn a_kind_of_thinking_that_is_not_known_stays() {
    let user = json!([{"role": "user", "content": "q"}]);
    let body =
        json!({"model": "m", "messages": user, "thinking": {"type": "novel", "budget_tokens": 9}});
    let quirks = generous(ReasoningRequest::Thinking, ReasoningEcho::Details);
    let request = parse(&body);
    let (second, losses, text) = again(&request, &quirks);
    assert_eq!((&second, losses.len()), (&request, 0));
    assert!(text.contains(r#""type":"novel""#), "{text}");
    // Two spellings with one object to go to: no field stands there twice.
    let both = json!({"model": "m", "messages": user, "reasoning": {"type": 1, "x": 1}, "thinking": {"type": "enabled", "x": 2}});
    let (_, losses, text) = again(&parse(&both), &quirks);
    assert_eq!(losses.len(), 2);
    assert!(
        text.contains(r#""thinking":{"type":"enabled","x":1}"#),
        "{text}"
    );
}

#[test]
fn reasoning_that_only_its_service_can_read_stays() {
    let details = json!([
        {"type": "reasoning.text", "format": "anthropic-claude-v1", "novel": "x"},
        {"type": "reasoning.text", "text": null, "format": "unknown"}
    ]);
    let turn = json!([{"role": "assistant", "content": "a", "reasoning_details": details}]);
    let request = parse(&with_messages(&turn));
    assert_eq!(request.messages[0].parts.len(), 2);
    let quirks = generous(ReasoningRequest::Effort, ReasoningEcho::Details);
    let (second, losses, text) = again(&request, &quirks);
    assert_eq!((&second, losses.len()), (&request, 0));
    assert!(text.contains(r#""novel":"x""#), "{text}");
}

#[test]
fn legacy_functions_become_tools() {
    let request = parse(&json!({
        "model": "m",
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"}
        ]
    }));
    assert!(matches!(&request.tools[0].kind, ToolKind::Function { name, .. } if name == "f"));
    assert!(matches!(&request.tool_choice, Some(ToolChoice::Named { name, .. }) if name == "f"));
    let PartKind::ToolCall(call) = &request.messages[1].parts[0].kind else {
        panic!("{request:?}");
    };
    let PartKind::ToolResult(result) = &request.messages[2].parts[0].kind else {
        panic!("{request:?}");
    };
    assert_eq!(call.id, result.call_id);
    assert_eq!(request.messages[2].role, Role::Tool);
    let (second, losses, _) = again(&request, &Quirks::REFERENCE);
    assert_eq!((&second, losses.len()), (&request, 0));
    let mixed = json!([{"role": "function", "name": "f", "tool_call_id": "a", "content": "r"}]);
    let (_, _, text) = again(&parse(&with_messages(&mixed)), &Quirks::REFERENCE);
    assert_eq!(text.matches("tool_call_id\":\"a\"").count(), 1, "{text}");
}

fn assert_named(cases: impl IntoIterator<Item = (Value, &'static str)>) {
    for (body, param) in cases {
        let failure = parse_request(&body.to_string()).unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn wrong_messages_are_named() {
    let user = json!([{"role": "user", "content": "x"}]);
    assert_named([
        (json!({"messages": user}), "model"),
        (json!({"model": "", "messages": user}), "model"),
        (json!({"model": "m"}), "messages"),
        (with_messages(&json!([])), "messages"),
        (with_messages(&json!({})), "messages"),
        (with_messages(&json!(["x"])), "messages[0]"),
        (
            with_messages(&json!([{"content": "x"}])),
            "messages[0].role",
        ),
        (
            with_messages(&json!([{"role": "robot", "content": "x"}])),
            "messages[0].role",
        ),
        (
            with_messages(&json!([{"role": "user", "content": null}])),
            "messages[0].content",
        ),
        (
            with_messages(&json!([{"role": "user", "content": 5}])),
            "messages[0].content",
        ),
        (
            with_messages(&json!([{"role": "tool", "tool_call_id": "a"}])),
            "messages[0].content",
        ),
        (
            with_messages(&json!([{"role": "assistant"}])),
            "messages[0].content",
        ),
        (
            with_messages(&json!([{"role": "user", "content": [{"text": "x"}]}])),
            "messages[0].content[0].type",
        ),
        (
            with_messages(
                &json!([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
            ),
            "messages[0].content[0].image_url.url",
        ),
        (
            with_messages(
                &json!([{"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {}}]}]),
            ),
            "messages[0].tool_calls[0].function.name",
        ),
    ]);
}

#[test]
fn wrong_fields_are_named() {
    let user = json!([{"role": "user", "content": "x"}]);
    assert_named([
        (
            json!({"model": "m", "messages": user, "temperature": "hot"}),
            "temperature",
        ),
        (
            json!({"model": "m", "messages": user, "max_tokens": -1}),
            "max_tokens",
        ),
        (json!({"model": "m", "messages": user, "n": 1000000}), "n"),
        (json!({"model": "m", "messages": user, "stop": [1]}), "stop"),
        (
            json!({"model": "m", "messages": user, "tools": [{"type": "function"}]}),
            "tools[0].function",
        ),
        (
            json!({"model": "m", "messages": user, "response_format": {"type": "json_schema"}}),
            "response_format.json_schema",
        ),
        (
            json!({"model": "m", "messages": user, "stream_options": 1}),
            "stream_options",
        ),
        (
            json!({"model": "m", "messages": user, "metadata": []}),
            "metadata",
        ),
    ]);
    for text in [
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"seed":18446744073709551616}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"seed":1e400}"#,
        r#"{"model":"m","messages":[{"role":"user","role":"system","content":"x"}]}"#,
        "[]",
        "",
        // White space of other alphabets is none in JSON.
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\u{c}",
    ] {
        assert!(parse_request(text).is_err(), "{text}");
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z\"\\\\é\n]{1,6}"]
}

fn content_part() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(|t| json!({"type": "text", "text": t})),
        text().prop_map(|t| json!({"type": "text", "text": t, "cache_control": {"type": "ephemeral"}, "x": null, "y": {"z": [1.5]}})),
        Just(json!({"type": "image_url", "image_url": {"url": "data:image/webp;base64,QQ==", "detail": "auto"}})),
        Just(json!({"type": "image_url", "image_url": "https://a/b"})),
        Just(json!({"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}})),
        Just(json!({"type": "file", "file": {"file_data": "QQ==", "filename": "x.txt"}})),
        Just(json!({"type": "else", "deep": {"a": {"b": 1}}})),
    ]
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::String),
        prop::collection::vec(content_part(), 1..4).prop_map(Value::Array)
    ]
}

fn detail() -> impl Strategy<Value = Value> {
    let format = prop_oneof![
        Just(json!("anthropic-claude-v1")),
        Just(json!("unknown")),
        Just(Value::Null)
    ];
    (0u8..4, 0u64..2, text(), format, any::<bool>()).prop_map(|(kind, index, text, format, id)| {
        let mut detail = match kind {
            0 => json!({"type": "reasoning.text", "text": text}),
            1 => json!({"type": "reasoning.text", "text": text, "signature": text}),
            2 => json!({"type": "reasoning.summary", "summary": text}),
            _ => json!({"type": "reasoning.encrypted", "data": text}),
        };
        detail["index"] = json!(index);
        detail["format"] = format;
        if id {
            detail["id"] = json!("rs");
        }
        detail
    })
}

fn assistant() -> impl Strategy<Value = Value> {
    let calls = prop::collection::vec((0u8..2, text()), 0..3);
    (
        prop::option::of(content()),
        calls,
        prop::option::of(text()),
        prop::collection::vec(detail(), 0..4),
        prop::option::of(text()),
    )
        .prop_map(|(content, calls, refusal, details, reasoning)| {
            let mut message = json!({"role": "assistant", "reasoning_details": details, "name": "bot"});
            let calls: Vec<_> = calls
                .into_iter()
                .enumerate()
                .map(|(at, (kind, text))| match kind {
                    0 => json!({"id": format!("c{at}"), "type": "function", "function": {"name": "f", "arguments": text}, "index": at}),
                    _ => json!({"id": format!("c{at}"), "type": "custom", "custom": {"name": "f", "input": text}}),
                })
                .collect();
            message["content"] = content.unwrap_or(if calls.is_empty() { json!("x") } else { Value::Null });
            if !calls.is_empty() {
                message["tool_calls"] = json!(calls);
            }
            if let Some(refusal) = refusal {
                message["refusal"] = json!(refusal);
            }
            if let Some(reasoning) = reasoning {
                message["reasoning_content"] = json!(reasoning);
            }
            message
        })
}

fn message() -> impl Strategy<Value = Value> {
    prop_oneof![
        content().prop_map(|c| json!({"role": "user", "content": c})),
        content().prop_map(|c| json!({"role": "system", "content": c, "k": true})),
        content().prop_map(|c| json!({"role": "tool", "tool_call_id": "c0", "content": c})),
        assistant(),
    ]
}

proptest! {
    #[test]
    fn any_request_comes_back_the_same(messages in prop::collection::vec(message(), 1..6), effort in "low|none|max|odd", stream: bool) {
        let body = json!({"model": "m", "messages": messages, "reasoning_effort": effort, "stream": stream, "temperature": 0.1});
        let request = parse(&body);
        let quirks = generous(ReasoningRequest::Effort, ReasoningEcho::Details);
        let (second, losses, text) = again(&request, &quirks);
        prop_assert_eq!(&request, &second, "{}", text);
        prop_assert_eq!(losses, []);
    }

    #[test]
    fn reading_never_panics(body in ".{0,80}", messages in prop::collection::vec(message(), 1..4), at in 0usize..2000, junk in "[\\[\\]{}\",:0-9nul-]{1,3}") {
        let _ = parse_request(&body);
        let mut text = with_messages(&json!(messages)).to_string();
        let at = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.insert_str(at, &junk);
        if let Ok(request) = parse_request(&text) {
            let target = Target { model: "m", stream: true };
            let rendered = render_request(&request, target, &Quirks::REFERENCE).unwrap();
            let _: Value = serde_json::from_slice(&rendered.body).unwrap();
        }
    }
}

#[test]
fn what_mistrals_clients_say_is_understood() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://a.example/x.png"}]}],
        "random_seed": 7, "safe_prompt": false, "tool_choice": "any",
    });
    let request = parse_request(&body.to_string()).unwrap();
    assert_eq!(request.sampling.seed, Some(serde_json::Number::from(7)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert!(request.rest.is_empty(), "{:?}", request.rest);
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "prefix": false},
    ]});
    let request = parse_request(&body.to_string()).unwrap();
    assert!(request.messages[1].rest.is_empty());
    // A call's place in a stream comes back with the call.
    let call = json!({"id": "c", "type": "function", "index": 1, "function": {"name": "f", "arguments": "{}"}});
    let body = with_messages(&json!([{"role": "assistant", "content": "", "tool_calls": [call]}]));
    let request = parse_request(&body.to_string()).unwrap();
    let parts = &request.messages[0].parts;
    assert!(parts.iter().all(|part| part.rest.is_empty()), "{parts:?}");
    // What asks for something goes on, to be told as a loss where it is not known.
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "safe_prompt": true});
    let request = parse_request(&body.to_string()).unwrap();
    assert!(!request.rest.is_empty());
}

#[test]
fn a_proof_among_the_thoughts_belongs_to_the_call_that_it_names() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let proof = |id: &str, format: &str| json!({"type": "reasoning.encrypted", "data": "p", "id": id, "format": format});
    let turn = json!({"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")],
        "reasoning_details": [proof("a", "google-gemini-v1"), proof("gone", "google-gemini-v1"), proof("b", "openai-responses-v1")]});
    let request = parse_request(&with_messages(&json!([turn])).to_string()).unwrap();
    let proofs: Vec<(&str, bool)> = request.messages[0]
        .parts
        .iter()
        .map(|part| match &part.kind {
            PartKind::ToolCall(call) => (call.id.as_str(), call.artefact.is_some()),
            PartKind::Reasoning(thought) => {
                (thought.id.as_deref().unwrap(), thought.artefact.is_some())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        proofs,
        [("gone", true), ("b", true), ("a", true), ("b", false)]
    );
}

/// Recorded: a service took a result that names no call.
#[test]
fn a_result_without_an_id_is_that_of_the_next_call() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let turns = json!([
        {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b"), call("c")]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "content": "1"},
        {"role": "tool", "tool_call_id": "", "content": "3"},
    ]);
    let request = parse_request(&with_messages(&turns).to_string()).unwrap();
    let parts = request.messages.iter().flat_map(|m| &m.parts);
    let ids: Vec<&str> = parts
        .filter_map(|part| match &part.kind {
            PartKind::ToolResult(result) => Some(result.call_id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["b", "a", "c"]);
}

#[test]
fn the_newer_names_of_the_reference_are_read() {
    let body = json!({"model": "m", "safety_identifier": "u", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "q", "prompt_cache_breakpoint": {"mode": "explicit"}}
    ]}]});
    let request = Dialect::ChatCompletions
        .parse_request(&body.to_string())
        .unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    let wire = ChatWire::Messages(messages::Quirks::REFERENCE);
    let rendered = wire.render_request(&request, target).unwrap();
    let sent: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(sent["metadata"], json!({"user_id": "u"}));
    let hint = &sent["messages"][0]["content"][0]["cache_control"];
    assert_eq!(hint, &json!({"type": "ephemeral"}));
    let lost: Vec<_> = rendered.losses.iter().map(|l| l.field.as_str()).collect();
    assert_eq!(lost, ["max_tokens"]);
    // Where it is written again, it stands under its own name.
    let (_, losses, again) = again(&request, &Quirks::REFERENCE);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["messages"], body["messages"]);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn a_tool_is_chosen_in_the_forms_of_other_wires_too() {
    let (function, custom) = (ToolFlavour::Function, ToolFlavour::Custom);
    for (choice, as_what) in [
        (
            json!({"type": "function", "function": {"name": "f"}}),
            function,
        ),
        (json!({"type": "function", "name": "f"}), function),
        (
            json!({"type": "function", "name": "g", "function": {"name": "f"}}),
            function,
        ),
        (json!({"type": "tool", "name": "f"}), function),
        (json!({"type": "custom", "custom": {"name": "f"}}), custom),
        (json!({"type": "custom", "name": "f"}), custom),
        (
            json!({"type": "custom", "name": "g", "custom": {"name": "f"}}),
            custom,
        ),
    ] {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "tool_choice": choice});
        let request = parse_request(&body.to_string()).unwrap();
        let Some(ToolChoice::Named { name, flavour }) = request.tool_choice else {
            panic!("{choice}");
        };
        assert_eq!((&*name, flavour), ("f", as_what), "{choice}");
    }
}
