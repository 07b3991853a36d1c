//! What is said of an answer, as the session goes on: one text after the other is given to the speech model.

use super::turn::Ending;
use super::{Bridge, Turn};
use crate::object::{self, Object};
use crate::realtime::step::{Step, invalid};
use llmleaf_model::{Failure, FailureKind};

impl Bridge {
    /// The answer waits for its speech.
    pub(super) fn lags(&mut self) -> bool {
        self.turn.as_mut().is_some_and(Turn::lags)
    }

    /// Gives the next text to be said, if there is one and nothing is being said.
    pub(super) fn speak(&mut self, out: &mut Vec<Step>) {
        let files = self.files;
        let body = self.turn.as_mut().and_then(|turn| turn.speak(files));
        out.extend(body.map(Step::Speak));
    }

    /// Takes sound.
    pub fn sound(&mut self, bytes: &[u8]) -> Vec<Step> {
        let mut out = Vec::new();
        let Some(turn) = &mut self.turn else {
            return out;
        };
        let taken = turn.sound(bytes, &mut self.speaker.voice(&mut out));
        self.checked(taken, &mut out);
        out
    }

    /// All sound of a text came.
    pub fn sound_ended(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        let Some(turn) = &mut self.turn else {
            return out;
        };
        let mut voice = self.speaker.voice(&mut out);
        let taken = turn.sound_ended(&mut self.conversation, &mut voice);
        self.checked(taken, &mut out);
        self.speak(&mut out);
        while !self.lags()
            && let Some(event) = self.later.pop_front()
        {
            self.later_bytes = self.later_bytes.saturating_sub(event.len());
            self.heed(&event, &mut out);
            self.speak(&mut out);
        }
        if self.over && self.turn.is_some() && !self.lags() {
            self.cut_off(&mut out);
        }
        out
    }

    /// Its sound broke off.
    pub fn sound_cut(&mut self) -> Vec<Step> {
        let mut out = Vec::new();
        let why = "the speech of this answer ended before its end was told";
        self.checked(
            Err(Failure::upstream(FailureKind::Truncated, why)),
            &mut out,
        );
        out
    }

    /// The text is not said: the body of the refusal.
    pub fn unspoken(&mut self, body: &[u8]) -> Vec<Step> {
        let mut out = Vec::new();
        let body = String::from_utf8_lossy(body);
        let said = Object::parse(&body).unwrap_or_default();
        let error = said.get("error").and_then(Object::from_raw);
        let error = error.unwrap_or_default();
        let about = error.get("param").and_then(object::string);
        // Not every speech model writes files, and few write neither.
        if about.as_deref() == Some("response_format") && std::mem::take(&mut self.files) {
            let again = self.turn.as_mut().and_then(Turn::speak_again);
            out.extend(again.map(Step::Speak));
            return out;
        }
        self.finish(&Ending::failed(&error), &mut out);
        out
    }

    fn checked(&mut self, taken: Result<(), Failure>, out: &mut Vec<Step>) {
        if let Err(failure) = taken {
            // The text goes no further, either.
            out.push(Step::Cancel);
            self.finish(&Ending::of(&failure, "speech_failed"), out);
        }
    }

    /// Forgets what the consumer did not hear.
    pub(super) fn truncate(
        &mut self,
        top: &Object<'_>,
        out: &mut Vec<Step>,
    ) -> Result<(), Failure> {
        let id = self.item_id(top)?;
        let number = |name: &str| top.count(name);
        if number("content_index").is_some_and(|index| index != 0) {
            let why = "`content_index` is 0: what was said has one part";
            return Err(invalid(why, Some("content_index"), "invalid_value"));
        }
        let millis = number("audio_end_ms").ok_or_else(|| {
            let why = "`audio_end_ms` must be a whole number";
            invalid(why, Some("audio_end_ms"), "invalid_value")
        })?;
        self.conversation.truncate(&id, millis)?;
        self.voice(out).say("conversation.item.truncated", |event| {
            event
                .string("item_id", &id)
                .number("content_index", 0)
                .number("audio_end_ms", millis);
        });
        Ok(())
    }
}
