//! What services that think answer, on each wire: a thought and a call, or that they are done.

use super::{DONE, Form};
use llmleaf_testkit::replay::Script;
use serde_json::{Value, json};

/// The call that is asked for in a turn, with its proof, its thought and its id; none where it is done.
pub(super) type Said = Option<(usize, String, String, String)>;

fn arguments(turn: usize) -> String {
    json!({"n": turn}).to_string()
}

fn data(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect()
}

fn named(events: &[Value]) -> Script {
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    let text: String = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", name(event)))
        .collect();
    Script::sse(text)
}

/// The first thought can be read, the second one is sealed by the service.
pub(super) fn messages_thought(proof: &str, thought: &str, turn: usize) -> Value {
    match turn {
        1 => json!({"type": "thinking", "thinking": thought, "signature": proof}),
        _ => json!({"type": "redacted_thinking", "data": proof}),
    }
}

pub(super) fn messages(said: Said, stream: bool) -> Script {
    let usage = json!({"input_tokens": 3, "output_tokens": 4});
    let (content, reason) = match &said {
        Some((turn, proof, thought, id)) => (
            vec![
                messages_thought(proof, thought, *turn),
                json!({"type": "tool_use", "id": id, "name": "look", "input": {"n": turn}}),
            ],
            "tool_use",
        ),
        None => (vec![json!({"type": "text", "text": DONE})], "end_turn"),
    };
    let mut message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": usage});
    if !stream {
        message["content"] = content.into();
        message["stop_reason"] = reason.into();
        return Script::json(200, message.to_string());
    }
    let mut events = vec![json!({"type": "message_start", "message": message})];
    for (index, block) in content.iter().enumerate() {
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        match block["type"].as_str() {
            Some("thinking") => {
                deltas.push(json!({"type": "thinking_delta", "thinking": block["thinking"]}));
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
                begun = json!({"type": "thinking", "thinking": "", "signature": ""});
            }
            Some("tool_use") => {
                deltas.push(
                    json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
                );
                begun["input"] = json!({});
            }
            Some("text") => {
                deltas.push(json!({"type": "text_delta", "text": block["text"]}));
                begun["text"] = "".into();
            }
            _ => {}
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    named(&events)
}

pub(super) fn gemini(said: Said, stream: bool) -> Script {
    let parts = match &said {
        Some((turn, proof, thought, id)) => vec![
            json!({"text": thought, "thought": true}),
            json!({"functionCall": {"id": id, "name": "look", "args": {"n": turn}}, "thoughtSignature": proof}),
        ],
        None => vec![json!({"text": DONE})],
    };
    let answer = |parts: Vec<Value>, finish: Value| {
        json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}], "modelVersion": "m",
            "responseId": "r", "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}})
    };
    if !stream {
        return Script::json(200, answer(parts, "STOP".into()).to_string());
    }
    let mut events: Vec<Value> = parts
        .into_iter()
        .map(|part| answer(vec![part], Value::Null))
        .collect();
    events.push(answer(vec![json!({"text": ""})], "STOP".into()));
    Script::sse(data(&events))
}

pub(super) fn responses(names_family: bool, said: Said, stream: bool) -> Script {
    let output = match &said {
        Some((turn, proof, thought, id)) => {
            let mut thought = json!({"type": "reasoning", "id": format!("rs_{turn}"), "encrypted_content": proof,
                "summary": [{"type": "summary_text", "text": thought}]});
            if names_family {
                thought["format"] = "openai-responses-v1".into();
            }
            vec![
                thought,
                json!({"type": "function_call", "id": format!("fc_{turn}"), "call_id": id, "name": "look", "arguments": arguments(*turn), "status": "completed"}),
            ]
        }
        None => vec![
            json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": DONE, "annotations": []}]}),
        ],
    };
    let response = |status: &str, output: &[Value]| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": output,
            "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}})
    };
    if !stream {
        return Script::json(200, response("completed", &output).to_string());
    }
    let mut events =
        vec![json!({"type": "response.created", "response": response("in_progress", &[])})];
    for (at, item) in output.iter().enumerate() {
        let id = &item["id"];
        let mut begun = item.clone();
        let mut told = Vec::new();
        match item["type"].as_str() {
            Some("reasoning") => {
                begun["summary"] = json!([]);
                let text = &item["summary"][0]["text"];
                let part = json!({"type": "summary_text", "text": ""});
                told.push(json!({"type": "response.reasoning_summary_part.added", "item_id": id, "output_index": at, "summary_index": 0, "part": part}));
                told.push(json!({"type": "response.reasoning_summary_text.delta", "item_id": id, "output_index": at, "summary_index": 0, "delta": text}));
                told.push(json!({"type": "response.reasoning_summary_text.done", "item_id": id, "output_index": at, "summary_index": 0, "text": text}));
                told.push(json!({"type": "response.reasoning_summary_part.done", "item_id": id, "output_index": at, "summary_index": 0, "part": item["summary"][0]}));
                // It is another one until the thought is whole.
                begun["encrypted_content"] = "begun".into();
            }
            Some("function_call") => {
                begun["arguments"] = "".into();
                told.push(json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": at, "delta": item["arguments"]}));
                told.push(json!({"type": "response.function_call_arguments.done", "item_id": id, "output_index": at, "arguments": item["arguments"]}));
            }
            _ => {
                begun["content"] = json!([]);
                let part = json!({"type": "output_text", "text": "", "annotations": []});
                told.push(json!({"type": "response.content_part.added", "item_id": id, "output_index": at, "content_index": 0, "part": part}));
                told.push(json!({"type": "response.output_text.delta", "item_id": id, "output_index": at, "content_index": 0, "delta": DONE}));
                told.push(json!({"type": "response.output_text.done", "item_id": id, "output_index": at, "content_index": 0, "text": DONE}));
                told.push(json!({"type": "response.content_part.done", "item_id": id, "output_index": at, "content_index": 0, "part": item["content"][0]}));
            }
        }
        events
            .push(json!({"type": "response.output_item.added", "output_index": at, "item": begun}));
        events.extend(told);
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    events.push(json!({"type": "response.completed", "response": response("completed", &output)}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    named(&events)
}

/// What OpenRouter tells of a thought, by whose model it is.
pub(super) fn details(format: &str, proof: &str, thought: &str, id: &str) -> Vec<Value> {
    match format {
        "anthropic-claude-v1" => {
            vec![
                json!({"type": "reasoning.text", "text": thought, "signature": proof, "format": format, "index": 0}),
            ]
        }
        "google-gemini-v1" => vec![
            json!({"type": "reasoning.text", "text": thought, "format": format, "index": 0}),
            json!({"type": "reasoning.encrypted", "data": proof, "id": id, "format": format, "index": 1}),
        ],
        _ => vec![
            json!({"type": "reasoning.summary", "summary": thought, "format": format, "index": 0}),
            json!({"type": "reasoning.encrypted", "data": proof, "id": "rs_1", "format": format, "index": 0}),
        ],
    }
}

pub(super) fn chat(form: Form, said: Said, stream: bool) -> Script {
    let mut message = json!({"role": "assistant", "content": null});
    let mut reason = "stop";
    match &said {
        Some((turn, proof, thought, id)) => {
            reason = "tool_calls";
            message["tool_calls"] = json!([{"id": id, "type": "function", "function": {"name": "look", "arguments": arguments(*turn)}}]);
            match form {
                Form::None => {}
                Form::Text(key) => message[key] = thought.as_str().into(),
                Form::Parts => {
                    message["content"] = json!([{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}]);
                }
                Form::Details(format) => {
                    message["reasoning"] = thought.as_str().into();
                    message["reasoning_details"] = details(format, proof, thought, id).into();
                }
            }
        }
        None => message["content"] = DONE.into(),
    }
    let answer = |object: &str, choice: Value| {
        json!({"id": "c1", "object": object, "created": 1, "model": "m", "choices": [choice],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
    };
    if !stream {
        let choice = json!({"index": 0, "message": message, "finish_reason": reason});
        return Script::json(200, answer("chat.completion", choice).to_string());
    }
    let mut chunks = Vec::new();
    let mut chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        chunks.push(answer("chat.completion.chunk", choice));
    };
    let mut calls = message["tool_calls"].take();
    if let Some(fields) = message.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    chunk(message, Value::Null);
    if !calls.is_null() {
        calls[0]["index"] = 0.into();
        chunk(json!({"tool_calls": calls}), Value::Null);
    }
    chunk(json!({}), reason.into());
    Script::sse(data(&chunks) + "data: [DONE]\n\n")
}

pub(super) fn cohere(said: Said, stream: bool) -> Script {
    let mut message = json!({"role": "assistant"});
    let reason = match &said {
        Some((turn, _, thought, id)) => {
            message["content"] = json!([{"type": "thinking", "thinking": thought}]);
            message["tool_calls"] = json!([{"id": id, "type": "function", "function": {"name": "look", "arguments": arguments(*turn)}}]);
            "TOOL_CALL"
        }
        None => {
            message["content"] = json!([{"type": "text", "text": DONE}]);
            "COMPLETE"
        }
    };
    let usage = json!({"billed_units": {"input_tokens": 3, "output_tokens": 4}, "tokens": {"input_tokens": 3, "output_tokens": 4}});
    if !stream {
        let answer =
            json!({"id": "c1", "finish_reason": reason, "message": message, "usage": usage});
        return Script::json(200, answer.to_string());
    }
    let item = message["content"][0].clone();
    let key = item["type"].as_str().unwrap_or_default().to_owned();
    let mut begun = item.clone();
    begun[&key] = "".into();
    let mut events = vec![
        json!({"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
        json!({"type": "content-start", "index": 0, "delta": {"message": {"content": begun}}}),
        json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {&key: item[&key]}}}}),
        json!({"type": "content-end", "index": 0}),
    ];
    if let Some((turn, _, _, id)) = &said {
        let begun =
            json!({"id": id, "type": "function", "function": {"name": "look", "arguments": ""}});
        events.push(json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": begun}}}));
        let more = json!({"function": {"arguments": arguments(*turn)}});
        events.push(json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": more}}}));
        events.push(json!({"type": "tool-call-end", "index": 0}));
    }
    events.push(json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}}));
    named(&events)
}

pub(super) fn lines(said: Said, stream: bool) -> Script {
    let mut message = json!({"role": "assistant", "content": ""});
    match &said {
        Some((turn, _, thought, _)) => {
            message["thinking"] = thought.as_str().into();
            message["tool_calls"] =
                json!([{"function": {"name": "look", "arguments": {"n": turn}}}]);
        }
        None => message["content"] = DONE.into(),
    }
    let line = |message: &Value, done: bool| {
        let mut line = json!({"model": "m", "created_at": "2026-11-01T00:00:00Z", "message": message, "done": done});
        if done {
            line["done_reason"] = "stop".into();
            line["prompt_eval_count"] = 3.into();
            line["eval_count"] = 4.into();
        }
        line
    };
    if !stream {
        return Script::json(200, line(&message, true).to_string());
    }
    let last = line(&json!({"role": "assistant", "content": ""}), true);
    let text = format!("{}\n{last}\n", line(&message, false));
    Script::body(200, "application/x-ndjson", text).write_each_line()
}
