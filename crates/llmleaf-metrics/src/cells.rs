//! Where numbers are counted. All of it is relaxed atomics: nobody waits, and a reader may see one number a moment before another.

use crate::family::Scale;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One from nothing, where constants are wanted.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// So many more. Nothing more costs nothing.
    pub fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// How many by now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often values fell into each range of a scale, and their sum.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    ranges: Box<[Counter]>,
    sum: Counter,
}

impl Histogram {
    /// An empty one.
    pub fn new(scale: &'static Scale) -> Self {
        let ranges = (0..=scale.bounds.len()).map(|_| Counter::new());
        Self {
            scale,
            ranges: ranges.collect(),
            sum: Counter::new(),
        }
    }

    /// A value, in the scale's small unit.
    pub fn note(&self, value: u64) {
        self.note_many(self.scale.range(value), 1, value);
    }

    /// So many values of one range at once, and their sum.
    pub fn note_many(&self, range: usize, count: u64, sum: u64) {
        if let Some(range) = self.ranges.get(range) {
            range.add(count);
            self.sum.add(sum);
        }
    }

    /// What it holds. The count of all is the sum of the ranges, so the two never disagree.
    pub fn sums(&self) -> Sums {
        Sums {
            ranges: self.ranges.iter().map(Counter::get).collect(),
            sum: self.sum.get(),
        }
    }
}

/// What a histogram holds, to be told or added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many values fell into each range.
    pub ranges: Vec<u64>,
    /// Their sum, in small units.
    pub sum: u64,
}

impl Sums {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().fold(0, |all, n| all.saturating_add(*n))
    }

    /// Adds what another one of the same scale holds.
    pub fn add(&mut self, other: &Self) {
        if self.ranges.len() < other.ranges.len() {
            self.ranges.resize(other.ranges.len(), 0);
        }
        for (own, more) in self.ranges.iter_mut().zip(&other.ranges) {
            *own = own.saturating_add(*more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCALE: Scale = Scale {
        bounds: &[10, 20, 40],
        per_unit: 1000,
    };

    #[test]
    fn a_value_falls_into_the_first_range_that_holds_it() {
        let histogram = Histogram::new(&SCALE);
        for value in [0, 10, 11, 20, 40, 41, u64::from(u32::MAX)] {
            histogram.note(value);
        }
        let sums = histogram.sums();
        assert_eq!(sums.ranges, [2, 2, 1, 2]);
        assert_eq!(sums.count(), 7);
        assert_eq!(sums.sum, 122 + u64::from(u32::MAX));
    }

    #[test]
    fn sums_add_up_and_no_range_is_made_up() {
        let histogram = Histogram::new(&SCALE);
        histogram.note_many(1, 3, 45);
        histogram.note_many(9, 3, 45);
        let mut all = Sums::default();
        all.add(&histogram.sums());
        all.add(&histogram.sums());
        assert_eq!((all.ranges, all.sum), (vec![0, 6, 0, 0], 90));
    }
}
