//! The buffer that a session's speech comes to, and what becomes an utterance of it.

use super::detect::{Detection, Detector, Heard, PIECE_MS, piece_of};
use super::format::Format;

/// Longest utterance. Who speaks longer has spoken two.
pub const LONGEST_MS: u64 = 180_000;
/// Shortest one that a consumer may make itself, as the reference has it.
const SHORTEST_MS: u64 = 100;

/// What was noticed.
#[derive(Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Speech began there, in milliseconds of all that came.
    Began(u64),
    /// It ended: what was said.
    Ended(u64, Vec<i16>),
}

/// Why something is not done.
#[derive(Debug, PartialEq, Eq)]
pub enum Cannot {
    /// There is more than an utterance may be.
    Full,
    /// There is too little for an utterance.
    Empty,
}

/// The buffer.
#[derive(Debug, Default)]
pub struct Ear {
    format: Format,
    samples: Vec<i16>,
    odd: Option<u8>,
    /// Samples that came before those in the buffer.
    before: u64,
    /// How many of those in the buffer were listened to.
    listened: usize,
    detector: Detector,
}

impl Ear {
    /// Somebody speaks now, as far as that is looked for.
    pub fn is_speech(&self) -> bool {
        self.detector.is_speech()
    }

    /// Nobody looks for speech any more.
    pub fn hush(&mut self) {
        self.detector.reset();
    }

    /// How samples come from here on; false where those of another rate wait.
    pub fn expect(&mut self, format: Format) -> bool {
        if format.rate() != self.format.rate() && !self.samples.is_empty() {
            return false;
        }
        // Times go on at the new rate.
        let millis = self.format.millis(self.before);
        self.before = format.samples(millis) as u64;
        self.format = format;
        self.odd = None;
        true
    }

    /// Takes bytes, and listens where that is asked for.
    pub fn append(
        &mut self,
        bytes: &[u8],
        detection: Option<&Detection>,
    ) -> Result<Vec<Noticed>, Cannot> {
        let longest = self.format.samples(LONGEST_MS);
        let Some(detection) = detection else {
            // At least one byte each, and at most two.
            let more = match self.format {
                Format::Linear => bytes.len() / 2,
                Format::MuLaw | Format::ALaw => bytes.len(),
            };
            if self.samples.len() + more > longest {
                return Err(Cannot::Full);
            }
            self.format.decode(bytes, &mut self.odd, &mut self.samples);
            return Ok(Vec::new());
        };
        let mut noticed = Vec::new();
        // Bit by bit, so that silence is let go before all of it is held.
        for bytes in bytes.chunks(16 * 1024) {
            self.format.decode(bytes, &mut self.odd, &mut self.samples);
            self.listen(detection, longest, &mut noticed);
        }
        Ok(noticed)
    }

    fn listen(&mut self, detection: &Detection, longest: usize, noticed: &mut Vec<Noticed>) {
        let size = piece_of(self.format.rate());
        while let Some(piece) = self.samples.get(self.listened..self.listened + size) {
            let heard = self.detector.take(piece, detection);
            self.listened += size;
            match heard {
                Heard::Began(pieces) => {
                    let back = pieces
                        .saturating_mul(PIECE_MS)
                        .saturating_add(detection.padding_ms);
                    self.keep(self.format.samples(back));
                    noticed.push(Noticed::Began(self.format.millis(self.before)));
                }
                Heard::Ended => noticed.push(self.ended()),
                Heard::Nothing if self.detector.is_speech() => {
                    if self.listened + size > longest {
                        self.detector.reset();
                        noticed.push(self.ended());
                    }
                }
                Heard::Nothing => {}
            }
        }
        if !self.detector.is_speech() {
            // Once for all that came together. Until four pieces were heard, none of them may be let go.
            let kept = detection.padding_ms.saturating_add(PIECE_MS * 4);
            self.keep(self.format.samples(kept));
        }
    }

    /// Lets go what was listened to, but for its end.
    fn keep(&mut self, kept: usize) {
        let gone = self.listened.saturating_sub(kept);
        self.samples.drain(..gone.min(self.samples.len()));
        self.before = self.before.saturating_add(gone as u64);
        self.listened -= gone;
    }

    fn ended(&mut self) -> Noticed {
        let rest = self
            .samples
            .split_off(self.listened.min(self.samples.len()));
        let said = std::mem::replace(&mut self.samples, rest);
        self.before = self.before.saturating_add(said.len() as u64);
        self.listened = 0;
        Noticed::Ended(self.format.millis(self.before), said)
    }

    /// How many samples there are to make an utterance of; [`Ear::clear`] gives them.
    pub fn committed(&self) -> Result<usize, Cannot> {
        let samples = self.samples.len();
        match self.format.millis(samples as u64) < SHORTEST_MS {
            true => Err(Cannot::Empty),
            false => Ok(samples),
        }
    }

    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        self.samples.len() * size_of::<i16>()
    }

    /// Lets go what there is.
    pub fn clear(&mut self) -> Vec<i16> {
        let said = std::mem::take(&mut self.samples);
        self.before = self.before.saturating_add(said.len() as u64);
        self.listened = 0;
        self.odd = None;
        self.detector.reset();
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loud(millis: u64, format: Format) -> Vec<u8> {
        let samples: Vec<i16> = (0..format.samples(millis))
            .map(|at| if at / 20 % 2 == 0 { 8000 } else { -8000 })
            .collect();
        let mut out = Vec::new();
        format.encode(&samples, &mut out);
        out
    }

    fn quiet(millis: u64, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        format.encode(&vec![0; format.samples(millis)], &mut out);
        out
    }

    #[test]
    fn an_utterance_is_what_was_said_with_a_little_before_it() {
        for format in [Format::Linear, Format::MuLaw, Format::ALaw] {
            let sound = [quiet(3000, format), loud(1000, format), quiet(2000, format)].concat();
            for cut in [1, 961, sound.len()] {
                let mut ear = Ear::default();
                assert!(ear.expect(format));
                let usual = Detection::default();
                let mut noticed = Vec::new();
                for piece in sound.chunks(cut) {
                    noticed.extend(ear.append(piece, Some(&usual)).expect("there is room"));
                    assert!(
                        ear.samples.len() <= format.samples(1900) + 8192,
                        "silence is let go"
                    );
                }
                let [Noticed::Began(2700), Noticed::Ended(4500, said)] = &noticed[..] else {
                    panic!("{format:?} {cut} {:?}", noticed.len());
                };
                assert_eq!(said.len(), format.samples(1800));
            }
        }
    }

    #[test]
    fn what_is_held_has_an_end() {
        let usual = Detection::default();
        let mut ear = Ear::default();
        let minute = loud(60_000, Format::Linear);
        let mut ended = Vec::new();
        for _ in 0..4 {
            let noticed = ear.append(&minute, Some(&usual)).expect("there is room");
            ended.extend(noticed.into_iter().filter_map(|noticed| match noticed {
                Noticed::Ended(at, said) => Some((at, said.len())),
                Noticed::Began(_) => None,
            }));
        }
        assert_eq!(ended, [(180_000, Format::Linear.samples(180_000))]);
        let mut ear = Ear::default();
        assert_eq!(ear.committed(), Err(Cannot::Empty));
        for _ in 0..3 {
            assert_eq!(ear.append(&minute, None), Ok(Vec::new()));
        }
        assert_eq!(ear.append(&minute, None), Err(Cannot::Full));
        let whole = Format::Linear.samples(180_000);
        assert_eq!(ear.committed(), Ok(whole));
        assert_eq!(ear.clear().len(), whole);
        assert_eq!(ear.append(&[0; 4700], None), Ok(Vec::new()));
        assert_eq!(
            ear.committed(),
            Err(Cannot::Empty),
            "less than 100 milliseconds"
        );
        assert_eq!(ear.clear().len(), 2350);
    }
}
