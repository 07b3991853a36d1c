//! Whoever takes usage: away at times, and at times gone before it has said that it took something, so that the same comes twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llmleaf_testkit::json::Value;
use llmleaf_testkit::replay::{Replay, Request, Script};

/// What was told.
pub struct Sink {
    replay: Replay,
    taken: Arc<Mutex<Taken>>,
    /// Something came.
    came: Arc<Condvar>,
}

/// Events by their id.
#[derive(Default)]
pub struct Taken {
    pub events: BTreeMap<String, Value>,
    /// How many came once more.
    pub copies: usize,
    pushes: usize,
}

impl Sink {
    pub fn start() -> Self {
        let replay = Replay::start();
        let taken = Arc::<Mutex<Taken>>::default();
        let came = Arc::<Condvar>::default();
        let (own, told) = (Arc::clone(&taken), Arc::clone(&came));
        replay.on(move |request| {
            let answer = answer(&mut locked(&own), request);
            told.notify_all();
            answer
        });
        Self {
            replay,
            taken,
            came,
        }
    }

    /// Waits until so many events were told, or nobody has called for as long as a node may wait after calls in vain. A node that ends pushes
    /// for seconds only, and leaves the rest to the one that begins next.
    pub fn wait(&self, events: usize) {
        const QUIET: Duration = Duration::from_secs(60);
        let mut taken = locked(&self.taken);
        while taken.events.len() < events {
            let before = taken.pushes;
            let waited = self.came.wait_timeout(taken, QUIET);
            let (now, over) = waited.unwrap_or_else(PoisonError::into_inner);
            taken = now;
            if over.timed_out() && taken.pushes == before {
                return;
            }
        }
    }

    /// What has a node push here.
    pub fn config(&self) -> String {
        format!(
            "[control.usage]\nurl = \"{}/usage\"\ncredential = \"canary-of-the-sink-Tb61\"\nbatch_ms = 10\nlifecycle = false\n",
            self.replay.url()
        )
    }

    pub fn taken(&self) -> MutexGuard<'_, Taken> {
        // What the requests had in them is in the events.
        let _ = (self.replay.take_requests(), self.replay.take_answers());
        locked(&self.taken)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(taken: &mut Taken, request: &Request) -> Script {
    taken.pushes += 1;
    if taken.pushes % 8 == 3 {
        return Script::json(503, "{}");
    }
    let body = request.json().expect("events are JSON");
    for event in body.elements_at(&["events"]) {
        let id = event.text_at(&["id"]).to_owned();
        let before = taken.events.insert(id, event.clone());
        taken.copies += usize::from(before.is_some());
    }
    match taken.pushes % 8 {
        // The first is one of them: of a short run there may be few.
        1 => Script::raw("HTTP/1.1 2"),
        _ => Script::json(200, "{}"),
    }
}

/// How often each request was told of.
pub fn by_request(taken: &Taken) -> BTreeMap<String, Vec<Value>> {
    let mut requests: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in taken.events.values() {
        let id = event.text_at(&["request_id"]).to_owned();
        requests.entry(id).or_default().push(event.clone());
    }
    requests
}
