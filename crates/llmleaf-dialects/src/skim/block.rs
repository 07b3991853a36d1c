//! Many bytes of a string looked at together.
//!
//! Most bytes of a request are in strings, so that what one of them takes is what a large request takes.

/// How many bytes are looked at together. From so many on the compiler makes a few vector instructions of the loop.
pub(super) const SIZE: usize = 32;

/// Where the first quote, backslash or control character is.
#[inline]
pub(super) fn first(block: &[u8; SIZE]) -> Option<usize> {
    // Without an early end, or there would be no vectors.
    let any = block.iter().fold(false, |any, byte| any | special(*byte));
    if any { first_of_few(block) } else { None }
}

/// The same in a few bytes.
#[inline]
pub(super) fn first_of_few(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut before = 0;
    for word in words {
        let marks = marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(before + marks.trailing_zeros() as usize / 8);
        }
        before += 8;
    }
    let in_tail = tail.iter().position(|byte| special(*byte));
    in_tail.map(|found| before + found)
}

/// This bit makes a space of a quote and the other way round, and leaves the control characters among themselves: so all that is
/// looked for but the backslash is what is not above the space.
const SWAPS: u8 = 0x02;

#[inline]
fn special(byte: u8) -> bool {
    (byte ^ SWAPS <= b' ') | (byte == b'\\')
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. Right for the lowest such byte; bytes
/// above it may be marked falsely.
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let quote_or_control = below(word ^ (ONES * SWAPS as u64), b' ' as u64 + 1);
    let backslash = below(word ^ (ONES * b'\\' as u64), 1);
    (quote_or_control | backslash) & HIGH
}
