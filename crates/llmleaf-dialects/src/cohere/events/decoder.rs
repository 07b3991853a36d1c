//! Frames to events.

use super::Reading;
use crate::broken::corrupt;
use crate::cohere::errors;
use crate::object::Object;
use crate::{Decoder, Frame};
use llmleaf_model::Event;

/// What [`corrupt`] calls a piece of a stream.
const EVENT: &str = "an event";

/// Reads one stream of this wire.
#[derive(Default)]
pub(super) struct ChatDecoder {
    reading: Reading,
}

impl Decoder for ChatDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.reading.has_ended() || !frame.has_data || frame.data.is_empty() {
            return;
        }
        let text = match std::str::from_utf8(&frame.data) {
            Ok(text) => text.trim_matches([' ', '\t', '\r', '\n']),
            Err(_) => return self.reading.fail(corrupt(EVENT, "not UTF-8"), out),
        };
        if text == "[DONE]" {
            return self.reading.finish(out);
        }
        let event = match Object::parse(text) {
            Ok(event) => event,
            Err(error) => return self.reading.fail(corrupt(EVENT, error), out),
        };
        let name = frame
            .event
            .as_deref()
            .and_then(|name| std::str::from_utf8(name).ok());
        if let Some(failure) = errors::in_stream(&event, name) {
            return self.reading.fail(failure, out);
        }
        self.reading.take(&event, name.unwrap_or_default(), out);
        self.reading.cut(out);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        self.reading.finish(out);
    }
}
