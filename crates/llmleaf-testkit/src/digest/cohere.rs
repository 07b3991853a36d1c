//! The Cohere v2 wire: whole answers, and streams of them.

use super::errors::cohere_error;
use super::usage;
use super::{Digest, ToolCall};
use crate::json::{self, Value};
use crate::sse::SseEvent;
use std::collections::BTreeMap;

/// Reads a whole answer. A body that is an error reads as one.
#[must_use]
pub fn cohere_unary(body: &Value) -> Digest {
    let mut digest = Digest::default();
    let Some(message @ Value::Object(_)) = body.get("message") else {
        return Digest::of_error(cohere_error(None, &body.to_string()));
    };
    digest.responses = usize::from(!body.text_at(&["id"]).is_empty());
    digest.terminal = true;
    let choice = digest.choice(0);
    for item in message.elements_at(&["content"]) {
        choice.text.push_str(item.text_at(&["text"]));
        choice.reasoning.push_str(item.text_at(&["thinking"]));
        signed(&mut choice.signatures, item);
        let kind = item.text_at(&["type"]);
        if !matches!(kind, "text" | "thinking") {
            choice.others.push(kind.to_owned());
        }
    }
    choice.reasoning.push_str(message.text_at(&["tool_plan"]));
    for call in message.elements_at(&["tool_calls"]) {
        signed(&mut choice.signatures, call);
        choice.tool_calls.push(begun(call));
    }
    choice.citations = message
        .elements_at(&["citations"])
        .iter()
        .map(sources)
        .sum();
    choice.logprobs = body.elements_at(&["logprobs"]).len();
    let reason = body.text_at(&["finish_reason"]).to_owned();
    choice.finished(&reason);
    digest.usage = body.at(&["usage"]).and_then(usage::cohere);
    failed(&mut digest, &reason, "");
    digest
}

/// Reads a stream of events. `message-end` is its end.
#[must_use]
pub fn cohere_stream(events: &[SseEvent]) -> Digest {
    let mut digest = Digest::default();
    // Calls by their number in the stream.
    let mut calls = BTreeMap::new();
    for event in events {
        if event.data.trim() == "[DONE]" {
            continue;
        }
        match json::parse(&event.data) {
            Ok(value) => take(&mut digest, &value, &mut calls),
            Err(_) => digest.corrupt += 1,
        }
    }
    digest
}

fn take(digest: &mut Digest, event: &Value, calls: &mut BTreeMap<u64, usize>) {
    let kind = event.text_at(&["type"]).to_owned();
    let message = |path: &str| {
        event
            .at(&["delta", "message", path])
            .unwrap_or(&Value::Null)
    };
    let number = event.u64_at(&["index"]).unwrap_or(0);
    if digest.terminal && kind != "message-start" {
        digest.after_terminal += 1;
    }
    match kind.as_str() {
        "message-start" => {
            digest.responses += 1;
            let _ = digest.choice(0);
        }
        "content-start" | "content-delta" => {
            let choice = digest.choice(0);
            let content = message("content");
            choice.text.push_str(content.text_at(&["text"]));
            choice.reasoning.push_str(content.text_at(&["thinking"]));
            signed(&mut choice.signatures, content);
            choice.logprobs += usize::from(event.get("logprobs").is_some_and(Value::is_truthy));
        }
        "tool-plan-delta" => {
            let words = event.text_at(&["delta", "message", "tool_plan"]);
            digest.choice(0).reasoning.push_str(words);
        }
        "tool-call-start" => {
            let choice = digest.choice(0);
            calls.insert(number, choice.tool_calls.len());
            choice.tool_calls.push(begun(message("tool_calls")));
        }
        "tool-call-delta" => {
            let call = message("tool_calls");
            let choice = digest.choice(0);
            signed(&mut choice.signatures, call);
            let more = call.text_at(&["function", "arguments"]);
            let open = calls
                .get(&number)
                .and_then(|at| choice.tool_calls.get_mut(*at));
            if let Some(open) = open {
                open.arguments.push_str(more);
            }
        }
        "citation-start" => digest.choice(0).citations += sources(message("citations")),
        "message-end" => {
            let delta = event.at(&["delta"]).unwrap_or(&Value::Null);
            let reason = delta.text_at(&["finish_reason"]).to_owned();
            digest.choice(0).finished(&reason);
            digest.terminal = true;
            if let Some(counts) = delta.at(&["usage"]).and_then(usage::cohere) {
                digest.usage = Some(counts);
            }
            failed(digest, &reason, delta.text_at(&["error"]));
        }
        "content-end" | "tool-call-end" | "citation-end" => {}
        other => digest.choice(0).others.push(other.to_owned()),
    }
}

/// A generation that failed is told by its finish reason.
fn failed(digest: &mut Digest, reason: &str, words: &str) {
    if matches!(reason, "ERROR" | "TIMEOUT") || !words.is_empty() {
        let body = format!("{{\"message\":{}}}", serde_json::Value::from(words));
        digest.error = Some(cohere_error(None, &body));
        digest.terminal = false;
    }
}

fn begun(call: &Value) -> ToolCall {
    ToolCall {
        name: call.text_at(&["function", "name"]).to_owned(),
        arguments: call.text_at(&["function", "arguments"]).to_owned(),
        id: call.text_at(&["id"]).to_owned(),
    }
}

fn signed(signatures: &mut Vec<String>, holder: &Value) {
    let signature = holder.text_at(&["signature"]);
    if !signature.is_empty() {
        signatures.push(signature.to_owned());
    }
}

/// How many sources a citation names: each counts, since other wires cite one at a time.
fn sources(citation: &Value) -> usize {
    citation.elements_at(&["sources"]).len().max(1)
}
