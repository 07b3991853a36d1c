//! Provider end: frames to events.

use super::super::reading::Reading;
use super::super::{Quirks, quirks::Answers};
use crate::broken::{corrupt, truncated};
use crate::chat_completions::quirks::EndMarker;
use crate::chat_completions::{self, errors};
use crate::object::Object;
use crate::{Decoder, Frame};
use llmleaf_model::{Event, Failure};

/// Reads one stream, in whichever form the service answers.
pub(super) enum TextDecoder {
    Text(Chunks),
    Chat(Box<dyn Decoder>),
}

/// Reads one stream of completion chunks.
pub(super) struct Chunks {
    end: EndMarker,
    reading: Reading,
    ended: bool,
}

impl TextDecoder {
    pub fn new(quirks: &Quirks) -> Self {
        match quirks.answers {
            Answers::Text => Self::Text(Chunks {
                end: quirks.chat.stream.end,
                reading: Reading::default(),
                ended: false,
            }),
            Answers::Chat => Self::Chat(Box::new(chat_completions::events::decoder(&quirks.chat))),
        }
    }
}

impl Decoder for TextDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        match self {
            Self::Text(chunks) => chunks.push(frame, out),
            Self::Chat(inner) => inner.push(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        match self {
            Self::Text(chunks) => chunks.finish(out),
            Self::Chat(inner) => inner.finish(out),
        }
    }
}

impl Chunks {
    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.ended = true;
        out.push(Event::Error(Box::new(failure)));
    }

    fn complete(&mut self, out: &mut Vec<Event>) {
        self.reading.end(out);
        self.ended = true;
        out.push(Event::ResponseEnd);
    }

    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.ended || !frame.has_data {
            return;
        }
        let Ok(text) = std::str::from_utf8(&frame.data).map(str::trim) else {
            return self.fail(corrupt("a chunk", "not UTF-8"), out);
        };
        if text == "[DONE]" {
            // As in a whole response, an answer has at least one choice: a report alone is none.
            if self.reading.is_empty() {
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

    fn chunk(&mut self, text: &str, out: &mut Vec<Event>) {
        let chunk = match Object::parse(text) {
            Ok(chunk) => chunk,
            Err(error) => return self.fail(corrupt("a chunk", error), out),
        };
        match self.reading.take(&chunk, text, out) {
            Ok(true) => {}
            Ok(false) => {
                let name = chunk.get("object").and_then(crate::object::string);
                let name = name.unwrap_or_else(|| "chunk".into()).into_owned();
                out.push(Event::Unknown { name });
            }
            Err(failure) => self.fail(failure, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        if self.end == EndMarker::Finish && self.reading.all_finished() {
            self.complete(out);
        } else {
            self.fail(truncated("without its end marker"), out);
        }
    }
}
