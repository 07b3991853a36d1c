//! Provider end: lines to events.

use crate::broken::{corrupt, truncated};
use crate::object::Object;
use crate::ollama::reading::Reading;
use crate::ollama::{Quirks, errors};
use crate::{Decoder, Frame};
use llmleaf_model::{Event, Failure};

/// Reads one stream of lines, the last of which says that it is.
pub(super) struct LineDecoder {
    reading: Reading,
    ended: bool,
}

impl LineDecoder {
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            reading: Reading::new(quirks.form),
            ended: false,
        }
    }

    fn fail(&mut self, mut failure: Failure, out: &mut Vec<Event>) {
        failure.possibly_billed = true;
        self.ended = true;
        self.reading.assembly.release(out);
        out.push(Event::Error(Box::new(failure)));
    }
}

impl Decoder for LineDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.ended || !frame.has_data {
            return;
        }
        let text = match std::str::from_utf8(&frame.data) {
            Ok(text) => text,
            Err(_) => return self.fail(corrupt("a line", "it is not UTF-8"), out),
        };
        let line = match Object::parse(text) {
            Ok(line) => line,
            Err(error) => return self.fail(corrupt("a line", error), out),
        };
        if let Some(failure) = errors::in_line(&line, text) {
            return self.fail(failure, out);
        }
        match self.reading.take(&line, out) {
            Some(false) => {}
            Some(true) => {
                self.ended = true;
                out.push(Event::ResponseEnd);
            }
            None => {
                let name = "line".to_owned();
                out.push(Event::Unknown { name });
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if !self.ended {
            self.fail(truncated("before it said that it was done"), out);
        }
    }
}
