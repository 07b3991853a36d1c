//! What a speech model says, as samples: a WAV file while it comes, or bare samples.

use super::format::{Format, RATE};
use super::resample::Resampler;
use llmleaf_model::{Failure, FailureKind};

/// Longest beginning of a file in which its samples must begin.
const HEAD_BYTES: usize = 64 * 1024;
/// Lengths from here on mean that it is not known: writers into pipes say 2 or 4 GiB, each less some head or rounded down its own way.
const LONGEST_BYTES: u32 = 0x7fff_0000;
/// Most channels that become one.
const MOST_CHANNELS: u16 = 8;

/// Reads a sound, and writes it as its hearer wants it.
#[derive(Debug)]
pub struct Wave {
    stage: Stage,
    wanted: Format,
    odd: Option<u8>,
    /// Samples of a moment, until those of all channels are there.
    moment: Vec<i16>,
    resampler: Option<Resampler>,
    /// Samples that were written, and those since the last were taken.
    written: u64,
    ready: Vec<i16>,
}

#[derive(Debug)]
enum Stage {
    /// The head is read.
    Head(Vec<u8>),
    /// Samples come: of so many channels, so many bytes if that is said.
    Samples { channels: u16, left: Option<u64> },
}

impl Wave {
    /// A file.
    pub fn file(wanted: Format) -> Self {
        Self::new(Stage::Head(Vec::new()), wanted)
    }

    /// Bare samples: 16 bits, one channel, 24,000 a second.
    pub fn bare(wanted: Format) -> Self {
        let stage = Stage::Samples {
            channels: 1,
            left: None,
        };
        let mut wave = Self::new(stage, wanted);
        wave.resampler = Resampler::new(RATE, wanted.rate()).filter(|_| wanted.rate() != RATE);
        wave
    }

    fn new(stage: Stage, wanted: Format) -> Self {
        Self {
            stage,
            wanted,
            odd: None,
            moment: Vec::new(),
            resampler: None,
            written: 0,
            ready: Vec::new(),
        }
    }

    /// How long what was written is.
    pub fn millis(&self) -> u64 {
        self.wanted.millis(self.written)
    }

    /// Takes bytes; what they make, in the format that is wanted.
    ///
    /// # Errors
    /// They are no sound that is read here.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let Stage::Head(head) = &mut self.stage else {
            self.samples(bytes);
            return Ok(self.take());
        };
        head.extend_from_slice(bytes);
        match Head::read(head)? {
            Some(found) => {
                let rest = head.split_off(found.at.min(head.len()));
                let to = self.wanted.rate();
                if found.rate != to {
                    let resampler = Resampler::new(found.rate, to);
                    self.resampler = Some(resampler.ok_or_else(|| strange("its rate"))?);
                }
                self.stage = Stage::Samples {
                    channels: found.channels,
                    left: found.length,
                };
                self.samples(&rest);
                Ok(self.take())
            }
            None if head.len() > HEAD_BYTES => Err(strange("a head without an end")),
            None => Ok(Vec::new()),
        }
    }

    /// All came; what is left of it.
    ///
    /// # Errors
    /// There is no sound in it, or less than it says.
    pub fn finish(&mut self) -> Result<Vec<u8>, Failure> {
        match self.stage {
            Stage::Head(_) => return Err(strange("an end before its samples")),
            Stage::Samples {
                left: Some(1..), ..
            } => return Err(strange("an end before the end of its samples")),
            Stage::Samples { .. } => {}
        }
        if let Some(resampler) = &mut self.resampler {
            resampler.finish(&mut self.ready);
        }
        Ok(self.take())
    }

    fn samples(&mut self, bytes: &[u8]) {
        let Stage::Samples { channels, left } = &mut self.stage else {
            return;
        };
        let mut bytes = bytes;
        if let Some(left) = left {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            bytes = bytes.get(..most).unwrap_or(bytes);
            *left = left.saturating_sub(bytes.len() as u64);
        }
        Format::Linear.decode(bytes, &mut self.odd, &mut self.moment);
        let channels = usize::from(*channels);
        let mono: Vec<i16> = match channels {
            1 => std::mem::take(&mut self.moment),
            _ => {
                let whole = self.moment.len() - self.moment.len() % channels;
                let all: Vec<i16> = self.moment.drain(..whole).collect();
                all.chunks_exact(channels).map(middle).collect()
            }
        };
        match &mut self.resampler {
            Some(resampler) => resampler.push(&mono, &mut self.ready),
            None => self.ready.extend_from_slice(&mono),
        }
    }

    fn take(&mut self) -> Vec<u8> {
        let samples = std::mem::take(&mut self.ready);
        self.written = self.written.saturating_add(samples.len() as u64);
        let mut out = Vec::with_capacity(samples.len() * 2);
        self.wanted.encode(&samples, &mut out);
        out
    }
}

fn middle(moment: &[i16]) -> i16 {
    let sum: i32 = moment.iter().map(|sample| i32::from(*sample)).sum();
    let count = i32::try_from(moment.len()).unwrap_or(1).max(1);
    i16::try_from(sum / count).unwrap_or_default()
}

/// The head of a file.
struct Head {
    channels: u16,
    rate: u32,
    /// Where the samples begin, and how many bytes they are if that is known.
    at: usize,
    length: Option<u64>,
}

impl Head {
    /// Reads it; `None` while more is needed.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let four = |at: usize| {
            let four = bytes.get(at..at + 4)?;
            <[u8; 4]>::try_from(four).ok()
        };
        let (Some(riff), Some(wave)) = (four(0), four(8)) else {
            return Ok(None);
        };
        if &riff != b"RIFF" || &wave != b"WAVE" {
            return Err(strange("no WAV file"));
        }
        let (mut at, mut format) = (12, None);
        loop {
            let (Some(name), Some(length)) = (four(at), four(at + 4)) else {
                return Ok(None);
            };
            let (body, length) = (at + 8, u32::from_le_bytes(length));
            if &name == b"data" {
                let (channels, rate) =
                    format.ok_or_else(|| strange("samples before their format"))?;
                // Who does not know yet how much will come says nothing, or about the most that can be said.
                let known = (1..LONGEST_BYTES).contains(&length);
                return Ok(Some(Self {
                    channels,
                    rate,
                    at: body,
                    length: known.then_some(u64::from(length)),
                }));
            }
            if &name == b"fmt " {
                let Some(said) = bytes.get(body..body + 16) else {
                    return Ok(None);
                };
                format = Some(sixteen_bits(said)?);
            }
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            at = body.saturating_add(length).saturating_add(length % 2);
            if at > HEAD_BYTES {
                return Err(strange("a head that is too long"));
            }
        }
    }
}

/// Channels and rate, of samples that are 16-bit integers.
fn sixteen_bits(said: &[u8]) -> Result<(u16, u32), Failure> {
    let two = |at: usize| {
        let two = said
            .get(at..at + 2)
            .and_then(|two| <[u8; 2]>::try_from(two).ok());
        u16::from_le_bytes(two.unwrap_or_default())
    };
    let (kind, channels, bits) = (two(0), two(2), two(14));
    let rate = u32::from(two(4)) | u32::from(two(6)) << 16;
    let integers = matches!(kind, 1 | 0xfffe) && bits == 16;
    if !integers || !(1..=MOST_CHANNELS).contains(&channels) {
        return Err(strange("samples that are no 16-bit integers"));
    }
    Ok((channels, rate))
}

fn strange(what: &str) -> Failure {
    let why = format!("the speech model answered what cannot be played here: {what}");
    Failure::upstream(FailureKind::InvalidResponse, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::{Pcm, header};

    fn read(mut wave: Wave, bytes: &[u8], cut: usize) -> (Vec<u8>, u64) {
        let mut out = Vec::new();
        for piece in bytes.chunks(cut) {
            out.extend(wave.push(piece).expect("a sound"));
        }
        out.extend(wave.finish().expect("its end"));
        (out, wave.millis())
    }

    #[test]
    fn a_file_is_its_samples_wherever_it_is_cut() {
        let samples: Vec<u8> = (0..4800_u16).flat_map(u16::to_le_bytes).collect();
        for length in [None, Some(9600), Some(0)] {
            let mut file = header(Pcm::USUAL, length);
            // A list of words, of odd length, before the samples.
            let list = [b"LIST", &3_u32.to_le_bytes()[..], b"abc\0"].concat();
            drop(file.splice(36..36, list));
            file.extend_from_slice(&samples);
            for cut in [1, 3, 44, 1 << 20] {
                let (out, millis) = read(Wave::file(Format::Linear), &file, cut);
                assert!(out == samples, "{length:?} {cut}");
                assert_eq!(millis, 200);
            }
        }
        let (out, millis) = read(Wave::bare(Format::Linear), &samples, 7);
        assert!(out == samples && millis == 200);
        let (out, millis) = read(Wave::bare(Format::MuLaw), &samples, 7);
        assert_eq!((out.len(), millis), (1600, 200));
    }

    #[test]
    fn two_channels_are_one_and_what_lies_behind_is_no_sound() {
        let mut file = header(Pcm { rate: 48_000 }, Some(8));
        file[22] = 2;
        for sample in [100_i16, 300, -50, 50] {
            file.extend_from_slice(&sample.to_le_bytes());
        }
        file.extend_from_slice(b"LIST\x04\0\0\0abcd");
        let (out, _) = read(Wave::file(Format::Linear), &file, 5);
        assert_eq!(out.len(), 2, "two at 48,000 are one at 24,000");
        for broken in [
            &b"ID3 and then something else"[..],
            b"RIFFxxxxWAVEdata\0\0\0\0",
        ] {
            assert!(Wave::file(Format::Linear).push(broken).is_err());
        }
        assert!(Wave::file(Format::Linear).finish().is_err());
        // What says how long it is and is shorter broke off; what says that it does not know is as long as it is.
        for (length, whole) in [
            (9600, false),
            (8, true),
            (0, true),
            (0x7fff_f000, true),
            (i32::MAX as u32, true),
            (u32::MAX - 36, true),
        ] {
            let mut file = header(Pcm::USUAL, Some(length));
            file.extend_from_slice(&[1; 8]);
            let mut wave = Wave::file(Format::Linear);
            assert_eq!(wave.push(&file).map(|out| out.len()), Ok(8), "{length}");
            assert_eq!(wave.finish().is_ok(), whole, "{length}");
        }
        let mut floats = header(Pcm::USUAL, None);
        floats[20] = 3;
        assert!(Wave::file(Format::Linear).push(&floats).is_err());
    }
}
