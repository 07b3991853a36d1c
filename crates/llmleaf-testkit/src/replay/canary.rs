//! Marks that are unique to a request: put into its prompt, echoed by the fake provider, and looked for where they do not
//! belong.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// The place for a canary in a scripted answer. Every canary is as long, so that positions in a script stay what they are.
pub const CANARY: &str = "cnry-xxxxxxxxxxxxxxxx";

const MARK: &str = "cnry-";
const DIGITS: usize = 16;

/// A canary that no request of this process had.
#[must_use]
pub fn new_canary() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // Spread over all digits, so that no canary is a near miss of another: an odd factor permutes the numbers.
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{MARK}{spread:016x}")
}

/// The first canary in some bytes.
#[must_use]
pub fn canary_in(bytes: &[u8]) -> Option<String> {
    canaries_in(bytes).next()
}

/// All canaries in some bytes, in order.
pub(crate) fn canaries_in(bytes: &[u8]) -> impl Iterator<Item = String> {
    let length = MARK.len() + DIGITS;
    let starts = (0..bytes.len().saturating_sub(length - 1)).filter(move |at| {
        let found = &bytes[*at..*at + length];
        found.starts_with(MARK.as_bytes()) && found[MARK.len()..].iter().all(u8::is_ascii_hexdigit)
    });
    starts.map(move |at| String::from_utf8_lossy(&bytes[at..at + length]).into_owned())
}

/// Writes a canary into every place for one; says whether there was any.
pub(super) fn fill(bytes: &mut Bytes, canary: &str) -> bool {
    let place = CANARY.as_bytes();
    let mut at = 0;
    let mut filled: Option<Vec<u8>> = None;
    while let Some(found) = bytes[at..]
        .windows(place.len())
        .position(|window| window == place)
    {
        at += found;
        let filled = filled.get_or_insert_with(|| bytes.to_vec());
        filled[at..at + place.len()].copy_from_slice(canary.as_bytes());
        at += place.len();
    }
    let Some(filled) = filled else { return false };
    *bytes = Bytes::from(filled);
    true
}
