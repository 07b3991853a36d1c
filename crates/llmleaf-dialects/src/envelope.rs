//! The fast reading of a stream: chunks that differ from the one before in nothing but their text.
//!
//! Services write the same envelope around each piece of text: id, model, index, nulls. Once a frame was read whole
//! and meant one text delta and nothing else, a next frame with the same bytes before and after the text means the next
//! delta of the same block. That reading is exact, not a guess: the two frames are the same JSON but for one string.
//! Any other frame is read whole, and forgets the envelope.

use crate::{Decoder, Frame, skim};
use bytes::Bytes;
use llmleaf_framing::Pattern;
use llmleaf_model::{Delta, Event};
use std::borrow::Cow;

/// Longest envelope that is kept, in bytes of text around the piece.
const LONGEST: usize = 4096;

/// A decoder that reads frames by their envelope where it can, and leaves the others to the decoder inside.
pub struct Enveloped<D> {
    inner: D,
    /// Keys whose string value is text of the answer in this wire.
    keys: &'static [&'static str],
    envelope: Option<Envelope>,
}

#[derive(Debug)]
struct Envelope {
    /// Through the quote that opens the text.
    before: Vec<u8>,
    /// From the quote that closes it.
    after: Vec<u8>,
    event: Option<Bytes>,
    block: u32,
    /// The same with all that is around it in a frame, once there was a second frame of it: many are followed by no other.
    pattern: Option<Pattern>,
}

impl<D: Decoder> Enveloped<D> {
    /// Wraps a decoder. `keys` are written as they stand in JSON, colon and opening quote included.
    pub fn new(inner: D, keys: &'static [&'static str]) -> Self {
        Self {
            inner,
            keys,
            envelope: None,
        }
    }

    fn learn(&mut self, frame: &Frame, events: &[Event]) {
        self.envelope = None;
        let [
            Event::BlockDelta {
                block,
                delta: Delta::Text(text),
            },
        ] = events
        else {
            return;
        };
        let Ok(data) = simdutf8::basic::from_utf8(&frame.data) else {
            return;
        };
        if text.is_empty() || data.len() - text.len().min(data.len()) > LONGEST {
            return;
        }
        // The text must stand once, as this writer would write it, behind a key that holds text; else the next
        // frame is read whole again, which costs time and nothing else.
        let Ok(quoted) = serde_json::to_string(text) else {
            return;
        };
        let Some(at) = memchr::memmem::find(data.as_bytes(), quoted.as_bytes()) else {
            return;
        };
        let (start, end) = (at + 1, at + quoted.len() - 1);
        let (Some(before), Some(after)) = (data.get(..start), data.get(end..)) else {
            return;
        };
        let stands_once = memchr::memmem::find(after.as_bytes(), quoted.as_bytes()).is_none();
        if stands_once && self.keys.iter().any(|key| before.ends_with(key)) {
            self.envelope = Some(Envelope {
                before: before.as_bytes().to_vec(),
                after: after.as_bytes().to_vec(),
                event: frame.event.clone(),
                block: *block,
                pattern: None,
            });
        }
    }
}

impl Envelope {
    /// What is between the quotes in a frame with this envelope.
    fn inner<'f>(&self, frame: &'f Frame) -> Option<&'f [u8]> {
        let inner = frame
            .data
            .strip_prefix(&*self.before)?
            .strip_suffix(&*self.after)?;
        (frame.event == self.event).then_some(inner)
    }

    /// The text inside a frame with this envelope.
    fn open<'f>(&self, frame: &'f Frame) -> Option<Cow<'f, str>> {
        let inner = self.inner(frame)?;
        let text = simdutf8::basic::from_utf8(inner).ok()?;
        if skim::plain(inner) == inner.len() {
            return Some(Cow::Borrowed(text));
        }
        // Escapes, or no string at all: the quotes around it are part of the envelope.
        let start = self.before.len() - 1;
        let quoted = frame.data.get(start..start + inner.len() + 2)?;
        serde_json::from_slice::<String>(quoted)
            .ok()
            .map(Cow::Owned)
    }
}

impl<D: Decoder> Decoder for Enveloped<D> {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        if let Some(envelope) = &self.envelope
            && let Some(text) = envelope.open(frame)
        {
            if !text.is_empty() {
                let delta = Delta::Text(text.into_owned());
                out.push(Event::BlockDelta {
                    block: envelope.block,
                    delta,
                });
            }
            return;
        }
        let from = out.len();
        self.inner.push(frame, out);
        self.learn(frame, out.get(from..).unwrap_or_default());
    }

    fn glance(&mut self, frame: &Frame) -> Option<usize> {
        // Frames are UTF-8, and so is the envelope: what is between is, too.
        let envelope = self.envelope.as_mut()?;
        let length = envelope.inner(frame)?.len();
        let text = envelope.before.len()..envelope.before.len() + length;
        let is_text = length > 0 && frame.data.get(text.clone()).map(skim::plain) == Some(length);
        if is_text && envelope.pattern.is_none() && frame.raw.len() - length <= LONGEST {
            envelope.pattern = Pattern::of(frame, text, skim::plain);
        }
        is_text.then_some(length)
    }

    fn pattern(&self) -> Option<&Pattern> {
        self.envelope.as_ref()?.pattern.as_ref()
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        // Nothing is read after the end, by the decoder inside or without it.
        self.envelope = None;
        self.inner.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChatWire;
    use llmleaf_framing::{SseFramer, SseLimits};
    use proptest::prelude::*;

    fn read(mut decoder: Box<dyn Decoder>, stream: &str) -> Vec<Event> {
        let mut framer = SseFramer::new(SseLimits::default());
        framer.push(Bytes::from(stream.to_owned()));
        let mut events = Vec::new();
        while let Some(frame) = framer.next() {
            decoder.push(&frame.unwrap(), &mut events);
        }
        decoder.finish(&mut events);
        events
    }

    /// The same by glances where there are such; each must tell what its frame means.
    fn glanced(stream: &str) -> Vec<Event> {
        let decoder =
            || ChatWire::Completions(crate::chat_completions::Quirks::REFERENCE).decoder();
        let (mut decoder, mut other) = (decoder(), decoder());
        let mut framer = SseFramer::new(SseLimits::default());
        framer.push(Bytes::from(stream.to_owned()));
        let mut events = Vec::new();
        while let Some(frame) = framer.next() {
            let (frame, from) = (frame.unwrap(), events.len());
            other.push(&frame, &mut events);
            match decoder.glance(&frame) {
                Some(length) => assert!(matches!(
                    &events[from..],
                    [Event::BlockDelta { delta: Delta::Text(text), .. }] if text.len() == length
                )),
                None => {
                    let mut pushed = Vec::new();
                    decoder.push(&frame, &mut pushed);
                    assert_eq!(pushed, &events[from..]);
                }
            }
        }
        decoder.finish(&mut events);
        events
    }

    fn chunk(content: &str, rest: &str) -> String {
        let head = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"#;
        format!("data: {head}{content}{rest}\n\n")
    }

    proptest! {
        /// With and without the envelope a stream means the same, whatever the pieces are.
        #[test]
        fn the_fast_reading_is_the_whole_reading(
            texts in prop::collection::vec("(stop|[a-c\"\\\\\n\u{e9}{}:,]{0,6})", 1..12),
            odd in prop::collection::vec(0usize..12, 0..4),
        ) {
            let mut stream = String::new();
            for (at, text) in texts.iter().enumerate() {
                let rest = if odd.contains(&at) {
                    r#"},"logprobs":null}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#
                } else {
                    r#"},"finish_reason":null}]}"#
                };
                stream += &chunk(&serde_json::to_string(text).unwrap(), rest);
            }
            stream += "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
            stream += "data: [DONE]\n\n";
            let quirks = crate::chat_completions::Quirks::REFERENCE;
            let whole = read(Box::new(crate::chat_completions::events::decoder(&quirks)), &stream);
            let fast = read(ChatWire::Completions(quirks).decoder(), &stream);
            prop_assert_eq!(&whole, &fast);
            prop_assert_eq!(glanced(&stream), fast);
        }
    }

    #[test]
    fn what_is_no_string_is_read_whole_and_refused() {
        let good = chunk(r#""ab""#, r#"},"finish_reason":null}]}"#);
        for bad in [
            r#""a"b""#,
            r#""a\""#,
            "\"a\u{1}\"",
            r#""a\x""#,
            r#""a"},"x":{"y":"b""#,
        ] {
            let stream = format!("{good}{good}{}", chunk(bad, r#"},"finish_reason":null}]}"#));
            let quirks = crate::chat_completions::Quirks::REFERENCE;
            let whole = read(
                Box::new(crate::chat_completions::events::decoder(&quirks)),
                &stream,
            );
            let fast = read(ChatWire::Completions(quirks).decoder(), &stream);
            assert_eq!(whole, fast, "{bad}");
        }
    }
}
