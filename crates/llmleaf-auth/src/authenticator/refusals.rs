//! The wrong credentials seen last, so that a consumer with a wrong password in its config, trying forever, costs one hash.

use parking_lot::Mutex;
use subtle::ConstantTimeEq;

/// How many refusals are remembered, in 40 bytes each.
pub const MAX_REFUSALS: usize = 2048;

/// A table where each digest has one place, and a newer entry takes the place of an older one. The digests are keyed, so
/// an attacker cannot aim at a place; one who floods the table makes others pay for a hash again, and no more.
pub(super) struct Refusals {
    slots: Mutex<Box<[Slot]>>,
}

#[derive(Clone, Copy)]
struct Slot {
    digest: [u8; 32],
    /// 0 is an empty place: generations of the roster count from 1.
    generation: u64,
}

impl Refusals {
    pub(super) fn new() -> Self {
        let empty = Slot {
            digest: [0; 32],
            generation: 0,
        };
        Self {
            slots: Mutex::new(vec![empty; MAX_REFUSALS].into_boxed_slice()),
        }
    }

    pub(super) fn contains(&self, digest: &[u8; 32], generation: u64) -> bool {
        self.slots
            .lock()
            .get(place_of(digest))
            .is_some_and(|slot| slot.generation == generation && slot.digest.ct_eq(digest).into())
    }

    pub(super) fn insert(&self, digest: [u8; 32], generation: u64) {
        if let Some(slot) = self.slots.lock().get_mut(place_of(&digest)) {
            *slot = Slot { digest, generation };
        }
    }

    #[cfg(test)]
    pub(super) fn filled(&self) -> usize {
        self.slots
            .lock()
            .iter()
            .filter(|slot| slot.generation != 0)
            .count()
    }
}

fn place_of(digest: &[u8; 32]) -> usize {
    let [a, b, ..] = *digest;
    usize::from(u16::from_be_bytes([a, b])) % MAX_REFUSALS
}
