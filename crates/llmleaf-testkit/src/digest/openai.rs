//! The OpenAI chat wire, as OpenAI documents it and as the providers of the recordings vary it.

use std::collections::BTreeSet;

use super::errors::openai_error_value;
use super::{Choice, Digest, ToolCall, usage};
use crate::json::{self, Value};
use crate::sse::SseEvent;

/// Reads a whole chat completion. A body that is an error reads as one.
#[must_use]
pub fn openai_chat_unary(body: &Value) -> Digest {
    let mut reading = Reading::default();
    reading.object(body, Part::Message);
    let mut digest = reading.finish();
    digest.terminal = true;
    digest
}

/// Reads a stream of chat completion chunks.
#[must_use]
pub fn openai_chat_stream(events: &[SseEvent]) -> Digest {
    let mut reading = Reading::default();
    for event in events {
        if event.data.trim() == "[DONE]" {
            reading.digest.terminal = true;
            continue;
        }
        if reading.digest.terminal {
            reading.digest.after_terminal += 1;
            continue;
        }
        match json::parse(&event.data) {
            Ok(value) => reading.object(&value, Part::Delta),
            Err(_) => reading.digest.corrupt += 1,
        }
    }
    reading.finish()
}

/// Which member of a choice holds its content.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Message,
    Delta,
}

#[derive(Default)]
struct Reading {
    digest: Digest,
    ids: BTreeSet<String>,
    /// Per choice index, the positions of the tool calls of a stream in order of first sight.
    slots: Vec<Slot>,
    top_citations: usize,
}

struct Slot {
    choice: u64,
    index: Option<u64>,
    /// Position in the tool calls of the choice.
    at: usize,
}

impl Reading {
    fn finish(mut self) -> Digest {
        self.digest.responses = self.ids.len();
        if let Some(first) = self.digest.choices.first_mut()
            && first.citations == 0
        {
            first.citations = self.top_citations;
        }
        self.digest
    }

    fn object(&mut self, body: &Value, part: Part) {
        let flat_error = body.at(&["choices"]).is_none() && body.text_at(&["object"]) == "error";
        if flat_error || body.get("error").is_some_and(Value::is_truthy) {
            let error = openai_error_value(None, body, &body.to_string());
            self.digest.error.get_or_insert(error);
        }
        let id = body.text_at(&["id"]);
        // Perplexity's closing object repeats the whole answer; its id is its own in normalised recordings.
        let closing = body.text_at(&["object"]) == "chat.completion.done";
        if !id.is_empty() && !closing {
            self.ids.insert(id.to_owned());
        }
        if self.digest.model.is_empty() {
            body.text_at(&["model"]).clone_into(&mut self.digest.model);
        }
        // Perplexity repeats its sources in every chunk, so the longest list counts, not the sum.
        let citations = body.elements_at(&["citations"]).len();
        self.top_citations = self.top_citations.max(citations);
        for choice in body.elements_at(&["choices"]) {
            self.choice(choice, part);
        }
        // Counts are cumulative wherever they stand, so the last ones count. Groq also has a copy in `x_groq`.
        for place in [&["x_groq", "usage"][..], &["usage"]] {
            if let Some(found @ Value::Object(_)) = body.at(place) {
                self.digest.usage = Some(usage::openai(found));
            }
        }
    }

    fn choice(&mut self, source: &Value, part: Part) {
        let index = source.u64_at(&["index"]).unwrap_or(0);
        let choice = self.digest.choice(index);
        choice.finished(source.text_at(&["finish_reason"]));
        // `content` and `refusal`; DeepSeek also has `reasoning_content`.
        for (_, tokens) in source.at(&["logprobs"]).map_or(&[][..], Value::members) {
            choice.logprobs += tokens.elements().len();
        }
        let (wanted, other) = match part {
            Part::Message => ("message", "delta"),
            Part::Delta => ("delta", "message"),
        };
        let content = match source.at(&[wanted]) {
            Some(content) => content,
            // A whole message in a stream counts only where no piece of it came before.
            None if choice.text.is_empty() && choice.tool_calls.is_empty() => {
                match source.at(&[other]) {
                    Some(content) => content,
                    None => return,
                }
            }
            None => return,
        };
        read_content(choice, content);
        for call in content.elements_at(&["tool_calls"]) {
            self.tool_call(index, call, part);
        }
        if let Some(call) = content.at(&["function_call"]) {
            self.function_call(index, call);
        }
    }

    /// Pieces of one call share an `index`; where it is missing they share an id, or go on with the last call.
    fn tool_call(&mut self, choice: u64, source: &Value, part: Part) {
        // Google's layer for this wire.
        let proof = source.text_at(&["extra_content", "google", "thought_signature"]);
        if !proof.is_empty() {
            let signatures = &mut self.digest.choice(choice).signatures;
            // Told among the thoughts as well, it is the same one.
            if !signatures.iter().any(|told| told == proof) {
                signatures.push(proof.to_owned());
            }
        }
        let index = source.u64_at(&["index"]);
        let id = source.text_at(&["id"]);
        // A tool of free text has its words under another name.
        let named = |key: &str| source.text_at(&["function", key]);
        let name = match named("name") {
            "" => source.text_at(&["custom", "name"]),
            name => name,
        };
        let known = if part == Part::Message {
            None
        } else {
            self.slot_of(choice, index, id, name)
        };
        let calls = &mut self.digest.choice(choice).tool_calls;
        let at = known.unwrap_or_else(|| {
            calls.push(ToolCall::default());
            let at = calls.len() - 1;
            self.slots.push(Slot { choice, index, at });
            at
        });
        let call = &mut calls[at];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        let written = source.at(&["function", "arguments"]);
        match written.or_else(|| source.at(&["custom", "input"])) {
            Some(Value::String { text, .. }) => call.arguments.push_str(text),
            Some(object) => call.arguments.push_str(&object.to_string()),
            None => {}
        }
    }

    fn slot_of(&mut self, choice: u64, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let calls = &self.digest.choice(choice).tool_calls;
        let mut own = self.slots.iter().rev().filter(|slot| slot.choice == choice);
        let found = match index {
            Some(_) => own.find(|slot| slot.index == index),
            None if !id.is_empty() => own.find(|slot| calls[slot.at].id == id),
            None if !name.is_empty() => None,
            None => own.next(),
        }?;
        let call = &calls[found.at];
        // Whole calls that all claim one index are told apart by their ids.
        let another = !id.is_empty() && !call.id.is_empty() && call.id != id;
        (!another).then_some(found.at)
    }

    /// The old form: one call, no id, whole or in pieces.
    fn function_call(&mut self, choice: u64, source: &Value) {
        let calls = &mut self.digest.choice(choice).tool_calls;
        if calls.is_empty() {
            calls.push(ToolCall::default());
        }
        let call = &mut calls[0];
        call.name.push_str(source.text_at(&["name"]));
        call.arguments.push_str(source.text_at(&["arguments"]));
    }
}

/// A message or a delta, except its tool calls.
fn read_content(choice: &mut Choice, content: &Value) {
    match content.at(&["content"]) {
        Some(Value::String { text, .. }) => choice.text.push_str(text),
        Some(Value::Array(parts)) => parts.iter().for_each(|part| read_part(choice, part)),
        _ => {}
    }
    choice.refusal.push_str(content.text_at(&["refusal"]));
    read_reasoning(choice, content);
    let annotations = content.elements_at(&["annotations"]);
    choice.citations += annotations.len();
    choice.images += content.elements_at(&["images"]).len();
    choice.audio |= content.at(&["audio"]).is_some();
}

/// Mistral answers with a list of parts when it reasons or cites.
fn read_part(choice: &mut Choice, part: &Value) {
    match part.text_at(&["type"]) {
        "text" => choice.text.push_str(part.text_at(&["text"])),
        "thinking" => match part.at(&["thinking"]) {
            Some(Value::String { text, .. }) => choice.reasoning.push_str(text),
            Some(Value::Array(inner)) => {
                for piece in inner {
                    choice.reasoning.push_str(piece.text_at(&["text"]));
                }
            }
            _ => {}
        },
        "reference" => choice.citations += part.elements_at(&["reference_ids"]).len().max(1),
        "refusal" => choice.refusal.push_str(part.text_at(&["refusal"])),
        "image_url" | "image" => choice.images += 1,
        other => choice.others.push(other.to_owned()),
    }
}

/// Three spellings of one text: providers that send two of them say the same in both.
fn read_reasoning(choice: &mut Choice, content: &Value) {
    let named = ["reasoning_content", "reasoning"]
        .iter()
        .map(|key| content.text_at(&[key]))
        .find(|text| !text.is_empty());
    let details = content.elements_at(&["reasoning_details"]);
    match named {
        Some(text) => choice.reasoning.push_str(text),
        None => {
            for detail in details {
                for key in ["text", "summary"] {
                    choice.reasoning.push_str(detail.text_at(&[key]));
                }
            }
        }
    }
    for detail in details {
        for key in ["signature", "data"] {
            let opaque = detail.text_at(&[key]);
            if !opaque.is_empty() {
                choice.signatures.push(opaque.to_owned());
            }
        }
    }
}
