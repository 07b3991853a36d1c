//! What became of the requests of a batch, one line each, only ever added to.
//!
//! ```text
//! CRC-32 of the rest, 8 hex digits; a space; a JSON object; a line break
//! ```
//!
//! A process that is killed leaves at most one line without its end, which is cut off before more is written. A line whose sum is wrong is
//! passed over: its request counts as not answered, and is asked again.

use flate2::Crc;
use llmleaf_model::{BatchOutcome, BatchResult, BatchStatus};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of the sum and the space behind it.
const SUM: usize = 9;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A request was answered, or failed.
    Done {
        /// Its name.
        id: String,
        /// The status of the reply.
        status: u16,
        /// The reply.
        body: Box<RawValue>,
    },
    /// Nothing more comes.
    Ended {
        /// How.
        end: End,
        /// Unix seconds.
        at: u64,
    },
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Every request has its result.
    Completed,
    /// It was stopped.
    Cancelled,
    /// Its time ran out.
    Expired,
    /// Requests of it were lost here; the others have their results.
    Failed,
}

impl End {
    /// As batches say it.
    pub fn status(self) -> BatchStatus {
        match self {
            Self::Completed => BatchStatus::Completed,
            Self::Cancelled => BatchStatus::Cancelled,
            Self::Expired => BatchStatus::Expired,
            Self::Failed => BatchStatus::Failed,
        }
    }
}

/// How long what is written may wait for the disk.
const SYNCED: Duration = Duration::from_millis(200);

/// A journal that is written.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// When what is written is to be on the disk; `None` where it is.
    due: Option<Instant>,
}

impl Journal {
    /// Opens one, and tells what is in it.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path, mut told: impl FnMut(Entry)) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        let mut file = options.open(path)?;
        let mut whole = 0;
        let mut lines = Lines::new(&mut file);
        while let Some(line) = lines.next()? {
            whole += line.len() as u64;
            match entry(line) {
                Some(entry) => told(entry),
                None => tracing::warn!(path = %path.display(), "a line of a journal is damaged"),
            }
        }
        // What a process that was killed did not finish.
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        Ok(Self { file, due: None })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// The system's; then it is not known how much of the line was written.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = vec![b' '; SUM];
        serde_json::to_writer(&mut line, entry)?;
        let sum = sum(line.get(SUM..).unwrap_or_default());
        if let Some(place) = line.get_mut(..SUM - 1) {
            place.copy_from_slice(&sum);
        }
        line.push(b'\n');
        self.due.get_or_insert_with(|| Instant::now() + SYNCED);
        self.file.write_all(&line)
    }

    /// Waits until the disk has it.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.due = None;
        Ok(())
    }

    /// The same, if that is due.
    ///
    /// # Errors
    /// The system's.
    pub fn sync_if_due(&mut self) -> io::Result<()> {
        match self.due {
            Some(due) if due <= Instant::now() => self.sync(),
            _ => Ok(()),
        }
    }

    /// Waits until the disk is to have what is written; for ever, where it has.
    pub fn due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.due;
        async move {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// For its owner alone: what consumers say and are told stands in it.
pub fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// The whole lines of a file.
struct Lines<R> {
    from: BufReader<R>,
    line: Vec<u8>,
}

impl<R: io::Read> Lines<R> {
    fn new(from: R) -> Self {
        Self {
            from: BufReader::with_capacity(64 * 1024, from),
            line: Vec::new(),
        }
    }

    /// The next one with its line break; `None` at the end, and at one that has none.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        self.from.read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n").then_some(&*self.line))
    }
}

/// Reads the results in a journal, in the order in which they came.
pub struct Results(Lines<File>);

impl Results {
    /// Of the journal at a path.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Lines::new(File::open(path)?)))
    }

    /// The next result; `None` at the end.
    ///
    /// # Errors
    /// The system's.
    pub fn next(&mut self) -> io::Result<Option<BatchResult>> {
        while let Some(line) = self.0.next()? {
            if let Some(Entry::Done { id, status, body }) = entry(line) {
                return Ok(Some(BatchResult {
                    custom_id: id,
                    outcome: BatchOutcome::Replied {
                        status,
                        body: String::from(Box::<str>::from(body)).into(),
                        request_id: None,
                    },
                }));
            }
        }
        Ok(None)
    }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let (head, rest) = line.split_at_checked(SUM)?;
    let text = rest.strip_suffix(b"\n")?;
    if head != [&sum(text)[..], b" "].concat() {
        return None;
    }
    serde_json::from_slice(text).ok()
}

fn sum(text: &[u8]) -> [u8; SUM - 1] {
    let mut crc = Crc::new();
    crc.update(text);
    let mut out = [0; SUM - 1];
    let digits = format!("{:08x}", crc.sum());
    out.iter_mut()
        .zip(digits.bytes())
        .for_each(|(to, from)| *to = from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("llmleaf-journal-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn done(id: usize) -> Entry {
        Entry::Done {
            id: id.to_string(),
            status: 200,
            body: RawValue::from_string("{\"a\": \"ä\"}".to_owned()).unwrap(),
        }
    }

    fn ids(path: &Path) -> Vec<String> {
        let mut found = Vec::new();
        Journal::open(path, |entry| match entry {
            Entry::Done { id, .. } => found.push(id),
            Entry::Ended { .. } => found.push("end".to_owned()),
        })
        .unwrap();
        found
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_keeps_every_whole_line_and_goes_on() {
        let folder = folder("cut");
        let path = folder.join("journal");
        let mut journal = Journal::open(&path, |_| ()).unwrap();
        (0..3).for_each(|id| journal.add(&done(id)).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let line = whole.len() / 3;
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path, |_| ()).unwrap();
            journal
                .add(&Entry::Ended {
                    end: End::Completed,
                    at: 1,
                })
                .unwrap();
            let mut expected: Vec<String> = (0..cut / line).map(|id| id.to_string()).collect();
            expected.push("end".to_owned());
            assert_eq!(ids(&path), expected, "cut at {cut}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_line_is_due_on_the_disk_though_none_follows_it() {
        let folder = folder("due");
        let mut journal = Journal::open(&folder.join("journal"), |_| ()).unwrap();
        let due = |journal: &Journal| tokio::time::timeout(2 * SYNCED, journal.due());
        assert!(due(&journal).await.is_err(), "nothing is written");
        journal.add(&done(1)).unwrap();
        journal.sync_if_due().unwrap();
        journal.add(&done(2)).unwrap();
        let began = Instant::now();
        assert!(due(&journal).await.is_ok());
        assert_eq!(began.elapsed(), SYNCED);
        journal.sync_if_due().unwrap();
        assert!(due(&journal).await.is_err(), "it is on the disk");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_line_is_passed_over_and_no_other() {
        let folder = folder("damage");
        let path = folder.join("journal");
        let mut journal = Journal::open(&path, |_| ()).unwrap();
        (0..3).for_each(|id| journal.add(&done(id)).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let line = whole.len() / 3;
        for at in (line..2 * line - 1).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            if damaged[at] == b'\n' {
                continue;
            }
            std::fs::write(&path, &damaged).unwrap();
            assert_eq!(ids(&path), ["0", "2"], "byte {at}");
        }
        let mut results = Results::open(&path).unwrap();
        assert!(results.next().unwrap().unwrap().outcome.is_answer());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
