//! Which answers of batches were recorded: results may be fetched again, and an answer counts and costs once.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Most answers that are remembered; of more than these the oldest count as new.
const ANSWERS: usize = 1 << 18;

/// Answers that were recorded, by their records' names.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: HashSet<u64>,
    in_turn: VecDeque<u64>,
}

impl Seen {
    /// Takes note of an answer; true the first time.
    pub fn is_new(&self, id: &str) -> bool {
        let mark = self.hasher.hash_one(id);
        let known = &mut *self.known.lock();
        if !known.all.insert(mark) {
            return false;
        }
        if known.in_turn.len() >= ANSWERS
            && let Some(oldest) = known.in_turn.pop_front()
        {
            known.all.remove(&oldest);
        }
        known.in_turn.push_back(mark);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_new_once_and_the_oldest_is_forgotten() {
        let seen = Seen::default();
        assert!(seen.is_new("a"));
        assert!(!seen.is_new("a"));
        (0..ANSWERS).for_each(|at| assert!(seen.is_new(&at.to_string())));
        assert_eq!(seen.known.lock().all.len(), ANSWERS);
        assert!(!seen.is_new("7"));
        assert!(seen.is_new("a"));
    }
}
