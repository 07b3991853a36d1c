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

use super::journal::{End, private};
use super::shelf::Shelf;
use crate::app::BuildError;
use llmleaf_auth::Principal;
use llmleaf_config::Config;
use llmleaf_dialects::batches::{Item, Task};
use llmleaf_model::{Batch, BatchCounts, BatchStatus};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Notify;

/// How long what has ended is kept.
pub const KEPT_SECS: u64 = 30 * 24 * 3600;
/// How old a directory is that nobody finishes writing any more.
const STALE: std::time::Duration = std::time::Duration::from_secs(3600);
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
        // Out of sight first, so that nobody sees a part of it.
        let beside = self.batches.join(format!(".{id}"));
        fs::rename(self.batches.join(id), &beside)?;
        fs::remove_dir_all(&beside)?;
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
        let entries = fs::read_dir(&self.batches).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        // Ids begin with their time.
        ids.sort();
        ids
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
            labels: sheet.labels.clone(),
            ..Batch::default()
        };
        Some((batch, sheet))
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

/// Writes a folder as a whole: beside, then in its place, then until the disk has it. Where any of that fails there is nothing of it.
pub fn place(
    root: &Path,
    id: &str,
    sync: impl FnOnce(&Path) -> io::Result<()>,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let (beside, own) = (root.join(format!(".{id}")), root.join(id));
    folder(&beside)?;
    let done = write(&beside).and_then(|()| fs::rename(&beside, &own));
    if done.is_err() {
        let _ = fs::remove_dir_all(&beside);
        return done;
    }
    sync(root).inspect_err(|_| {
        // Whoever handed it over is told that it was not taken. Out of sight first: a part of it must not be found.
        let _ = fs::rename(&own, &beside);
        let _ = fs::remove_dir_all(&beside);
    })
}

/// Waits until the disk has the names in a folder.
pub fn synced(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A folder for its owner alone.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    options.open(path)
}

pub fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Removes what was never finished being written, or being forgotten: whoever did is gone.
pub fn sweep_hidden(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A folder is as old as its last name; a file in it may be written for hours.
        let inside = fs::read_dir(entry.path()).into_iter().flatten().flatten();
        let all = std::iter::once(entry.metadata()).chain(inside.map(|file| file.metadata()));
        let newest = all
            .map(|data| data.and_then(|data| data.modified()))
            .max_by_key(|at| {
                // What cannot be looked at is not thought old.
                at.as_ref().map_or(SystemTime::now(), |at| *at)
            });
        let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age > STALE);
        if hidden && newest.is_some_and(|at| at.is_ok_and(is_old)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_is_not_swept_however_long_that_takes() {
        let name = format!("llmleaf-sweep-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let old = SystemTime::now() - 2 * STALE;
        for (id, written) in [(".left", old), (".written", SystemTime::now())] {
            let beside = root.join(id);
            folder(&beside).expect("a folder");
            let file = File::create(beside.join("lines.jsonl")).expect("a file");
            file.set_modified(written).expect("a time");
            let beside = File::open(beside).expect("a folder");
            beside.set_modified(old).expect("a time");
        }
        sweep_hidden(&root);
        let left = root.join(".left").exists();
        let written = root.join(".written/lines.jsonl").exists();
        fs::remove_dir_all(root).expect("it goes");
        assert!(!left && written);
    }

    #[test]
    fn what_the_disk_did_not_take_was_not_taken() {
        let name = format!("llmleaf-store-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        folder(&root).expect("a folder");
        let write = |beside: &Path| fs::write(beside.join("order.json"), "{}");
        let fails = |_: &Path| Err(io::Error::other("the disk is gone"));
        let found = || fs::read_dir(&root).expect("a folder").count();
        assert!(place(&root, "a", fails, write).is_err());
        assert_eq!(found(), 0, "nobody finds it, and runs it all the same");
        let half = |beside: &Path| write(beside).and_then(|()| fails(beside));
        assert!(place(&root, "b", synced, half).is_err());
        assert_eq!(found(), 0);
        assert!(place(&root, "c", synced, write).is_ok());
        assert!(root.join("c/order.json").exists());
        fs::remove_dir_all(root).expect("it goes");
    }
}
