//! The thread that writes, so that no worker waits for a disk.

use crate::{Kept, Spool};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the disk is asked to take what was written.
const SYNC: Duration = Duration::from_secs(1);
/// Most messages that are written together.
const TOGETHER: usize = 256;

enum Message<T> {
    Of(T),
    Flush(SyncSender<Kept>),
}

/// Makes records of messages, in the thread.
pub trait Pen<T>: Send + 'static {
    /// The records of a message, any number of them.
    fn write(&mut self, message: T, records: &mut Vec<Vec<u8>>);

    /// What was written until now is the system's.
    fn kept(&mut self) {}
}

/// Too much waits for the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Whether all that was told before is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// It is, and the disk has it.
    Yes,
    /// Not within the time, or the disk does not take it.
    No,
}

/// Takes what is to be written, and writes it in a thread of its own. Clones tell the same thread; it ends with the last of them.
pub struct Scribe<T> {
    tell: SyncSender<Message<T>>,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Scribe<T> {
    fn clone(&self) -> Self {
        Self {
            tell: self.tell.clone(),
            lost: Arc::clone(&self.lost),
        }
    }
}

impl<T: Send + 'static> Scribe<T> {
    /// Starts the thread. At most `room` messages wait for it.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(spool: Spool, room: usize, pen: impl Pen<T>) -> std::io::Result<Self> {
        let (tell, hear) = sync_channel(room);
        let lost = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new().name("spool".to_owned());
        let count = Arc::clone(&lost);
        let syncer = Syncer::start(spool.clone())?;
        thread.spawn(move || {
            write(&spool, &hear, pen, &count, &syncer);
            syncer.end();
        })?;
        Ok(Self { tell, lost })
    }

    /// Has something written. Never waits.
    ///
    /// # Errors
    /// There is no room, and it is not written.
    pub fn tell(&self, message: T) -> Result<(), NoRoom> {
        self.tell
            .try_send(Message::Of(message))
            .map_err(|_full| NoRoom)
    }

    /// A message that had no room was one to be counted.
    pub fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// How much was lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all that was told before is on the disk, at most so long.
    pub fn flush(&self, within: Duration) -> Flushed {
        let end = Instant::now() + within;
        let (done, wait) = sync_channel(1);
        let mut message = Message::Flush(done);
        loop {
            match self.tell.try_send(message) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < end => {
                    message = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return Flushed::No,
            }
        }
        match wait.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Kept::Yes) => Flushed::Yes,
            Ok(Kept::No) | Err(_) => Flushed::No,
        }
    }
}

/// A thread that asks the disk to take what was written whenever it is told to: for as long as that takes, others go on writing.
struct Syncer {
    tell: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Syncer {
    fn start(spool: Spool) -> std::io::Result<Self> {
        let (tell, hear) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("spool-sync".to_owned());
        let thread = thread.spawn(move || {
            while hear.recv().is_ok() {
                // What the disk did not take is asked for again the next time.
                let _ = spool.sync();
            }
        })?;
        Ok(Self { tell, thread })
    }

    /// Where the disk still takes what came before, it will be told again.
    fn tell(&self) {
        let _ = self.tell.try_send(());
    }

    /// Nobody holds the spool here any more.
    fn end(self) {
        drop(self.tell);
        // It has no way to panic, and nothing would come of it.
        let _ = self.thread.join();
    }
}

fn write<T>(
    spool: &Spool,
    hear: &Receiver<Message<T>>,
    mut pen: impl Pen<T>,
    lost: &AtomicU64,
    syncer: &Syncer,
) {
    let mut synced = Instant::now();
    loop {
        let first = hear.recv_timeout(SYNC);
        let over = matches!(first, Err(RecvTimeoutError::Disconnected));
        let mut flushes = Vec::new();
        let mut records = Vec::new();
        let rest = std::iter::from_fn(|| hear.try_recv().ok());
        for message in first.into_iter().chain(rest).take(TOGETHER) {
            match message {
                Message::Flush(done) => flushes.push(done),
                Message::Of(message) => {
                    let whole = records.len();
                    let work = AssertUnwindSafe(|| pen.write(message, &mut records));
                    if catch_unwind(work).is_err() {
                        // A fault in one record must not keep the others from being written.
                        records.truncate(whole);
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
        spool.append(records.iter().map(Vec::as_slice), now_ms());
        pen.kept();
        if over || !flushes.is_empty() {
            let kept = spool.sync();
            synced = Instant::now();
            for done in flushes {
                let _ = done.try_send(kept);
            }
        } else if synced.elapsed() >= SYNC {
            synced = Instant::now();
            syncer.tell();
        }
        if over {
            return;
        }
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
