//! A session held here, over a model that only chats: its conversation is kept, and each answer is a request of the Responses wire.
//!
//! Pure state: the consumer's events and those of the answer go in, events for the consumer and requests come out. Reasoning is not
//! shown, and is given back with the next request. Where there is a model that writes down what is said, the consumer may speak, and
//! where there is one that says texts, answers are said ([`Parts`]); without them that is refused by name. An answer to speech waits
//! until it is written down, since that is what the model is told.
//!
//! Reading order: [`Bridge`], `settings.rs` and `audio.rs` (what the session and an answer are told), `items.rs`, `ordered.rs` and `sounding.rs` (the
//! conversation), `turn.rs` (an answer that is being made), `listening.rs` (what is heard, with `ear.rs` and `detect.rs`),
//! `speaking.rs` (what is said, with `mouth.rs`), `format.rs`, `wave.rs` and `resample.rs` (sound).

mod audio;
mod detect;
mod ear;
mod format;
mod items;
mod listening;
mod mouth;
mod ordered;
mod resample;
mod settings;
mod sounding;
mod speaking;
mod turn;
mod wave;

#[cfg(test)]
mod tests;

use super::step::{self, Speaker, Step, Voice, invalid, placed};
use crate::object::{self, Object};
use ear::Ear;
use items::{Conversation, Item};
use listening::Listening;
use llmleaf_model::{Failure, FailureKind, Origin};
use settings::Settings;
use std::collections::VecDeque;
use std::rc::Rc;
use turn::Turn;

/// Most bytes of a conversation.
const CONVERSATION_BYTES: usize = 8 * 1024 * 1024;
/// From so many bytes on no more of an answer is read, until its speech has caught up.
const LATER_BYTES: usize = 64 * 1024;

/// The models beside the one that chats, by their consumers' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Which writes down what is said.
    pub transcription: Option<String>,
    /// Which says texts.
    pub speech: Option<String>,
    /// The voice in which it does, where the session names none.
    pub voice: Option<String>,
}

/// A session.
#[derive(Debug)]
pub struct Bridge {
    speaker: Speaker,
    older: bool,
    settings: Settings,
    conversation: Conversation,
    turn: Option<Turn>,
    /// What came of the answer while its speech lagged behind, and whether its end did.
    later: VecDeque<String>,
    later_bytes: usize,
    over: bool,
    /// How many bytes more may be held of what the consumer says.
    room: usize,
    /// The speech model writes WAV files, as far as is known.
    files: bool,
    ear: Ear,
    listening: Listening,
}

/// Something that the models of this session do not do.
fn unsupported(what: &str, param: Option<&str>) -> Failure {
    let why = format!("{what} is not offered: the models of this session do not do that");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Unsupported, why);
    failure.code = Some("unsupported_modality".to_owned());
    failure.param = param.map(str::to_owned);
    failure
}

/// Something that nobody does here.
fn refused(why: &str, param: &str) -> Failure {
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Unsupported, why);
    failure.code = Some("unsupported".to_owned());
    failure.param = Some(param.to_owned());
    failure
}

/// Nothing more can be held.
fn crowded() -> Failure {
    let why = "this gateway has no room for more of this session now; try again shortly";
    let mut failure = Failure::gateway(FailureKind::Overloaded, why);
    failure.code = Some("server_overloaded".to_owned());
    failure
}

impl Bridge {
    /// A session with a model; `name` is unique, in letters and digits.
    pub fn new(model: &str, name: &str, older: bool, parts: Parts) -> Self {
        Self {
            speaker: Speaker::new(model, name),
            older,
            settings: Settings::new(Rc::new(parts)),
            conversation: Conversation::new(CONVERSATION_BYTES),
            turn: None,
            later: VecDeque::new(),
            later_bytes: 0,
            over: false,
            room: usize::MAX,
            files: true,
            ear: Ear::default(),
            listening: Listening::default(),
        }
    }

    /// What a session begins with.
    pub fn greet(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        self.tell_session("session.created", &mut out);
        out
    }

    /// Whether an answer is being made.
    pub fn is_answering(&self) -> bool {
        self.turn.is_some()
    }

    /// So much of its answer waits for its speech that no more is to be read of it.
    pub fn is_behind(&self) -> bool {
        self.later_bytes >= LATER_BYTES
    }

    /// What is held of the session, in bytes.
    pub fn bytes(&self) -> usize {
        let turn = self.turn.as_ref().map_or(0, Turn::bytes);
        let said = self.conversation.bytes() + self.settings.bytes();
        said + turn + self.later_bytes + self.ear.bytes() + self.listening.bytes()
    }

    /// There is room for so many bytes more of what the consumer says.
    pub fn has_room(&mut self, bytes: usize) {
        self.room = bytes;
    }

    /// Takes an event of the consumer.
    pub fn take(&mut self, text: &str) -> Vec<Step> {
        let mut out = Vec::new();
        let (done, about) = match step::read(text) {
            Ok((top, about)) => (self.event(&top, text.len(), &mut out), about),
            Err(failure) => (Err(failure), None),
        };
        if let Err(failure) = done {
            self.voice(&mut out).refuse(&failure, about.as_deref());
        }
        out
    }

    fn event(
        &mut self,
        top: &Object<'_>,
        length: usize,
        out: &mut Vec<Step>,
    ) -> Result<(), Failure> {
        let kind = top.get("type").and_then(object::string);
        let kind = kind.ok_or_else(|| {
            invalid(
                "the event's `type` is missing",
                Some("type"),
                "invalid_event",
            )
        })?;
        let grows = matches!(
            &*kind,
            "session.update"
                | "conversation.item.create"
                | "input_audio_buffer.append"
                | "response.create"
        );
        if grows && length > self.room {
            return Err(crowded());
        }
        match &*kind {
            "session.update" => self.update(top, out),
            "conversation.item.create" => self.create(top, out),
            "conversation.item.delete" => {
                let id = self.item_id(top)?;
                self.conversation.remove(&id)?;
                self.voice(out).say("conversation.item.deleted", |event| {
                    event.string("item_id", &id);
                });
                self.forget(&id, out);
                self.proceed(out);
                Ok(())
            }
            "conversation.item.retrieve" => {
                let id = self.item_id(top)?;
                let json = self.conversation.find(&id)?.told.clone();
                self.voice(out).say("conversation.item.retrieved", |event| {
                    event.raw("item", &json);
                });
                Ok(())
            }
            "conversation.item.truncate" => self.truncate(top, out),
            "response.create" => self.respond(top, out),
            "response.cancel" => self.cancel(top, out),
            "input_audio_buffer.append"
            | "input_audio_buffer.commit"
            | "input_audio_buffer.clear" => self.buffer(&kind, top, out),
            "output_audio_buffer.clear" | "transcription_session.update" => {
                Err(unsupported(&format!("`{kind}`"), None))
            }
            _ => {
                let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
                let why = format!("no event of a consumer has the type `{shown}`");
                Err(invalid(why, Some("type"), "invalid_event"))
            }
        }
    }

    fn item_id(&self, top: &Object<'_>) -> Result<String, Failure> {
        let id = top.get("item_id").and_then(object::string);
        let id = id.map(std::borrow::Cow::into_owned);
        id.ok_or_else(|| invalid("`item_id` is missing", Some("item_id"), "invalid_event"))
    }

    fn create(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let raw = top.get("item").and_then(Object::from_raw);
        let raw =
            raw.ok_or_else(|| invalid("`item` must be an object", Some("item"), "invalid_event"))?;
        let fallback = self.voice(out).fresh("item");
        let (item, sound) = Item::read(raw, fallback, self.hears())?;
        let sound = sound.map(|sound| self.utterance(&sound)).transpose()?;
        let previous = top.get("previous_item_id").and_then(object::string);
        let (id, told) = (item.id.clone(), item.told.clone());
        let before = self.conversation.insert(item, previous.as_deref())?;
        debug_assert!(!id.is_empty());
        self.tell_item(before.as_deref(), &told, true, out);
        if let Some(sound) = sound {
            self.write_down(id, sound, false, out);
        }
        // Somebody may have spoken while the tool ran.
        self.proceed(out);
        Ok(())
    }

    fn update(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let session = top.get("session").and_then(Object::from_raw);
        let session = session.ok_or_else(|| {
            invalid(
                "`session` must be an object",
                Some("session"),
                "invalid_event",
            )
        })?;
        let mut next = self.settings.clone();
        next.update(session, &self.speaker.model)?;
        if next.sound.input != self.settings.sound.input && !self.ear.expect(next.sound.input) {
            let why = "speech in another format waits in the buffer; commit or clear it first";
            return Err(invalid(why, Some("session"), "input_audio_buffer_in_use"));
        }
        if next.sound.detection.is_none() {
            self.ear.hush();
        }
        self.settings = next;
        self.tell_session("session.updated", out);
        // What waited for silence need not any more.
        self.proceed(out);
        Ok(())
    }

    /// Tells of an item, and that it is whole where it is.
    fn tell_item(&mut self, before: Option<&str>, item: &str, whole: bool, out: &mut Vec<Step>) {
        let older = self.older;
        let kinds: &[&str] = match (older, whole) {
            (true, _) => &["conversation.item.created"],
            (false, true) => &["conversation.item.added", "conversation.item.done"],
            (false, false) => &["conversation.item.added"],
        };
        let mut voice = self.voice(out);
        for kind in kinds {
            voice.say(kind, |event| placed(event, before, item));
        }
    }

    fn respond(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        if self.turn.is_some() {
            let why = "an answer is being made; wait for `response.done`, or cancel it";
            let code = "conversation_already_has_active_response";
            return Err(invalid(why, None, code));
        }
        let asked = top.get("response").filter(|raw| raw.get() != "null");
        let asked = match asked {
            Some(raw) => Some(Object::from_raw(raw).ok_or_else(|| {
                invalid(
                    "`response` must be an object",
                    Some("response"),
                    "invalid_event",
                )
            })?),
            None => None,
        };
        let asked = settings::Asked::read(asked, &self.settings, &self.conversation)?;
        if asked.keeps {
            self.conversation.takes_answers()?;
        }
        self.answer(asked, out);
        Ok(())
    }

    /// An answer begins. It is asked for once all that was said before it is written down.
    fn answer(&mut self, asked: settings::Asked, out: &mut Vec<Step>) {
        let id = self.voice(out).fresh("resp");
        let conversation = asked.keeps.then(|| format!("conv_{}", self.speaker.name));
        let waits = asked.input.is_none() && self.conversation.waits();
        let mut turn = Turn::new(id, conversation, self.older, asked);
        turn.begin(&mut self.voice(out));
        turn.waits = waits;
        if !waits {
            let body = turn.body(&self.speaker.model, &self.conversation);
            out.push(Step::Ask(body));
        }
        self.listening.answers &= !turn.keeps();
        self.turn = Some(turn);
    }

    fn cancel(&mut self, top: &Object<'_>, out: &mut Vec<Step>) -> Result<(), Failure> {
        let named = top.get("response_id").and_then(object::string);
        let fits = |turn: &Turn| named.as_deref().is_none_or(|id| id == turn.id);
        if !self.turn.as_ref().is_some_and(fits) {
            let why = "no such answer is being made";
            return Err(invalid(
                why,
                Some("response_id"),
                "response_cancel_not_active",
            ));
        }
        let why = turn::Ending::Cancelled("client_cancelled");
        self.finish(&why, out);
        Ok(())
    }

    /// Takes an event of the answer.
    pub fn hear(&mut self, event: &str) -> Vec<Step> {
        let mut out = Vec::new();
        if !self.is_asked() {
            return out;
        }
        match self.lags() {
            true => {
                self.later_bytes += event.len();
                self.later.push_back(event.to_owned());
            }
            false => self.heed(event, &mut out),
        }
        self.speak(&mut out);
        out
    }

    /// A model makes the answer. What comes while one only waits to be asked is of another answer, whose end was told before.
    pub fn is_asked(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| !turn.waits)
    }

    fn heed(&mut self, event: &str, out: &mut Vec<Step>) {
        let Ok(event) = Object::parse(event) else {
            return;
        };
        let Some(turn) = &mut self.turn else {
            return;
        };
        let mut voice = self.speaker.voice(out);
        if let Some(ending) = turn.hear(&event, &mut self.conversation, &mut voice) {
            self.finish(&ending, out);
        }
    }

    /// The model was not asked, or said nothing: the body of the refusal.
    pub fn refused(&mut self, body: &[u8]) -> Vec<Step> {
        let mut out = Vec::new();
        if !self.is_asked() {
            return out;
        }
        let body = String::from_utf8_lossy(body);
        let said = Object::parse(&body).unwrap_or_default();
        let said = said
            .get("error")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let ending = turn::Ending::failed(&said);
        self.finish(&ending, &mut out);
        out
    }

    /// The answer came to its end, whether that was told or not.
    pub fn ended(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        self.over = self.is_asked();
        if self.over && !self.lags() {
            self.cut_off(&mut out);
        }
        out
    }

    /// The answer came to its end, and has not told it.
    fn cut_off(&mut self, out: &mut Vec<Step>) {
        let ending = turn::Ending::Failed {
            kind: "server_error".to_owned(),
            code: "truncated".to_owned(),
            message: "the answer ended before its end was told".to_owned(),
        };
        self.finish(&ending, out);
    }

    /// The answer ends, and whoever spoke beside it is answered.
    fn finish(&mut self, ending: &turn::Ending, out: &mut Vec<Step>) {
        self.stop(ending, out);
        self.proceed(out);
    }

    /// The answer ends.
    fn stop(&mut self, ending: &turn::Ending, out: &mut Vec<Step>) {
        self.later.clear();
        self.later_bytes = 0;
        self.over = false;
        if let Some(turn) = self.turn.take() {
            // What is still asked for it is not wanted any more.
            if turn.sounds() || ending.stops() {
                out.push(Step::Cancel);
            }
            let mut voice = self.speaker.voice(out);
            turn.finish(ending, &mut self.conversation, &mut voice);
        }
    }

    fn voice<'a>(&'a mut self, out: &'a mut Vec<Step>) -> Voice<'a> {
        self.speaker.voice(out)
    }

    fn tell_session(&mut self, kind: &str, out: &mut Vec<Step>) {
        let (settings, older) = (&self.settings, self.older);
        self.speaker
            .tell_session(kind, |session| settings.tell(older, session), out);
    }
}
