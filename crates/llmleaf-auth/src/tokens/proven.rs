//! What was proven or refused before, so that a token costs a look: a bounded table of digests.

use parking_lot::Mutex;
use subtle::ConstantTimeEq;

/// Places that a digest may have.
const WAYS: usize = 4;
/// Locks.
const SHARDS: usize = 16;

/// A table in which each digest has four places. Digests are keyed, so nobody can aim at one; who floods it makes others prove
/// themselves again, and no more. A lock is held for a look.
pub struct Table<V> {
    shards: Box<[Shard<V>]>,
    buckets: usize,
}

type Shard<V> = Mutex<Box<[Slot<V>]>>;

struct Slot<V> {
    digest: [u8; 32],
    /// Unix seconds from which on it is nothing; 0 is an empty place.
    ends: u64,
    value: Option<V>,
}

impl<V: Clone> Table<V> {
    /// An empty table of at least so many places.
    pub fn new(places: usize) -> Self {
        let buckets = places.div_ceil(WAYS * SHARDS).max(1);
        let shard = |_| {
            let slots = (0..buckets * WAYS).map(|_| Slot {
                digest: [0; 32],
                ends: 0,
                value: None,
            });
            Mutex::new(slots.collect())
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            buckets,
        }
    }

    /// What is remembered of that digest.
    pub fn get(&self, digest: &[u8; 32], now: u64) -> Option<V> {
        let (shard, start) = self.place(digest)?;
        let slots = shard.lock();
        let bucket = slots.get(start..start + WAYS)?;
        let mut live = bucket.iter().filter(|slot| now < slot.ends);
        let found = live.find(|slot| slot.digest.ct_eq(digest).into())?;
        found.value.clone()
    }

    /// Remembers it until then, in the place of itself, of what is over, or of what is over first. What is over already takes nobody's
    /// place but its own.
    pub fn put(&self, digest: [u8; 32], value: V, ends: u64, now: u64) {
        let Some((shard, start)) = self.place(&digest) else {
            return;
        };
        let mut slots = shard.lock();
        let Some(bucket) = slots.get_mut(start..start + WAYS) else {
            return;
        };
        let own = bucket.iter().position(|slot| slot.digest == digest);
        let slot = match own {
            Some(index) => bucket.get_mut(index),
            None if ends <= now => return,
            None => bucket.iter_mut().min_by_key(|slot| slot.ends),
        };
        let older = slot.and_then(|slot| {
            slot.digest = digest;
            slot.ends = ends;
            slot.value.replace(value)
        });
        drop(slots);
        // Freed outside the lock.
        drop(older);
    }

    fn place(&self, digest: &[u8; 32]) -> Option<(&Shard<V>, usize)> {
        let [shard, a, b, c, ..] = *digest;
        let bucket = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()? % self.buckets;
        let shard = self.shards.get(usize::from(shard) % SHARDS)?;
        Some((shard, bucket * WAYS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn it_is_bounded_and_forgets_what_is_over() {
        let table = Table::new(128);
        let digest = |n: u32| -> [u8; 32] { Sha256::digest(n.to_be_bytes()).into() };
        for n in 0..5000 {
            table.put(digest(n), n, 10 + u64::from(n), 0);
            assert_eq!(table.get(&digest(n), 9), Some(n));
        }
        let live = (0..5000).filter(|n| table.get(&digest(*n), 0).is_some());
        assert_eq!(live.count(), 128);
        assert_eq!(table.get(&digest(4999), 10 + 4999), None);
        table.put(digest(7), 8, 1_000_000, 0);
        table.put(digest(7), 9, 5, 0);
        assert_eq!(table.get(&digest(7), 4), Some(9));
        assert_eq!(table.get(&digest(7), 5), None);
    }

    #[test]
    fn what_is_over_already_takes_nobodys_place() {
        let table = Table::new(1);
        let digest = |n: u8| [n; 32];
        for n in 0..=u8::MAX {
            table.put(digest(n), n, 100, 10);
        }
        let live = || (0..=u8::MAX).filter(|n| table.get(&digest(*n), 10).is_some());
        let before: Vec<u8> = live().collect();
        for n in 0..=u8::MAX {
            let over = [&[n][..], &[0xAA; 31]].concat();
            table.put(over.try_into().unwrap(), n, 10, 10);
        }
        assert_eq!(live().collect::<Vec<u8>>(), before);
        // A token that is not good any more is forgotten, and not only unremembered.
        let first = before[0];
        table.put(digest(first), first, 10, 10);
        assert_eq!(table.get(&digest(first), 10), None);
    }
}
