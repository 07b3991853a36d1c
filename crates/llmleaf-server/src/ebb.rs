//! What the allocator holds when work ebbs away.
//!
//! The program's allocator looks for pages that nobody uses when it is asked for more, at every so many askings for what has no quick way
//! (`llmleaf-memory`). Work that ends asks for nothing: what a burst took stayed until others came. So a worker asks when it rests.

use std::hint::black_box;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;

/// From this size on there is no quick way (more than 1 KiB in mimalloc 2.2, `MI_SMALL_SIZE_MAX`, read 2026-11-27).
const BLOCK: usize = 2048;
/// Askings after which it looks, as set in `llmleaf-memory`; in pieces, so that no request waits for them all.
const ASKINGS: usize = 1000;
const PIECE: usize = 100;
/// Pages are given back that were found before and have been free for so long since (10 ms by default).
const FOUND: Duration = Duration::from_millis(20);

/// How often it is looked whether a worker rests.
const LOOK: Duration = Duration::from_secs(1);
/// How often one sleeps between two looks when it rests, at most: for its own clocks.
const RESTS: u64 = 30;
/// How long it computes between two looks when it rests, at most: one that never sleeps does not rest.
const BUSY: Duration = Duration::from_millis(50);
/// So many tasks less are work that has ended, whatever else goes on.
const FALL: usize = 64;

/// When a worker's work has ebbed away.
#[derive(Debug, Default)]
struct Ebb {
    slept: u64,
    busy: Duration,
    tasks: usize,
    /// It worked, and has not been tidied since.
    worked: bool,
}

impl Ebb {
    /// Whether it is time to tidy, where it has slept so often and computed so long so far, and has so many tasks.
    fn turned(&mut self, slept: u64, busy: Duration, tasks: usize) -> bool {
        let sleeps = slept.saturating_sub(std::mem::replace(&mut self.slept, slept));
        let computes = busy.saturating_sub(std::mem::replace(&mut self.busy, busy));
        let works = sleeps > RESTS || computes > BUSY;
        let fell = self.tasks.saturating_sub(tasks) >= FALL;
        self.tasks = match fell {
            true => tasks,
            false => self.tasks.max(tasks),
        };
        let rests = self.worked && !works;
        self.worked = works;
        rests || fell
    }
}

/// Tidies this worker's memory whenever it is time to, for ever.
pub async fn tend() {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ebb = Ebb::default();
    loop {
        looks.tick().await;
        let metrics = Handle::current().metrics();
        let (slept, busy) = (
            metrics.worker_park_count(0),
            metrics.worker_total_busy_duration(0),
        );
        if ebb.turned(slept, busy, metrics.num_alive_tasks()) {
            tidy().await;
        }
    }
}

/// Has the allocator look for what this thread holds and nobody uses.
async fn tidy() {
    for _ in 0..2 {
        for _ in 0..ASKINGS / PIECE {
            for _ in 0..PIECE {
                drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
            }
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(FOUND).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_tidied_once_when_it_rests_and_whenever_much_has_ended() {
        let mut ebb = Ebb::default();
        let (mut slept, mut busy) = (0, Duration::ZERO);
        for (times, millis, tasks, turns) in [
            (10, 9, 5, false),
            (5000, 9, 1000, false),
            (5000, 9, 1000, false),
            // It goes on, with less.
            (5000, 9, 936, true),
            (5000, 9, 900, false),
            (20, 9, 900, true),
            (20, 9, 900, false),
            // All end at once, while it rests.
            (30, 9, 5, true),
            (30, 9, 5, false),
            (31, 9, 5, false),
            (30, 9, 5, true),
            (30, 9, 5, false),
            // It has no time to sleep.
            (2, 990, 5, false),
            (2, 990, 5, false),
            (30, 9, 5, true),
        ] {
            slept += times;
            busy += Duration::from_millis(millis);
            let turned = ebb.turned(slept, busy, tasks);
            assert_eq!(turned, turns, "{times} {millis} {tasks}");
        }
    }
}
