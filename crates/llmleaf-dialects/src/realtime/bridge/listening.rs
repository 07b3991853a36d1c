//! What a consumer says in speech: utterances are made of it, and written down one after the other.

use super::detect::Detection;
use super::ear::{Cannot, LONGEST_MS, Noticed};
use super::items::Item;
use super::sounding::decoded;
use super::turn::Ending;
use super::{Bridge, settings, unsupported};
use crate::object::{self, Object};
use crate::realtime::step::{Step, invalid};
use crate::speech::{Pcm, header};
use crate::transcription::encode;
use crate::writer::{ObjectWriter, json_object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// Most utterances that wait until they are written down.
const MOST_WAITING: usize = 32;
/// Most bytes of what is written down of one: whoever speaks for three minutes says a tenth of it.
const MOST_WRITTEN: usize = 64 * 1024;

/// What is being written down, and what waits for that.
#[derive(Debug, Default)]
pub struct Listening {
    /// The item that speech which goes on will be.
    item: Option<String>,
    waiting: VecDeque<Utterance>,
    now: Option<Written>,
    /// Something was said that is to be answered.
    pub answers: bool,
}

/// What was said.
#[derive(Debug)]
pub struct Utterance {
    item: String,
    samples: Vec<i16>,
    rate: u32,
    answers: bool,
}

/// What is being written down.
#[derive(Debug)]
struct Written {
    item: String,
    text: String,
    /// All of it came, and this was used as far as is told.
    done: Option<Option<String>>,
    millis: u64,
    answers: bool,
}

impl Listening {
    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        let waiting = self.waiting.iter();
        let waiting = waiting.map(|said| said.samples.len() * size_of::<i16>());
        let text = self.now.as_ref().map_or(0, |now| now.text.len());
        waiting.sum::<usize>() + text
    }
}

impl Utterance {
    fn millis(&self) -> u64 {
        (self.samples.len() as u64).saturating_mul(1000) / u64::from(self.rate.max(1))
    }

    /// As a WAV file, in base64.
    fn write(&self, out: &mut Vec<u8>) {
        let bytes = u32::try_from(self.samples.len().saturating_mul(2)).ok();
        let mut left = Vec::new();
        encode(&mut left, &header(Pcm { rate: self.rate }, bytes), out);
        let mut piece = Vec::new();
        for samples in self.samples.chunks(4096) {
            piece.clear();
            piece.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            encode(&mut left, &piece, out);
        }
        out.extend_from_slice(STANDARD.encode(&left).as_bytes());
    }
}

impl Bridge {
    /// The consumer may speak.
    pub(super) fn hears(&self) -> bool {
        self.settings.sound.parts.transcription.is_some()
    }

    /// Takes an event about the buffer.
    pub(super) fn buffer(
        &mut self,
        kind: &str,
        top: &Object<'_>,
        out: &mut Vec<Step>,
    ) -> Result<(), Failure> {
        if !self.hears() {
            return Err(unsupported(&format!("`{kind}`"), None));
        }
        match kind {
            "input_audio_buffer.append" => self.append(top, out),
            "input_audio_buffer.commit" => {
                let samples = self.ear.committed();
                let samples = samples.map_err(|cannot| cannot_take(&cannot))?;
                self.has_time(samples)?;
                let item = match &self.listening.item {
                    Some(item) => item.clone(),
                    None => self.voice(out).fresh("item"),
                };
                self.commit(&item, out)?;
                // It is in the buffer until it is an item.
                self.listening.item = None;
                let said = self.ear.clear();
                self.write_down(item, said, false, out);
                Ok(())
            }
            _ => {
                self.ear.clear();
                self.listening.item = None;
                self.voice(out).say("input_audio_buffer.cleared", |_| {});
                self.proceed(out);
                Ok(())
            }
        }
    }

    fn append(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let audio = top.get("audio").and_then(object::string);
        let audio = audio
            .ok_or_else(|| invalid("`audio` must be a string", Some("audio"), "invalid_value"))?;
        let bytes = decoded(&audio, "audio")?;
        let detection = self.settings.sound.detection;
        let noticed = self.ear.append(&bytes, detection.as_ref());
        for noticed in noticed.map_err(|cannot| cannot_take(&cannot))? {
            match (noticed, &detection) {
                (Noticed::Began(at), Some(detection)) => self.began(at, detection, out),
                (Noticed::Ended(at, said), Some(detection)) => {
                    // What comes behind it is heard all the same.
                    if let Err(failure) = self.stopped(at, said, detection, out) {
                        self.voice(out).refuse(&failure, None);
                    }
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    /// Somebody begins to speak: what is being answered is cut short, if the session wants that.
    fn began(&mut self, at: u64, detection: &Detection, out: &mut Vec<Step>) {
        let item = self.voice(out).fresh("item");
        self.voice(out)
            .say("input_audio_buffer.speech_started", |event| {
                event.number("audio_start_ms", at).string("item_id", &item);
            });
        self.listening.item = Some(item);
        if detection.interrupts && self.turn.as_ref().is_some_and(super::Turn::keeps) {
            self.stop(&Ending::Cancelled("turn_detected"), out);
        }
    }

    fn stopped(
        &mut self,
        at: u64,
        said: Vec<i16>,
        detection: &Detection,
        out: &mut Vec<Step>,
    ) -> Result<(), Failure> {
        let item = match self.listening.item.take() {
            Some(item) => item,
            None => self.voice(out).fresh("item"),
        };
        self.voice(out)
            .say("input_audio_buffer.speech_stopped", |event| {
                event.number("audio_end_ms", at).string("item_id", &item);
            });
        self.has_time(said.len())?;
        self.commit(&item, out)?;
        self.write_down(item, said, detection.answers, out);
        Ok(())
    }

    /// Speech that an item brings along.
    pub(super) fn utterance(&self, bytes: &[u8]) -> Result<Vec<i16>, Failure> {
        let (mut odd, mut samples) = (None, Vec::new());
        let format = self.settings.sound.input;
        format.decode(bytes, &mut odd, &mut samples);
        if samples.len() > format.samples(LONGEST_MS) {
            return Err(cannot_take(&Cannot::Full));
        }
        self.has_time(samples.len())?;
        Ok(samples)
    }

    /// So many samples more can wait until they are written down.
    fn has_time(&self, samples: usize) -> Result<(), Failure> {
        let rate = u64::from(self.settings.sound.input.rate());
        let waiting = &self.listening.waiting;
        let millis: u64 = waiting.iter().map(Utterance::millis).sum();
        let more = (samples as u64).saturating_mul(1000) / rate;
        if waiting.len() >= MOST_WAITING || millis.saturating_add(more) > LONGEST_MS {
            let why = "too much speech waits to be written down; this was not taken";
            return Err(invalid(why, None, "input_audio_waiting"));
        }
        Ok(())
    }

    /// What was said becomes an item.
    fn commit(&mut self, id: &str, out: &mut Vec<Step>) -> Result<(), Failure> {
        let item = Item::unheard(id.to_owned());
        let told = item.told.clone();
        let before = self.conversation.insert(item, None)?;
        self.voice(out)
            .say("input_audio_buffer.committed", |event| {
                match &before {
                    Some(before) => event.string("previous_item_id", before),
                    None => event.raw("previous_item_id", "null"),
                };
                event.string("item_id", id);
            });
        self.tell_item(before.as_deref(), &told, true, out);
        Ok(())
    }

    /// What was said in an item that is deleted need not be written down.
    pub(super) fn forget(&mut self, item: &str, out: &mut Vec<Step>) {
        let listening = &mut self.listening;
        listening.waiting.retain(|said| said.item != item);
        if listening.now.take_if(|now| now.item == item).is_some() {
            out.push(Step::Unlisten);
            self.listen(out);
        }
    }

    /// Has an item's speech written down.
    pub(super) fn write_down(
        &mut self,
        item: String,
        samples: Vec<i16>,
        answers: bool,
        out: &mut Vec<Step>,
    ) {
        self.listening.waiting.push_back(Utterance {
            item,
            samples,
            rate: self.settings.sound.input.rate(),
            answers,
        });
        self.listen(out);
    }

    /// The next utterance is written down.
    fn listen(&mut self, out: &mut Vec<Step>) {
        if self.listening.now.is_some() {
            return;
        }
        let Some(utterance) = self.listening.waiting.pop_front() else {
            return;
        };
        let sound = &self.settings.sound;
        let mut body = Vec::with_capacity(utterance.samples.len() / 3 * 8 + 1024);
        let mut object = ObjectWriter::new(&mut body);
        object
            .string(
                "model",
                sound.parts.transcription.as_deref().unwrap_or_default(),
            )
            .string("response_format", "json")
            .bool("stream", true)
            .string_if("language", sound.language.as_deref())
            .string_if("prompt", sound.prompt.as_deref());
        let data = object.key("input_audio");
        data.extend_from_slice(b"{\"format\":\"wav\",\"data\":\"");
        utterance.write(data);
        data.extend_from_slice(b"\"}");
        object.end();
        self.listening.now = Some(Written {
            millis: utterance.millis(),
            item: utterance.item,
            text: String::new(),
            done: None,
            answers: utterance.answers,
        });
        out.push(Step::Listen(body));
    }

    /// Takes an event of the transcription.
    pub fn transcribed(&mut self, event: &str) -> Vec<Step> {
        let mut out = Vec::new();
        let Ok(event) = Object::parse(event) else {
            return out;
        };
        let word = |name: &str| event.get(name).and_then(object::string);
        match word("type").as_deref() {
            Some("transcript.text.delta") => {
                let delta = word("delta").unwrap_or_default();
                self.heard_more(&delta, &mut out);
            }
            Some("transcript.text.done") => {
                if let Some(now) = &mut self.listening.now {
                    let text = word("text").map(std::borrow::Cow::into_owned);
                    now.text = text.unwrap_or_else(|| std::mem::take(&mut now.text));
                    now.done = Some(event.get("usage").map(|usage| usage.get().to_owned()));
                    if now.text.len() > MOST_WRITTEN {
                        self.overflows(&mut out);
                    }
                }
            }
            // However the wire of errors names its event.
            _ if event.get("error").is_some() => self.unheard(&event, &mut out),
            _ => {}
        }
        out
    }

    /// The transcription came in one piece; `good` where it is none of an error.
    pub fn transcript(&mut self, good: bool, body: &[u8]) -> Vec<Step> {
        let mut out = Vec::new();
        let body = String::from_utf8_lossy(body);
        let said = Object::parse(&body).unwrap_or_default();
        match said.get("text").and_then(object::string) {
            Some(text) if good && text.len() > MOST_WRITTEN => self.overflows(&mut out),
            Some(text) if good => {
                if let Some(now) = &mut self.listening.now {
                    now.text = text.into_owned();
                }
                let usage = said.get("usage").map(RawValue::get);
                self.heard_all(usage, &mut out);
            }
            _ => self.unheard(&said, &mut out),
        }
        out
    }

    /// The transcription came to its end, whether that was told or not.
    pub fn transcript_ended(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        match self.listening.now.as_mut().map(|now| now.done.take()) {
            None => {}
            Some(Some(usage)) => self.heard_all(usage.as_deref(), &mut out),
            Some(None) => self.unheard(&Object::default(), &mut out),
        }
        out
    }

    fn heard_more(&mut self, delta: &str, out: &mut Vec<Step>) {
        let Some(now) = &mut self.listening.now else {
            return;
        };
        if now.text.len().saturating_add(delta.len()) > MOST_WRITTEN {
            return self.overflows(out);
        }
        now.text.push_str(delta);
        let item = now.item.clone();
        if self.settings.sound.writes && self.conversation.find(&item).is_ok() {
            let kind = "conversation.item.input_audio_transcription.delta";
            self.voice(out).say(kind, |event| {
                event
                    .string("item_id", &item)
                    .number("content_index", 0)
                    .string("delta", delta);
            });
        }
    }

    fn heard_all(&mut self, usage: Option<&str>, out: &mut Vec<Step>) {
        let Some(now) = self.listening.now.take() else {
            return;
        };
        let text = now.text.trim();
        // What was deleted meanwhile is nobody's any more.
        let there = self.conversation.heard(&now.item, Some(text));
        if there && self.settings.sound.writes {
            let length = json_object(|usage| {
                let seconds = format!("{}.{:03}", now.millis / 1000, now.millis % 1000);
                usage.string("type", "duration").raw("seconds", &seconds);
            });
            let usage = usage.filter(|usage| *usage != "null");
            let usage = usage.unwrap_or(length.as_str());
            let kind = "conversation.item.input_audio_transcription.completed";
            self.voice(out).say(kind, |event| {
                event
                    .string("item_id", &now.item)
                    .number("content_index", 0)
                    .string("transcript", text)
                    .raw("usage", usage);
            });
        }
        self.listening.answers |= there && now.answers && !text.is_empty();
        self.listen(out);
        self.proceed(out);
    }

    /// More is written down than was said.
    fn overflows(&mut self, out: &mut Vec<Step>) {
        out.push(Step::Unlisten);
        let message = "the transcription is too long for this gateway, which stopped it";
        let code = "transcription_too_long".to_owned();
        self.unwritten(code, message.to_owned(), out);
    }

    /// What was said cannot be written down.
    fn unheard(&mut self, said: &Object<'_>, out: &mut Vec<Step>) {
        let error = said.get("error").and_then(Object::from_raw);
        let error = error.unwrap_or_default();
        let word = |name: &str| {
            let text = error.get(name).and_then(object::string);
            text.map(std::borrow::Cow::into_owned)
        };
        let message = word("message");
        let message =
            message.unwrap_or_else(|| "the transcription ended before its end was told".to_owned());
        let code = word("code").unwrap_or_else(|| "transcription_failed".to_owned());
        self.unwritten(code, message, out);
    }

    fn unwritten(&mut self, code: String, message: String, out: &mut Vec<Step>) {
        let Some(now) = self.listening.now.take() else {
            return;
        };
        if self.conversation.heard(&now.item, None) {
            let kind = match self.settings.sound.writes {
                true => "conversation.item.input_audio_transcription.failed",
                false => "error",
            };
            self.voice(out).say(kind, |event| {
                if kind != "error" {
                    event
                        .string("item_id", &now.item)
                        .number("content_index", 0);
                }
                event.object("error", |error| {
                    error
                        .string("type", "transcription_error")
                        .string("code", &code)
                        .string("message", &message)
                        .raw("param", "null");
                });
            });
            if self.turn.as_ref().is_some_and(|turn| turn.waits) {
                let message = format!("what was said could not be written down: {message}");
                let kind = "transcription_error".to_owned();
                self.stop(
                    &Ending::Failed {
                        kind,
                        code,
                        message,
                    },
                    out,
                );
            }
        }
        self.listen(out);
        self.proceed(out);
    }

    /// What waited until everything is written down goes on, if it is.
    pub(super) fn proceed(&mut self, out: &mut Vec<Step>) {
        if self.conversation.waits() {
            return;
        }
        if let Some(turn) = &mut self.turn {
            // Who spoke into an answer that goes on is not answered by itself, but beside one that is no part of the conversation.
            self.listening.answers &= !turn.keeps();
            if std::mem::take(&mut turn.waits) {
                let body = turn.body(&self.speaker.model, &self.conversation);
                out.push(Step::Ask(body));
            }
            return;
        }
        // What is said while a tool runs is answered with what comes of it.
        if self.listening.answers && !self.ear.is_speech() && !self.conversation.calling() {
            if let Err(failure) = self.conversation.takes_answers() {
                self.listening.answers = false;
                return self.voice(out).refuse(&failure, None);
            }
            let asked = settings::Asked::usual(&self.settings);
            self.answer(asked, out);
        }
    }
}

fn cannot_take(cannot: &Cannot) -> Failure {
    match cannot {
        Cannot::Full => {
            let why = format!(
                "an utterance is at most {} seconds long; commit or clear the buffer",
                LONGEST_MS / 1000
            );
            invalid(why, Some("audio"), "input_audio_buffer_full")
        }
        Cannot::Empty => {
            let why = "the buffer holds less than 100 milliseconds of speech";
            invalid(why, None, "input_audio_buffer_commit_empty")
        }
    }
}
