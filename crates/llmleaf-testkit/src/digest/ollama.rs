//! Ollama's own wire: whole answers, and streams that are lines of them. Both forms, a conversation's and one prompt's.

use super::{Digest, ToolCall, UsageClasses, openai_error};
use crate::json::{self, Value};

/// Reads a whole answer. A body that is an error reads as one.
#[must_use]
pub fn ollama_unary(body: &Value) -> Digest {
    let mut digest = Digest::default();
    line(&mut digest, body);
    // A whole body is an end.
    digest.terminal = true;
    digest
}

/// Reads a stream of lines, the last of which says that it is.
#[must_use]
pub fn ollama_stream(body: &[u8]) -> Digest {
    let mut digest = Digest::default();
    let text = String::from_utf8_lossy(body);
    for text in text.lines().filter(|text| !text.trim().is_empty()) {
        match json::parse(text) {
            Ok(_) if digest.terminal => digest.after_terminal += 1,
            Ok(value) => line(&mut digest, &value),
            Err(_) => digest.corrupt += 1,
        }
    }
    digest
}

fn line(digest: &mut Digest, line: &Value) {
    if line.get("error").is_some_and(Value::is_truthy) {
        let error = openai_error(None, &line.to_string());
        digest.error.get_or_insert(error);
        return;
    }
    let model = line.text_at(&["model"]);
    if !model.is_empty() {
        model.clone_into(&mut digest.model);
    }
    let message = line.get("message").unwrap_or(line);
    let choice = digest.choice(0);
    choice.text.push_str(message.text_at(&["content"]));
    choice.text.push_str(line.text_at(&["response"]));
    choice.reasoning.push_str(message.text_at(&["thinking"]));
    choice.images += message.elements_at(&["images"]).len();
    choice.logprobs += line.elements_at(&["logprobs"]).len();
    for call in message.elements_at(&["tool_calls"]) {
        choice.tool_calls.push(ToolCall {
            name: call.text_at(&["function", "name"]).to_owned(),
            arguments: call
                .at(&["function", "arguments"])
                .map(Value::to_string)
                .unwrap_or_default(),
            id: call.text_at(&["id"]).to_owned(),
        });
    }
    for sealed in message.elements_at(&["signatures"]) {
        choice.signatures.push(sealed.text_at(&[]).to_owned());
    }
    if !matches!(line.get("done"), Some(Value::Bool(true))) {
        return;
    }
    digest.terminal = true;
    let choice = digest.choice(0);
    let reason = line.text_at(&["done_reason"]);
    // Calls end an answer as anything else does.
    let called = !choice.tool_calls.is_empty() && matches!(reason, "stop" | "");
    choice.finished(if called { "tool_calls" } else { reason });
    let count = |name: &str| line.u64_at(&[name]);
    if count("prompt_eval_count").or(count("eval_count")).is_some() {
        digest.usage = Some(UsageClasses {
            input_total: count("prompt_eval_count").or(Some(0)),
            output_total: count("eval_count").or(Some(0)),
            ..UsageClasses::default()
        });
    }
}
