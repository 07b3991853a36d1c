//! The Gemini wire: whole answers, and streams of them.

use super::usage;
use super::{Digest, ToolCall, errors::google_error};
use crate::json::{self, Value};
use crate::sse::SseEvent;
use std::collections::BTreeSet;

/// Reads a whole answer, or the array of chunks that a stream is without `alt=sse`. A body that is an error reads as one.
#[must_use]
pub fn gemini_unary(body: &Value) -> Digest {
    let mut reading = Reading::default();
    match body {
        Value::Array(chunks) => chunks.iter().for_each(|chunk| reading.chunk(chunk)),
        one => reading.chunk(one),
    }
    reading.finish()
}

/// Reads a stream of chunks. The wire has no end marker: a finish reason is all there is.
#[must_use]
pub fn gemini_stream(events: &[SseEvent]) -> Digest {
    let mut reading = Reading::default();
    for event in events {
        match json::parse(&event.data) {
            Ok(value) => reading.chunk(&value),
            Err(_) => reading.digest.corrupt += 1,
        }
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    digest: Digest,
    ids: BTreeSet<String>,
    finished: bool,
}

impl Reading {
    fn finish(mut self) -> Digest {
        self.digest.responses = self.ids.len();
        self.digest.terminal = self.finished && self.digest.error.is_none();
        self.digest
    }

    fn chunk(&mut self, chunk: &Value) {
        if chunk.get("error").is_some_and(Value::is_truthy) {
            let error = google_error(None, &chunk.to_string());
            self.digest.error.get_or_insert(error);
            return;
        }
        let text = |name: &str| chunk.text_at(&[name]).to_owned();
        if !text("responseId").is_empty() {
            self.ids.insert(text("responseId"));
        }
        if !text("modelVersion").is_empty() {
            self.digest.model = text("modelVersion");
        }
        for (at, candidate) in chunk.elements_at(&["candidates"]).iter().enumerate() {
            let index = candidate.u64_at(&["index"]).unwrap_or(at as u64);
            self.candidate(index, candidate);
        }
        let blocked = chunk.text_at(&["promptFeedback", "blockReason"]);
        if !blocked.is_empty() && self.digest.choices.is_empty() {
            self.finished = true;
            self.digest.choice(0).finished("SAFETY");
        }
        if let Some(counts) = chunk.at(&["usageMetadata"]).and_then(usage::gemini) {
            self.digest.usage = Some(counts);
        }
    }

    fn candidate(&mut self, index: u64, candidate: &Value) {
        let choice = self.digest.choice(index);
        for part in candidate.elements_at(&["content", "parts"]) {
            let is_thought = matches!(part.get("thought"), Some(Value::Bool(true)));
            let text = part.text_at(&["text"]);
            match is_thought {
                true => choice.reasoning.push_str(text),
                false => choice.text.push_str(text),
            }
            let signature = part.text_at(&["thoughtSignature"]);
            if !signature.is_empty() {
                choice.signatures.push(signature.to_owned());
            }
            if let Some(call) = part.get("functionCall") {
                let name = call.text_at(&["name"]).to_owned();
                // Fragments of one call follow its name.
                if !name.is_empty() {
                    choice.tool_calls.push(ToolCall {
                        name,
                        arguments: call.get("args").map(Value::to_string).unwrap_or_default(),
                        id: call.text_at(&["id"]).to_owned(),
                    });
                }
            }
            if part.get("executableCode").is_some() {
                choice.server_tools.push("code_execution".to_owned());
            }
            if part.get("codeExecutionResult").is_some() {
                choice.others.push("codeExecutionResult".to_owned());
            }
            let mime = part.text_at(&["inlineData", "mimeType"]);
            choice.images += usize::from(mime.starts_with("image/"));
            choice.audio |= mime.starts_with("audio/");
        }
        let sources = [
            &["citationMetadata", "citationSources"][..],
            &["citationMetadata", "citations"],
            &["groundingMetadata", "groundingChunks"],
        ];
        let cited = sources.iter().map(|path| candidate.elements_at(path).len());
        choice.citations += cited.sum::<usize>();
        let reason = candidate.text_at(&["finishReason"]);
        let number = candidate.u64_at(&["finishReason"]);
        let word = match number {
            Some(1) => "STOP",
            Some(2) => "MAX_TOKENS",
            Some(_) => "OTHER",
            None => reason,
        };
        choice.finished(word);
        self.finished |= !word.is_empty();
    }
}
