//! The recordings of this wire, where they are present, and what drives a decoder over them.

use crate::chat_completions::Quirks;
use crate::chat_completions::quirks::{EndMarker, StreamQuirks};
use crate::{Decoder, Frame};
use bytes::Bytes;
use llmleaf_framing::{SseFramer, SseLimits};
use llmleaf_model::{Event, Grammar};
use llmleaf_testkit::recordings;
use serde_json::Value;
use std::path::Path;

pub struct Recording {
    pub id: String,
    pub provider: String,
    pub status: u16,
    /// The request as text, where it was a JSON object.
    pub request: Option<String>,
    pub headers: Vec<(String, String)>,
    pub sse: Option<String>,
    pub body: Option<String>,
}

/// All recordings of this wire; empty, with a note, where the folder is absent.
pub fn all() -> Vec<Recording> {
    let Some(root) = recordings::folder() else {
        println!("skipped: recordings folder not found");
        return Vec::new();
    };
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap().flatten() {
        let Ok(files) = std::fs::read_dir(folder.path()) else {
            continue;
        };
        for file in files.flatten() {
            if file.path().extension().is_some_and(|e| e == "jsonl") {
                read(&file.path(), &mut found);
            }
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert!(found.len() > 500, "only {} recordings", found.len());
    found
}

fn read(path: &Path, found: &mut Vec<Recording>) {
    for line in std::fs::read_to_string(path).unwrap().lines() {
        // Cheap first: most lines are of other wires.
        if !line.contains("openai-chat") {
            continue;
        }
        let value: Value = serde_json::from_str(line).unwrap();
        if value["wire"] != "openai-chat" {
            continue;
        }
        let response = &value["response"];
        let text = |key: &str| response[key].as_str().map(str::to_owned);
        let headers = response["headers"].as_object().into_iter().flatten();
        found.push(Recording {
            id: value["id"].as_str().unwrap().to_owned(),
            provider: value["provider"].as_str().unwrap().to_owned(),
            status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
            request: value["request_body"]
                .is_object()
                .then(|| value["request_body"].to_string()),
            headers: headers
                .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
                .collect(),
            sse: text("sse"),
            body: match &response["body"] {
                Value::Null => text("body_text"),
                body => Some(body.to_string()),
            },
        });
    }
}

impl Recording {
    /// The end marker that the provider's row will have.
    pub fn quirks(&self) -> Quirks {
        let end = match self.provider.as_str() {
            "cerebras" | "perplexity" | "other-openai-compatible" => EndMarker::Finish,
            _ => EndMarker::Done,
        };
        Quirks {
            stream: StreamQuirks {
                end,
                ..StreamQuirks::REFERENCE
            },
            ..Quirks::REFERENCE
        }
    }
}

/// The frames of a stream that arrives in pieces of at most `size` bytes.
pub fn frames(sse: &str, size: usize) -> Vec<Frame> {
    let mut framer = SseFramer::new(SseLimits::default());
    let mut frames = Vec::new();
    for chunk in sse.as_bytes().chunks(size.max(1)) {
        framer.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = framer.next() {
            frames.push(frame.unwrap());
        }
    }
    if let Some(tail) = framer.finish() {
        frames.extend(tail.unwrap().frame);
    }
    frames
}

/// Frame of one `data:` line.
pub fn frame(data: &str) -> Frame {
    frames(&format!("data: {data}\n\n"), usize::MAX).remove(0)
}

/// Decodes frames, checking every event against the grammar.
pub fn decode(quirks: &Quirks, frames: &[Frame]) -> Vec<Event> {
    let mut decoder = crate::chat_completions::events::decoder(quirks);
    let mut events = Vec::new();
    for frame in frames {
        decoder.push(frame, &mut events);
    }
    decoder.finish(&mut events);
    let length = events.len();
    decoder.finish(&mut events);
    assert_eq!(length, events.len(), "something after the terminal");
    check(&events);
    events
}

pub fn check(events: &[Event]) {
    let mut grammar = Grammar::new();
    for event in events {
        if let Err(error) = grammar.check(event) {
            panic!("{error} at {event:?} in {events:#?}");
        }
    }
    grammar.finish().unwrap();
}
