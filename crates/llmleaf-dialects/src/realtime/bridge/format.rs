//! How samples are written on the wire: as they are, or as telephones have them.
//!
//! Reference: `RealtimeAudioFormats` of OpenAI's OpenAPI document 2.3.0 (2026-08); ITU-T G.711 (1988-11), tables 1 and 2.

use crate::object::{self, Object};
use crate::writer::ObjectWriter;
use serde_json::value::RawValue;

/// A format of speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// 16-bit samples, little-endian, 24,000 a second.
    #[default]
    Linear,
    /// G.711 with the µ law, 8,000 a second.
    MuLaw,
    /// G.711 with the A law, 8,000 a second.
    ALaw,
}

/// Samples a second of [`Format::Linear`].
pub const RATE: u32 = 24_000;
/// Samples a second of telephones.
const TELEPHONE: u32 = 8_000;

impl Format {
    /// By what a session says, in either form; `None` for another one.
    pub fn read(raw: &RawValue) -> Option<Self> {
        let Some(format) = Object::from_raw(raw) else {
            return match raw.get() {
                "null" | "\"pcm16\"" => Some(Self::Linear),
                "\"g711_ulaw\"" => Some(Self::MuLaw),
                "\"g711_alaw\"" => Some(Self::ALaw),
                _ => None,
            };
        };
        let rate = format.get("rate").map(RawValue::get);
        match (format.get("type").and_then(object::string).as_deref(), rate) {
            (Some("audio/pcm"), None | Some("24000" | "null")) => Some(Self::Linear),
            (Some("audio/pcmu"), _) => Some(Self::MuLaw),
            (Some("audio/pcma"), _) => Some(Self::ALaw),
            _ => None,
        }
    }

    /// The name in the form that stood before.
    pub fn older(self) -> &'static str {
        match self {
            Self::Linear => "pcm16",
            Self::MuLaw => "g711_ulaw",
            Self::ALaw => "g711_alaw",
        }
    }

    /// Says it in today's form.
    pub fn tell(self, object: &mut ObjectWriter<'_>) {
        object.raw(
            "format",
            match self {
                Self::Linear => "{\"type\":\"audio/pcm\",\"rate\":24000}",
                Self::MuLaw => "{\"type\":\"audio/pcmu\"}",
                Self::ALaw => "{\"type\":\"audio/pcma\"}",
            },
        );
    }

    /// Samples a second.
    pub fn rate(self) -> u32 {
        match self {
            Self::Linear => RATE,
            Self::MuLaw | Self::ALaw => TELEPHONE,
        }
    }

    /// Milliseconds of so many samples.
    pub fn millis(self, samples: u64) -> u64 {
        samples.saturating_mul(1000) / u64::from(self.rate())
    }

    /// Samples of so many milliseconds.
    pub fn samples(self, millis: u64) -> usize {
        let samples = millis.saturating_mul(u64::from(self.rate())) / 1000;
        usize::try_from(samples).unwrap_or(usize::MAX)
    }

    /// Reads bytes; `odd` is the half of a sample that came last.
    pub fn decode(self, bytes: &[u8], odd: &mut Option<u8>, out: &mut Vec<i16>) {
        match self {
            Self::MuLaw => out.extend(bytes.iter().map(|byte| from_mu_law(*byte))),
            Self::ALaw => out.extend(bytes.iter().map(|byte| from_a_law(*byte))),
            Self::Linear => {
                let mut bytes = bytes;
                if let (Some(low), Some((high, rest))) = (*odd, bytes.split_first()) {
                    out.push(i16::from_le_bytes([low, *high]));
                    (*odd, bytes) = (None, rest);
                }
                let (pairs, rest) = bytes.as_chunks::<2>();
                out.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
                *odd = rest.first().copied().or(*odd);
            }
        }
    }

    /// Writes samples of its own rate.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Linear => samples
                .iter()
                .for_each(|sample| out.extend_from_slice(&sample.to_le_bytes())),
            Self::MuLaw => out.extend(samples.iter().map(|sample| to_mu_law(*sample))),
            Self::ALaw => out.extend(samples.iter().map(|sample| to_a_law(*sample))),
        }
    }
}

/// What the µ law adds to a sample's size, so that each of its segments begins at a power of two.
const BIAS: i32 = 0x84;

fn from_mu_law(byte: u8) -> i16 {
    let code = i32::from(!byte);
    let size = (((code & 0x0f) << 3) + BIAS) << ((code & 0x70) >> 4);
    let sample = if code & 0x80 == 0 {
        size - BIAS
    } else {
        BIAS - size
    };
    i16::try_from(sample).unwrap_or_default()
}

fn to_mu_law(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let size = sample.abs().min(0x7fff - BIAS) + BIAS;
    // The highest bit of a size is one of bits 7 to 14.
    let segment = 24_u32.saturating_sub(size.leading_zeros()).min(7);
    let code = (segment << 4).cast_signed() | (size >> (segment + 3)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !u8::try_from(code | sign).unwrap_or_default()
}

fn from_a_law(byte: u8) -> i16 {
    let code = i32::from(byte ^ 0x55);
    let (low, segment) = ((code & 0x0f) << 4, (code & 0x70) >> 4);
    let size = match segment {
        0 => low + 8,
        _ => (low + 0x108) << (segment - 1),
    };
    let sample = if code & 0x80 == 0 { -size } else { size };
    i16::try_from(sample).unwrap_or_default()
}

fn to_a_law(sample: i16) -> u8 {
    let sample = i32::from(sample) >> 3;
    let (size, mask) = match sample >= 0 {
        true => (sample, 0xd5),
        false => (-sample - 1, 0x55),
    };
    let segment = 27_u32.saturating_sub(size.leading_zeros()).min(7);
    let shift = segment.max(1);
    let code = (segment << 4).cast_signed() | (size >> shift) & 0x0f;
    u8::try_from(code ^ mask).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telephones_say_comes_back_as_it_was() {
        for byte in 0..=u8::MAX {
            // Of the µ law's two zeros one is enough.
            if byte != 0x7f {
                assert_eq!(to_mu_law(from_mu_law(byte)), byte, "µ {byte:#x}");
            }
            assert_eq!(to_a_law(from_a_law(byte)), byte, "A {byte:#x}");
        }
        // Ends of the tables of G.711, in 16 bits.
        assert_eq!((from_mu_law(0x00), from_mu_law(0x80)), (-32124, 32124));
        assert_eq!((from_a_law(0xaa), from_a_law(0x2a)), (32256, -32256));
        for sample in [i16::MIN, -1, 0, 1, i16::MAX] {
            let near = from_mu_law(to_mu_law(sample));
            assert!(
                (i32::from(near) - i32::from(sample)).abs() <= 700,
                "{sample}"
            );
            let near = from_a_law(to_a_law(sample));
            assert!(
                (i32::from(near) - i32::from(sample)).abs() <= 600,
                "{sample}"
            );
        }
    }

    #[test]
    fn a_sample_that_comes_in_halves_is_one() {
        let bytes: Vec<u8> = (0..9).collect();
        for cut in 0..=bytes.len() {
            let (mut odd, mut out) = (None, Vec::new());
            let (first, second) = bytes.split_at(cut);
            Format::Linear.decode(first, &mut odd, &mut out);
            Format::Linear.decode(second, &mut odd, &mut out);
            assert_eq!(out, [0x0100, 0x0302, 0x0504, 0x0706], "{cut}");
            assert_eq!(odd, Some(8));
        }
    }
}
