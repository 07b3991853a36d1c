//! 64 bytes of a text at once: which of them mean something in a string.
//!
//! What costs in a long text is not to look at its bytes but to begin anew behind each escape, of which prose has one for every
//! thirty to forty bytes. So one look marks all that is found in a block, and whoever reads goes from mark to mark.

/// Bytes that are looked at together.
pub(crate) const BLOCK: usize = 64;

/// This bit makes a space of a quote and the other way round, and leaves the control characters among themselves: so all that is looked
/// for but the backslash is what is not above the space.
const QUOTE_TO_SPACE: u8 = b'"' ^ b' ';

/// A bit for each byte that is a quote, a backslash or a control character, the first byte's lowest.
#[inline]
pub(crate) fn marks(block: &[u8; BLOCK]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return by_sixteen(block);
    #[cfg(not(target_arch = "x86_64"))]
    return by_eight(block);
}

/// With the instructions that every processor of the kind has.
#[cfg(target_arch = "x86_64")]
#[inline]
fn by_sixteen(block: &[u8; BLOCK]) -> u64 {
    use safe_arch::{
        bitor_m128i, bitxor_m128i, cmp_eq_mask_i8_m128i, load_unaligned_m128i, min_u8_m128i,
        move_mask_i8_m128i, set_splat_i8_m128i,
    };
    let all = |byte: u8| set_splat_i8_m128i(byte.cast_signed());
    let (parts, _) = block.as_chunks();
    parts.iter().rev().fold(0, |marks, part| {
        let part = load_unaligned_m128i(part);
        let turned = bitxor_m128i(part, all(QUOTE_TO_SPACE));
        let low = cmp_eq_mask_i8_m128i(min_u8_m128i(turned, all(b' ')), turned);
        let backslash = cmp_eq_mask_i8_m128i(part, all(b'\\'));
        let found = move_mask_i8_m128i(bitor_m128i(low, backslash));
        marks << 16 | u64::from(found.cast_unsigned())
    })
}

/// With what the compiler makes of a loop.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn by_eight(block: &[u8; BLOCK]) -> u64 {
    // Moves the lowest bit of each of eight bytes to a place of its own in the highest byte; no two meet below it.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut marked = [0; BLOCK];
    for (marked, byte) in marked.iter_mut().zip(block) {
        *marked = u8::from((*byte ^ QUOTE_TO_SPACE <= b' ') | (*byte == b'\\'));
    }
    let (words, _) = marked.as_chunks();
    words.iter().rev().fold(0, |marks, word| {
        marks << 8 | u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56
    })
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, by_eight, marks};

    #[test]
    fn every_byte_is_marked_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let is_special = byte < b' ' || byte == b'"' || byte == b'\\';
            for at in 0..BLOCK {
                for (before, marked) in [(b'a', 0), (0xff, 0), (b' ', 0), (b'"', u64::MAX)] {
                    let mut block = [before; BLOCK];
                    block[at] = byte;
                    let wanted = marked & !(1 << at) | u64::from(is_special) << at;
                    assert_eq!(marks(&block), wanted, "{byte:x} at {at}");
                    assert_eq!(by_eight(&block), wanted, "{byte:x} at {at}");
                }
            }
        }
    }
}
