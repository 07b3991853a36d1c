//! Samples, and the container that players expect around them.

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pcm {
    /// Samples a second.
    pub rate: u32,
}

impl Pcm {
    /// What every service with samples writes: 24 kHz, one channel, 16-bit integers.
    pub const USUAL: Self = Self { rate: 24_000 };

    /// From a type such as `audio/L16;codec=pcm;rate=24000`; `None` where it is that of a container, whose bytes are no samples.
    pub fn of_type(kind: &str) -> Option<Self> {
        let mut parameters = kind.split(';');
        let name = parameters.next().unwrap_or_default().trim();
        let samples = ["audio/l16", "audio/pcm"];
        if !samples.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return None;
        }
        let rate = parameters.find_map(|p| p.trim().strip_prefix("rate=")?.trim().parse().ok());
        let rate = rate.filter(|rate| (1..=768_000).contains(rate));
        Some(rate.map_or(Self::USUAL, |rate| Self { rate }))
    }

    /// How long so many bytes last.
    pub fn millis(self, bytes: u64) -> u64 {
        bytes.saturating_mul(1000) / (u64::from(self.rate) * 2)
    }
}

/// The header of a WAV file of one channel and 16-bit samples. Where nobody knows yet how much comes (`length` is `None`), both lengths
/// are the largest there are, as the reference service writes them when it streams (recorded).
pub fn header(pcm: Pcm, length: Option<u32>) -> Vec<u8> {
    let mut out = Vec::with_capacity(44);
    let riff = length.map_or(u32::MAX, |length| length.saturating_add(36));
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&riff.to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16u32.to_le_bytes());
    // Integers, one channel.
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&pcm.rate.to_le_bytes());
    out.extend_from_slice(&pcm.rate.saturating_mul(2).to_le_bytes());
    out.extend_from_slice(&2u16.to_le_bytes());
    out.extend_from_slice(&16u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&length.unwrap_or(u32::MAX).to_le_bytes());
    out
}

/// Floats on their way to be 16-bit integers; four bytes may come apart.
#[derive(Debug, Default)]
pub(super) struct Floats(Vec<u8>);

impl Floats {
    /// Takes little-endian floats between -1 and 1, and appends the integers.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.0.extend_from_slice(bytes);
        let whole = self.0.len() - self.0.len() % 4;
        for sample in self.0.drain(..whole).collect::<Vec<u8>>().chunks_exact(4) {
            let Ok(bytes) = <[u8; 4]>::try_from(sample) else {
                continue;
            };
            let sample = f32::from_le_bytes(bytes);
            let scaled = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round();
            let sample = scaled as i16;
            out.extend_from_slice(&sample.to_le_bytes());
        }
    }
}
