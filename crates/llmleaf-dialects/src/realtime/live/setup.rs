//! The settings of a session, which that wire is told once.

use super::unsupported;
use crate::object::{self, Object};
use crate::writer::{ObjectWriter, array, json_object};
use llmleaf_model::{Failure, Json};
use serde_json::value::RawValue;

/// What is in effect.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    instructions: Option<String>,
    voice: Option<String>,
    texts: bool,
    tools: Option<Json>,
    max_output_tokens: Option<u64>,
    temperature: Option<Json>,
    /// The consumer says itself when its speech ends.
    manual: bool,
    /// What is heard is written down.
    writes: bool,
}

impl PartialEq for Setup {
    fn eq(&self, other: &Self) -> bool {
        self.message("") == other.message("")
    }
}

impl Setup {
    /// It answers in texts.
    pub fn texts(&self) -> bool {
        self.texts
    }

    pub fn is_manual(&self) -> bool {
        self.manual
    }

    /// With what a change names.
    pub fn updated(&self, session: &Object<'_>) -> Result<Self, Failure> {
        let mut next = self.clone();
        let word = |object: &Object<'_>, name: &str| {
            let text = object.get(name).and_then(object::string);
            text.map(std::borrow::Cow::into_owned)
        };
        if word(session, "type").is_some_and(|kind| kind != "realtime") {
            return Err(unsupported("this kind of session", Some("session.type")));
        }
        if let Some(text) = word(session, "instructions") {
            next.instructions = Some(text);
        }
        for field in ["output_modalities", "modalities"] {
            if let Some(list) = session.get(field).and_then(object::items) {
                let mut kinds = list.iter().filter_map(|raw| object::string(raw));
                next.texts = !kinds.any(|kind| kind == "audio");
            }
        }
        if let Some(raw) = session.get("tools").filter(|raw| raw.get() != "null") {
            next.tools = Some(tools(raw)?);
        }
        for field in ["max_output_tokens", "max_response_output_tokens"] {
            if let Some(raw) = session.get(field) {
                next.max_output_tokens = raw.get().parse().ok();
            }
        }
        if let Some(raw) = session.get("temperature").filter(|raw| raw.get() != "null") {
            next.temperature = Some(Json::from(raw));
        }
        next.audio(session)?;
        Ok(next)
    }

    /// What is said of speech, in both forms.
    fn audio(&mut self, session: &Object<'_>) -> Result<(), Failure> {
        let audio = session
            .get("audio")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let input = audio
            .get("input")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let output = audio
            .get("output")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let formats = [
            (input.get("format"), "session.audio.input.format"),
            (output.get("format"), "session.audio.output.format"),
            (
                session.get("input_audio_format"),
                "session.input_audio_format",
            ),
            (
                session.get("output_audio_format"),
                "session.output_audio_format",
            ),
        ];
        for (format, path) in formats {
            if format.is_some_and(|raw| !is_linear(raw)) {
                return Err(unsupported("this format of speech", Some(path)));
            }
        }
        let detection = [input.get("turn_detection"), session.get("turn_detection")];
        for raw in detection.into_iter().flatten() {
            self.manual = raw.get() == "null";
        }
        let writers = [
            input.get("transcription"),
            session.get("input_audio_transcription"),
        ];
        for raw in writers.into_iter().flatten() {
            self.writes = raw.get() != "null";
        }
        for raw in [output.get("voice"), session.get("voice")] {
            if let Some(voice) = raw.and_then(object::string) {
                self.voice = Some(voice.into_owned());
            }
        }
        Ok(())
    }

    /// The first message.
    pub fn message(&self, model: &str) -> String {
        let model = match model.contains('/') {
            true => model.to_owned(),
            false => format!("models/{model}"),
        };
        let message = json_object(|message| {
            message.object("setup", |setup| {
                setup.string("model", &model);
                setup.object("generationConfig", |config| self.generation(config));
                if let Some(text) = self.instructions.as_deref().filter(|t| !t.is_empty()) {
                    setup.object("systemInstruction", |content| {
                        array(content.key("parts"), [text], |out, text| {
                            let mut part = ObjectWriter::new(out);
                            part.string("text", text);
                            part.end();
                        });
                    });
                }
                if let Some(tools) = &self.tools {
                    setup.raw("tools", tools.as_str());
                }
                if self.manual {
                    setup.raw(
                        "realtimeInputConfig",
                        "{\"automaticActivityDetection\":{\"disabled\":true}}",
                    );
                }
                if self.writes {
                    setup.raw("inputAudioTranscription", "{}");
                }
                if !self.texts {
                    setup.raw("outputAudioTranscription", "{}");
                }
            });
        });
        message.as_str().to_owned()
    }

    fn generation(&self, config: &mut ObjectWriter<'_>) {
        let kind = if self.texts {
            "[\"TEXT\"]"
        } else {
            "[\"AUDIO\"]"
        };
        config.raw("responseModalities", kind);
        if let Some(most) = self.max_output_tokens {
            config.number("maxOutputTokens", most);
        }
        if let Some(temperature) = &self.temperature {
            config.raw("temperature", temperature.as_str());
        }
        if let Some(voice) = self.voice.as_deref().filter(|_| !self.texts) {
            config.object("speechConfig", |speech| {
                speech.object("voiceConfig", |config| {
                    config.object("prebuiltVoiceConfig", |prebuilt| {
                        prebuilt.string("voiceName", voice);
                    });
                });
            });
        }
    }

    /// Tells the consumer what is in effect.
    pub fn tell(&self, older: bool, session: &mut ObjectWriter<'_>) {
        let instructions = self.instructions.as_deref().unwrap_or_default();
        let kind = if self.texts {
            "[\"text\"]"
        } else {
            "[\"audio\"]"
        };
        session.string("instructions", instructions);
        if older {
            session
                .raw("modalities", kind)
                .string("input_audio_format", "pcm16")
                .string("output_audio_format", "pcm16");
            return;
        }
        session
            .string("type", "realtime")
            .raw("output_modalities", kind);
        session.object("audio", |audio| {
            let format = "{\"type\":\"audio/pcm\",\"rate\":24000}";
            audio.object("input", |input| {
                input.raw("format", format);
                match self.manual {
                    true => input.raw("turn_detection", "null"),
                    false => input.raw("turn_detection", "{\"type\":\"server_vad\"}"),
                };
            });
            audio.object("output", |output| {
                output.raw("format", format);
                output.string_if("voice", self.voice.as_deref());
            });
        });
    }
}

/// Whether a format, in either form, is that of 16-bit samples at 24,000 a second.
fn is_linear(raw: &RawValue) -> bool {
    match Object::from_raw(raw) {
        None => matches!(raw.get(), "null" | "\"pcm16\""),
        Some(format) => {
            format.get("type").and_then(object::string).as_deref() == Some("audio/pcm")
                && format.get("rate").is_none_or(|rate| rate.get() == "24000")
        }
    }
}

/// Functions as declarations.
fn tools(raw: &RawValue) -> Result<Json, Failure> {
    let mut declarations = Vec::new();
    for raw in object::items(raw).unwrap_or_default() {
        let mut tool = Object::from_raw(raw).unwrap_or_default();
        if tool.take("type").and_then(object::string).as_deref() != Some("function") {
            return Err(unsupported(
                "a tool that is no function",
                Some("session.tools"),
            ));
        }
        let name = tool.get("name").map_or("\"\"", |raw| raw.get());
        let declaration = json_object(|out| {
            out.raw("name", name);
            if let Some(text) = tool.get("description") {
                out.raw("description", text.get());
            }
            if let Some(schema) = tool.get("parameters") {
                out.raw("parametersJsonSchema", schema.get());
            }
        });
        declarations.push(declaration);
    }
    if declarations.is_empty() {
        return Json::parse("[]").map_err(|_| unsupported("tools", None));
    }
    let mut out = Vec::new();
    array(&mut out, [()], |out, ()| {
        let mut tool = ObjectWriter::new(out);
        let list = declarations.iter().map(Json::as_str);
        array(
            tool.key("functionDeclarations"),
            list,
            crate::writer::one_line,
        );
        tool.end();
    });
    let json = String::from_utf8(out)
        .ok()
        .and_then(|text| Json::parse(&text).ok());
    json.ok_or_else(|| unsupported("these tools", Some("session.tools")))
}
