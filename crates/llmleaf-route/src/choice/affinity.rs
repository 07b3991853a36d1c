//! Where a prompt's beginning was served last, so that the provider's cache of it can serve again.
//!
//! Soft: it moves a target to the front of the order, and whoever is not fit is passed over all the same. The memory is this node's
//! own; keys it does not remember go where every node would send them (see [`super::strategy::Strategy::Weighted`]).

use crate::{Millis, lock};
use std::collections::HashMap;
use std::sync::Mutex;

/// Keys remembered at least; twice as many at most.
pub const DEFAULT_CAPACITY: usize = 16_384;

const SHARDS: usize = 8;

/// Who served a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// [`crate::fleet::Target::id`].
    pub target: u64,
    /// Index of the credential.
    pub credential: usize,
}

/// Keys, and who served them, for as long as a provider's cache may still hold them.
#[derive(Debug)]
pub struct Affinity {
    shards: [Mutex<Shard>; SHARDS],
    capacity: usize,
}

/// Two generations: when the young one is full it becomes the old one, and the old one is forgotten. What is used moves up.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<u64, Entry>,
    old: HashMap<u64, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    served: Served,
    until: Millis,
}

impl Default for Affinity {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl Affinity {
    /// An empty one for so many keys.
    pub fn new(capacity: usize) -> Self {
        Self {
            shards: Default::default(),
            capacity: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// Who served a key, if that is not too long ago.
    pub fn recall(&self, key: u64, now: Millis) -> Option<Served> {
        let shard = lock(self.shard(key)?);
        let entry = shard.young.get(&key).or_else(|| shard.old.get(&key))?;
        (now < entry.until).then_some(entry.served)
    }

    /// A key was served, and is worth remembering until then.
    pub fn remember(&self, key: u64, served: Served, until: Millis) {
        let Some(shard) = self.shard(key) else {
            return;
        };
        let mut shard = lock(shard);
        if shard.young.len() >= self.capacity && !shard.young.contains_key(&key) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, Entry { served, until });
    }

    /// Keys held, live or not.
    pub fn len(&self) -> usize {
        let of = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(of).sum()
    }

    /// Nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: u64) -> Option<&Mutex<Shard>> {
        let index = usize::try_from(key % SHARDS as u64).ok()?;
        self.shards.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_time_and_within_bounds() {
        let affinity = Affinity::new(80);
        let served = Served {
            target: 7,
            credential: 1,
        };
        for key in 0..10_000 {
            affinity.remember(key, served, Millis(100));
        }
        assert!(affinity.len() <= 160, "{}", affinity.len());
        assert_eq!(affinity.recall(9_999, Millis(99)), Some(served));
        assert_eq!(affinity.recall(9_999, Millis(100)), None);
        assert_eq!(affinity.recall(0, Millis(0)), None);
    }
}
