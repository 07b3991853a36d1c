//! The access log: one line for each request, when it has ended, however it ended.
//!
//! Lines are written by a thread of their own. A worker hands it the record that the ledger has made anyway, and goes on; where the
//! thread does not keep up, because a disk is slow or a pipe stands still, lines are dropped and counted. No line has a word of a prompt or an answer, nor a credential.

mod line;

use llmleaf_config::{AccessLog as Wanted, LogFormat, LogTo};
use llmleaf_exchange::{EndRecord, Sink};
use llmleaf_metrics::Counter;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait for the thread that writes.
const ROOM: usize = 16 * 1024;
/// Bytes that are gathered before they are written, while more lines wait.
const GATHERED: usize = 64 * 1024;
/// How long the end of the program waits for its last lines.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A request that was refused before anything was asked of anybody.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Its id.
    pub request_id: Arc<str>,
    /// The endpoint, as the registry writes it: never the caller's own path, in which a secret may stand.
    pub endpoint: Option<(&'static str, &'static str)>,
    /// Kind of the failure.
    pub failure: &'static str,
    /// The status that the consumer was told.
    pub status: u16,
}

/// What the thread is told.
enum Note {
    Ended(Arc<EndRecord>),
    Refused(Refused),
    /// Everything before this is written when it is answered.
    Flush(SyncSender<()>),
}

/// How the log does.
#[derive(Debug, Default)]
pub struct Counts {
    /// Lines that were written.
    pub written: Counter,
    /// Lines that were not.
    pub dropped: Counter,
}

/// The access log. Clones are the same one.
#[derive(Clone)]
pub struct AccessLog {
    notes: SyncSender<Note>,
    counts: Arc<Counts>,
    /// The file may have been moved away. Apart from the lines: there may be no room among them.
    moved: Arc<AtomicBool>,
}

impl AccessLog {
    /// Opens the log, and begins to write it.
    ///
    /// # Errors
    /// The file cannot be written, or there is no thread for it.
    pub fn start(wanted: &Wanted) -> io::Result<Self> {
        let out = Out::open(&wanted.to)?;
        Self::write_to(out, wanted.format)
    }

    fn write_to(out: Out, format: LogFormat) -> io::Result<Self> {
        let (notes, heard) = sync_channel(ROOM);
        let counts = Arc::<Counts>::default();
        let moved = Arc::<AtomicBool>::default();
        let writer = Writer {
            out,
            format,
            counts: Arc::clone(&counts),
            moved: Arc::clone(&moved),
            bytes: Vec::new(),
            lines: 0,
            failing: false,
        };
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        thread.spawn(move || writer.run(&heard))?;
        Ok(Self {
            notes,
            counts,
            moved,
        })
    }

    /// What the ledger tells.
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.clone())
    }

    /// A request was refused before it was accepted.
    pub fn refused(&self, refused: Refused) {
        self.tell(Note::Refused(refused));
    }

    /// Writes to the file that has its name from now on.
    pub fn reopen(&self) {
        self.moved.store(true, Ordering::Release);
    }

    /// How it does.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until all lines are written, not for ever.
    pub fn flush(&self) {
        let until = Instant::now() + LAST_WORDS;
        let (done, wait) = sync_channel(1);
        let mut note = Note::Flush(done);
        // There is no room while lines wait; they are being written, unless nobody takes them.
        while let Err(TrySendError::Full(back)) = self.notes.try_send(note) {
            if Instant::now() >= until {
                return;
            }
            note = back;
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    fn tell(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            self.counts.dropped.up();
        }
    }
}

impl Sink for AccessLog {
    fn ended(&self, record: &Arc<EndRecord>) {
        self.tell(Note::Ended(Arc::clone(record)));
    }
}

/// Where lines go.
enum Out {
    File(PathBuf, File),
    Other(Box<dyn Write + Send>),
}

impl Out {
    fn open(to: &LogTo) -> io::Result<Self> {
        Ok(match to {
            LogTo::Stdout => Self::Other(Box::new(io::stdout())),
            LogTo::File(path) => Self::File(path.clone(), append(path)?),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(_, file) => file.write_all(bytes),
            Self::Other(out) => out.write_all(bytes).and_then(|()| out.flush()),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The thread that writes.
struct Writer {
    out: Out,
    format: LogFormat,
    counts: Arc<Counts>,
    moved: Arc<AtomicBool>,
    bytes: Vec<u8>,
    /// Lines in `bytes`.
    lines: u64,
    failing: bool,
}

impl Writer {
    /// Until nobody can tell it anything any more.
    fn run(mut self, notes: &Receiver<Note>) {
        loop {
            let note = match notes.try_recv() {
                Ok(note) => note,
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {
                    self.write();
                    match notes.recv() {
                        Ok(note) => note,
                        Err(_) => break,
                    }
                }
            };
            self.take(note);
            if self.bytes.len() >= GATHERED {
                self.write();
            }
        }
        self.write();
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Ended(record) => line::ended(&record, self.format, &mut self.bytes),
            Note::Refused(refused) => line::refused(&refused, self.format, &mut self.bytes),
            Note::Flush(done) => {
                self.write();
                // Whoever asked may not wait any more.
                let _ = done.try_send(());
                return;
            }
        }
        self.lines += 1;
    }

    fn reopen(&mut self) {
        if let Out::File(path, file) = &mut self.out {
            match append(path) {
                Ok(fresh) => *file = fresh,
                Err(error) => tracing::error!(%error, "the access log cannot be opened again"),
            }
        }
    }

    fn write(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if lines == 0 {
            return;
        }
        if self.moved.swap(false, Ordering::Acquire) {
            self.reopen();
        }
        if self.failing {
            // A line may have been written in part.
            self.bytes.insert(0, b'\n');
        }
        match self.out.write(&self.bytes) {
            Ok(()) => {
                self.counts.written.add(lines);
                self.failing = false;
            }
            Err(error) => {
                self.counts.dropped.add(lines);
                // Once, and not for each line.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the access log cannot be written");
                }
            }
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests;
