//! How things are with a controller, for whoever asks.

use crate::agent::What;
use crate::pull::{Pull, Trouble};
use crate::version::Version;
use llmleaf_route::Millis;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// One thing that is pulled.
#[derive(Clone, Debug)]
pub struct View {
    /// There is nothing to be believed.
    pub cold: bool,
    /// How many entries are in effect.
    pub entries: usize,
    /// The number of the snapshot in effect.
    pub version: Option<Version>,
    /// When this was looked at.
    at: Millis,
    looked: Instant,
    /// How old what is in effect was then.
    age: Option<Duration>,
    /// How often each kind of trouble was met.
    pub troubles: BTreeMap<&'static str, u64>,
    /// The last one, and when it was.
    last: Option<(Trouble, Millis)>,
}

impl View {
    pub(crate) fn of(pull: &Pull, now: Millis) -> Self {
        let stamp = pull.stamp();
        Self {
            cold: pull.is_cold(now),
            entries: stamp.map_or(0, |stamp| stamp.size),
            version: stamp.and_then(|stamp| stamp.version),
            at: now,
            looked: Instant::now(),
            age: pull.age(now),
            troubles: pull.troubles().counts().clone(),
            last: pull.troubles().last().cloned(),
        }
    }

    /// How long ago what is in effect was confirmed; `None` where nothing is, or nobody knows.
    pub fn age(&self) -> Option<Duration> {
        Some(self.age?.saturating_add(self.looked.elapsed()))
    }

    /// The last trouble, and how long ago it was.
    pub fn last_trouble(&self) -> Option<(&Trouble, Duration)> {
        self.last
            .as_ref()
            .map(|(trouble, at)| (trouble, self.since(*at)))
    }

    fn since(&self, at: Millis) -> Duration {
        Duration::from_millis(self.at.since(at)) + self.looked.elapsed()
    }
}

/// Where it is told.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<What, View>>);

impl Board {
    pub(crate) fn put(&self, what: What, view: View) {
        self.0.lock().insert(what, view);
    }

    pub(crate) fn keep(&self, wanted: impl Fn(What) -> bool) {
        self.0.lock().retain(|&what, _| wanted(what));
    }

    /// All that is pulled.
    pub fn views(&self) -> BTreeMap<What, View> {
        self.0.lock().clone()
    }
}
