//! Sound: a tone for a text, and what can be known of a sound without listening.

use llmleaf_model::{Json, Rest, Segment, Transcript, Units, Usage, Word};

/// Samples a second.
const RATE: u32 = 24_000;
/// How long a character takes, and the longest tone.
const SAMPLES_PER_CHARACTER: usize = RATE as usize / 20;
const MOST_SAMPLES: usize = RATE as usize * 60;
/// Loudness, and the pitch of the first words.
const AMPLITUDE: f64 = 8000.0;
const PITCH_HZ: f64 = 220.0;

/// A tone as long as a text: 16-bit samples, one channel, 24 kHz. Each word has a pitch of its own, and between two is silence.
pub fn tone(text: &str) -> Vec<u8> {
    let mut samples = Vec::new();
    let mut word = 0u32;
    let mut phase = 0.0f64;
    for character in text.chars() {
        if samples.len() >= MOST_SAMPLES * 2 {
            break;
        }
        let silent = character.is_whitespace();
        word = word.wrapping_add(u32::from(silent));
        // Up a whole tone with every word, over an octave.
        let pitch = PITCH_HZ * 2f64.powf(f64::from(word % 7) / 6.0);
        for _ in 0..SAMPLES_PER_CHARACTER {
            phase = (phase + pitch / f64::from(RATE)).fract();
            let level = if silent { 0.0 } else { AMPLITUDE };
            let value = (phase * std::f64::consts::TAU).sin() * level;
            let sample = value as i16;
            samples.extend_from_slice(&sample.to_le_bytes());
        }
    }
    samples
}

/// What is known of a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    bytes: u64,
    /// Bytes a second, where the sound says.
    rate: Option<u32>,
}

impl Sound {
    /// From how it begins and how long it is.
    pub fn begin(beginning: &[u8], bytes: u64) -> Self {
        let is_wav = beginning.starts_with(b"RIFF") && beginning.get(8..12) == Some(b"WAVE");
        let rate = beginning.get(28..32).filter(|_| is_wav);
        let rate = rate.and_then(|rate| <[u8; 4]>::try_from(rate).ok());
        Self {
            bytes,
            rate: rate.map(u32::from_le_bytes).filter(|rate| *rate > 0),
        }
    }

    /// How long it is, where it says.
    pub fn millis(self) -> u64 {
        let rate = self.rate.map_or(u64::MAX, u64::from);
        self.bytes.saturating_sub(44).saturating_mul(1000) / rate
    }
}

/// What is told of a sound: how long it is, with times for segment and words.
pub fn transcript(sound: &Sound) -> Transcript {
    let millis = sound.millis();
    let text = match sound.rate {
        Some(_) => format!("a sound of {millis} milliseconds"),
        None => format!("a sound of {} bytes", sound.bytes),
    };
    let count = text.split(' ').count().max(1) as u64;
    let words = text.split(' ').enumerate().map(|(at, word)| Word {
        word: word.to_owned(),
        start: seconds(millis * at as u64 / count),
        end: seconds(millis * (at as u64 + 1) / count),
        speaker: None,
    });
    Transcript {
        language: Some("english".to_owned()),
        duration: Some(seconds(millis)),
        segments: Some(vec![Segment {
            id: None,
            start: seconds(0),
            end: seconds(millis),
            text: text.clone(),
            speaker: Some("A".to_owned()),
            rest: Rest::default(),
        }]),
        words: Some(words.collect()),
        logprobs: None,
        usage: Some(Usage {
            units: Units {
                audio_ms: millis,
                ..Units::default()
            },
            ..Usage::default()
        }),
        text,
    }
}

fn seconds(millis: u64) -> Json {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    Json::parse(&text).unwrap_or_else(|_| Json::from_value(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_as_long_as_its_text_and_heard_as_long() {
        let samples = tone("hello you");
        assert_eq!(samples.len(), 9 * SAMPLES_PER_CHARACTER * 2);
        let loud = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
        assert!(loud(&samples[..1000]));
        let silence = 5 * SAMPLES_PER_CHARACTER * 2;
        assert!(!loud(
            &samples[silence..silence + SAMPLES_PER_CHARACTER * 2]
        ));
        let header = llmleaf_dialects::speech::header(llmleaf_dialects::speech::Pcm::USUAL, None);
        let sound = Sound::begin(&header, 44 + samples.len() as u64);
        assert_eq!(sound.millis(), 450);
        assert_eq!(transcript(&sound).text, "a sound of 450 milliseconds");
        assert_eq!(
            transcript(&Sound::begin(b"ID3", 9)).text,
            "a sound of 9 bytes"
        );
    }

    #[test]
    fn a_long_text_has_a_bounded_tone() {
        assert!(tone(&"x".repeat(1 << 20)).len() < (MOST_SAMPLES + SAMPLES_PER_CHARACTER) * 2);
    }
}
