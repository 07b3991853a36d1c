//! Traces for whoever collects them (`[traces]`): each exchange is a span, and each attempt one within it, told by OTLP over HTTP when they are over.
//!
//! They are made of the records that the ledger has made anyway, by a thread of their own. No request waits for it: where it does not keep up,
//! because the collector is slow or away, records are dropped and counted. What is told has no word of a prompt or an answer, and no secret, since no
//! record has any.
//!
//! Reading order: this file (which requests are a part of a trace, and the thread), `traces/collector.rs` (who is told, and what becomes of a call),
//! `traces/spans.rs` (what is told).

mod collector;
mod spans;

use crate::service::Worker;
use arc_swap::ArcSwapOption;
use http::HeaderMap;
use llmleaf_exchange::{EndRecord, Sink, Trace};
use llmleaf_metrics::Counter;
use llmleaf_transport::Pool;
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

pub use collector::Collector;

/// Records that may wait for the thread.
const ROOM: usize = 2048;
/// Spans that are told at once, and how long the first of them waits for others.
const MOST: usize = 512;
const EVERY: Duration = Duration::from_secs(5);
/// How long the end of the program waits for the last ones.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The trace that a request is a part of: the caller's, or one that begins here.
pub fn of(worker: &Worker, headers: &HeaderMap) -> Option<Arc<Trace>> {
    let told = Trace::of(headers);
    let tells = worker.app.shared.tells_traces;
    let stated = |trace: Trace| match tells {
        true => trace.with_state(headers),
        false => trace,
    };
    let Some(collector) = &worker.app.collector else {
        return told.map(stated).map(Arc::new);
    };
    let trace = match told {
        // Whoever begins a trace decides whether it is recorded, or it has holes.
        Some(trace) if trace.is_sampled() => trace.with_state(headers).with_span(chance()),
        Some(trace) => stated(trace),
        None if collector.samples(chance()) => {
            Trace::begin([chance(), chance()]).with_span(chance())
        }
        None => return None,
    };
    Some(Arc::new(trace))
}

fn chance() -> u64 {
    // Each is keyed anew.
    RandomState::new().hash_one(0u8)
}

/// What the thread is told.
enum Note {
    Ended(Arc<EndRecord>),
    /// Everything before this is told when it is answered.
    Flush(SyncSender<()>),
}

/// How it does.
#[derive(Debug, Default)]
pub struct Counts {
    /// Spans that a collector took.
    pub sent: Counter,
    /// Spans that none did.
    pub dropped: Counter,
}

/// Where spans go. It outlives configurations.
pub struct Traces {
    notes: SyncSender<Note>,
    /// Until the thread has it.
    heard: Mutex<Option<Receiver<Note>>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    collector: ArcSwapOption<Collector>,
    counts: Counts,
}

impl Traces {
    /// Nobody is told yet.
    pub fn new() -> Self {
        let (notes, heard) = sync_channel(ROOM);
        Self {
            notes,
            heard: Mutex::new(Some(heard)),
            shared: Arc::default(),
        }
    }

    /// That one is told from now on. The thread begins with the first.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn follow(&self, collector: Option<Arc<Collector>>) -> io::Result<()> {
        let wanted = collector.is_some();
        self.shared.collector.store(collector);
        let Some(heard) = wanted.then(|| self.heard.lock().take()).flatten() else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("traces".to_owned());
        thread.spawn(move || Teller::new(shared, runtime).run(&heard))?;
        Ok(())
    }

    /// What the ledger tells.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(Told {
            notes: self.notes.clone(),
            shared: Arc::clone(&self.shared),
        })
    }

    /// How it does, if anybody was ever told.
    pub fn counts(&self) -> Option<&Counts> {
        let begun = self.heard.lock().is_none();
        begun.then_some(&self.shared.counts)
    }

    /// Waits until the last spans are told, not for ever.
    pub fn flush(&self) {
        if self.counts().is_none() {
            return;
        }
        let until = Instant::now() + LAST_WORDS;
        let (done, wait) = sync_channel(1);
        let mut note = Note::Flush(done);
        while let Err(TrySendError::Full(back)) = self.notes.try_send(note) {
            if Instant::now() >= until {
                return;
            }
            note = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// The ledger's hold of it.
struct Told {
    notes: SyncSender<Note>,
    shared: Arc<Shared>,
}

impl Sink for Told {
    fn ended(&self, record: &Arc<EndRecord>) {
        let trace = record.began.trace.as_ref();
        if trace.is_none_or(|trace| trace.own().is_none()) {
            return;
        }
        if self
            .notes
            .try_send(Note::Ended(Arc::clone(record)))
            .is_err()
        {
            self.shared.counts.dropped.add(spans::count(record));
        }
    }
}

/// The thread that tells.
struct Teller {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
    /// Connections to the collector, as long as it is the same.
    way: Option<(Arc<Collector>, Pool)>,
    batch: Vec<Arc<EndRecord>>,
    /// How many spans the batch has.
    spans: u64,
    failing: bool,
}

impl Teller {
    /// Its connections stay on its own thread.
    fn new(shared: Arc<Shared>, runtime: tokio::runtime::Runtime) -> Self {
        Self {
            shared,
            runtime,
            way: None,
            batch: Vec::new(),
            spans: 0,
            failing: false,
        }
    }

    /// Until nobody can tell it anything any more.
    fn run(mut self, notes: &Receiver<Note>) {
        /// How long nothing to do is waited for at a time.
        const ROUND: Duration = Duration::from_secs(3600);
        let mut due: Option<Instant> = None;
        loop {
            let wait = due.map_or(ROUND, |due| due.saturating_duration_since(Instant::now()));
            match notes.recv_timeout(wait) {
                Ok(Note::Ended(record)) => {
                    self.spans += spans::count(&record);
                    self.batch.push(record);
                    due.get_or_insert_with(|| Instant::now() + EVERY);
                    if self.spans < MOST as u64 {
                        continue;
                    }
                    self.tell();
                }
                Ok(Note::Flush(done)) => {
                    self.tell();
                    // Whoever asked may not wait any more.
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => self.tell(),
                Err(RecvTimeoutError::Disconnected) => return self.tell(),
            }
            due = None;
        }
    }

    fn tell(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let spans = std::mem::take(&mut self.spans);
        if batch.is_empty() {
            return;
        }
        let counts = &self.shared.counts;
        let Some(collector) = self.shared.collector.load_full() else {
            counts.dropped.add(spans);
            return;
        };
        let way = match self.way.take() {
            Some((known, pool)) if Arc::ptr_eq(&known, &collector) => (known, pool),
            _ => (Arc::clone(&collector), collector.pool()),
        };
        let body = spans::export(&batch, &collector);
        let told = self.runtime.block_on(collector.tell(&way.1, body.into()));
        self.way = Some(way);
        match told {
            Ok(rejected) => {
                counts.sent.add(spans.saturating_sub(rejected));
                counts.dropped.add(rejected.min(spans));
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the collector of traces takes spans again");
                }
            }
            Err(trouble) => {
                counts.dropped.add(spans);
                // Once, and not for each batch.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%trouble, "the collector of traces takes no spans; they are dropped");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
