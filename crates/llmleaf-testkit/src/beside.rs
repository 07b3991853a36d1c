//! What others notice: how long exchanges take at a program that bears a burden, and at one beside it that bears none. They are taken
//! in turn, so that whatever else the machine does meets both, and the ratio of the two is worth something on any machine.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Pairs of which a ratio is made. Of more, the middle one of the ratios counts: what else a machine does comes in bursts, and the slowest
/// hundredth of all would be those of the worst moment alone.
const ROUND: usize = 250;

/// The times of exchanges at both programs, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    burdened: Vec<Duration>,
    free: Vec<Duration>,
}

impl Beside {
    /// Makes so many exchanges at each, in turn.
    pub fn measure(pairs: usize, mut burdened: impl FnMut(), mut free: impl FnMut()) -> Self {
        let mut times = Beside::default();
        let timed = |exchange: &mut dyn FnMut()| {
            let begun = Instant::now();
            exchange();
            begun.elapsed()
        };
        for pair in 0..pairs {
            // Neither is always the one that comes after the other.
            if pair % 2 == 0 {
                times.burdened.push(timed(&mut burdened));
                times.free.push(timed(&mut free));
            } else {
                times.free.push(timed(&mut free));
                times.burdened.push(timed(&mut burdened));
            }
        }
        times
    }

    /// How many times as long an exchange takes under the burden, by the 99th percentiles.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let ratios = self.ratios();
        ratios.get(ratios.len() / 2).copied().unwrap_or_default()
    }

    /// The ratio of each round, the smallest first.
    fn ratios(&self) -> Vec<f64> {
        let round = ROUND.min(self.free.len()).max(1);
        let (burdened, free) = (
            self.burdened.chunks_exact(round),
            self.free.chunks_exact(round),
        );
        let ratio = |(burdened, free): (&[Duration], &[Duration])| {
            let free = at(free, 99).max(Duration::from_nanos(1));
            at(burdened, 99).as_secs_f64() / free.as_secs_f64()
        };
        let mut ratios: Vec<f64> = burdened.zip(free).map(ratio).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |times: &[Duration], percent| at(times, percent).as_secs_f64() * 1000.0;
        let ratios: Vec<String> = self
            .ratios()
            .iter()
            .map(|one| format!("{one:.2}"))
            .collect();
        write!(
            f,
            "p50 {:.2} ms, p99 {:.2} ms; at a program beside it p50 {:.2} ms, p99 {:.2} ms; p99 {:.2} times ({} pairs, by round {})",
            ms(&self.burdened, 50),
            ms(&self.burdened, 99),
            ms(&self.free, 50),
            ms(&self.free, 99),
            self.ratio(),
            self.free.len(),
            ratios.join(" ")
        )
    }
}

fn at(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() * percent / 100).min(last);
    sorted.get(at).copied().unwrap_or_default()
}

/// Waits, as a slow consumer does between two bytes.
pub fn pause(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    // Nobody sends: this ends by its time.
    let _ = receiver.recv_timeout(time);
}

/// Does some work, and meanwhile something to each of many once a second.
pub fn dripping<T: Send, R>(
    all: &mut [T],
    to: impl FnMut(&mut T) + Send,
    work: impl FnOnce() -> R,
) -> R {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // However the work ends: the scope waits for the other thread.
        let _end = End(&over);
        scope.spawn(|| drip(all, || over.load(Ordering::Relaxed), to));
        work()
    })
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Spread over the second, so that it is no burst.
fn drip<T>(all: &mut [T], over: impl Fn() -> bool, mut to: impl FnMut(&mut T)) {
    const PARTS: usize = 50;
    let part = all.len().div_ceil(PARTS).max(1);
    while !over() && !all.is_empty() {
        for some in all.chunks_mut(part) {
            some.iter_mut().for_each(&mut to);
            pause(Duration::from_secs(1) / u32::try_from(PARTS).unwrap_or(1));
            if over() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn both_are_asked_in_turn_and_compared_by_their_slowest() {
        let (burdened, free) = (Cell::new(0), Cell::new(0));
        let times = Beside::measure(
            100,
            || burdened.set(burdened.get() + 1),
            || free.set(free.get() + 1),
        );
        assert_eq!((burdened.get(), free.get()), (100, 100));
        assert!(times.to_string().contains("(100 pairs, "));
        let ms = |ms: u64| Duration::from_millis(ms);
        let times = Beside {
            burdened: vec![ms(1), ms(3)],
            free: vec![ms(1), ms(2)],
        };
        assert!((times.ratio() - 1.5).abs() < 0.001, "{times}");
    }

    #[test]
    fn one_bad_moment_is_not_what_others_notice() {
        let ms = |ms: u64| Duration::from_millis(ms);
        let mut times = Beside {
            burdened: vec![ms(2); 5 * ROUND],
            free: vec![ms(1); 5 * ROUND],
        };
        times.burdened[..ROUND].fill(ms(100));
        assert!((times.ratio() - 2.0).abs() < 0.001, "{times}");
    }

    #[test]
    fn each_has_its_turn_before_it_is_over() {
        let mut all = [0; 7];
        let done = Cell::new(0);
        drip(
            &mut all,
            || done.get() >= 7,
            |one| {
                *one += 1;
                done.set(done.get() + 1);
            },
        );
        assert_eq!(all, [1; 7]);
    }
}
