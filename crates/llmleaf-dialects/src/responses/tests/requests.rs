//! Requests: read, and rendered for providers of every wire.

use super::*;
use llmleaf_model::{FailureKind, Message, PartKind, Retry, Role};
use serde_json::json;

/// What an agent of this wire sends: groups of tools, a tool of free text, a tool loop with reasoning.
fn agent() -> Value {
    json!({
        "model": "m",
        "instructions": "be brief",
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": [{"type": "output_text", "text": "I try", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "read", "namespace": "files", "arguments": "{\"p\":1}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "content"}]},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"}
        ],
        "tools": [
            {"type": "namespace", "name": "files", "description": "d", "tools": [{"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": false}]},
            {"type": "custom", "name": "patch", "description": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}}
        ],
        "include": ["reasoning.encrypted_content"],
        "store": false,
        "reasoning": {"effort": "high", "summary": "auto"},
        "parallel_tool_calls": true,
        "prompt_cache_key": "k",
        "stream": true
    })
}

#[test]
fn what_is_left_of_a_list_as_one_text_is_a_string() {
    let cached = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    let request = json!({"model": "m", "max_tokens": 99, "messages": [
        {"role": "assistant", "content": [cached, {"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [cached]}]}
    ]});
    let request = Dialect::Messages
        .parse_request(&request.to_string())
        .unwrap();
    let rendered = own().render_request(&request, TARGET).unwrap();
    let body = sent(&rendered);
    assert_eq!(body["input"][0]["content"], "a");
    assert_eq!(body["input"][2]["output"], "a");
    assert_eq!(losses(&rendered).len(), 2, "{:?}", losses(&rendered));
}

#[test]
fn what_the_assistant_did_between_others_is_one_turn() {
    let request = parse(&agent());
    let roles: Vec<Role> = request.messages.iter().map(|m| m.role).collect();
    assert_eq!(
        roles,
        [
            Role::System,
            Role::Developer,
            Role::User,
            Role::Assistant,
            Role::Tool,
            Role::Tool
        ]
    );
    let turn = &request.messages[3];
    assert_eq!(turn.id.as_deref(), Some("msg_1"));
    assert!(matches!(
        turn.parts
            .iter()
            .map(|p| &p.kind)
            .collect::<Vec<_>>()
            .as_slice(),
        [
            PartKind::Reasoning(_),
            PartKind::Text { .. },
            PartKind::ToolCall(_),
            PartKind::ToolCall(_)
        ]
    ));
    assert!(request.artefacts && request.stream && request.stream_usage);
    assert!(request.rest.is_empty(), "{:?}", request.rest);
}

#[test]
fn parse_after_render_is_the_identity() {
    let mut request = parse(&agent());
    let rendered = own()
        .render_request(
            &request,
            Target {
                model: "m",
                stream: true,
            },
        )
        .unwrap();
    assert_eq!(losses(&rendered), Vec::<String>::new());
    let again = parse(&sent(&rendered));
    request.rest.0.clear();
    assert_eq!(again, request);
}

#[test]
fn the_chat_wire_gets_one_message_with_calls_and_their_results_behind_it() {
    let rendered = chat().render_request(&parse(&agent()), TARGET).unwrap();
    let body = sent(&rendered);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages
        .iter()
        .map(|m| m["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        ["system", "developer", "user", "assistant", "tool", "tool"]
    );
    let calls = &messages[3]["tool_calls"];
    assert_eq!(calls[0]["function"]["name"], "files__read");
    assert_eq!(calls[1]["custom"]["input"], "*** Begin");
    assert_eq!(body["tools"][0]["function"]["name"], "files__read");
    assert_eq!(body["tools"][1]["custom"]["name"], "patch");
    assert_eq!(body["reasoning_effort"], "high");
    assert_eq!(body["store"], false);
}

#[test]
fn a_service_without_tools_of_free_text_gets_functions() {
    let mut quirks = chat_completions::Quirks::REFERENCE;
    quirks.request.custom_tools = chat_completions::quirks::CustomTools::AsFunctions;
    let rendered = ChatWire::Completions(quirks)
        .render_request(&parse(&agent()), TARGET)
        .unwrap();
    let body = sent(&rendered);
    let tool = &body["tools"][1]["function"];
    assert_eq!(tool["name"], "patch");
    assert!(tool["description"].as_str().unwrap().contains("start: X"));
    assert_eq!(tool["parameters"]["properties"]["input"]["type"], "string");
    let call = &body["messages"][3]["tool_calls"][1]["function"];
    assert_eq!(call["arguments"], r#"{"input":"*** Begin"}"#);
}

#[test]
fn the_messages_wire_gets_blocks() {
    let rendered = anthropic()
        .render_request(&parse(&agent()), TARGET)
        .unwrap();
    let body = sent(&rendered);
    assert_eq!(body["system"][0]["text"], "be brief");
    let turn = &body["messages"][1]["content"];
    assert_eq!(turn[0]["text"], "I try");
    assert_eq!(turn[1]["name"], "files__read");
    assert_eq!(turn[2]["input"]["input"], "*** Begin");
    let results = &body["messages"][2]["content"];
    assert_eq!(results[0]["tool_use_id"], "c1");
    assert_eq!(results[1]["content"], "done");
    assert!(
        losses(&rendered)
            .iter()
            .any(|l| l.contains("cannot verify")),
        "{:?}",
        losses(&rendered)
    );
}

#[test]
fn what_only_its_own_service_holds_is_refused_elsewhere() {
    for (name, body) in [
        (
            "previous_response_id",
            json!({"model": "m", "input": "x", "previous_response_id": "resp_1"}),
        ),
        (
            "background",
            json!({"model": "m", "input": "x", "background": true}),
        ),
        (
            "conversation",
            json!({"model": "m", "input": "x", "conversation": "conv_1"}),
        ),
        ("prompt", json!({"model": "m", "prompt": {"id": "pmpt_1"}})),
        (
            "input[1]",
            json!({"model": "m", "input": [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_1"}]}),
        ),
        (
            "input[0]",
            json!({"model": "m", "input": [{"id": "msg_1"}]}),
        ),
    ] {
        let request = parse(&body);
        for wire in [chat(), anthropic()] {
            let failure = wire.render_request(&request, TARGET).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unsupported, "{name}");
            assert_eq!(failure.retry, Retry::NextTarget, "{name}");
            assert_eq!(failure.param.as_deref(), Some(name));
        }
        let rendered = own().render_request(&request, TARGET).unwrap();
        assert_eq!(parse(&sent(&rendered)), request, "{name}");
    }
}

#[test]
fn what_a_target_cannot_do_is_named() {
    let body = json!({
        "model": "m", "input": "x", "truncation": "auto", "max_tool_calls": 3,
        "include": ["file_search_call.results"],
        "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}
    });
    let rendered = chat().render_request(&parse(&body), TARGET).unwrap();
    let lost = losses(&rendered);
    for name in [
        "truncation",
        "max_tool_calls",
        "include",
        "tools[0]",
        "tool_choice",
    ] {
        assert!(
            lost.iter()
                .any(|loss| loss.starts_with(&format!("dropped {name} "))),
            "{name} in {lost:?}"
        );
    }
}

#[test]
fn bad_fields_are_named() {
    for (body, param) in [
        (json!({"input": "x"}), "model"),
        (json!({"model": "m"}), "input"),
        (json!({"model": "m", "input": []}), "input"),
        (json!({"model": "m", "input": 3}), "input"),
        (
            json!({"model": "m", "input": [{"role": "robot", "content": "x"}]}),
            "input[0].role",
        ),
        (
            json!({"model": "m", "input": [{"role": "user"}]}),
            "input[0].content",
        ),
        (
            json!({"model": "m", "input": [{"type": "function_call", "call_id": "c", "name": "f"}]}),
            "input[0].arguments",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"name": "f"}]}),
            "tools[0].type",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": 3}]}),
            "tools[0].parameters",
        ),
        (
            json!({"model": "m", "input": "x", "max_output_tokens": "9"}),
            "max_output_tokens",
        ),
        (
            json!({"model": "m", "input": "x", "include": [1]}),
            "include[0]",
        ),
        (
            json!({"model": "m", "input": "x", "metadata": []}),
            "metadata",
        ),
    ] {
        let failure = Dialect::Responses
            .parse_request(&body.to_string())
            .unwrap_err();
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn a_chat_request_keeps_its_meaning() {
    let body = json!({
        "model": "m", "max_tokens": 5, "stop": "x", "seed": 1, "user": "u", "reasoning_effort": "low",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f"}},
            {"type": "custom", "custom": {"name": "p", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    });
    let request = Dialect::ChatCompletions
        .parse_request(&body.to_string())
        .unwrap();
    let rendered = own().render_request(&request, TARGET).unwrap();
    let sent = sent(&rendered);
    assert_eq!(sent["instructions"], "s");
    assert_eq!(
        sent["input"],
        json!([{"type": "message", "role": "user", "content": "hi"}])
    );
    // Unsaid means the opposite of what it means on the chat wire.
    assert_eq!(
        (&sent["store"], &sent["tools"][0]["strict"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        sent["tools"][1]["format"],
        json!({"type": "grammar", "syntax": "lark", "definition": "x"})
    );
    assert_eq!(
        sent["tool_choice"],
        json!({"type": "function", "name": "f"})
    );
    assert_eq!(sent["text"]["format"]["name"], "n");
    assert_eq!(sent["reasoning"], json!({"effort": "low"}));
    assert_eq!(sent["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(sent["safety_identifier"], "u");
    assert_eq!(sent["max_output_tokens"], 16);
    let lost = losses(&rendered);
    for name in [
        "approximated max_output_tokens",
        "dropped stop",
        "dropped seed",
    ] {
        assert!(
            lost.iter().any(|loss| loss.starts_with(name)),
            "{name} in {lost:?}"
        );
    }
}

#[test]
fn documents_and_images_keep_their_places() {
    let pdf = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="});
    let body = json!({"model": "m", "input": [{"role": "user", "content": [pdf,
        {"type": "input_file", "file_url": "https://x.example/b.pdf"}, {"type": "input_image", "file_id": "file-1"}]}]});
    let request = parse(&body);
    let rendered = own().render_request(&request, TARGET).unwrap();
    assert_eq!(parse(&sent(&rendered)), request);
    let messages = anthropic().render_request(&request, TARGET).unwrap();
    assert_eq!(
        sent(&messages)["messages"][0]["content"][0]["source"]["media_type"],
        "application/pdf"
    );
    let _: &Message = &request.messages[0];
}

#[test]
fn proofs_find_their_calls_among_many() {
    const MANY: usize = 20_000;
    let call = |at: usize| json!({"type":"function_call","call_id":format!("c{at}"),"name":"f","arguments":"{}"});
    let proof = artefact("google-gemini-v1", ArtefactKind::Signature, "S");
    let proofs = (0..MANY).map(|at| {
        let data = crate::responses::reasoning::shown_for_call(&proof, &format!("c{at}"));
        json!({"type":"reasoning","summary":[],"encrypted_content":data})
    });
    let calls = (0..MANY).map(call);
    let input: Vec<Value> = calls.chain(proofs).collect();
    let request = parse(&json!({"model":"m","input":input}));
    let parts = &request.messages[0].parts;
    assert_eq!(parts.len(), MANY);
    for part in parts {
        let llmleaf_model::PartKind::ToolCall(call) = &part.kind else {
            panic!("{part:?}");
        };
        assert_eq!(call.artefact.as_ref(), Some(&proof), "{}", call.id);
    }
}

#[test]
fn sound_goes_to_routers_only() {
    let sound =
        json!({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hear."}, sound]}]});
    let request = crate::Dialect::ChatCompletions
        .parse_request(&body.to_string())
        .unwrap();
    let target = Target {
        model: "m",
        stream: false,
    };
    let sent = |quirks: Quirks| {
        let rendered = crate::ChatWire::Responses(quirks)
            .render_request(&request, target)
            .unwrap();
        let body: Value = serde_json::from_slice(&rendered.body).unwrap();
        (
            body["input"].to_string().contains("input_audio"),
            rendered.losses.len(),
        )
    };
    assert_eq!(sent(Quirks::REFERENCE), (false, 1));
    let router = Quirks {
        extended: true,
        ..Quirks::REFERENCE
    };
    assert_eq!(sent(router), (true, 0));
}

#[test]
fn a_summary_is_asked_for_by_either_name() {
    for name in ["summary", "generate_summary"] {
        let request = parse(&json!({"model": "m", "input": "x", "reasoning": {name: "concise"}}));
        let config = request.reasoning.unwrap();
        assert_eq!(config.summary.as_deref(), Some("concise"), "{name}");
        assert!(config.rest.is_empty());
    }
}
