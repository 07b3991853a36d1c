//! Provider end: frames to events.

use crate::broken::{corrupt, truncated};
use crate::gemini::reading::Reading;
use crate::gemini::{Quirks, errors};
use crate::object::Object;
use crate::{Decoder, Frame};
use llmleaf_model::{Event, Failure};

/// Reads one stream of chunks. The wire has no end marker, so the terminal is told when the bytes end.
pub(super) struct ChunkDecoder {
    reading: Reading,
    ended: bool,
}

impl ChunkDecoder {
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            reading: Reading::new(quirks),
            ended: false,
        }
    }

    fn fail(&mut self, mut failure: Failure, out: &mut Vec<Event>) {
        failure.possibly_billed = true;
        self.ended = true;
        self.reading.assembly.release(out);
        out.push(Event::Error(Box::new(failure)));
    }

    fn chunk(&mut self, text: &str, out: &mut Vec<Event>) {
        let chunk = match Object::parse(text) {
            Ok(chunk) => chunk,
            Err(error) => return self.fail(corrupt("a chunk", error), out),
        };
        if let Some(failure) = errors::in_chunk(&chunk, text) {
            self.reading.take(&chunk, out);
            return self.fail(failure, out);
        }
        if !self.reading.take(&chunk, out) {
            let name = "chunk".to_owned();
            out.push(Event::Unknown { name });
        }
        if let Some(why) = self.reading.broken() {
            self.fail(corrupt("a chunk", why), out);
        }
    }
}

impl Decoder for ChunkDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if !frame.has_data {
            // A failing service was recorded to end its stream with an error that stands in no event.
            if let Some(failure) = errors::bare(&frame.raw) {
                self.fail(failure, out);
            }
            return;
        }
        let Ok(text) = std::str::from_utf8(&frame.data) else {
            return self.fail(corrupt("a chunk", "not UTF-8"), out);
        };
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        // Relays add the end marker of another wire.
        if !text.is_empty() && text != "[DONE]" {
            self.chunk(text, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if !self.reading.is_complete() {
            return self.fail(truncated(errors::UNFINISHED), out);
        }
        self.ended = true;
        self.reading.end(out);
        out.push(Event::ResponseEnd);
    }
}
