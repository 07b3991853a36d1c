//! Streams of images, both ends.
//!
//! An image on its way comes in `….partial_image` events, the finished one in `….completed`. Nothing ends a stream but its body's proper end,
//! with a finished image before it.

use super::{ImageForm, answer};
use crate::broken::{corrupt, truncated};
use crate::chat_completions::errors;
use crate::object::{Object, string};
use crate::writer::ObjectWriter;
use crate::{Decoder, Frame};
use llmleaf_model::{
    BlockKind, Delta, Event, Failure, ImageSource, Images, MediaKind, ResponseStart, Usage,
};

/// Reads a stream beside its way to a consumer of the same form. What an image is like is not read: its length alone is worth megabytes.
#[derive(Debug, Default)]
pub(super) struct ImageDecoder {
    /// What was reported so far, over all finished images.
    usage: Option<Usage>,
    finished: u64,
    blocks: u32,
    ended: bool,
}

impl ImageDecoder {
    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.ended = true;
        out.push(Event::Error(Box::new(failure)));
    }

    /// An image came: a block with something in it.
    fn image(&mut self, out: &mut Vec<Event>) {
        if self.blocks == 0 {
            out.push(Event::ResponseStart(ResponseStart::default()));
        }
        let block = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        let kind = BlockKind::Media {
            kind: MediaKind::Image,
            mime: None,
            id: None,
        };
        let delta = Delta::MediaData("…".to_owned());
        let choice = 0;
        out.push(Event::BlockStart {
            block,
            choice,
            kind,
        });
        out.push(Event::BlockDelta { block, delta });
        out.push(Event::BlockEnd { block });
    }

    fn complete(&mut self, event: &Object<'_>, out: &mut Vec<Event>) {
        self.image(out);
        self.finished += 1;
        // Each event tells of its own image; a later one without a report takes none back.
        let report = event.get("usage").filter(|raw| raw.get() != "null");
        if let Some(report) = report {
            let said = answer::usage(Some(report), 0);
            match &mut self.usage {
                Some(sum) => sum.add(said),
                None => self.usage = Some(said),
            }
        }
        let mut usage = self.usage.clone().unwrap_or_default();
        usage.units.images = self.finished;
        out.push(Event::UsageReport(usage));
    }
}

impl Decoder for ImageDecoder {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if self.ended || !frame.has_data {
            return;
        }
        let Ok(text) = std::str::from_utf8(&frame.data).map(str::trim) else {
            return self.fail(corrupt("an event", "not UTF-8"), out);
        };
        if text.is_empty() || text == "[DONE]" {
            return;
        }
        let event = match Object::parse(text) {
            Ok(event) => event,
            Err(error) => return self.fail(corrupt("an event", error), out),
        };
        let name = event.get("type").and_then(string).unwrap_or_default();
        let said = event.get("error").is_some_and(|raw| raw.get() != "null");
        if said || name == "error" || frame.event.as_deref() == Some(b"error") {
            return self.fail(errors::in_band(text), out);
        }
        match name.rsplit_once('.').map(|(_, what)| what) {
            Some("partial_image") => self.image(out),
            Some("completed") => self.complete(&event, out),
            _ => out.push(Event::Unknown {
                name: name.into_owned(),
            }),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        self.ended = true;
        out.push(match self.finished {
            0 => Event::Error(Box::new(truncated("before an image was finished"))),
            _ => Event::ResponseEnd,
        });
    }
}

/// A whole answer as the events that end a stream. The counts are told with the last image.
pub(super) fn render(form: ImageForm, answer: &Images, created: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let name = [form.event(), ".completed"].concat();
    for (at, image) in answer.images.iter().enumerate() {
        for part in ["event: ", &name, "\ndata: "] {
            out.extend_from_slice(part.as_bytes());
        }
        let mut event = ObjectWriter::new(&mut out);
        event
            .string("type", &name)
            .number("created_at", answer.created.unwrap_or(created));
        match &image.source {
            ImageSource::Base64(data, _) => event.string("b64_json", data),
            ImageSource::Url(url) => event.string("url", url),
            ImageSource::Opaque(json) => event.raw("image", json.as_str()),
        };
        for fact in ["size", "quality", "background", "output_format"] {
            match answer.rest.get(fact) {
                Some(value) => event.raw(fact, value.as_str()),
                None => event.string(
                    fact,
                    if fact == "output_format" {
                        "png"
                    } else {
                        "auto"
                    },
                ),
            };
        }
        if at + 1 == answer.images.len() {
            let usage = answer.usage.clone().unwrap_or_default();
            answer::write_usage(&mut event, &usage);
        }
        event.end();
        out.extend_from_slice(b"\n\n");
    }
    out
}

/// A failure inside a stream.
pub(super) fn render_error(failure: &Failure) -> Vec<u8> {
    let mut out = b"event: error\ndata: ".to_vec();
    let mut event = ObjectWriter::new(&mut out);
    event.string("type", "error");
    errors::write_error(event.key("error"), failure);
    event.end();
    out.extend_from_slice(b"\n\n");
    out
}
