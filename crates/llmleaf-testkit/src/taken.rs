//! When the machine itself was away: a virtual one has processors that its host takes from it, and schedulers count that as running.
//!
//! On each processor a thread looks at the clock five thousand times a second. Where it comes late, and did not stand ready in a queue
//! meanwhile, nobody ran there: neither the program that is measured nor any other. Work of the kernel, and any other thread, would have
//! let it stand ready, and Linux tells for how long it did.

use crate::queued::Thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A time in which a processor was away.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    began: Instant,
    ended: Instant,
}

/// How often the clock is looked at.
const BEAT: Duration = Duration::from_micros(200);
/// Less than this late is no gap.
const LATE: Duration = Duration::from_micros(400);

/// Looks from here on.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    watching: Vec<JoinHandle<Vec<Gap>>>,
}

impl Watch {
    /// Begins, on every processor that this thread may use. Where the system does not let it, it sees nothing.
    #[must_use]
    pub fn begin() -> Self {
        let stop = Arc::<AtomicBool>::default();
        let own = processors();
        let watching = own.into_iter().map(|processor| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || watch(processor, &stop))
        });
        Watch {
            watching: watching.collect(),
            stop,
        }
    }

    /// Ends, and tells what it saw.
    ///
    /// # Panics
    /// When a thread of it did.
    #[must_use]
    pub fn end(self) -> Gaps {
        self.stop.store(true, Ordering::Relaxed);
        let each = self.watching.into_iter();
        let mut all: Vec<Gap> = each
            .flat_map(|one| one.join().expect("it only looks at a clock"))
            .collect();
        all.sort_by_key(|gap| gap.began);
        Gaps(all)
    }
}

/// What was seen, in order.
#[derive(Debug, Default)]
pub struct Gaps(Vec<Gap>);

impl Gaps {
    /// How much of that time any processor was away.
    #[must_use]
    pub fn within(&self, began: Instant, ended: Instant) -> Duration {
        let (mut sum, mut from) = (Duration::ZERO, began);
        for gap in &self.0 {
            let (start, end) = (gap.began.max(from), gap.ended.min(ended));
            if end > start {
                sum += end - start;
                from = end;
            }
        }
        sum
    }

    /// The longest.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let each = self.0.iter().map(|gap| gap.ended - gap.began);
        each.max().unwrap_or_default()
    }
}

#[cfg(target_os = "linux")]
fn processors() -> Vec<usize> {
    let own = rustix::thread::sched_getaffinity(None).ok();
    let own = own.into_iter();
    own.flat_map(|set| (0..1024).filter(move |&one| set.is_set(one)))
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn processors() -> Vec<usize> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn stay_on(processor: usize) -> bool {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    rustix::thread::sched_setaffinity(None, &set).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn stay_on(_: usize) -> bool {
    false
}

fn watch(processor: usize, stop: &AtomicBool) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if !stay_on(processor) {
        return gaps;
    }
    let own = Thread::own();
    let (mut before, mut stood) = (Instant::now(), own.queued());
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(BEAT);
        let now = Instant::now();
        let stands = own.queued();
        let late = (now - before).saturating_sub(stands - stood);
        if late > BEAT + LATE {
            let began = before + (now - before - late);
            gaps.push(Gap { began, ended: now });
        }
        (before, stood) = (now, stands);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_counted_once() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let gap = |began, ended| Gap {
            began: at(began),
            ended: at(ended),
        };
        let gaps = Gaps(vec![gap(10, 20), gap(12, 15), gap(18, 25), gap(40, 41)]);
        assert_eq!(gaps.within(at(0), at(100)), Duration::from_millis(16));
        assert_eq!(gaps.within(at(14), at(19)), Duration::from_millis(5));
        assert_eq!(gaps.within(at(26), at(39)), Duration::ZERO);
        assert_eq!(gaps.longest(), Duration::from_millis(10));
    }

    /// A thread that works does not look like a machine that is away.
    #[test]
    fn work_is_no_gap() {
        let watch = Watch::begin();
        let began = Instant::now();
        let busy = || while began.elapsed() < Duration::from_millis(300) {};
        std::thread::scope(|scope| {
            for _ in 0..processors().len() * 2 {
                scope.spawn(busy);
            }
        });
        let ended = Instant::now();
        let gone = watch.end().within(began, ended);
        // What the host takes is not known; all of it was not.
        assert!(gone < Duration::from_millis(200), "{gone:?}");
    }
}
