//! Whether somebody speaks: by loudness, in pieces of 20 milliseconds.
//!
//! A piece is loud where its level (root of the mean square, in decibels below the largest) is above the threshold's and well above what was
//! usual before. The threshold of 0 to 1 is a level of -55 to -15 dB, so that the usual 0.5 is -35 dB. Speech begins with three loud
//! pieces of four, and ends when none was loud for as long as the session says; a piece within speech is loud from a little less. Nothing
//! is known of words: music and slamming doors are speech, and whispering may be none.

/// Pieces a second.
const PIECES: u32 = 50;
/// Milliseconds of a piece.
pub const PIECE_MS: u64 = 20;
/// Level of the threshold 0, and what there is between 0 and 1.
const LEAST_DB: f64 = -55.0;
const SPAN_DB: f64 = 40.0;
/// How far speech stands above what was usual before it.
const ABOVE_DB: f64 = 9.0;
/// How much less is enough within speech.
const LESS_DB: f64 = 6.0;
/// What was usual is learnt quickly where it falls, and slowly where it rises: so speech does not become what is usual.
const FALLS: f64 = 0.3;
const RISES: f64 = 0.02;
/// What may be usual.
const QUIET_DB: f64 = -90.0;
const NOISY_DB: f64 = -28.0;
/// The last pieces that are looked at together, as bits, and how many of them are loud where speech begins.
const WINDOW: u8 = 0b1111;
const LOUD: u32 = 3;

/// What a session says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// 0 to 1.
    pub threshold: f64,
    /// What is kept from before the beginning.
    pub padding_ms: u64,
    /// Silence that ends speech.
    pub silence_ms: u64,
    /// An answer is made to speech.
    pub answers: bool,
    /// Speech cuts an answer short.
    pub interrupts: bool,
}

impl Default for Detection {
    /// As the reference has it.
    fn default() -> Self {
        Self {
            threshold: 0.5,
            padding_ms: 300,
            silence_ms: 500,
            answers: true,
            interrupts: true,
        }
    }
}

/// What a piece tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    /// Speech began, so many pieces ago.
    Began(u64),
    Ended,
}

/// Listens.
#[derive(Debug)]
pub struct Detector {
    usual: f64,
    window: u8,
    /// Milliseconds of silence within speech; `None` outside of it.
    silent_ms: Option<u64>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            usual: QUIET_DB,
            window: 0,
            silent_ms: None,
        }
    }
}

impl Detector {
    /// Somebody speaks.
    pub fn is_speech(&self) -> bool {
        self.silent_ms.is_some()
    }

    /// What was begun is over; what is usual stays known.
    pub fn reset(&mut self) {
        self.window = 0;
        self.silent_ms = None;
    }

    /// Takes a piece.
    pub fn take(&mut self, piece: &[i16], detection: &Detection) -> Heard {
        let level = level(piece);
        let floor = LEAST_DB + SPAN_DB * detection.threshold;
        let loud = floor.max(self.usual + ABOVE_DB);
        if let Some(silent) = &mut self.silent_ms {
            *silent = match level >= loud - LESS_DB {
                true => 0,
                false => *silent + PIECE_MS,
            };
            if *silent < detection.silence_ms.max(PIECE_MS) {
                return Heard::Nothing;
            }
            self.reset();
            return Heard::Ended;
        }
        self.window = (self.window << 1 | u8::from(level >= loud)) & WINDOW;
        if self.window.count_ones() >= LOUD {
            let first = u8::BITS - self.window.leading_zeros();
            self.silent_ms = Some(0);
            return Heard::Began(u64::from(first));
        }
        let pace = if level < self.usual { FALLS } else { RISES };
        self.usual += (level - self.usual) * pace;
        self.usual = self.usual.clamp(QUIET_DB, NOISY_DB);
        Heard::Nothing
    }
}

/// Samples of a piece.
pub fn piece_of(rate: u32) -> usize {
    (rate / PIECES) as usize
}

fn level(piece: &[i16]) -> f64 {
    let sum: f64 = piece.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    let mean = sum / (piece.len().max(1) as f64);
    let whole = f64::from(i16::MAX);
    10.0 * (mean / (whole * whole)).max(1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of a hum so loud, with a seeded hiss beneath it.
    fn pieces(db: f64, hiss_db: f64, count: usize) -> Vec<Vec<i16>> {
        let size = |db: f64| 32_767.0 * 10f64.powf(db / 20.0);
        let (hum, hiss) = (size(db) * 2f64.sqrt(), size(hiss_db) * 3f64.sqrt());
        let mut seed = 7_u64;
        let mut at = 0.0_f64;
        let mut piece = || {
            let each = (0..480).map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let chance = (seed >> 40) as f64 / f64::from(1 << 23) - 1.0;
                at += 0.05;
                (at.sin() * hum + chance * hiss) as i16
            });
            each.collect::<Vec<i16>>()
        };
        (0..count).map(|_| piece()).collect()
    }

    fn play(
        detector: &mut Detector,
        pieces: &[Vec<i16>],
        detection: &Detection,
    ) -> Vec<(usize, Heard)> {
        let each = pieces.iter().enumerate();
        let heard = each.map(|(at, piece)| (at, detector.take(piece, detection)));
        heard
            .filter(|(_, heard)| *heard != Heard::Nothing)
            .collect()
    }

    #[test]
    fn speech_begins_and_ends_whatever_hums_beneath_it() {
        for hiss in [-90.0, -60.0, -45.0] {
            let (mut detector, usual) = (Detector::default(), Detection::default());
            let quiet = pieces(-90.0, hiss, 100);
            assert_eq!(play(&mut detector, &quiet, &usual), [], "{hiss}");
            let speech = pieces(-20.0, hiss, 50);
            assert_eq!(
                play(&mut detector, &speech, &usual),
                [(2, Heard::Began(3))],
                "{hiss}"
            );
            // A pause between two words ends nothing.
            assert_eq!(play(&mut detector, &quiet[..20], &usual), [], "{hiss}");
            assert_eq!(play(&mut detector, &speech, &usual), [], "{hiss}");
            assert_eq!(
                play(&mut detector, &quiet, &usual),
                [(24, Heard::Ended)],
                "{hiss}"
            );
        }
    }

    #[test]
    fn a_click_is_no_speech_and_the_threshold_counts() {
        let (mut detector, usual) = (Detector::default(), Detection::default());
        let mut click = pieces(-90.0, -70.0, 40);
        click[10] = pieces(-6.0, -70.0, 1).remove(0);
        assert_eq!(play(&mut detector, &click, &usual), []);
        let soft = pieces(-40.0, -90.0, 20);
        assert_eq!(play(&mut detector, &soft, &usual), [], "below -35 dB");
        let keen = Detection {
            threshold: 0.2,
            ..usual
        };
        let mut detector = Detector::default();
        assert_eq!(play(&mut detector, &soft, &keen), [(2, Heard::Began(3))]);
    }
}
