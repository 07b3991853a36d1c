//! What is said of an answer: its texts go to a speech model piece by piece, and the sound to the consumer as it comes.

use super::{Made, Mouth, Open, Turn, address, part};
use crate::realtime::bridge::items::Conversation;
use crate::realtime::bridge::wave::Wave;
use crate::realtime::step::Voice;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_model::Failure;

/// Most bytes of sound in one event: a fifth of a second and more.
const EVENT_BYTES: usize = 16 * 1024;

/// An event of speech, in today's form or the one before.
pub fn named(older: bool, end: &str) -> String {
    match older {
        true => format!("response.audio{end}"),
        false => format!("response.output_audio{end}"),
    }
}

impl Turn {
    fn mouth(&mut self) -> Option<&mut Mouth> {
        self.open.iter_mut().find_map(|open| match &mut open.made {
            Made::Speech(mouth) => Some(mouth),
            _ => None,
        })
    }

    /// Something is being said.
    pub fn sounds(&self) -> bool {
        self.open.iter().any(|open| match &open.made {
            Made::Speech(mouth) => mouth.sound.is_some(),
            _ => false,
        })
    }

    /// A text is whole, and not all of it is said: what else there is to the answer waits for that.
    pub fn lags(&mut self) -> bool {
        self.mouth().is_some_and(|mouth| mouth.whole)
    }

    /// The next text to be said, as a request; `file`: as a WAV file, else as bare samples.
    pub fn speak(&mut self, file: bool) -> Option<Vec<u8>> {
        let wanted = self.asked.sound().output;
        let mouth = self.mouth()?;
        if mouth.sound.is_some() {
            return None;
        }
        let text = mouth.next()?;
        mouth.sound = Some(wave(file, wanted));
        mouth.saying.clone_from(&text);
        self.asked.sound().speech(&text, format(file))
    }

    /// The same text as bare samples, where none of it has come.
    pub fn speak_again(&mut self) -> Option<Vec<u8>> {
        let wanted = self.asked.sound().output;
        let mouth = self.mouth()?;
        mouth.sound = Some(wave(false, wanted));
        let text = mouth.saying.clone();
        self.asked.sound().speech(&text, format(false))
    }

    /// Sound came.
    pub fn sound(&mut self, bytes: &[u8], voice: &mut Voice<'_>) -> Result<(), Failure> {
        let Some(mouth) = self.mouth() else {
            return Ok(());
        };
        let Some(sound) = &mut mouth.sound else {
            return Ok(());
        };
        let sound_bytes = sound.push(bytes)?;
        let millis = sound.millis();
        mouth.said(millis);
        self.tell_sound(&sound_bytes, voice);
        Ok(())
    }

    /// All sound of a text came. The message is whole where nothing is left to say.
    pub fn sound_ended(
        &mut self,
        conversation: &mut Conversation,
        voice: &mut Voice<'_>,
    ) -> Result<(), Failure> {
        let Some(mouth) = self.mouth() else {
            return Ok(());
        };
        let Some(mut sound) = mouth.sound.take() else {
            return Ok(());
        };
        let rest = sound.finish()?;
        mouth.said_whole(sound.millis());
        self.tell_sound(&rest, voice);
        let is_said = |open: &mut Open| match &mut open.made {
            Made::Speech(mouth) => mouth.is_done(),
            _ => false,
        };
        if let Some(place) = self.open.iter_mut().position(is_said) {
            let open = self.open.remove(place);
            self.close(open, "completed", conversation, voice);
        }
        Ok(())
    }

    fn tell_sound(&self, sound: &[u8], voice: &mut Voice<'_>) {
        let Some(open) = self.open.iter().find(|open| open.says()) else {
            return;
        };
        for piece in sound.chunks(EVENT_BYTES) {
            let data = STANDARD.encode(piece);
            voice.say(&named(self.older, ".delta"), |event| {
                address(event, &self.id, open);
                event.number("content_index", 0).string("delta", &data);
            });
        }
    }

    pub(super) fn close_speech(&self, open: &Open, mouth: &Mouth, voice: &mut Voice<'_>) {
        voice.say(&named(self.older, ".done"), |event| {
            address(event, &self.id, open);
            event.number("content_index", 0);
        });
        voice.say(&named(self.older, "_transcript.done"), |event| {
            address(event, &self.id, open);
            event
                .number("content_index", 0)
                .string("transcript", &mouth.text);
        });
        voice.say("response.content_part.done", |event| {
            address(event, &self.id, open);
            event.number("content_index", 0);
            part(event, true, &mouth.text);
        });
    }
}

fn wave(file: bool, wanted: crate::realtime::bridge::format::Format) -> Wave {
    match file {
        true => Wave::file(wanted),
        false => Wave::bare(wanted),
    }
}

fn format(file: bool) -> &'static str {
    if file { "wav" } else { "pcm" }
}
