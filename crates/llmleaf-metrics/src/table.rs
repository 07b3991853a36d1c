//! Cells by the values of their labels, in a table that only grows, and not beyond its bound.
//!
//! Looking one up takes no lock and allocates nothing: the table is an immutable map behind a pointer. A new row replaces the map, which
//! is slow, and happens as often as the bound says at most. So whoever can invent names can make that much work, once.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The cells of one set of label values.
#[derive(Debug)]
struct Row<C, const N: usize> {
    labels: [Box<str>; N],
    cells: C,
}

impl<C, const N: usize> Row<C, N> {
    fn is_of(&self, labels: &[&str; N]) -> bool {
        let own = self.labels.iter().map(|label| &**label);
        own.eq(labels.iter().copied())
    }
}

/// Rows by the hash of their labels. Two with one hash stand in the same list.
type Rows<C, const N: usize> = HashMap<u64, Vec<Arc<Row<C, N>>>, AsIs>;

/// Cells by the values of their labels.
#[derive(Debug)]
pub struct Table<C, const N: usize> {
    rows: ArcSwap<Rows<C, N>>,
    /// How many there are.
    many: AtomicUsize,
    /// Held while one is added.
    adding: Mutex<()>,
    most: usize,
    hashes: RandomState,
}

impl<C, const N: usize> Table<C, N> {
    /// An empty table of so many rows at most.
    pub fn new(most: usize) -> Self {
        Self {
            rows: ArcSwap::default(),
            many: AtomicUsize::new(0),
            adding: Mutex::new(()),
            most,
            hashes: RandomState::new(),
        }
    }

    /// Lets `work` see the cells of these labels, if there are any.
    pub fn with<R>(&self, labels: &[&str; N], work: impl FnOnce(&C) -> R) -> Option<R> {
        let rows = self.rows.load();
        let same = rows.get(&self.hash(labels))?;
        let row = same.iter().find(|row| row.is_of(labels))?;
        Some(work(&row.cells))
    }

    /// Whether there are cells of these labels by now: they are made unless the table is full.
    pub fn admit(&self, labels: &[&str; N], make: impl FnOnce() -> C) -> bool {
        if self.len() >= self.most {
            return self.with(labels, |_| ()).is_some();
        }
        let _adding = self.adding.lock();
        if self.with(labels, |_| ()).is_some() {
            return true;
        }
        if self.len() >= self.most {
            return false;
        }
        let row = Arc::new(Row {
            labels: labels.map(Box::from),
            cells: make(),
        });
        let mut rows = Rows::clone(&self.rows.load());
        rows.entry(self.hash(labels)).or_default().push(row);
        self.rows.store(Arc::new(rows));
        self.many.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Lets `each` see all rows, in the order of their labels.
    pub fn for_each(&self, mut each: impl FnMut(&[&str; N], &C)) {
        let rows = self.rows.load();
        let mut all: Vec<&Row<C, N>> = rows.values().flatten().map(AsRef::as_ref).collect();
        all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        for row in all {
            each(&row.labels.each_ref().map(|label| &**label), &row.cells);
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.many.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hash(&self, labels: &[&str; N]) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        for label in labels {
            hasher.write(label.as_bytes());
            // No label has this byte, so that two of them are not taken for two others.
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }
}

/// Keys are hashes already, and keyed ones: nobody can choose them.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs;

impl BuildHasher for AsIs {
    type Hasher = Taken;
    fn build_hasher(&self) -> Taken {
        Taken(0)
    }
}

struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter;

    #[test]
    fn labels_are_told_apart_and_rows_stay() {
        let table: Table<Counter, 2> = Table::new(10);
        for labels in [["a", "bc"], ["ab", "c"], ["", "abc"]] {
            assert_eq!(table.with(&labels, Counter::up), None);
            assert!(table.admit(&labels, Counter::new));
            assert_eq!(table.with(&labels, Counter::up), Some(()));
        }
        assert!(table.admit(&["a", "bc"], Counter::new), "it is there");
        table.with(&["a", "bc"], Counter::up);
        let mut seen = Vec::new();
        table.for_each(|labels, counter| seen.push((labels.join("|"), counter.get())));
        let seen: Vec<(&str, u64)> = seen.iter().map(|(text, n)| (text.as_str(), *n)).collect();
        assert_eq!(seen, [("|abc", 1), ("a|bc", 2), ("ab|c", 1)]);
    }

    #[test]
    fn n7_a_full_table_takes_no_more_and_loses_none() {
        let table: Table<Counter, 1> = Table::new(100);
        let mut admitted = 0;
        for number in 0..100_000 {
            let name = format!("hostile-{number}");
            admitted += usize::from(table.admit(&[&name], Counter::new));
        }
        assert_eq!((admitted, table.len()), (100, 100));
        assert!(table.with(&["hostile-7"], Counter::up).is_some());
        assert!(table.with(&["hostile-100"], Counter::up).is_none());
    }

    #[test]
    fn many_threads_count_all_there_is() {
        let table: Table<Counter, 1> = Table::new(50);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1000 {
                        let name = (number % 50).to_string();
                        if table.with(&[&name], Counter::up).is_none() {
                            assert!(table.admit(&[&name], Counter::new));
                            table.with(&[&name], Counter::up);
                        }
                    }
                });
            }
        });
        let mut sum = 0;
        table.for_each(|_, counter| sum += counter.get());
        assert_eq!((table.len(), sum), (50, 4000));
    }
}
