//! The OpenAI Responses wire.

use std::collections::BTreeMap;

use super::errors::openai_error_value;
use super::{Choice, Digest, FinishClass, ToolCall, UsageClasses};
use crate::json::{self, Value};
use crate::sse::SseEvent;

/// Reads a whole response. A body that is an error, or a response that failed, reads as one.
#[must_use]
pub fn openai_responses_unary(body: &Value) -> Digest {
    let mut reading = Reading::default();
    reading.end(body);
    reading.finish()
}

/// Reads a stream of response events, up to its end.
#[must_use]
pub fn openai_responses_stream(events: &[SseEvent]) -> Digest {
    let mut reading = Reading::default();
    for event in events {
        if event.data.trim() == "[DONE]" {
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

#[derive(Default)]
struct Reading {
    digest: Digest,
    /// Items by their place in the output.
    items: BTreeMap<u64, Item>,
    status: Option<String>,
    incomplete: String,
    ids: std::collections::BTreeSet<String>,
}

/// An item under construction: what came in pieces, and the item as it was told whole.
#[derive(Default)]
struct Item {
    text: String,
    reasoning: String,
    refusal: String,
    arguments: String,
    annotations: usize,
    whole: Option<Value>,
}

impl Reading {
    fn event(&mut self, event: &Value) {
        let kind = event.text_at(&["type"]);
        if let Some(response) = event.get("response") {
            self.head(response);
        }
        let at = event.u64_at(&["output_index"]).unwrap_or(0);
        let delta = event.text_at(&["delta"]);
        match kind {
            "response.output_text.delta" => self.item(at).text.push_str(delta),
            "response.refusal.delta" => self.item(at).refusal.push_str(delta),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                self.item(at).reasoning.push_str(delta);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.item(at).arguments.push_str(delta);
            }
            "response.output_text.annotation.added" => self.item(at).annotations += 1,
            "response.output_item.done" => self.item(at).whole = event.get("item").cloned(),
            "response.completed" | "response.incomplete" => {
                if let Some(response) = event.get("response") {
                    self.end(response);
                }
            }
            "response.failed" | "error" => self.fail(event),
            "" if event.get("error").is_some_and(Value::is_truthy) => self.fail(event),
            _ => {}
        }
    }

    fn item(&mut self, at: u64) -> &mut Item {
        self.items.entry(at).or_default()
    }

    fn head(&mut self, response: &Value) {
        let id = response.text_at(&["id"]);
        if !id.is_empty() {
            self.ids.insert(id.to_owned());
        }
        if self.digest.model.is_empty() {
            response
                .text_at(&["model"])
                .clone_into(&mut self.digest.model);
        }
        if let Some(usage @ Value::Object(_)) = response.at(&["usage"]) {
            self.digest.usage = Some(counts(usage));
        }
    }

    fn fail(&mut self, event: &Value) {
        let words = [&["response", "error"][..], &["error"]]
            .into_iter()
            .find_map(|path| event.at(path).filter(|words| words.is_truthy()))
            .unwrap_or(event)
            .clone();
        let wrapped = Value::Object(vec![("error".to_owned(), words)]);
        let error = openai_error_value(None, &wrapped, &wrapped.to_string());
        self.digest.error.get_or_insert(error);
    }

    fn end(&mut self, response: &Value) {
        self.head(response);
        let failed = response.text_at(&["status"]) == "failed";
        if failed || response.get("error").is_some_and(Value::is_truthy) {
            self.digest.terminal = true;
            return self.fail(response);
        }
        for (at, item) in (0u64..).zip(response.elements_at(&["output"])) {
            let known = self.items.values().any(|known| {
                let id = item.text_at(&["id"]);
                let whole = known.whole.as_ref();
                whole.is_some_and(|whole| !id.is_empty() && whole.text_at(&["id"]) == id)
            });
            let slot = self.item(at);
            if !known && slot.whole.is_none() {
                slot.whole = Some(item.clone());
            }
        }
        response
            .text_at(&["incomplete_details", "reason"])
            .clone_into(&mut self.incomplete);
        self.status = Some(response.text_at(&["status"]).to_owned());
        self.digest.terminal = true;
    }

    fn finish(mut self) -> Digest {
        self.digest.responses = self.ids.len();
        let mut choice = Choice::default();
        for item in self.items.into_values() {
            read_item(&mut choice, item);
        }
        match self.status.as_deref() {
            None => {}
            Some("incomplete") => {
                choice.finish = match self.incomplete.as_str() {
                    "max_output_tokens" => FinishClass::Length,
                    "content_filter" => FinishClass::ContentFilter,
                    other => FinishClass::Other(other.to_owned()),
                };
                choice.finish_raw = self.incomplete;
            }
            Some(status) => {
                choice.finish = match choice.tool_calls.is_empty() {
                    true => FinishClass::Stop,
                    false => FinishClass::ToolCalls,
                };
                status.clone_into(&mut choice.finish_raw);
            }
        }
        if self.status.is_some() || choice != Choice::default() {
            self.digest.choices.push(choice);
        }
        self.digest
    }
}

fn read_item(choice: &mut Choice, item: Item) {
    let nothing = Value::Null;
    let whole = item.whole.as_ref().unwrap_or(&nothing);
    let kind = whole.text_at(&["type"]);
    let (mut text, mut reasoning, mut refusal) = (String::new(), String::new(), String::new());
    let mut annotations = 0;
    for part in whole.elements_at(&["content"]) {
        match part.text_at(&["type"]) {
            "output_text" => text.push_str(part.text_at(&["text"])),
            "refusal" => refusal.push_str(part.text_at(&["refusal"])),
            "reasoning_text" => reasoning.push_str(part.text_at(&["text"])),
            _ => {}
        }
        annotations += part.elements_at(&["annotations"]).len();
        choice.logprobs += part.elements_at(&["logprobs"]).len();
    }
    let mut summary = String::new();
    for part in whole.elements_at(&["summary"]) {
        summary.push_str(part.text_at(&["text"]));
    }
    let reasoning = summary + &reasoning;
    // What came in pieces counts; an item that came whole alone is read whole.
    let pieces = |pieces: String, whole: String| if pieces.is_empty() { whole } else { pieces };
    choice.text.push_str(&pieces(item.text, text));
    choice
        .reasoning
        .push_str(&pieces(item.reasoning, reasoning));
    choice.refusal.push_str(&pieces(item.refusal, refusal));
    choice.citations += item.annotations.max(annotations);
    for key in ["encrypted_content", "signature"] {
        let opaque = whole.text_at(&[key]);
        if !opaque.is_empty() {
            choice.signatures.push(opaque.to_owned());
        }
    }
    match kind {
        "message" | "reasoning" | "" => {}
        "function_call" | "custom_tool_call" => {
            let field = match kind {
                "function_call" => "arguments",
                _ => "input",
            };
            let arguments = whole.text_at(&[field]).to_owned();
            choice.tool_calls.push(ToolCall {
                name: whole.text_at(&["name"]).to_owned(),
                arguments: pieces(item.arguments, arguments),
                id: whole.text_at(&["call_id"]).to_owned(),
            });
        }
        "image_generation_call" if !whole.text_at(&["result"]).is_empty() => choice.images += 1,
        other => match other.strip_suffix("_call") {
            Some(name) => choice.server_tools.push(name.to_owned()),
            None => choice.others.push(other.to_owned()),
        },
    }
}

fn counts(usage: &Value) -> UsageClasses {
    UsageClasses {
        input_total: usage.u64_at(&["input_tokens"]),
        cache_read: usage.u64_at(&["input_tokens_details", "cached_tokens"]),
        cache_write: usage.u64_at(&["input_tokens_details", "cache_write_tokens"]),
        output_total: usage.u64_at(&["output_tokens"]),
        reasoning: usage.u64_at(&["output_tokens_details", "reasoning_tokens"]),
    }
}
