//! Clients of each dialect: what they ask, and what of an answer they send back.

use llmleaf_testkit::http::Response;
use serde_json::{Value, json};

/// The dialect of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consumer {
    Chat,
    Messages,
    Responses,
    Gemini,
    Cohere,
    Ollama,
}

/// A call, as a client knows it.
#[derive(Debug)]
pub(super) struct Call {
    id: String,
    pub arguments: Value,
}

/// What a client has of an answer.
#[derive(Debug)]
pub(super) struct Turn {
    /// What goes into the conversation.
    pub kept: Vec<Value>,
    pub calls: Vec<Call>,
    pub text: String,
}

const SCHEMA: &str = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
const ABOUT: &str = "Looks.";

impl Consumer {
    pub const ALL: [Self; 6] = [
        Self::Chat,
        Self::Messages,
        Self::Responses,
        Self::Gemini,
        Self::Cohere,
        Self::Ollama,
    ];

    /// The conversation's begin.
    pub fn begin(self) -> Vec<Value> {
        match self {
            Self::Gemini => vec![json!({"role": "user", "parts": [{"text": "Look."}]})],
            _ => vec![json!({"role": "user", "content": "Look."})],
        }
    }

    /// What a tool said.
    pub fn result(self, call: &Call, said: &str) -> Value {
        match self {
            Self::Chat | Self::Cohere => {
                json!({"role": "tool", "tool_call_id": call.id, "content": said})
            }
            Self::Messages => {
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": said}]})
            }
            Self::Responses => {
                json!({"type": "function_call_output", "call_id": call.id, "output": said})
            }
            Self::Gemini => {
                json!({"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"output": said}}}]})
            }
            Self::Ollama => json!({"role": "tool", "tool_name": "look", "content": said}),
        }
    }

    /// Path and body of the request for the next answer.
    pub fn request(self, model: &str, said: &[Value], stream: bool) -> (String, String) {
        let schema: Value = serde_json::from_str(SCHEMA).expect("a schema");
        let function = json!({"name": "look", "description": ABOUT, "parameters": schema});
        let (path, body) = match self {
            Self::Chat => (
                "/v1/chat/completions".to_owned(),
                json!({"model": model, "messages": said, "stream": stream, "reasoning_effort": "high",
                    "tools": [{"type": "function", "function": function}]}),
            ),
            Self::Messages => (
                "/v1/messages".to_owned(),
                json!({"model": model, "messages": said, "stream": stream, "max_tokens": 9000,
                    "thinking": {"type": "enabled", "budget_tokens": 4000},
                    "tools": [{"name": "look", "description": ABOUT, "input_schema": schema}]}),
            ),
            Self::Responses => (
                "/v1/responses".to_owned(),
                json!({"model": model, "input": said, "stream": stream, "store": false,
                    "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
                    "tools": [{"type": "function", "name": "look", "description": ABOUT, "parameters": schema, "strict": false}]}),
            ),
            Self::Gemini => {
                let method = match stream {
                    true => "streamGenerateContent?alt=sse",
                    false => "generateContent",
                };
                (
                    format!("/v1beta/models/{model}:{method}"),
                    json!({"contents": said, "tools": [{"functionDeclarations": [function]}],
                        "generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingLevel": "high"}}}),
                )
            }
            Self::Cohere => (
                "/v2/chat".to_owned(),
                json!({"model": model, "messages": said, "stream": stream, "thinking": {"type": "enabled"},
                    "tools": [{"type": "function", "function": function}]}),
            ),
            Self::Ollama => (
                "/api/chat".to_owned(),
                json!({"model": model, "messages": said, "stream": stream, "think": true,
                    "tools": [{"type": "function", "function": function}]}),
            ),
        };
        (path, body.to_string())
    }

    /// What a client makes of an answer.
    pub fn read(self, response: &Response, stream: bool) -> Turn {
        let kept = match (self, stream) {
            (Self::Ollama, true) => vec![lines(&response.text())],
            (_, true) => self.collected(&events(response)),
            (_, false) => self.taken(&parsed(&response.text())),
        };
        self.turn(kept)
    }

    /// What is kept of a whole answer.
    fn taken(self, answer: &Value) -> Vec<Value> {
        match self {
            Self::Chat => vec![chat(&answer["choices"][0]["message"])],
            Self::Messages => vec![json!({"role": "assistant", "content": answer["content"]})],
            Self::Responses => list(&answer["output"]).to_vec(),
            Self::Gemini => vec![answer["candidates"][0]["content"].clone()],
            Self::Cohere | Self::Ollama => vec![answer["message"].clone()],
        }
    }

    /// What is kept of a stream.
    fn collected(self, events: &[Value]) -> Vec<Value> {
        match self {
            Self::Chat => vec![chat_chunks(events)],
            Self::Messages => vec![messages_events(events)],
            Self::Responses => {
                let done = |e: &&Value| e["type"] == "response.output_item.done";
                events
                    .iter()
                    .filter(done)
                    .map(|e| e["item"].clone())
                    .collect()
            }
            Self::Gemini => {
                let parts = events
                    .iter()
                    .flat_map(|e| list(&e["candidates"][0]["content"]["parts"]).to_vec());
                vec![json!({"role": "model", "parts": parts.collect::<Vec<_>>()})]
            }
            Self::Cohere => vec![cohere_events(events)],
            Self::Ollama => Vec::new(),
        }
    }

    fn turn(self, kept: Vec<Value>) -> Turn {
        let mut turn = Turn {
            kept: Vec::new(),
            calls: Vec::new(),
            text: String::new(),
        };
        let mut call = |id: &Value, arguments: &Value| {
            let arguments = match arguments.as_str() {
                Some(text) => parsed(text),
                None => arguments.clone(),
            };
            let id = id.as_str().unwrap_or_default().to_owned();
            turn.calls.push(Call { id, arguments });
        };
        for item in &kept {
            match self {
                Self::Chat | Self::Cohere | Self::Ollama => {
                    for one in list(&item["tool_calls"]) {
                        call(&one["id"], &one["function"]["arguments"]);
                    }
                }
                Self::Messages => {
                    for one in list(&item["content"])
                        .iter()
                        .filter(|b| b["type"] == "tool_use")
                    {
                        call(&one["id"], &one["input"]);
                    }
                }
                Self::Responses if item["type"] == "function_call" => {
                    call(&item["call_id"], &item["arguments"]);
                }
                Self::Responses => {}
                Self::Gemini => {
                    for one in list(&item["parts"]).iter().map(|p| &p["functionCall"]) {
                        if !one.is_null() {
                            call(&one["id"], &one["args"]);
                        }
                    }
                }
            }
            let texts = match self {
                Self::Gemini => &item["parts"],
                _ => &item["content"],
            };
            turn.text.push_str(texts.as_str().unwrap_or_default());
            for part in list(texts).iter().filter(|p| p["thought"] != true) {
                turn.text
                    .push_str(part["text"].as_str().unwrap_or_default());
            }
        }
        turn.kept = kept;
        turn
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn events(response: &Response) -> Vec<Value> {
    let stream = response.sse();
    let data = stream.events.iter().map(|event| event.data.as_str());
    data.filter(|data| *data != "[DONE]").map(parsed).collect()
}

/// An assistant's message as OpenAI documents it, with one field for thoughts.
fn chat(message: &Value) -> Value {
    let mut kept = json!({"role": "assistant", "content": message["content"]});
    let calls = list(&message["tool_calls"]).iter();
    let calls: Vec<Value> = calls
        .map(|c| json!({"id": c["id"], "type": c["type"], "function": c["function"]}))
        .collect();
    if !calls.is_empty() {
        kept["tool_calls"] = calls.into();
    }
    let has = |key: &&&str| {
        !message[**key].is_null() && message[**key] != json!([]) && message[**key] != json!("")
    };
    // A client of a service's own field keeps that, where no other is there.
    let fields = ["reasoning_details", "reasoning_content", "reasoning"];
    if let Some(key) = fields.iter().find(has) {
        kept[*key] = message[*key].clone();
    }
    kept
}

/// Adds a piece of text to a field.
fn add(place: &mut Value, more: &Value) {
    if let Some(more) = more.as_str() {
        let text = place.as_str().unwrap_or_default().to_owned() + more;
        *place = text.into();
    }
}

fn chat_chunks(chunks: &[Value]) -> Value {
    let mut message = json!({"content": "", "tool_calls": [], "reasoning_details": []});
    for delta in chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]) {
        match delta["content"].as_array() {
            Some(parts) => {
                let mut all = list(&message["content"]).to_vec();
                all.extend(parts.iter().cloned());
                message["content"] = all.into();
            }
            None => add(&mut message["content"], &delta["content"]),
        }
        for key in ["reasoning_content", "reasoning"] {
            if delta[key].is_string() {
                add(&mut message[key], &delta[key]);
            }
        }
        for piece in list(&delta["tool_calls"]) {
            let at = usize::try_from(piece["index"].as_u64().unwrap_or(0)).expect("a small number");
            let calls = message["tool_calls"].as_array_mut().expect("a list");
            if calls.len() == at {
                calls.push(json!({"id": piece["id"], "type": "function", "function": {"name": piece["function"]["name"], "arguments": ""}}));
            }
            add(
                &mut calls[at]["function"]["arguments"],
                &piece["function"]["arguments"],
            );
        }
        let details = message["reasoning_details"].as_array_mut().expect("a list");
        for piece in list(&delta["reasoning_details"]) {
            let same = |d: &Value| d["index"] == piece["index"] && d["type"] == piece["type"];
            match details.last_mut().filter(|last| same(last)) {
                Some(last) => {
                    for (key, value) in piece.as_object().expect("an object") {
                        match key.as_str() {
                            "text" | "summary" | "data" => add(&mut last[key], value),
                            _ => last[key] = value.clone(),
                        }
                    }
                }
                None => details.push(piece.clone()),
            }
        }
    }
    chat(&message)
}

fn messages_events(events: &[Value]) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for event in events {
        let delta = &event["delta"];
        let block = blocks.last_mut();
        match (event["type"].as_str(), block) {
            (Some("content_block_start"), _) => {
                input.clear();
                blocks.push(event["content_block"].clone());
            }
            (Some("content_block_delta"), Some(block)) => {
                input.push_str(delta["partial_json"].as_str().unwrap_or_default());
                for key in ["text", "thinking", "signature"] {
                    add(&mut block[key], &delta[key]);
                }
                block
                    .as_object_mut()
                    .expect("a block")
                    .retain(|_, value| !value.is_null());
            }
            (Some("content_block_stop"), Some(block)) if block["type"] == "tool_use" => {
                block["input"] = parsed(&input);
            }
            _ => {}
        }
    }
    json!({"role": "assistant", "content": blocks})
}

fn cohere_events(events: &[Value]) -> Value {
    let mut message = json!({"role": "assistant"});
    let (mut content, mut calls): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for event in events {
        let told = &event["delta"]["message"];
        match event["type"].as_str().unwrap_or_default() {
            "content-start" => content.push(told["content"].clone()),
            "content-delta" => {
                let item = content.last_mut().expect("an item");
                for (key, value) in told["content"].as_object().expect("an object") {
                    add(&mut item[key], value);
                }
            }
            "tool-plan-delta" => add(&mut message["tool_plan"], &told["tool_plan"]),
            "tool-call-start" => calls.push(told["tool_calls"].clone()),
            "tool-call-delta" => {
                let call = calls.last_mut().expect("a call");
                let told = &told["tool_calls"];
                add(
                    &mut call["function"]["arguments"],
                    &told["function"]["arguments"],
                );
                if !told["signature"].is_null() {
                    add(&mut call["signature"], &told["signature"]);
                }
            }
            _ => {}
        }
    }
    for (key, found) in [("content", content), ("tool_calls", calls)] {
        if !found.is_empty() {
            message[key] = found.into();
        }
    }
    message
}

fn lines(text: &str) -> Value {
    let mut message = json!({"role": "assistant", "content": ""});
    for line in text.lines().map(parsed) {
        let told = &line["message"];
        for key in ["content", "thinking"] {
            if told[key].is_string() {
                add(&mut message[key], &told[key]);
            }
        }
        for key in ["tool_calls", "signatures"] {
            if let Some(more) = told[key].as_array() {
                let mut all = list(&message[key]).to_vec();
                all.extend(more.iter().cloned());
                message[key] = all.into();
            }
        }
    }
    message
}
