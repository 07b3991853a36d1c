//! What is counted in each row.

use crate::telemetry::names::{LONG_MILLIS, MICROS, MILLIS, TOKENS};
use llmleaf_exchange::{End, EndRecord, Grade, Outcome, UsageRecord};
use llmleaf_metrics::{Counter, Histogram};
use llmleaf_model::Usage;

/// How exchanges end, in the order of [`End`].
pub const ENDS: [End; 9] = [
    End::Completed,
    End::Cancelled,
    End::Refused,
    End::Limited,
    End::UpstreamError,
    End::TimedOut,
    End::Truncated,
    End::Shutdown,
    End::ProxyError,
];

/// How attempts end, in the order of [`Outcome`].
pub const OUTCOMES: [Outcome; 6] = [
    Outcome::Completed,
    Outcome::Cancelled,
    Outcome::Failed,
    Outcome::Broken,
    Outcome::Outrun,
    Outcome::ProxyError,
];

/// In the order of [`Grade`].
pub const GRADES: [Grade; 4] = [
    Grade::Reported,
    Grade::Partial,
    Grade::Estimated,
    Grade::None,
];

/// Classes of tokens, disjoint, as [`Usage`] and records name them.
pub const CLASSES: [&str; 10] = [
    "input",
    "input_cache_read",
    "input_cache_write",
    "input_cache_write_1h",
    "input_audio",
    "input_image",
    "output",
    "output_reasoning",
    "output_audio",
    "output_image",
];

/// What is billed otherwise.
pub const UNITS: [&str; 5] = [
    "audio_ms",
    "characters",
    "images",
    "searches",
    "server_tool_calls",
];

fn classes(usage: &Usage) -> [u64; 10] {
    [
        usage.input,
        usage.input_cache_read,
        usage.input_cache_write,
        usage.input_cache_write_1h,
        usage.input_audio,
        usage.input_image,
        usage.output,
        usage.output_reasoning,
        usage.output_audio,
        usage.output_image,
    ]
}

fn units(usage: &Usage) -> [u64; 5] {
    let units = &usage.units;
    [
        units.audio_ms,
        units.characters,
        units.images,
        units.searches,
        usage.server_tool_calls,
    ]
}

fn add<const N: usize>(counters: &[Counter; N], more: [u64; N]) {
    for (counter, more) in counters.iter().zip(more) {
        counter.add(more);
    }
}

fn up(counters: &[Counter], place: usize) {
    if let Some(counter) = counters.get(place) {
        counter.up();
    }
}

/// Exchanges of one dialect, operation and route.
#[derive(Debug)]
pub struct Served {
    pub ends: [Counter; 9],
    pub duration: Histogram,
    pub first_content: Histogram,
    pub queue: Histogram,
    pub overhead: Histogram,
    pub fallbacks: Counter,
    pub losses: Counter,
}

impl Served {
    pub fn new() -> Self {
        Self {
            ends: Default::default(),
            duration: Histogram::new(&LONG_MILLIS),
            first_content: Histogram::new(&LONG_MILLIS),
            queue: Histogram::new(&LONG_MILLIS),
            overhead: Histogram::new(&MICROS),
            fallbacks: Counter::new(),
            losses: Counter::new(),
        }
    }

    pub fn note(&self, record: &EndRecord, part: bool) {
        up(&self.ends, record.end as usize);
        if part {
            // It took the time of what it is a part of.
            return;
        }
        self.duration.note(record.total_ms);
        self.overhead.note(record.own_us);
        if let Some(first) = record.first_content_ms {
            self.first_content.note(first);
        }
        if record.queue_ms > 0 && !record.attempts.is_empty() {
            self.queue.note(record.queue_ms);
        }
        // One that ran beside another already does not count as followed by it.
        let followed = record.attempts.windows(2).filter(|pair| {
            let [failed, next] = pair else { return false };
            let ended = failed.began_ms.saturating_add(failed.total_ms);
            failed.outcome == Outcome::Failed && ended <= next.began_ms
        });
        self.fallbacks.add(followed.count() as u64);
        let decided = record.decided();
        self.losses
            .add(u64::from(decided.is_some_and(|a| !a.losses.is_empty())));
    }
}

/// Attempts of one operation at one target.
#[derive(Debug)]
pub struct Target {
    pub outcomes: [Counter; 6],
    pub grades: [Counter; 4],
    pub classes: [Counter; 10],
    pub units: [Counter; 5],
    pub nano_usd: Counter,
    pub unknown_cost: Counter,
    pub kept: Counter,
    pub connect: Histogram,
    pub duration: Histogram,
    pub first_chunk: Histogram,
    pub chunks: Histogram,
    pub input: Histogram,
    pub output: Histogram,
}

impl Target {
    pub fn new() -> Self {
        Self {
            outcomes: Default::default(),
            grades: Default::default(),
            classes: Default::default(),
            units: Default::default(),
            nano_usd: Counter::new(),
            unknown_cost: Counter::new(),
            kept: Counter::new(),
            connect: Histogram::new(&MILLIS),
            duration: Histogram::new(&MILLIS),
            first_chunk: Histogram::new(&MILLIS),
            chunks: Histogram::new(&MILLIS),
            input: Histogram::new(&TOKENS),
            output: Histogram::new(&TOKENS),
        }
    }

    pub fn note(&self, attempt: &UsageRecord, part: bool) {
        up(&self.outcomes, attempt.outcome as usize);
        up(&self.grades, attempt.grade as usize);
        let usage = &attempt.usage;
        if attempt.grade != Grade::None {
            add(&self.classes, classes(usage));
            add(&self.units, units(usage));
            for (histogram, tokens) in [
                (&self.input, usage.input_total()),
                (&self.output, usage.output_total()),
            ] {
                if tokens > 0 {
                    histogram.note(tokens);
                }
            }
        }
        match attempt.cost.nano_usd() {
            Some(nano) => self.nano_usd.add(nano),
            None => self.unknown_cost.up(),
        }
        if part {
            return;
        }
        match attempt.connect_ms {
            Some(took) => self.connect.note(took),
            None if attempt.status.is_some() => self.kept.up(),
            None => {}
        }
        if attempt.outcome == Outcome::Completed {
            self.duration.note(attempt.total_ms);
        }
        if let Some(first) = attempt.first_content_ms.filter(|_| attempt.stream) {
            self.first_chunk.note(first);
        }
        let mut sum = attempt.chunks.sum_ms();
        for (range, count) in attempt.chunks.ranges().iter().enumerate() {
            if *count > 0 {
                // The sum is that of all ranges.
                let sum = std::mem::take(&mut sum);
                self.chunks.note_many(range, u64::from(*count), sum);
            }
        }
    }
}

/// Attempts at one target that ended with one error.
#[derive(Debug)]
pub struct Failed {
    pub count: Counter,
    pub duration: Histogram,
}

impl Failed {
    pub fn new() -> Self {
        Self {
            count: Counter::new(),
            duration: Histogram::new(&MILLIS),
        }
    }

    pub fn note(&self, attempt: &UsageRecord, part: bool) {
        self.count.up();
        if !part {
            self.duration.note(attempt.total_ms);
        }
    }
}

/// Exchanges of one key.
#[derive(Debug)]
pub struct Keyed {
    pub ends: [Counter; 9],
    pub classes: [Counter; 10],
    pub nano_usd: Counter,
}

impl Keyed {
    pub fn new() -> Self {
        Self {
            ends: Default::default(),
            classes: Default::default(),
            nano_usd: Counter::new(),
        }
    }

    pub fn note(&self, record: &EndRecord) {
        up(&self.ends, record.end as usize);
        for attempt in &record.attempts {
            if attempt.grade != Grade::None {
                add(&self.classes, classes(&attempt.usage));
            }
            self.nano_usd.add(attempt.cost.nano_usd().unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_own_place() {
        let of = |place: usize, name: &str| {
            assert!(!name.is_empty());
            place
        };
        let places = ENDS.map(|end| of(end as usize, end.as_str()));
        assert!(places.into_iter().eq(0..ENDS.len()));
        let places = OUTCOMES.map(|outcome| of(outcome as usize, outcome.as_str()));
        assert!(places.into_iter().eq(0..OUTCOMES.len()));
        let places = GRADES.map(|grade| of(grade as usize, grade.as_str()));
        assert!(places.into_iter().eq(0..GRADES.len()));
    }
}
