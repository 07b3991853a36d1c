//! How much speech a session can have had: what its provider says it has written down is believed up to there.

use llmleaf_dialects::realtime::Counted;
use llmleaf_route::Millis;

/// Characters of base64 for three milliseconds of speech, in the thinnest form that sessions have: G.711, 8000 samples of a byte a second
/// (`audio/pcmu`, `audio/pcma`: OpenAI's reference of realtime sessions, `RealtimeAudioFormats`, read 2026-11-27).
const FOR_THREE_MILLIS: u64 = 32;
/// What is rounded up, and the silence before and after a sentence, for each piece that is written down, in milliseconds.
const ROUNDING: u64 = 2000;

/// What a session has heard.
#[derive(Debug)]
pub struct Heard {
    began: Millis,
    /// Bytes of what the consumer said, whatever that was.
    bytes: u64,
    /// What was counted so far, and what of that is rounding, in milliseconds.
    counted: u64,
    rounding: u64,
}

impl Heard {
    /// A session begins.
    pub fn from(began: Millis) -> Self {
        Self {
            began,
            bytes: 0,
            counted: 0,
            rounding: 0,
        }
    }

    /// The consumer said something.
    pub fn said(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Holds what was written down to the time for which the session lived, or what went through it, whichever is more. What is beyond
    /// that is nobody's to pay, and said to be no report.
    pub fn bound(&mut self, counted: &mut Counted, now: Millis) {
        let told = counted.usage.units.audio_ms;
        if told == 0 {
            return;
        }
        self.rounding = self.rounding.saturating_add(ROUNDING);
        let through = (self.bytes / FOR_THREE_MILLIS).saturating_mul(3);
        let most = through
            .max(now.since(self.began))
            .saturating_add(self.rounding);
        let left = most.saturating_sub(self.counted);
        if told > left {
            let id = &*counted.id;
            tracing::error!(
                id,
                told_ms = told,
                counted_ms = left,
                "a provider wrote down more speech than its session can have had"
            );
            counted.usage.units.audio_ms = left;
            counted.reported = false;
        }
        self.counted = self.counted.saturating_add(told.min(left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_dialects::realtime::Part;
    use llmleaf_model::{Units, Usage};

    fn written(audio_ms: u64) -> Counted {
        let units = Units {
            audio_ms,
            ..Units::default()
        };
        Counted {
            part: Part::Transcript,
            id: "item_1".to_owned(),
            usage: Usage {
                units,
                ..Usage::default()
            },
            reported: true,
            complete: true,
            model: None,
        }
    }

    fn bound(heard: &mut Heard, told: u64, now: u64) -> (u64, bool) {
        let mut counted = written(told);
        heard.bound(&mut counted, Millis(now));
        (counted.usage.units.audio_ms, counted.reported)
    }

    #[test]
    fn no_more_speech_is_counted_than_there_can_have_been() {
        let mut heard = Heard::from(Millis(1000));
        assert_eq!(bound(&mut heard, 0, 1000), (0, true));
        // Nothing was said yet, and the session is a second old.
        assert_eq!(bound(&mut heard, 3000, 2000), (3000, true));
        assert_eq!(bound(&mut heard, u64::MAX, 2000), (2000, false));
        // A minute, faster than it was spoken: telephones send 8 bytes a millisecond.
        heard.said(60_000 * 8 / 3 * 4);
        assert_eq!(bound(&mut heard, 57_000, 2500), (57_000, true));
        assert_eq!(bound(&mut heard, 57_000, 2500), (6_000, false));
        // An hour in which all was spoken as it came.
        assert_eq!(bound(&mut heard, 3_500_000, 3_601_000), (3_500_000, true));
    }
}
