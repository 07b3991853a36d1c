//! The directory in which this gateway keeps the batches that it runs itself.
//!
//! ```text
//! batches/<id>/order.json     what was handed over; written once
//!              input.jsonl    the requests; written once
//!              journal        what became of them
//!              state.json     how far it is, for whoever asks; replaced as a whole
//!              cancel         is there when it is to be stopped
//!              lock           locked by the process that runs it
//! ```
//!
//! A batch is there as a whole or not at all: it is written beside, and renamed. Nodes that share the directory serve each other's batches,
//! and take over those of one that is gone, since a lock goes with its process.

use super::folders::{create, folder, ids, place, read, remove, sweep_hidden, synced};
use super::journal::{End, private};
use super::shelf::Shelf;
use crate::app::BuildError;
use llmleaf_auth::Principal;
use llmleaf_config::Config;
use llmleaf_dialects::batches::{Item, Task};
use llmleaf_model::{Batch, BatchCounts, BatchProblem, BatchStatus};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// How long what has ended is kept.
pub const KEPT_SECS: u64 = 30 * 24 * 3600;
/// How long a batch may take.
pub const WINDOW_SECS: u64 = 24 * 3600;
/// Most batches of a key that have not ended.
pub const MOST_OPEN: usize = 100;

/// The directory.
#[derive(Debug)]
pub struct Store {
    batches: PathBuf,
    /// Files of requests.
    pub shelf: Shelf,
    /// There is something to do.
    pub news: Notify,
    /// Who handed batches to this process.
    principals: Mutex<HashMap<String, Principal>>,
}

/// What was handed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sheet {
    /// Id of the key.
    pub owner: String,
    /// What the requests are for, as a letter.
    pub task: char,
    /// Unix seconds.
    pub created: u64,
    /// When it is given up.
    pub expires: u64,
    /// Requests.
    pub total: u64,
    /// The models, each once.
    pub models: Vec<String>,
    /// What the consumer attached.
    pub labels: Vec<(String, String)>,
    /// The told id of the file that it came in.
    pub input: Option<String>,
}

impl Sheet {
    /// What the requests are for.
    pub fn task(&self) -> Task {
        Task::of_letter(self.task).unwrap_or(Task::Chat)
    }
}

/// How far it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Answered.
    pub completed: u64,
    /// Answered with an error.
    pub failed: u64,
    /// When it began.
    pub begun: Option<u64>,
    /// How and when it ended.
    pub ended: Option<(End, u64)>,
}

/// A request as it is kept.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub custom_id: String,
    /// What it asks.
    pub body: Box<RawValue>,
}

impl Kept {
    /// The next of those that are kept, but for whoever is `known`. A line that is damaged is passed over: nobody knows what it was.
    ///
    /// # Errors
    /// The system's.
    pub fn next(
        input: &mut impl BufRead,
        mut known: impl FnMut(&str) -> bool,
    ) -> io::Result<Option<Self>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            let Ok(kept) = serde_json::from_slice::<Self>(&line) else {
                continue;
            };
            if !known(&kept.custom_id) {
                return Ok(Some(kept));
            }
        }
    }
}

impl Store {
    /// The configured one.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn configured(config: &Config) -> Result<Option<Arc<Self>>, BuildError> {
        let Some(path) = &config.server.state_dir else {
            return Ok(None);
        };
        let store = Self::open(path).map_err(|error| BuildError::Directory {
            path: path.clone(),
            error,
        })?;
        Ok(Some(Arc::new(store)))
    }

    /// In this directory, which is made.
    ///
    /// # Errors
    /// The system's.
    pub fn open(root: &Path) -> io::Result<Self> {
        let batches = root.join("batches");
        folder(&batches)?;
        Ok(Self {
            batches,
            shelf: Shelf::open(root)?,
            news: Notify::new(),
            principals: Mutex::default(),
        })
    }

    fn at(&self, id: &str, name: &str) -> PathBuf {
        self.batches.join(id).join(name)
    }

    /// Where its journal is.
    pub fn journal(&self, id: &str) -> PathBuf {
        self.at(id, "journal")
    }

    /// Where its requests are.
    pub fn input(&self, id: &str) -> PathBuf {
        self.at(id, "input.jsonl")
    }

    /// Takes a batch. When this returns it is on the disk.
    ///
    /// # Errors
    /// The system's; then there is nothing of it.
    pub fn take(
        &self,
        id: &str,
        sheet: &Sheet,
        items: impl Iterator<Item = io::Result<Item>>,
        principal: &Principal,
    ) -> io::Result<()> {
        place(&self.batches, id, synced, |beside| {
            self.write(beside, sheet, items)
        })?;
        self.principals
            .lock()
            .insert(id.to_owned(), principal.clone());
        self.news.notify_one();
        Ok(())
    }

    fn write(
        &self,
        beside: &Path,
        sheet: &Sheet,
        items: impl Iterator<Item = io::Result<Item>>,
    ) -> io::Result<()> {
        let mut input = BufWriter::new(create(&beside.join("input.jsonl"))?);
        for item in items {
            let item = item?;
            let body = RawValue::from_string(whole(&item))?;
            let kept = Kept {
                custom_id: item.custom_id,
                body,
            };
            serde_json::to_writer(&mut input, &kept)?;
            input.write_all(b"\n")?;
        }
        input
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        let mut order = create(&beside.join("order.json"))?;
        serde_json::to_writer(&mut order, sheet)?;
        order.sync_all()?;
        File::open(beside)?.sync_all()
    }

    /// What was handed over; `None` where there is no such batch.
    pub fn sheet(&self, id: &str) -> Option<Sheet> {
        read(&self.at(id, "order.json"))
    }

    /// How far it is.
    pub fn state(&self, id: &str) -> State {
        read(&self.at(id, "state.json")).unwrap_or_default()
    }

    /// Tells how far it is.
    ///
    /// # Errors
    /// The system's.
    pub fn tell(&self, id: &str, state: &State) -> io::Result<()> {
        let beside = self.at(id, "state.new");
        let mut file = create(&beside)?;
        serde_json::to_writer(&mut file, state)?;
        if state.ended.is_some() {
            file.sync_all()?;
        }
        fs::rename(&beside, self.at(id, "state.json"))
    }

    /// Asks for its end.
    ///
    /// # Errors
    /// The system's.
    pub fn cancel(&self, id: &str, now: u64) -> io::Result<()> {
        let path = self.at(id, "cancel");
        if !path.exists() {
            let mut file = create(&path)?;
            file.write_all(now.to_string().as_bytes())?;
            file.sync_all()?;
        }
        self.news.notify_one();
        Ok(())
    }

    /// When its end was asked for.
    pub fn cancelled(&self, id: &str) -> Option<u64> {
        let text = fs::read_to_string(self.at(id, "cancel")).ok()?;
        Some(text.trim().parse().unwrap_or_default())
    }

    /// Forgets it. False where it has not ended.
    ///
    /// # Errors
    /// The system's.
    pub fn forget(&self, id: &str) -> io::Result<bool> {
        if self.state(id).ended.is_none() {
            return Ok(false);
        }
        remove(&self.batches, id)?;
        Ok(true)
    }

    /// The right to run it, as long as what is returned lives; `None` where somebody else does.
    pub fn lock(&self, id: &str) -> Option<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        private(&mut options);
        let file = options.open(self.at(id, "lock")).ok()?;
        file.try_lock().ok()?;
        Some(file)
    }

    /// Who handed it to this process.
    pub fn principal(&self, id: &str) -> Option<Principal> {
        self.principals.lock().get(id).cloned()
    }

    /// It has ended.
    pub fn release(&self, id: &str) {
        self.principals.lock().remove(id);
    }

    /// Every batch, newest last.
    pub fn ids(&self) -> Vec<String> {
        ids(&self.batches)
    }

    /// The batches of a key that have not ended.
    pub fn open_of(&self, owner: &str) -> usize {
        let mine = |id: &&String| {
            let sheet = self.sheet(id);
            sheet.is_some_and(|sheet| sheet.owner == owner) && self.state(id).ended.is_none()
        };
        self.ids().iter().filter(mine).count()
    }

    /// Forgets what ended long ago, and what was never finished being written.
    pub fn sweep(&self, now: u64) {
        for id in self.ids() {
            let ended = self.state(&id).ended;
            if ended.is_some_and(|(_, at)| at.saturating_add(KEPT_SECS) < now) {
                let _ = self.forget(&id);
            }
        }
        self.shelf.sweep(now);
        sweep_hidden(&self.batches);
    }

    /// The batch as it is told of.
    pub fn batch(&self, id: &str) -> Option<(Batch, Sheet)> {
        let sheet = self.sheet(id)?;
        let state = self.state(id);
        let stopping = self.cancelled(id);
        let left = sheet
            .total
            .saturating_sub(state.completed)
            .saturating_sub(state.failed);
        let mut counts = BatchCounts {
            completed: state.completed,
            failed: state.failed,
            ..BatchCounts::default()
        };
        let status = match (state.ended, stopping, state.begun) {
            (Some((end, _)), ..) => end.status(),
            (None, Some(_), _) => BatchStatus::Cancelling,
            (None, None, Some(_)) => BatchStatus::InProgress,
            (None, None, None) => BatchStatus::Validating,
        };
        match status {
            BatchStatus::Cancelled => counts.cancelled = left,
            BatchStatus::Expired => counts.expired = left,
            _ => counts.processing = left,
        }
        let others = counts.failed.saturating_add(counts.cancelled);
        let others = others.saturating_add(counts.expired);
        let mut problems = Vec::new();
        if status == BatchStatus::Failed {
            counts.processing = 0;
            counts.failed = counts.failed.saturating_add(left);
            problems.push(lost(left));
        }
        let has = |count: u64| (status.is_final() && count > 0).then(|| id.to_owned());
        let batch = Batch {
            id: id.to_owned(),
            status,
            counts,
            created: Some(sheet.created),
            begun: state.begun,
            expires: Some(sheet.expires),
            ended: state.ended.map(|(_, at)| at),
            stopping,
            input: sheet.input.clone(),
            output: has(counts.completed),
            errors: has(others),
            problems,
            labels: sheet.labels.clone(),
            ..Batch::default()
        };
        Some((batch, sheet))
    }
}

/// What was wrong with a batch whose requests were lost.
fn lost(count: u64) -> BatchProblem {
    BatchProblem {
        message: format!(
            "{count} of the requests that this gateway kept were damaged on its disk and could not be asked; the others have their results"
        ),
        code: Some("input_damaged".to_owned()),
        line: None,
    }
}

/// A request that is answered whole, on one line.
fn whole(item: &Item) -> String {
    let text = llmleaf_dialects::head::checked(&item.body).unwrap_or_default();
    let streams = ["stream", "stream_options"];
    let gone = |field: &llmleaf_dialects::head::Field| streams.contains(&field.name(text));
    let mut splices = llmleaf_dialects::splice::Splices::new();
    for cut in item.head.cuts(gone) {
        splices.remove(cut);
    }
    let edited = splices.apply(text);
    let line = llmleaf_dialects::batches::one_line(&edited);
    String::from_utf8_lossy(&line).into_owned()
}
