//! Listens to what a provider says in a session, for what has been used.

use super::{consumer, usage};
use crate::object::{self, Object};
use llmleaf_model::Usage;

/// Answers that run at once: one in the conversation, and some beside it. More are counted when they are done.
const OPEN: usize = 64;
/// Tokens of audio that a second of speech is thought to be: the reference counts one for each 50 ms of what it says.
const AUDIO_TOKENS: u64 = 20;
/// Bytes of a second of speech in its usual form, 16 bits at 24 kHz, and in that of telephones, 8 bits at 8 kHz.
const LINEAR_BYTES: u64 = 48_000;
const TELEPHONE_BYTES: u64 = 8_000;

/// What a part of a session was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An answer.
    Answer,
    /// What was heard, written down.
    Transcript,
}

/// A part of a session that has used something.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// What it was.
    pub part: Part,
    /// The provider's name of it.
    pub id: String,
    /// What it used, as its provider says; or what was seen of it, where it never said.
    pub usage: Usage,
    /// Its provider says so.
    pub reported: bool,
    /// It came to its end.
    pub complete: bool,
    /// The model that made it, where it is not the session's.
    pub model: Option<String>,
}

/// What is known of a session.
#[derive(Debug)]
pub struct Listener {
    open: Vec<Running>,
    /// Speech is answered without being asked to.
    answers_speech: bool,
    /// What is said is in a telephone's form.
    telephone: bool,
    /// The model that writes down what is heard.
    writer: Option<String>,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            answers_speech: true,
            telephone: false,
            writer: None,
        }
    }
}

#[derive(Debug)]
struct Running {
    id: String,
    text: u64,
    audio: u64,
}

impl Listener {
    /// Takes an event of the provider; what it tells of use.
    pub fn hear(&mut self, text: &str) -> Option<Counted> {
        let event = Object::parse(text).ok()?;
        let kind = event.get("type").and_then(object::string)?;
        let word = |field: &str| event.get(field).and_then(object::string);
        match &*kind {
            "response.output_text.delta"
            | "response.text.delta"
            | "response.output_audio_transcript.delta"
            | "response.audio_transcript.delta"
            | "response.function_call_arguments.delta" => {
                let length = word("delta").map_or(0, |delta| delta.len());
                self.count(&word("response_id")?, length as u64, 0);
                None
            }
            "response.output_audio.delta" | "response.audio.delta" => {
                let length = word("delta").map_or(0, |delta| delta.len());
                self.count(&word("response_id")?, 0, length as u64 / 4 * 3);
                None
            }
            "response.created" => {
                let response = event.get("response").and_then(Object::from_raw)?;
                let id = response.get("id").and_then(object::string)?;
                self.count(&id, 0, 0);
                None
            }
            "response.done" => self.done(&event),
            "conversation.item.input_audio_transcription.completed" => {
                // The older form tells none, and is billed all the same.
                let told = event.get("usage").and_then(usage::of_transcription);
                Some(Counted {
                    part: Part::Transcript,
                    id: transcript(&word("item_id").unwrap_or_default(), &event),
                    reported: told.is_some(),
                    usage: told.unwrap_or_default(),
                    complete: true,
                    model: self.writer.clone(),
                })
            }
            "session.created" | "session.updated" => {
                // The names of telephones' formats, in both forms.
                self.telephone = ["audio/pcmu", "audio/pcma", "g711_"]
                    .iter()
                    .any(|name| text.contains(name));
                let session = event.get("session");
                self.writer = session.and_then(|session| consumer::writer(text, session));
                self.answers_speech = session.is_none_or(consumer::answers_speech);
                None
            }
            _ => None,
        }
    }

    fn done(&mut self, event: &Object<'_>) -> Option<Counted> {
        let response = event.get("response").and_then(Object::from_raw)?;
        let id = response.get("id").and_then(object::string)?.into_owned();
        let seen = self.open.iter().position(|running| running.id == id);
        let seen = seen.map(|at| self.open.swap_remove(at));
        let status = response.get("status").and_then(object::string);
        let told = response.get("usage").filter(|raw| raw.get() != "null");
        let told = told.and_then(usage::of_response);
        Some(Counted {
            part: Part::Answer,
            reported: told.is_some(),
            usage: told.unwrap_or_else(|| seen.map(|seen| self.thought(&seen)).unwrap_or_default()),
            complete: status.as_deref() != Some("failed"),
            model: None,
            id,
        })
    }

    /// Whether an answer runs.
    pub fn is_answering(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether speech that ends uses something by itself: an answer, or what it is written down by.
    pub fn speech_uses(&self) -> bool {
        self.answers_speech || self.writer.is_some()
    }

    /// What runs when the session ends: nobody will say what it used.
    pub fn left(&mut self) -> Vec<Counted> {
        let open = std::mem::take(&mut self.open);
        let each = open.into_iter().map(|running| Counted {
            part: Part::Answer,
            usage: self.thought(&running),
            id: running.id,
            reported: false,
            complete: false,
            model: None,
        });
        each.collect()
    }

    fn count(&mut self, id: &str, text: u64, audio: u64) {
        let known = self.open.iter_mut().find(|running| running.id == id);
        if let Some(running) = known {
            running.text = running.text.saturating_add(text);
            running.audio = running.audio.saturating_add(audio);
        } else if self.open.len() < OPEN {
            let id = id.to_owned();
            self.open.push(Running { id, text, audio });
        }
    }

    /// Tokens of what was seen: a rule of thumb, and marked as such.
    fn thought(&self, running: &Running) -> Usage {
        let second = match self.telephone {
            true => TELEPHONE_BYTES,
            false => LINEAR_BYTES,
        };
        Usage {
            output: running.text.div_ceil(4),
            output_audio: running.audio.saturating_mul(AUDIO_TOKENS).div_ceil(second),
            ..Usage::default()
        }
    }
}

/// A name for what was written down of an item: each of its parts has its own.
fn transcript(item: &str, event: &Object<'_>) -> String {
    match event.get("content_index") {
        Some(part) => format!("{item}.{}", part.get()),
        None => item.to_owned(),
    }
}
