//! Chance and hashes that repeat: the same seed, the same numbers, on every node and in every version.

/// A small generator (splitmix64). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or_default()
    }

    /// A duration in milliseconds, moved by up to a tenth in either direction.
    pub fn around(&mut self, millis: u64) -> u64 {
        let span = millis / 10;
        (millis - span).saturating_add(self.below(span.saturating_mul(2).saturating_add(1)))
    }
}

/// Spreads a number over all 64 bits.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A hash of some bytes that never changes (FNV-1a, mixed). An adversary can make collisions: nothing may depend on their absence.
pub fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    mix(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold))
}

/// One number from two.
pub fn pair(a: u64, b: u64) -> u64 {
    mix(a ^ mix(b).rotate_left(17))
}

/// A hash as a number above 0 and at most 1.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits are kept on purpose, and fit"
)]
pub fn unit(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 1.0) / (1u64 << 53) as f64
}
