//! The ways back: what a provider sends as sound, and sound as its consumer wants it.

use super::wav::{Floats, Pcm, header};
use crate::object::{Object, string};
use crate::sound_events::{self, broken, failed};
use crate::transcription::usage_of;
use crate::writer::ObjectWriter;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use llmleaf_framing::{Frame, write_event};
use llmleaf_model::{Failure, Usage};

/// What a piece of a provider's answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Sound.
    Sound(Vec<u8>),
    /// The end, and what was used.
    Done(Option<Usage>),
    /// It failed.
    Failed(Box<Failure>),
    /// Nothing that is known.
    Other,
}

/// Reads a provider's sound where it is not sent as it is.
#[derive(Debug, Default)]
pub struct Reader {
    floats: Option<Floats>,
}

impl Reader {
    /// `floats`: the samples are 32-bit floats, and 16-bit integers are wanted.
    pub fn new(floats: bool) -> Self {
        Self {
            floats: floats.then(Floats::default),
        }
    }

    /// What an event says: `speech.audio.delta` with the sound in `audio`, or in `audio_data`.
    pub fn event(&mut self, frame: &Frame) -> Heard {
        let object = match sound_events::object(frame) {
            None => return Heard::Other,
            Some(Err(failure)) => return Heard::Failed(Box::new(failure)),
            Some(Ok(object)) => object,
        };
        let kind = object.get("type").and_then(string);
        match kind.as_deref() {
            Some("speech.audio.delta") => self.sound(&object),
            Some("speech.audio.done") => Heard::Done(object.get("usage").and_then(usage_of)),
            _ if object.get("error").is_some() || kind.as_deref() == Some("error") => {
                Heard::Failed(Box::new(failed(&object)))
            }
            _ => Heard::Other,
        }
    }

    /// The sound of an answer that comes whole.
    ///
    /// # Errors
    /// It holds none.
    pub fn whole(&mut self, body: &[u8]) -> Result<(Vec<u8>, Option<Usage>), Failure> {
        let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
        let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
        match self.sound(&object) {
            Heard::Sound(sound) => Ok((sound, object.get("usage").and_then(usage_of))),
            Heard::Failed(failure) => Err(*failure),
            _ => Err(broken("the answer holds no sound")),
        }
    }

    /// The sound of base64 text.
    pub fn decode(&mut self, text: &str) -> Heard {
        let Ok(bytes) = STANDARD_NO_PAD.decode(text.trim_end_matches('=')) else {
            return Heard::Failed(Box::new(broken("the sound is not base64")));
        };
        let Some(floats) = &mut self.floats else {
            return Heard::Sound(bytes);
        };
        let mut out = Vec::with_capacity(bytes.len() / 2);
        floats.push(&bytes, &mut out);
        Heard::Sound(out)
    }

    fn sound(&mut self, object: &Object<'_>) -> Heard {
        let data = object.get("audio").or(object.get("audio_data"));
        match data.and_then(string) {
            Some(text) => self.decode(&text),
            None => Heard::Failed(Box::new(broken("the answer holds no sound"))),
        }
    }
}

/// Writes sound for a consumer.
#[derive(Debug)]
pub struct Writer {
    /// As events.
    events: bool,
    /// A WAV file begins with what says how its samples are written.
    header: Option<Pcm>,
}

/// Bytes of sound in one event: a multiple of three, so that each is base64 of its own without padding.
const PIECE: usize = 12 * 1024;

impl Writer {
    /// A writer; `samples` are put into a WAV file.
    pub fn new(events: bool, samples: Option<Pcm>) -> Self {
        Self {
            events,
            header: samples,
        }
    }

    /// The samples are written in another way than was thought, if nothing was written yet.
    pub fn samples(&mut self, pcm: Pcm) {
        if let Some(before) = &mut self.header {
            *before = pcm;
        }
    }

    /// Writes sound.
    pub fn sound(&mut self, sound: &[u8], out: &mut Vec<u8>) {
        if sound.is_empty() {
            return;
        }
        if let Some(pcm) = self.header.take() {
            self.piece(&header(pcm, None), out);
        }
        self.piece(sound, out);
    }

    fn piece(&self, sound: &[u8], out: &mut Vec<u8>) {
        if !self.events {
            out.extend_from_slice(sound);
            return;
        }
        for piece in sound.chunks(PIECE) {
            let mut data = Vec::with_capacity(piece.len() / 3 * 4 + 64);
            let mut object = ObjectWriter::new(&mut data);
            object.string("type", "speech.audio.delta");
            object.string("audio", &STANDARD.encode(piece));
            object.end();
            write_event(out, None, &data);
        }
    }

    /// All was said.
    pub fn done(&self, usage: Option<&Usage>, out: &mut Vec<u8>) {
        if !self.events {
            return;
        }
        let (input, output) = usage.map_or((0, 0), |u| (u.input_total(), u.output_total()));
        let mut data = Vec::new();
        let mut object = ObjectWriter::new(&mut data);
        object.string("type", "speech.audio.done");
        // The reference's clients have no room for an end without counts.
        object.object("usage", |counts| {
            counts.number("input_tokens", input);
            counts.number("output_tokens", output);
            counts.number("total_tokens", input.saturating_add(output));
        });
        object.end();
        write_event(out, None, &data);
    }
}
