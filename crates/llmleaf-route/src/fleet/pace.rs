//! How fast a target is: time to first content, tokens a second, and the wait that few exceed.

use crate::{Millis, lock};
use std::sync::Mutex;
use std::time::Duration;

/// Share of the newest sample in an average.
const NEWEST: f64 = 0.2;
/// A figure that nobody renewed counts half as bad after each of these: so a target that was slow is looked at again.
const FORGET_MS: f64 = 60_000.0;
/// Below so many samples a percentile means nothing.
const ENOUGH: u32 = 20;
/// From so many samples on, all counts are halved, so that the percentile is of lately.
const FULL: u32 = 512;
/// Four classes to an octave, up to some four minutes.
const CLASSES: usize = 72;

/// How fast a target is.
#[derive(Debug, Default)]
pub struct Pace {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Milliseconds to the first content.
    first: Average,
    /// Output tokens a second.
    rate: Average,
    classes: [u32; CLASSES],
    samples: u32,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            first: Average::default(),
            rate: Average::default(),
            classes: [0; CLASSES],
            samples: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    value: Option<f64>,
    at: Millis,
}

impl Average {
    fn add(&mut self, sample: f64, now: Millis) {
        let before = self.value.unwrap_or(sample);
        self.value = Some(before + NEWEST * (sample - before));
        self.at = now;
    }

    #[expect(clippy::cast_precision_loss, reason = "an age needs no last digit")]
    fn forgotten(&self, now: Millis) -> f64 {
        (now.since(self.at) as f64 / FORGET_MS).exp2()
    }
}

impl Pace {
    /// An attempt's first content came after so long.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds fit")]
    pub fn first_content(&self, took: Duration, now: Millis) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut inner = lock(&self.inner);
        inner.first.add(millis as f64, now);
        if let Some(count) = inner.classes.get_mut(class(millis)) {
            *count += 1;
        }
        inner.samples += 1;
        if inner.samples >= FULL {
            for count in &mut inner.classes {
                *count /= 2;
            }
            inner.samples = inner.classes.iter().sum();
        }
    }

    /// So many output tokens came in the time after the first content.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no last digit")]
    pub fn throughput(&self, tokens: u64, took: Duration, now: Millis) {
        let seconds = took.as_secs_f64();
        if tokens > 1 && seconds > 0.0 {
            lock(&self.inner).rate.add(tokens as f64 / seconds, now);
        }
    }

    /// Milliseconds to the first content, as it was lately; less with every minute that it was not measured.
    pub fn latency_ms(&self, now: Millis) -> Option<f64> {
        let inner = lock(&self.inner);
        let first = inner.first;
        first.value.map(|value| value / first.forgotten(now))
    }

    /// Output tokens a second, as it was lately; more with every minute that it was not measured.
    pub fn tokens_per_s(&self, now: Millis) -> Option<f64> {
        let inner = lock(&self.inner);
        let rate = inner.rate;
        rate.value.map(|value| value * rate.forgotten(now))
    }

    /// The time to first content that one in twenty exceeds; `None` until enough is known.
    pub fn p95(&self) -> Option<Duration> {
        let inner = lock(&self.inner);
        if inner.samples < ENOUGH {
            return None;
        }
        let beyond = inner.samples / 20;
        let mut seen = 0;
        let highest = inner.classes.iter().enumerate().rev().find(|(_, count)| {
            seen += **count;
            seen > beyond
        });
        highest.map(|(class, _)| Duration::from_millis(upper(class)))
    }
}

/// The class of a time: its octave, and which quarter of it.
fn class(millis: u64) -> usize {
    let millis = millis.max(4);
    let octave = millis.ilog2();
    let quarter = (millis >> (octave - 2)) & 3;
    let class = u64::from(octave - 2) * 4 + quarter;
    usize::try_from(class).unwrap_or(CLASSES).min(CLASSES - 1)
}

/// The end of a class.
fn upper(class: usize) -> u64 {
    let (octave, quarter) = (class / 4, class % 4);
    let steps = u64::try_from(quarter).unwrap_or_default() + 5;
    steps << octave.min(40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_its_class() {
        for millis in [0, 1, 4, 5, 7, 8, 100, 999, 1000, 60_000, 250_000] {
            let class = class(millis);
            assert!(millis < upper(class), "{millis}");
            assert!(class == 0 || millis >= upper(class - 1), "{millis}");
        }
    }

    #[test]
    fn the_percentile_is_of_lately() {
        let pace = Pace::default();
        for _ in 0..19 {
            pace.first_content(Duration::from_millis(100), Millis(0));
        }
        assert_eq!(pace.p95(), None);
        for _ in 0..2000 {
            pace.first_content(Duration::from_millis(100), Millis(0));
        }
        assert!(pace.p95().unwrap() <= Duration::from_millis(128));
        for _ in 0..200 {
            pace.first_content(Duration::from_millis(2000), Millis(0));
        }
        assert!(pace.p95().unwrap() >= Duration::from_millis(2000));
    }

    #[test]
    fn a_slow_target_is_looked_at_again() {
        let pace = Pace::default();
        assert_eq!(pace.latency_ms(Millis(0)), None);
        pace.first_content(Duration::from_secs(8), Millis(0));
        assert_eq!(pace.latency_ms(Millis(0)), Some(8000.0));
        assert_eq!(pace.latency_ms(Millis(180_000)), Some(1000.0));
        pace.throughput(100, Duration::from_secs(2), Millis(0));
        assert_eq!(pace.tokens_per_s(Millis(60_000)), Some(100.0));
    }
}
