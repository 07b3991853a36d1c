//! Tool loops with proofs of reasoning: what a provider issued comes back to it, through whatever dialect the consumer
//! speaks, also through clients that keep only what that dialect documents.

use super::*;
use llmleaf_model::{
    BlockKind, Delta, Finish, FinishReason, ReasoningForm, ResponseStart, ToolFlavour,
};
use serde_json::json;

/// An answer that reasons and calls a tool.
fn answer(form: ReasoningForm, proof: Artefact) -> Vec<Event> {
    let start = |block, kind| Event::BlockStart {
        block,
        choice: 0,
        kind,
    };
    let delta = |block, delta| Event::BlockDelta { block, delta };
    let call = BlockKind::ToolCall {
        id: "c1".into(),
        name: "f".into(),
        flavour: ToolFlavour::Function,
    };
    vec![
        Event::ResponseStart(ResponseStart::default()),
        start(
            0,
            BlockKind::Reasoning {
                id: Some("rs_1".into()),
                form,
            },
        ),
        delta(0, Delta::Text("thought".into())),
        delta(0, Delta::Artefact(proof)),
        Event::BlockEnd { block: 0 },
        start(1, call),
        delta(1, Delta::Arguments("{}".into())),
        Event::BlockEnd { block: 1 },
        Event::ChoiceEnd {
            choice: 0,
            finish: Finish::new(FinishReason::ToolCalls, "x"),
        },
        Event::ResponseEnd,
    ]
}

/// The output items that a consumer of this wire gets, and the next turn that sends them back. `forgetful` clients keep
/// only the encrypted content and the summary of a thought.
fn next_turn(events: &[Event], forgetful: bool) -> ChatRequest {
    let first =
        parse(&json!({"model": "m", "input": "x", "include": ["reasoning.encrypted_content"]}));
    let stream = encode(events, context(Some(first)));
    let last = told(&stream).pop().unwrap();
    assert_eq!(last["type"], "response.completed");
    let mut input = vec![json!({"role": "user", "content": "x"})];
    for item in last["response"]["output"].as_array().unwrap() {
        let mut item = item.clone();
        if forgetful && item["type"] == "reasoning" {
            item.as_object_mut().unwrap().remove("content");
            item.as_object_mut().unwrap().remove("id");
        }
        input.push(item);
    }
    input.push(json!({"type": "function_call_output", "call_id": "c1", "output": "r"}));
    parse(&json!({"model": "m", "input": input}))
}

#[test]
fn a_signature_of_the_messages_wire_comes_back_with_its_text() {
    let proof = artefact("anthropic-claude-v1", ArtefactKind::Signature, "SIG");
    for forgetful in [false, true] {
        let request = next_turn(&answer(ReasoningForm::Full, proof.clone()), forgetful);
        let body = sent(&anthropic().render_request(&request, TARGET).unwrap());
        let thinking = json!({"type": "thinking", "thinking": "thought", "signature": "SIG"});
        assert_eq!(body["messages"][1]["content"][0], thinking, "{forgetful}");
        // Nobody else gets it.
        let elsewhere = own().render_request(&request, TARGET).unwrap();
        assert!(!sent(&elsewhere).to_string().contains("SIG") && !elsewhere.losses.is_empty());
        assert!(!sent(&elsewhere).to_string().contains("llmleaf"));
    }
}

#[test]
fn encrypted_reasoning_comes_back_through_every_dialect() {
    let proof = artefact("openai-responses-v1", ArtefactKind::Encrypted, "gAAA");
    let events = answer(ReasoningForm::Summary, proof);
    let request = next_turn(&events, true);
    let body = sent(&own().render_request(&request, TARGET).unwrap());
    let item = &body["input"][1];
    assert_eq!(item["encrypted_content"], "gAAA");
    assert_eq!(
        item["summary"],
        json!([{"type": "summary_text", "text": "thought"}])
    );

    // A consumer of the messages wire sends the block back as it got it.
    let mut encoder = Dialect::Messages.encoder(context(None));
    let mut out = Vec::new();
    events
        .iter()
        .for_each(|event| encoder.encode(event, &mut out));
    let stream = String::from_utf8(out).unwrap();
    let signature = told(&stream)
        .into_iter()
        .find_map(|event| event["delta"]["signature"].as_str().map(str::to_owned))
        .unwrap();
    let next = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "thought", "signature": signature},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]}]});
    let request = Dialect::Messages.parse_request(&next.to_string()).unwrap();
    let body = sent(&own().render_request(&request, TARGET).unwrap());
    let item = &body["input"][1];
    assert_eq!(
        (&item["id"], &item["encrypted_content"]),
        (&json!("rs_1"), &json!("gAAA"))
    );
    assert_eq!(item["summary"][0]["text"], "thought");

    // So does one of the chat wire, with a router's details.
    let next = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "reasoning_details": [
            {"type": "reasoning.summary", "summary": "thought", "id": "rs_1", "index": 0},
            {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "id": "rs_1", "index": 0}],
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"}]});
    let request = Dialect::ChatCompletions
        .parse_request(&next.to_string())
        .unwrap();
    let body = sent(&own().render_request(&request, TARGET).unwrap());
    assert_eq!(body["input"][1], *item);
}

#[test]
fn a_proof_bound_to_a_call_comes_back_to_its_call() {
    let mut events = answer(
        ReasoningForm::Full,
        artefact("anthropic-claude-v1", ArtefactKind::Signature, "S"),
    );
    let proof = artefact("google-gemini-v1", ArtefactKind::Signature, "THOUGHT");
    events.insert(
        7,
        Event::BlockDelta {
            block: 1,
            delta: Delta::Artefact(proof.clone()),
        },
    );
    let request = next_turn(&events, true);
    let call = request.messages[1]
        .parts
        .iter()
        .find_map(|part| match &part.kind {
            llmleaf_model::PartKind::ToolCall(call) => Some(call),
            _ => None,
        });
    assert_eq!(call.unwrap().artefact, Some(proof));
}

#[test]
fn text_that_nobody_signed_comes_back_to_a_service_that_wants_its_text() {
    let mut events = answer(
        ReasoningForm::Full,
        artefact("x", ArtefactKind::Signature, "S"),
    );
    events.remove(3);
    let request = next_turn(&events, true);
    let mut quirks = chat_completions::Quirks::REFERENCE;
    quirks.reasoning.echo = chat_completions::quirks::ReasoningEcho::ReasoningContent;
    let body = sent(
        &ChatWire::Completions(quirks)
            .render_request(&request, TARGET)
            .unwrap(),
    );
    assert_eq!(body["messages"][1]["reasoning_content"], "thought");
    let signed_only = anthropic().render_request(&request, TARGET).unwrap();
    assert!(!sent(&signed_only).to_string().contains("thought"));
}

#[test]
fn groups_and_free_text_come_back_as_the_consumer_knows_them() {
    let request = parse(&json!({"model": "m", "input": "x", "tools": [
        {"type": "namespace", "name": "g", "description": "d", "tools": [{"type": "function", "name": "f"}]},
        {"type": "custom", "name": "patch"}]}));
    let body = sent(&anthropic().render_request(&request, TARGET).unwrap());
    let names = [&body["tools"][0]["name"], &body["tools"][1]["name"]];
    assert_eq!(names, [&json!("g__f"), &json!("patch")]);
    let stream = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"g__f\",\"input\":{}}}\n\n\
        data: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
        data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"patch\",\"input\":{}}}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"input\\\": \\\"a\\\\n\"}}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"b\\\"}\"}}\n\n\
        data: {\"type\":\"content_block_stop\",\"index\":1}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\n\
        data: {\"type\":\"message_stop\"}\n\n";
    let events = decode(&anthropic(), stream);
    let last = told(&encode(&events, context(Some(request.clone()))))
        .pop()
        .unwrap();
    let output = &last["response"]["output"];
    assert_eq!(
        (&output[0]["namespace"], &output[0]["name"]),
        (&json!("g"), &json!("f"))
    );
    assert_eq!(
        (&output[1]["type"], &output[1]["input"]),
        (&json!("custom_tool_call"), &json!("a\nb"))
    );
    let mut collector = llmleaf_model::Collector::new();
    events
        .into_iter()
        .for_each(|event| collector.push(event).unwrap());
    let reply =
        Dialect::Responses.render_response(&collector.into_response(), &context(Some(request)));
    let whole: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(&whole["output"], output);
}

/// Services check an encrypted thought against the name of its item ("item_id did not match": github.com/BerriAI/litellm pull request
/// 15782, 2025-10), and some name it behind the words of the thought only.
#[test]
fn a_thought_that_is_named_late_keeps_its_name() {
    let mut quirks = chat_completions::Quirks::REFERENCE;
    quirks.reasoning.echo = chat_completions::quirks::ReasoningEcho::Details;
    quirks.reasoning.verifies = Cow::Owned(vec!["openai-responses-v1".into()]);
    let summary = r#"{"type":"reasoning.summary","summary":"thought","index":0,"format":"openai-responses-v1"}"#;
    let named = r#"{"type":"reasoning.encrypted","data":"xx","id":"rs_real","index":0,"format":"openai-responses-v1"}"#;
    let call =
        r#"{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let chunk =
        |delta: &str| format!("data: {{\"id\":\"a\",\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n");
    let streamed = [
        chunk(&format!("\"reasoning_details\":[{summary}]")),
        chunk(&format!("\"reasoning_details\":[{named}]")),
        chunk(&format!("\"tool_calls\":[{call}]"))
            .replace("}}]", "},\"finish_reason\":\"tool_calls\"}]"),
        "data: [DONE]\n\n".to_owned(),
    ];
    let whole = format!(
        r#"{{"id":"a","choices":[{{"message":{{"role":"assistant","reasoning_details":[{summary},{named}],"tool_calls":[{call}]}},"finish_reason":"tool_calls"}}]}}"#
    );
    let whole = chat_completions::response::parse_response(whole.as_bytes(), &quirks);
    let wire = ChatWire::Completions(quirks);
    for events in [decode(&wire, &streamed.concat()), whole] {
        for forgetful in [false, true] {
            let turn = next_turn(&events, forgetful);
            let body = sent(&wire.render_request(&turn, TARGET).unwrap());
            let details = &body["messages"][1]["reasoning_details"];
            let last = details.as_array().and_then(|all| all.last()).cloned();
            let mut expected: Value = serde_json::from_str(named).unwrap();
            if forgetful {
                // Who drops the item's own name has it nowhere else.
                expected.as_object_mut().unwrap().remove("id");
                expected["index"] = last.as_ref().unwrap()["index"].clone();
            }
            assert_eq!(last, Some(expected), "{forgetful}: {details}");
        }
    }
}
