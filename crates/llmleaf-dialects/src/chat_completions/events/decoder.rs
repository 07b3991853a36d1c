//! Provider end: frames to events.

use super::super::quirks::{EndMarker, Quirks};
use super::super::wire::Chunk;
use super::super::{errors, json_text};
use super::Reading;
use crate::broken::{corrupt, truncated};
use crate::{Decoder, Frame};
use llmleaf_model::{Event, Failure};

/// Reads one stream of chunks.
#[derive(Debug)]
pub(super) struct ChunkDecoder {
    end: EndMarker,
    reading: Reading,
    ended: bool,
}

impl ChunkDecoder {
    pub(super) fn new(quirks: &Quirks) -> Self {
        Self {
            end: quirks.stream.end,
            reading: Reading::default(),
            ended: false,
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.ended = true;
        self.reading.assembly.release(out);
        out.push(Event::Error(Box::new(failure)));
    }

    fn complete(&mut self, out: &mut Vec<Event>) {
        self.reading.end(out);
        self.ended = true;
        out.push(Event::ResponseEnd);
    }

    fn chunk(&mut self, text: &str, out: &mut Vec<Event>) {
        let chunk = match Chunk::read(text) {
            Ok(chunk) if text.starts_with('{') => chunk,
            Ok(_) => return self.fail(corrupt("a chunk", "not an object"), out),
            Err(error) => return self.fail(corrupt("a chunk", error), out),
        };
        if let Some(failure) = errors::in_chunk(&chunk, text) {
            // What the chunk says beside its error is still part of the answer.
            if !chunk.choices.0.is_empty() {
                self.reading.take(&chunk, out);
            }
            return self.fail(failure, out);
        }
        if chunk.choices.0.is_empty() && chunk.usage.0.is_none() && chunk.id.0.is_none() {
            let object = chunk.object.get();
            let name = if object.is_empty() { "chunk" } else { object };
            out.push(Event::Unknown {
                name: name.to_owned(),
            });
            return;
        }
        self.reading.take(&chunk, out);
    }
}

impl Decoder for ChunkDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.ended || !frame.has_data {
            return;
        }
        let Some(text) = json_text(&frame.data) else {
            return self.fail(corrupt("a chunk", "not UTF-8"), out);
        };
        if text == "[DONE]" {
            // As in a whole response, an answer has at least one choice: a report alone is none.
            if self.reading.assembly.is_empty() {
                self.fail(corrupt("a chunk", "a stream that says nothing"), out);
            } else {
                self.complete(out);
            }
        } else if frame.event.as_deref() == Some(b"error") {
            self.fail(errors::in_band(text), out);
        } else if !text.is_empty() {
            self.chunk(text, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if self.end == EndMarker::Finish && self.reading.assembly.all_finished() {
            self.complete(out);
        } else {
            self.fail(truncated("without its end marker"), out);
        }
    }
}
