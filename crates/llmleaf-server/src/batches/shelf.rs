//! Files of requests that are kept here, since no target of their models keeps any.
//!
//! ```text
//! files/<id>/file.json      what is known of it
//!            lines.jsonl    its lines, as they came
//! ```

use super::journal::private;
use super::store::{KEPT_SECS, folder, read};
use bytes::Bytes;
use llmleaf_dialects::batches::{BatchForm, Item, Task, items};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// What the lines of a file are called.
const LINES: &str = "lines.jsonl";

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
    /// The models that they ask, each once, that of the first one first.
    pub models: Vec<String>,
    /// How many they are.
    pub requests: u64,
}

impl Card {
    /// What its requests are for.
    pub fn task(&self) -> Task {
        Task::of_letter(self.task).unwrap_or(Task::Chat)
    }
}

/// A file that is being written; without an end it leaves nothing.
#[derive(Debug)]
pub struct Writing {
    files: PathBuf,
    id: String,
    lines: File,
    bytes: u64,
    done: bool,
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

    /// Begins a file.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, id: &str) -> io::Result<Writing> {
        let beside = beside(&self.files, id);
        folder(&beside)?;
        Ok(Writing {
            lines: create(&beside.join(LINES))?,
            files: self.files.clone(),
            id: id.to_owned(),
            bytes: 0,
            done: false,
        })
    }

    /// The requests of a file, one after another.
    ///
    /// # Errors
    /// The system's.
    pub fn requests(&self, id: &str, task: Task) -> io::Result<Requests> {
        Ok(Requests {
            lines: BufReader::new(File::open(self.lines(id))?),
            reader: items::Reader::new(BatchForm::Files, Some(task), "line"),
            line: 0,
        })
    }

    /// What is known of a file.
    pub fn card(&self, id: &str) -> Option<Card> {
        read(&self.files.join(id).join("file.json"))
    }

    /// Where its lines are.
    pub fn lines(&self, id: &str) -> PathBuf {
        self.files.join(id).join(LINES)
    }

    /// Forgets a file.
    ///
    /// # Errors
    /// The system's.
    pub fn forget(&self, id: &str) -> io::Result<()> {
        let hidden = beside(&self.files, id);
        fs::rename(self.files.join(id), &hidden)?;
        fs::remove_dir_all(&hidden)
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

impl Writing {
    /// Adds what came of it.
    ///
    /// # Errors
    /// The system's.
    pub fn add(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.bytes = self.bytes.saturating_add(piece.len() as u64);
            self.lines.write_all(piece)?;
        }
        Ok(())
    }

    /// Puts it where it is found. When this returns it is on the disk.
    ///
    /// # Errors
    /// The system's; then there is nothing of it.
    pub fn finish(mut self, mut card: Card) -> io::Result<Card> {
        self.lines.sync_all()?;
        card.bytes = self.bytes;
        let hidden = beside(&self.files, &self.id);
        let mut file = create(&hidden.join("file.json"))?;
        serde_json::to_writer(&mut file, &card)?;
        file.sync_all()?;
        fs::rename(&hidden, self.files.join(&self.id))?;
        self.done = true;
        File::open(&self.files)?.sync_all()?;
        Ok(card)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(beside(&self.files, &self.id));
        }
    }
}

/// Reads requests from the disk.
#[derive(Debug)]
pub struct Requests {
    lines: BufReader<File>,
    reader: items::Reader,
    line: usize,
}

impl Iterator for Requests {
    type Item = io::Result<Item>;

    fn next(&mut self) -> Option<io::Result<Item>> {
        loop {
            let mut line = Vec::new();
            match self.lines.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            self.line += 1;
            // Whoever wrote the file had a mark before its first line, perhaps; it was read without when it came.
            let text = std::str::from_utf8(&line).unwrap_or_default();
            let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
            if text.is_empty() {
                continue;
            }
            let item = self.reader.read(self.line, text, None);
            return Some(item.ok_or_else(|| {
                let why = "a line of a kept file is no request any more";
                io::Error::new(io::ErrorKind::InvalidData, why)
            }));
        }
    }
}

fn beside(files: &Path, id: &str) -> PathBuf {
    files.join(format!(".{id}"))
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    options.open(path)
}
