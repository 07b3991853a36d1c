//! What a session says of its speech, in both forms.

use super::detect::Detection;
use super::format::Format;
use super::{Parts, refused, unsupported};
use crate::object::{self, Object};
use crate::realtime::step::invalid;
use crate::writer::ObjectWriter;
use llmleaf_model::{Failure, Json};
use serde_json::value::RawValue;
use std::rc::Rc;

/// Longest padding and silence that a session may ask for, in milliseconds.
const LONGEST_PAUSE_MS: f64 = 10_000.0;
/// Longest voice, as JSON: each text that is said is asked with it.
const LONGEST_VOICE: usize = 4 * 1024;
/// Longest speed, as JSON.
const LONGEST_SPEED: usize = 32;

/// What is in effect.
#[derive(Clone, Debug)]
pub struct Sound {
    pub parts: Rc<Parts>,
    /// Answers are said.
    pub speaks: bool,
    pub input: Format,
    pub output: Format,
    /// When an utterance is one; nothing where the consumer says so itself.
    pub detection: Option<Detection>,
    /// The consumer is told what was heard.
    pub writes: bool,
    pub language: Option<String>,
    pub prompt: Option<String>,
    /// A name, or an object.
    voice: Option<Json>,
    speed: Option<Json>,
}

impl Sound {
    pub fn new(parts: Rc<Parts>) -> Self {
        Self {
            speaks: parts.speech.is_some(),
            detection: parts.transcription.is_some().then(Detection::default),
            parts,
            input: Format::default(),
            output: Format::default(),
            writes: false,
            language: None,
            prompt: None,
            voice: None,
            speed: None,
        }
    }

    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = [&self.language, &self.prompt].into_iter().flatten();
        let raw = [&self.voice, &self.speed].into_iter().flatten();
        let raw = raw.map(|raw| raw.as_str().len());
        texts.map(String::len).chain(raw).sum()
    }

    /// Takes what a session, or an answer of it, says.
    pub fn read(&mut self, from: &Object<'_>, path: &str) -> Result<(), Failure> {
        for field in ["output_modalities", "modalities"] {
            if let Some(raw) = given(from, field) {
                self.modalities(raw, &format!("{path}.{field}"))?;
            }
        }
        let audio = inner(from, "audio");
        let output = inner(&audio, "output");
        for (object, name, field) in [
            (&output, "format", "audio.output.format"),
            (from, "output_audio_format", "output_audio_format"),
        ] {
            if let Some(raw) = given(object, name) {
                self.speech_needed(&format!("{path}.{field}"))?;
                self.output = format_of(raw, &format!("{path}.{field}"))?;
            }
        }
        for (object, prefix) in [(&output, "audio.output."), (from, "")] {
            if let Some(raw) = given(object, "voice") {
                self.voice = Some(voice(raw, &format!("{path}.{prefix}voice"))?);
            }
            if let Some(raw) = given(object, "speed") {
                self.speed = Some(speed(raw, &format!("{path}.{prefix}speed"))?);
            }
        }
        if path == "session" {
            self.heard(from, &inner(&audio, "input"))?;
        }
        Ok(())
    }

    fn modalities(&mut self, raw: &RawValue, path: &str) -> Result<(), Failure> {
        let kinds = object::items(raw).unwrap_or_default();
        let kinds: Vec<_> = kinds.iter().filter_map(|raw| object::string(raw)).collect();
        let has = |kind: &str| kinds.iter().any(|known| known == kind);
        // The older form says both for speech, which has its text beside it anyway.
        match (has("audio"), has("text")) {
            (true, _) if self.parts.speech.is_some() => self.speaks = true,
            (_, true) => self.speaks = false,
            (true, false) => return Err(unsupported("an answer in speech", Some(path))),
            (false, false) => {
                let why = "an answer is of `audio` or of `text`";
                return Err(invalid(why, Some(path), "invalid_value"));
            }
        }
        Ok(())
    }

    /// What is said of the consumer's own speech.
    fn heard(&mut self, from: &Object<'_>, input: &Object<'_>) -> Result<(), Failure> {
        for (raw, path) in [
            (given(input, "format"), "session.audio.input.format"),
            (
                given(from, "input_audio_format"),
                "session.input_audio_format",
            ),
        ] {
            if let Some(raw) = raw {
                self.hearing_needed(path)?;
                self.input = format_of(raw, path)?;
            }
        }
        for (raw, path) in [
            (
                input.get("turn_detection"),
                "session.audio.input.turn_detection",
            ),
            (from.get("turn_detection"), "session.turn_detection"),
        ] {
            match raw.map(|raw| (raw, raw.get())) {
                None => {}
                Some((_, "null")) => self.detection = None,
                Some((raw, _)) => {
                    self.hearing_needed(path)?;
                    self.detection = Some(detection(raw, path)?);
                }
            }
        }
        for (raw, path) in [
            (
                input.get("transcription"),
                "session.audio.input.transcription",
            ),
            (
                from.get("input_audio_transcription"),
                "session.input_audio_transcription",
            ),
        ] {
            match raw.map(|raw| (raw, raw.get())) {
                None => {}
                Some((_, "null")) => self.writes = false,
                Some((raw, _)) => {
                    self.hearing_needed(path)?;
                    // Which model that is the route says; `session.updated` tells of it.
                    let said = Object::from_raw(raw).unwrap_or_default();
                    let word = |name: &str| said.get(name).and_then(object::string);
                    self.language = word("language").map(std::borrow::Cow::into_owned);
                    self.prompt = word("prompt").map(std::borrow::Cow::into_owned);
                    self.writes = true;
                }
            }
        }
        for (raw, path) in [
            (
                given(input, "noise_reduction"),
                "session.audio.input.noise_reduction",
            ),
            (
                given(from, "input_audio_noise_reduction"),
                "session.input_audio_noise_reduction",
            ),
        ] {
            if raw.is_some() {
                return Err(refused(
                    "noise reduction is not offered by this gateway",
                    path,
                ));
            }
        }
        Ok(())
    }

    fn hearing_needed(&self, path: &str) -> Result<(), Failure> {
        match self.parts.transcription {
            Some(_) => Ok(()),
            None => Err(unsupported("speech of the consumer", Some(path))),
        }
    }

    fn speech_needed(&self, path: &str) -> Result<(), Failure> {
        match self.parts.speech {
            Some(_) => Ok(()),
            None => Err(unsupported("an answer in speech", Some(path))),
        }
    }

    /// The kinds of answers, as a list.
    pub fn kinds(&self) -> &'static str {
        if self.speaks {
            "[\"audio\"]"
        } else {
            "[\"text\"]"
        }
    }

    /// The voice, as JSON.
    fn voice(&self) -> String {
        match (&self.voice, &self.parts.voice) {
            (Some(voice), _) => voice.as_str().to_owned(),
            (None, named) => {
                let mut out = Vec::new();
                crate::writer::string(&mut out, named.as_deref().unwrap_or(USUAL_VOICE));
                String::from_utf8(out).unwrap_or_default()
            }
        }
    }

    /// Tells what is in effect.
    pub fn tell(&self, older: bool, session: &mut ObjectWriter<'_>) {
        let (hears, says) = (
            self.parts.transcription.is_some(),
            self.parts.speech.is_some(),
        );
        if older {
            // The older form says both for speech.
            let kinds = if self.speaks {
                "[\"audio\",\"text\"]"
            } else {
                "[\"text\"]"
            };
            session.raw("modalities", kinds);
            if hears {
                session.string("input_audio_format", self.input.older());
                self.tell_heard(session, "input_audio_transcription");
            }
            if says {
                session.string("output_audio_format", self.output.older());
                session.raw("voice", &self.voice());
            }
            return;
        }
        session
            .string("type", "realtime")
            .raw("output_modalities", self.kinds());
        if !hears && !says {
            return;
        }
        session.object("audio", |audio| {
            if hears {
                audio.object("input", |input| {
                    self.input.tell(input);
                    self.tell_heard(input, "transcription");
                });
            }
            if says {
                audio.object("output", |output| self.tell_output(output));
            }
        });
    }

    /// Tells how an answer is said.
    pub fn tell_output(&self, output: &mut ObjectWriter<'_>) {
        self.output.tell(output);
        output.raw("voice", &self.voice());
        output.raw("speed", self.speed.as_ref().map_or("1", Json::as_str));
    }

    fn tell_heard(&self, input: &mut ObjectWriter<'_>, name: &str) {
        match (self.writes, &self.parts.transcription) {
            (true, Some(model)) => input.object(name, |said| {
                said.string("model", model)
                    .string_if("language", self.language.as_deref())
                    .string_if("prompt", self.prompt.as_deref());
            }),
            _ => input.raw(name, "null"),
        };
        match &self.detection {
            None => input.raw("turn_detection", "null"),
            Some(detection) => input.object("turn_detection", |said| {
                said.string("type", "server_vad")
                    .raw("threshold", &detection.threshold.to_string())
                    .number("prefix_padding_ms", detection.padding_ms)
                    .number("silence_duration_ms", detection.silence_ms)
                    .bool("create_response", detection.answers)
                    .bool("interrupt_response", detection.interrupts)
                    .raw("idle_timeout_ms", "null");
            }),
        };
    }

    /// A request to say a text.
    pub fn speech(&self, text: &str, format: &str) -> Option<Vec<u8>> {
        let model = self.parts.speech.as_deref()?;
        let mut out = Vec::with_capacity(text.len() + 256);
        let mut object = ObjectWriter::new(&mut out);
        object
            .string("model", model)
            .string("input", text)
            .raw("voice", &self.voice())
            .string("response_format", format);
        if let Some(speed) = &self.speed {
            object.raw("speed", speed.as_str());
        }
        object.end();
        Some(out)
    }
}

/// Who speaks where neither the session nor the route says it, as the reference has it.
const USUAL_VOICE: &str = "alloy";

fn inner<'a>(object: &Object<'a>, name: &str) -> Object<'a> {
    let inner = object.get(name).and_then(Object::from_raw);
    inner.unwrap_or_default()
}

fn given<'a>(object: &Object<'a>, name: &str) -> Option<&'a RawValue> {
    object.get(name).filter(|raw| raw.get() != "null")
}

fn format_of(raw: &RawValue, path: &str) -> Result<Format, Failure> {
    Format::read(raw).ok_or_else(|| {
        let why = "speech is 16-bit samples at 24,000 a second, or of telephones (G.711)";
        invalid(why, Some(path), "invalid_value")
    })
}

fn voice(raw: &RawValue, path: &str) -> Result<Json, Failure> {
    let named = object::string(raw).is_some_and(|name| !name.is_empty());
    let own = Object::from_raw(raw).is_some_and(|own| own.get("id").is_some());
    match (named || own) && raw.get().len() <= LONGEST_VOICE {
        true => Ok(Json::from(raw)),
        false => Err(invalid(
            "a voice is a name, or an object with an `id`, of 4 KiB at most",
            Some(path),
            "invalid_value",
        )),
    }
}

fn speed(raw: &RawValue, path: &str) -> Result<Json, Failure> {
    let speed = raw.get().parse::<f64>().ok();
    let speed = speed.filter(|_| raw.get().len() <= LONGEST_SPEED);
    match speed.filter(|speed| (0.25..=1.5).contains(speed)) {
        Some(_) => Ok(Json::from(raw)),
        None => Err(invalid(
            "`speed` is a number from 0.25 to 1.5",
            Some(path),
            "invalid_value",
        )),
    }
}

/// Reads when an utterance is one. What is not said of it is as usual.
fn detection(raw: &RawValue, path: &str) -> Result<Detection, Failure> {
    let said = Object::from_raw(raw);
    let said =
        said.ok_or_else(|| invalid("it must be an object or null", Some(path), "invalid_value"))?;
    let at = |name: &str| format!("{path}.{name}");
    let kind = said.get("type").and_then(object::string);
    if let Some(kind) = kind.filter(|kind| kind != "server_vad") {
        let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
        let why = format!(
            "`{shown}` is not offered by this gateway, which hears loudness only; `server_vad` is, and null"
        );
        return Err(refused(&why, &at("type")));
    }
    if given(&said, "idle_timeout_ms").is_some() {
        return Err(refused(
            "an answer to silence is not offered by this gateway",
            &at("idle_timeout_ms"),
        ));
    }
    let number = |name: &str, usual: f64, most: f64| {
        let Some(raw) = given(&said, name) else {
            return Ok(usual);
        };
        let number = raw.get().parse::<f64>().ok();
        number
            .filter(|number| (0.0..=most).contains(number))
            .ok_or_else(|| {
                let why = format!("`{name}` is a number from 0 to {most}");
                invalid(why, Some(&at(name)), "invalid_value")
            })
    };
    let flag = |name: &str| given(&said, name).is_none_or(|raw| raw.get() != "false");
    let usual = Detection::default();
    Ok(Detection {
        threshold: number("threshold", usual.threshold, 1.0)?,
        padding_ms: number(
            "prefix_padding_ms",
            usual.padding_ms as f64,
            LONGEST_PAUSE_MS,
        )? as u64,
        silence_ms: number(
            "silence_duration_ms",
            usual.silence_ms as f64,
            LONGEST_PAUSE_MS,
        )? as u64,
        answers: flag("create_response"),
        interrupts: flag("interrupt_response"),
    })
}
