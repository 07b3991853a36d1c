//! The Anthropic Messages wire.

use std::collections::{BTreeMap, BTreeSet};

use super::errors::anthropic_error;
use super::usage::AnthropicCounts;
use super::{Choice, Digest, ToolCall};
use crate::json::{self, Value};
use crate::sse::SseEvent;

/// Reads a whole message. A body that is an error reads as one.
#[must_use]
pub fn anthropic_unary(body: &Value) -> Digest {
    if is_error(body) {
        return Digest::of_error(anthropic_error(None, &body.to_string()));
    }
    let mut reading = Reading::default();
    reading.message(body);
    reading.digest.terminal = true;
    reading.finish()
}

/// Reads a stream of message events, up to the first `message_stop`.
#[must_use]
pub fn anthropic_stream(events: &[SseEvent]) -> Digest {
    let mut reading = Reading::default();
    for event in events {
        // A relay was seen to add the other dialect's end after `message_stop`.
        if event.data.trim() == "[DONE]" || event.event == "ping" {
            continue;
        }
        if reading.digest.terminal {
            reading.digest.after_terminal += 1;
            continue;
        }
        match json::parse(&event.data) {
            Ok(value) => reading.event(&value),
            Err(_) => reading.digest.corrupt += 1,
        }
    }
    reading.finish()
}

fn is_error(body: &Value) -> bool {
    body.text_at(&["type"]) == "error" || body.get("error").is_some_and(Value::is_truthy)
}

#[derive(Default)]
struct Reading {
    digest: Digest,
    ids: BTreeSet<String>,
    counts: AnthropicCounts,
    counted: bool,
    /// The blocks by index, each read when the whole is known.
    blocks: BTreeMap<u64, Block>,
    finish: String,
    answered: bool,
}

/// A block under construction: what its start said and what the deltas added.
#[derive(Default)]
struct Block {
    kind: String,
    start: Option<Value>,
    text: String,
    json: String,
    signature: String,
    citations: usize,
}

impl Reading {
    fn finish(mut self) -> Digest {
        if self.answered {
            let mut choice = Choice::default();
            for block in std::mem::take(&mut self.blocks).into_values() {
                read_block(&mut choice, block);
            }
            choice.finished(&self.finish);
            self.digest.choices = vec![choice];
        }
        self.digest.responses = self.ids.len();
        self.digest.usage = self.counted.then(|| self.counts.classes());
        self.digest
    }

    fn event(&mut self, event: &Value) {
        if is_error(event) {
            let error = anthropic_error(None, &event.to_string());
            self.digest.error.get_or_insert(error);
            return;
        }
        let index = event.u64_at(&["index"]).unwrap_or(0);
        match event.text_at(&["type"]) {
            "message_start" => {
                if let Some(message) = event.at(&["message"]) {
                    self.message(message);
                }
            }
            "content_block_start" => {
                if let Some(start) = event.at(&["content_block"]) {
                    self.blocks.insert(index, Block::start(start));
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.at(&["delta"]) {
                    self.blocks.entry(index).or_default().delta(delta);
                }
            }
            "message_delta" => {
                if let Some(reason) = event.at(&["delta", "stop_reason"]).and_then(Value::as_str) {
                    reason.clone_into(&mut self.finish);
                }
                self.usage(event);
            }
            "message_stop" => self.digest.terminal = true,
            _ => {}
        }
    }

    /// A whole message, or the one in `message_start`, which is mostly but not always empty.
    fn message(&mut self, message: &Value) {
        self.answered = true;
        self.ids.insert(message.text_at(&["id"]).to_owned());
        message
            .text_at(&["model"])
            .clone_into(&mut self.digest.model);
        for (index, block) in message.elements_at(&["content"]).iter().enumerate() {
            self.blocks.insert(index as u64, Block::start(block));
        }
        message
            .text_at(&["stop_reason"])
            .clone_into(&mut self.finish);
        self.usage(message);
    }

    fn usage(&mut self, holder: &Value) {
        if let Some(usage) = holder.at(&["usage"]) {
            self.counts.absorb(usage);
            self.counted = true;
        }
    }
}

impl Block {
    fn start(source: &Value) -> Self {
        let kind = source.text_at(&["type"]).to_owned();
        let text = match kind.as_str() {
            "thinking" => source.text_at(&["thinking"]),
            _ => source.text_at(&["text"]),
        };
        Block {
            text: text.to_owned(),
            signature: source.text_at(&["signature"]).to_owned(),
            citations: source.elements_at(&["citations"]).len(),
            start: Some(source.clone()),
            kind,
            json: String::new(),
        }
    }

    fn delta(&mut self, delta: &Value) {
        match delta.text_at(&["type"]) {
            "text_delta" => self.text.push_str(delta.text_at(&["text"])),
            "thinking_delta" => self.text.push_str(delta.text_at(&["thinking"])),
            "input_json_delta" => self.json.push_str(delta.text_at(&["partial_json"])),
            "signature_delta" => self.signature.push_str(delta.text_at(&["signature"])),
            "citations_delta" => self.citations += 1,
            _ => {}
        }
    }

    fn part(&self, key: &str) -> &str {
        self.start
            .as_ref()
            .map_or("", |start| start.text_at(&[key]))
    }
}

fn read_block(choice: &mut Choice, block: Block) {
    choice.citations += block.citations;
    match block.kind.as_str() {
        "text" => choice.text.push_str(&block.text),
        "thinking" => {
            choice.reasoning.push_str(&block.text);
            if !block.signature.is_empty() {
                choice.signatures.push(block.signature);
            }
        }
        "redacted_thinking" => choice.signatures.push(block.part("data").to_owned()),
        "tool_use" => {
            let given = block.start.as_ref().and_then(|start| start.get("input"));
            let arguments = if block.json.is_empty() {
                given.map(Value::to_string).unwrap_or_default()
            } else {
                block.json.clone()
            };
            choice.tool_calls.push(ToolCall {
                name: block.part("name").to_owned(),
                arguments,
                id: block.part("id").to_owned(),
            });
        }
        "server_tool_use" | "mcp_tool_use" => {
            choice.server_tools.push(block.part("name").to_owned());
        }
        "image" => choice.images += 1,
        _ => choice.others.push(block.kind),
    }
}
