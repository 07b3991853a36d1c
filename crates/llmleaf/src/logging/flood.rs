//! Warnings that come in floods: each place in the code may say so much in a time, and what it did not say is counted.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::queue::Queue;

/// Lines of one place at once, and how often one more is allowed.
const BURST: u32 = 100;
const ONE_MORE: Duration = Duration::from_millis(100);

/// Lets pass what is no flood. Records of usage and what is asked for by a finer level are left alone.
#[derive(Debug)]
pub(super) struct Flood {
    places: Mutex<HashMap<Identifier, Place>>,
    /// Told of what was held back, in these words.
    queue: Queue,
    held_back: fn(&str, u64) -> String,
}

#[derive(Debug)]
struct Place {
    left: u32,
    since: Instant,
    held_back: u64,
}

impl Flood {
    pub(super) fn new(queue: Queue, held_back: fn(&str, u64) -> String) -> Self {
        Self {
            places: Mutex::default(),
            queue,
            held_back,
        }
    }
}

impl Place {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            since: now,
            held_back: 0,
        }
    }

    /// Whether it may speak now, and how much it did not say before.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let passed = now.saturating_duration_since(self.since);
        let more = u32::try_from(passed.as_millis() / ONE_MORE.as_millis()).unwrap_or(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.since = now;
        }
        if self.left == 0 {
            self.held_back = self.held_back.saturating_add(1);
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.held_back))
    }
}

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let place = event.metadata();
        if *place.level() > Level::WARN {
            return true;
        }
        let now = Instant::now();
        let admitted = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            // As many entries as there are warnings in the code.
            let found = places.entry(place.callsite());
            found.or_insert_with(|| Place::new(now)).admit(now)
        };
        if let Some(count) = admitted.filter(|count| *count > 0) {
            let told = (self.held_back)(place.target(), count);
            self.queue.push(told.as_bytes());
        }
        admitted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, ONE_MORE, Place};
    use std::time::Instant;

    #[test]
    fn i11_a_place_that_floods_is_held_back_and_counted() {
        let start = Instant::now();
        let mut place = Place::new(start);
        let said = (0..10_000).filter(|_| place.admit(start).is_some()).count();
        assert_eq!(said, BURST as usize);
        assert_eq!(
            place.admit(start + ONE_MORE),
            Some(10_000 - u64::from(BURST))
        );
        assert_eq!(place.admit(start + ONE_MORE), None);
        // After a rest it may say as much as at first, and no more.
        let later = start + 10_000 * ONE_MORE;
        let said = (0..10_000).filter(|_| place.admit(later).is_some()).count();
        assert_eq!(said, BURST as usize);
    }
}
