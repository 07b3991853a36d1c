//! Usage records on their way to a controller: events in a spool, one for each accepted exchange, however it ended.
//!
//! The spool is on disk below `server.state_dir`, and survives the process; without that it is in memory, and only where somebody is to get it.
//! Workers hand their records to a thread and go on; see [`llmleaf_spool`] for what happens when there is no room.

pub mod event;
mod happening;
mod missed;
mod push;

use crate::control::run_name;
use llmleaf_config::Config;
use llmleaf_exchange::{Began, Doubt, EndRecord, Pledge, Sink, Turned, panics};
use llmleaf_spool::{Bounds, Flushed, Gauges, Kept, Open, Pen, Scribe, Spool, SpoolError};
use missed::{Early, Missed};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::sync::oneshot;

pub use happening::Happening;
pub use push::Outgoing;

/// Records that may wait for the thread that writes.
const ROOM: usize = 16 * 1024;
/// Most processes that share a folder.
const PLACES: u32 = 64;
/// How long the end of the program waits for its last records.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A spool that cannot be used.
#[derive(Debug, Error)]
pub enum UsageError {
    /// It cannot be opened.
    #[error("usage records: {0}")]
    Spool(#[from] SpoolError),
    /// The system refuses something else.
    #[error("usage records: {0}")]
    Io(#[from] std::io::Error),
}

/// What is written.
enum Note {
    Began(Vec<Began>, Owed),
    Ended(Arc<EndRecord>),
    Happened(Vec<u8>),
}

/// The word that is owed for begins, and since when.
struct Owed(oneshot::Sender<()>, Instant);

/// The spool of usage records, and the thread that fills it.
#[derive(Clone)]
pub struct Usage {
    spool: Spool,
    scribe: Scribe<Note>,
    missed: Missed,
    /// Begins are noted, so that the next process knows what died with this one.
    lasting: bool,
    /// Whether it is waited for that begins are kept.
    doubt: Arc<Doubt>,
    /// What the node is called where it is told of what happens to it; `None` while nobody wants to know.
    told_as: Arc<Mutex<Option<Arc<str>>>>,
}

impl Usage {
    /// The spool that a configuration asks for, if it does.
    ///
    /// # Errors
    /// It cannot be used: the folder is another process's, or the system refuses.
    pub fn of(config: &Config) -> Result<Option<Self>, UsageError> {
        let usage = Self::opened(config)?;
        if let Some(usage) = &usage {
            usage.follow(config);
        }
        Ok(usage)
    }

    fn opened(config: &Config) -> Result<Option<Self>, UsageError> {
        let pushed = config.control.as_ref().is_some_and(|c| c.usage.is_some());
        let bounds = Bounds::of(config.server.spool_bytes);
        match &config.server.state_dir {
            Some(folder) => Self::in_a_place(&folder.join("usage"), bounds).map(Some),
            None if pushed => {
                tracing::warn!(
                    "usage records wait in memory and are lost with the process; set `state_dir` in `[server]` to keep them"
                );
                Self::start(Spool::in_memory(bounds), None).map(Some)
            }
            None => Ok(None),
        }
    }

    /// In the first place of the folder that no living process has; what dead ones left in others is taken over.
    fn in_a_place(folder: &Path, bounds: Bounds) -> Result<Self, UsageError> {
        let places = || (0..PLACES).map(|place| folder.join(place.to_string()));
        let mut opened = None;
        let mut refused = None;
        for place in places() {
            match Self::lasting(&place, bounds) {
                Err(UsageError::Spool(SpoolError::InUse(_))) => {}
                // Somebody else's, perhaps: what is in it stays there, and another may do.
                Err(error) => refused = refused.or(Some((error, place))),
                Ok(usage) => {
                    opened = Some((usage, place));
                    break;
                }
            }
        }
        let Some((usage, own)) = opened else {
            let all = folder.display().to_string();
            let refused = refused.map(|(error, _)| error);
            return Err(refused.unwrap_or_else(|| SpoolError::InUse(all).into()));
        };
        if let Some((error, place)) = refused {
            tracing::error!(%error, place = %place.display(), "a place of usage records cannot be used");
        }
        for place in places().filter(|place| *place != own && place.is_dir()) {
            match usage.spool.adopt(&place, bounds, now_ms()) {
                Ok(0) => {}
                Ok(taken) => {
                    tracing::warn!(taken, "usage records of a node that is gone are taken over");
                }
                Err(error) => {
                    tracing::error!(%error, "usage records of a node that is gone cannot be taken over, and stay where they are");
                }
            }
        }
        Ok(usage)
    }

    fn lasting(folder: &Path, bounds: Bounds) -> Result<Self, UsageError> {
        let spool = Spool::open(folder, bounds)?;
        let (mut open, left) = Open::recover(folder)?;
        if !left.is_empty() {
            tracing::warn!(
                count = left.len(),
                "requests were being served when this node died; they are told as crashed"
            );
        }
        spool.append(left.iter().map(Vec::as_slice), now_ms());
        if spool.sync() == Kept::Yes {
            open.settled();
        }
        Self::start(spool, Some(open))
    }

    fn start(spool: Spool, open: Option<Open>) -> Result<Self, UsageError> {
        let lasting = open.is_some();
        let (missed, doubt) = (Missed::default(), Arc::default());
        let events = Events::new(open, missed.clone(), Arc::clone(&doubt));
        let scribe = Scribe::start(spool.clone(), ROOM, events)?;
        Ok(Self {
            spool,
            scribe,
            missed,
            lasting,
            doubt,
            told_as: Arc::default(),
        })
    }

    /// Another configuration is in effect: whether it wants to know what happens to the node.
    pub fn follow(&self, config: &Config) {
        let control = config.control.as_ref();
        let usage = control.and_then(|control| control.usage.as_ref());
        let name = control.and_then(|control| control.node.as_deref());
        let name = match name {
            Some(name) => name,
            None => run_name(),
        };
        *self.told_as.lock() = usage.filter(|usage| usage.lifecycle).map(|_| name.into());
    }

    /// Something happened to the node.
    pub fn tell(&self, happening: &Happening) {
        let Some(name) = self.told_as.lock().clone() else {
            return;
        };
        let event = happening.event(&name, now_ms());
        if self.scribe.tell(Note::Happened(event)).is_err() {
            self.scribe.lose();
        }
    }

    /// What waits to be pushed.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Waits until nothing waits to be pushed any more, not for ever: what is left then is for the next process, if it is on disk.
    pub fn drain(&self) {
        /// How long the controller has for the last records.
        const LAST_PUSH: Duration = Duration::from_secs(3);
        const LOOK: Duration = Duration::from_millis(20);
        let until = Instant::now() + LAST_PUSH;
        while self.spool.gauges(now_ms()).waiting > 0 && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }

    /// A sink that fills the spool.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.clone())
    }

    /// How the spool does, and how many records did not even get there.
    pub fn gauges(&self) -> (Gauges, u64) {
        (self.spool().gauges(now_ms()), self.scribe.lost())
    }

    /// Waits until all records are written, not for ever.
    pub fn flush(&self) {
        if self.scribe.flush(LAST_WORDS) == Flushed::No {
            tracing::error!("usage records could not be written in time");
        }
    }
}

impl Sink for Usage {
    fn keeps_begins(&self) -> bool {
        self.lasting
    }

    fn keep(&self, begins: Vec<Began>) -> Option<Pledge> {
        let (kept, word) = oneshot::channel();
        // A begin without a note costs nothing unless the process dies, and nobody waits for it.
        let owed = Owed(kept, Instant::now());
        self.scribe.tell(Note::Began(begins, owed)).ok()?;
        Some(Pledge::new(word, Arc::clone(&self.doubt)))
    }

    fn ended(&self, record: &Arc<EndRecord>) {
        if self.scribe.tell(Note::Ended(Arc::clone(record))).is_err() {
            self.scribe.lose();
            self.missed.add(&record.began.id);
        }
    }

    fn turned(&self, turned: Turned<'_>) {
        self.tell(&Happening::turned(turned));
    }
}

/// Makes events of notes.
struct Events {
    open: Option<Open>,
    missed: Missed,
    early: Early,
    /// Who waits for what was noted to be kept.
    waiting: Vec<Owed>,
    doubt: Arc<Doubt>,
    /// What the next process tells of a begin, if this one dies.
    told: fn(&Began) -> Vec<u8>,
    /// Events since the start; each has its number, so that a gap shows.
    written: u64,
}

impl Events {
    fn new(open: Option<Open>, missed: Missed, doubt: Arc<Doubt>) -> Self {
        Self {
            open,
            missed,
            early: Early::default(),
            waiting: Vec::new(),
            doubt,
            told: event::crashed,
            written: 0,
        }
    }
}

impl Pen<Note> for Events {
    fn write(&mut self, note: Note, records: &mut Vec<Vec<u8>>) {
        self.early.pass(ROOM);
        match (note, &mut self.open) {
            (Note::Began(begins, owed), Some(open)) => {
                self.waiting.push(owed);
                for began in begins {
                    if self.early.take(&began.id) {
                        continue;
                    }
                    // A fault that one of them meets must not take the others' notes along, nor its own: it is noted with less.
                    match panics::contain(|| (self.told)(&began)) {
                        Ok(event) => open.begin(&began.id, &event, began.at_ms),
                        Err(_) => {
                            tracing::error!(id = &*began.id, "a fault in noting what begins");
                            open.begin(
                                &began.id,
                                &event::lost(&began.id, began.at_ms),
                                began.at_ms,
                            );
                        }
                    }
                }
            }
            (Note::Began(..), None) => {}
            (Note::Happened(event), _) => records.push(event),
            (Note::Ended(record), open) => {
                self.written += 1;
                records.push(event::ended(&record, now_ms(), self.written));
                if let Some(open) = open {
                    open.end(&record.began.id, now_ms());
                }
            }
        }
    }

    fn kept(&mut self) {
        let missed = self.missed.take();
        self.written += missed.len() as u64;
        let mut all = true;
        if let Some(open) = &mut self.open {
            for id in missed {
                if !open.end(&id, now_ms()) {
                    self.early.add(id);
                }
            }
            all = open.kept(now_ms());
        }
        let now = Instant::now();
        let waited = |Owed(_, since): &Owed| now.saturating_duration_since(*since);
        let longest = self.waiting.iter().map(waited).max().unwrap_or_default();
        // Where it is not kept who waits goes on, and is told of as one for whom the disk did nothing.
        self.doubt.kept(all, longest, now);
        for Owed(word, _) in self.waiting.drain(..) {
            // It may have gone.
            let _ = word.send(());
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
