//! How the pieces of a stream came.

use llmleaf_route::Millis;

/// Upper ends of the ranges that times between pieces are counted in, in milliseconds: those that OpenTelemetry asks for. What is longer is in one
/// range more.
pub const CHUNK_BOUNDS_MS: [u64; 14] = [
    10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920,
];

/// Times from one piece of a stream to the next. Pieces that came together have none between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    came: u64,
    last: Millis,
    ranges: [u32; CHUNK_BOUNDS_MS.len() + 1],
    sum_ms: u64,
}

impl Chunks {
    /// So many have come by now, all together.
    pub fn come(&mut self, count: u64, now: Millis) {
        let new = count.saturating_sub(self.came);
        if new == 0 {
            return;
        }
        let together = u32::try_from(new - 1).unwrap_or(u32::MAX);
        if let Some(range) = self.ranges.first_mut() {
            *range = range.saturating_add(together);
        }
        if self.came > 0 {
            let gap = now.since(self.last);
            let range = CHUNK_BOUNDS_MS.partition_point(|bound| *bound < gap);
            if let Some(range) = self.ranges.get_mut(range) {
                *range = range.saturating_add(1);
            }
            self.sum_ms = self.sum_ms.saturating_add(gap);
        }
        self.came = count;
        self.last = now;
    }

    /// How many times there are in each range.
    pub fn ranges(&self) -> &[u32] {
        &self.ranges
    }

    /// All of them together, in milliseconds.
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_after_the_first_has_a_time() {
        let mut chunks = Chunks::default();
        // Two together; one 10 ms later; nothing; two more after 11 ms, and one after a long time.
        for (count, now) in [(2, 100), (3, 110), (3, 115), (5, 121), (6, 100_000)] {
            chunks.come(count, Millis(now));
        }
        let mut ranges = [0; CHUNK_BOUNDS_MS.len() + 1];
        (ranges[0], ranges[1], ranges[14]) = (3, 1, 1);
        assert_eq!(chunks.ranges(), ranges);
        assert_eq!(chunks.sum_ms(), 10 + 11 + 99_879);
    }
}
