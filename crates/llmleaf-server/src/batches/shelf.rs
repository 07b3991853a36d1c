//! Files of requests that are kept here, since no target of their models keeps any.
//!
//! ```text
//! files/<id>/file.json      what is known of it
//!            lines.jsonl    its lines, as they came
//! ```

use super::journal::private;
use super::store::{KEPT_SECS, folder, read};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The part of the directory where files are.
#[derive(Debug)]
pub struct Shelf {
    files: PathBuf,
}

/// What is known of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Card {
    /// Id of the key.
    pub owner: String,
    /// What its consumer calls it.
    pub filename: String,
    /// Unix seconds.
    pub created: u64,
    /// Bytes.
    pub bytes: u64,
    /// What its requests are for, as a letter.
    pub task: char,
    /// The model of its first request.
    pub model: String,
}

impl Shelf {
    /// In this directory, which is made.
    ///
    /// # Errors
    /// The system's.
    pub fn open(root: &Path) -> io::Result<Self> {
        let files = root.join("files");
        folder(&files)?;
        Ok(Self { files })
    }

    /// Keeps a file. When this returns it is on the disk.
    ///
    /// # Errors
    /// The system's; then there is nothing of it.
    pub fn keep(&self, id: &str, card: &Card, lines: &[u8]) -> io::Result<()> {
        let beside = self.files.join(format!(".{id}"));
        folder(&beside)?;
        let card = serde_json::to_vec(card)?;
        let kept = write(&beside.join("lines.jsonl"), lines)
            .and_then(|()| write(&beside.join("file.json"), &card))
            .and_then(|()| fs::rename(&beside, self.files.join(id)))
            .and_then(|()| File::open(&self.files)?.sync_all());
        if kept.is_err() {
            let _ = fs::remove_dir_all(&beside);
        }
        kept
    }

    /// What is known of a file.
    pub fn card(&self, id: &str) -> Option<Card> {
        read(&self.files.join(id).join("file.json"))
    }

    /// Where its lines are.
    pub fn lines(&self, id: &str) -> PathBuf {
        self.files.join(id).join("lines.jsonl")
    }

    /// Forgets a file.
    ///
    /// # Errors
    /// The system's.
    pub fn forget(&self, id: &str) -> io::Result<()> {
        let beside = self.files.join(format!(".{id}"));
        fs::rename(self.files.join(id), &beside)?;
        fs::remove_dir_all(&beside)
    }

    /// Every file of a key, newest first.
    pub fn of(&self, owner: &str) -> Vec<(String, Card)> {
        let entries = fs::read_dir(&self.files).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        ids.sort();
        let cards = ids.into_iter().rev().filter_map(|id| {
            let card = self.card(&id)?;
            Some((id, card))
        });
        cards.filter(|(_, card)| card.owner == owner).collect()
    }

    /// Forgets what is old.
    pub fn sweep(&self, now: u64) {
        let entries = fs::read_dir(&self.files).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for id in names.filter(|name| !name.starts_with('.')) {
            let old = |card: Card| card.created.saturating_add(KEPT_SECS) < now;
            if self.card(&id).is_some_and(old) {
                let _ = self.forget(&id);
            }
        }
        super::store::sweep_hidden(&self.files);
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
