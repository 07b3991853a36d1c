//! Ids of requests: the caller's own where it sent a fit one, else a UUID of version 7.

use http::{HeaderMap, HeaderName};
use std::cell::Cell;
use std::sync::Arc;

/// Longest id taken from a caller, in bytes.
const LONGEST: usize = 128;

/// Where a caller says it.
static NAMES: [HeaderName; 2] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-client-request-id"),
];

/// Makes ids for one worker. Seeded once from the system; an id is unique, not secret.
pub struct Ids {
    state: Cell<u64>,
}

impl Ids {
    /// A source with a fresh seed.
    pub fn new() -> Self {
        let mut seed = [0; 8];
        // Without system randomness the address of a local still tells workers apart.
        let at = std::ptr::from_ref(&seed) as usize as u64;
        let seeded = getrandom::fill(&mut seed).is_ok();
        Self {
            state: Cell::new(if seeded { u64::from_le_bytes(seed) } else { at }),
        }
    }

    /// The id of a request, and whether its caller chose it.
    pub fn of(&self, headers: &HeaderMap, unix_millis: u64) -> (Arc<str>, bool) {
        let own = NAMES.iter().find_map(|name| {
            let text = headers.get(name)?.to_str().ok()?;
            let fit = !text.is_empty()
                && text.len() <= LONGEST
                && text.bytes().all(|b| b.is_ascii_graphic());
            fit.then_some(text)
        });
        match own {
            Some(own) => (own.into(), true),
            None => (self.fresh(unix_millis), false),
        }
    }

    /// An id that nobody chose.
    pub fn fresh(&self, unix_millis: u64) -> Arc<str> {
        let (a, b) = (self.next().to_le_bytes(), self.next().to_le_bytes());
        let mut random = [0; 10];
        random
            .iter_mut()
            .zip(a.into_iter().chain(b))
            .for_each(|(to, from)| *to = from);
        let id = uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid();
        let mut text = uuid::Uuid::encode_buffer();
        (&*id.hyphenated().encode_lower(&mut text)).into()
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn g13_a_clock_that_jumps_breaks_no_id() {
        let ids = Ids::new();
        let now = 1_764_000_000_000;
        let day = 86_400_000;
        let years = 3653 * day;
        let jumps = [
            0,
            now,
            now - day,
            now + day,
            now - years,
            now + years,
            u64::MAX,
        ];
        let made: HashSet<Arc<str>> = jumps
            .iter()
            .flat_map(|at| (0..100).map(|_| ids.fresh(*at)))
            .collect();
        assert_eq!(
            made.len(),
            jumps.len() * 100,
            "unique whatever the clock says"
        );
    }
}
