//! Files of requests that are kept here, since no target of their models keeps any.
//!
//! ```text
//! files/<id>/file.json      what is known of it
//!            lines.jsonl    its lines, as they came
//! ```

use super::folders::{create, folder, hidden, ids, place, read, remove, sweep_hidden, synced};
use super::store::KEPT_SECS;
use bytes::Bytes;
use llmleaf_config::Config;
use llmleaf_dialects::batches::{BatchForm, Item, Task, items};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the lines of a file are called.
const LINES: &str = "lines.jsonl";

/// The part of the directory where files are.
#[derive(Clone, Debug)]
pub struct Shelf {
    files: PathBuf,
    /// Files and bytes of each key that are being written.
    coming: Arc<Mutex<HashMap<String, (usize, u64)>>>,
}

/// How much may be kept of a key's files.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Files.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Quota {
    /// As it is configured.
    pub fn new(config: &Config) -> Self {
        Self {
            files: config.server.max_files_per_key,
            bytes: config.server.max_file_bytes_per_key,
        }
    }
}

/// What a key has too much of for another file, or a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Files.
    Files,
    /// Bytes.
    Bytes,
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
    place: Place,
    quota: Quota,
    id: String,
    lines: File,
    bytes: u64,
    /// Bytes that its key had here when it was begun.
    before: u64,
    done: bool,
}

/// The place of a file that is being written among those of its key; dropping it gives it back.
#[derive(Debug)]
struct Place {
    shelf: Shelf,
    owner: String,
    bytes: u64,
}

impl Place {
    /// Takes one; how many there were before.
    fn take(shelf: &Shelf, owner: &str) -> (Self, usize) {
        let mut coming = shelf.coming.lock();
        let (files, _) = coming.entry(owner.to_owned()).or_default();
        let before = *files;
        *files += 1;
        drop(coming);
        let place = Self {
            shelf: shelf.clone(),
            owner: owner.to_owned(),
            bytes: 0,
        };
        (place, before)
    }

    /// So many bytes more; those of all of its key.
    fn add(&mut self, more: u64) -> u64 {
        let mut coming = self.shelf.coming.lock();
        let (_, bytes) = coming.entry(self.owner.clone()).or_default();
        *bytes = bytes.saturating_add(more);
        self.bytes = self.bytes.saturating_add(more);
        *bytes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut coming = self.shelf.coming.lock();
        if let Some((files, bytes)) = coming.get_mut(&self.owner) {
            *files = files.saturating_sub(1);
            *bytes = bytes.saturating_sub(self.bytes);
            if *files == 0 {
                coming.remove(&self.owner);
            }
        }
    }
}

impl Shelf {
    /// In this directory, which is made.
    ///
    /// # Errors
    /// The system's.
    pub fn open(root: &Path) -> io::Result<Self> {
        let files = root.join("files");
        folder(&files)?;
        let coming = Arc::default();
        Ok(Self { files, coming })
    }

    /// Begins a file of a key, if that may have another one. What others write at this moment into the same directory is not known.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, id: &str, owner: &str, quota: Quota) -> io::Result<Result<Writing, Over>> {
        let beside = hidden(&self.files, id);
        // Its place is taken first: the directory is not looked through while others wait.
        let (place, before) = Place::take(self, owner);
        let kept = self.of(owner);
        if kept.len().saturating_add(before) >= quota.files {
            return Ok(Err(Over::Files));
        }
        folder(&beside)?;
        let lines = create(&beside.join(LINES))?;
        Ok(Ok(Writing {
            place,
            quota,
            id: id.to_owned(),
            lines,
            bytes: 0,
            before: sum(&kept),
            done: false,
        }))
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
        remove(&self.files, id)
    }

    /// Every file of a key, newest first.
    pub fn of(&self, owner: &str) -> Vec<(String, Card)> {
        let cards = ids(&self.files).into_iter().rev().filter_map(|id| {
            let card = self.card(&id)?;
            Some((id, card))
        });
        cards.filter(|(_, card)| card.owner == owner).collect()
    }

    /// Forgets what is old.
    pub fn sweep(&self, now: u64) {
        for id in ids(&self.files) {
            let old = |card: Card| card.created.saturating_add(KEPT_SECS) < now;
            if self.card(&id).is_some_and(old) {
                let _ = self.forget(&id);
            }
        }
        sweep_hidden(&self.files);
    }
}

impl Writing {
    /// Adds what came of it, as long as its key may have so much.
    ///
    /// # Errors
    /// The system's.
    pub fn add(&mut self, pieces: &[Bytes]) -> io::Result<Result<(), Over>> {
        for piece in pieces {
            let more = piece.len() as u64;
            let all = self.place.add(more).saturating_add(self.before);
            self.bytes = self.bytes.saturating_add(more);
            if all > self.quota.bytes {
                return Ok(Err(Over::Bytes));
            }
            self.lines.write_all(piece)?;
        }
        Ok(Ok(()))
    }

    /// Puts it where it is found. When this returns it is on the disk.
    ///
    /// # Errors
    /// The system's; then there is nothing of it.
    pub fn finish(mut self, mut card: Card) -> io::Result<Result<Card, Over>> {
        // Others of the same key may have come to their end meanwhile.
        let Place { shelf, owner, .. } = &self.place;
        let kept = sum(&shelf.of(owner));
        if kept.saturating_add(self.bytes) > self.quota.bytes {
            return Ok(Err(Over::Bytes));
        }
        self.lines.sync_all()?;
        card.bytes = self.bytes;
        // From here on whatever fails leaves nothing.
        self.done = true;
        place(&self.place.shelf.files, &self.id, synced, |beside| {
            // A card without its lines is worse than none.
            fs::metadata(beside.join(LINES))?;
            let mut file = create(&beside.join("file.json"))?;
            serde_json::to_writer(&mut file, &card)?;
            file.sync_all()?;
            synced(beside)
        })?;
        Ok(Ok(card))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(hidden(&self.place.shelf.files, &self.id));
        }
    }
}

/// The bytes of these files.
fn sum(files: &[(String, Card)]) -> u64 {
    let bytes = files.iter().map(|(_, card)| card.bytes);
    bytes.fold(0, u64::saturating_add)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_share_of_the_directory_and_no_more() {
        let name = format!("llmleaf-shelf-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let shelf = Shelf::open(&root).expect("a folder");
        let quota = Quota {
            files: 2,
            bytes: 10,
        };
        let card = |owner: &str| Card {
            owner: owner.to_owned(),
            filename: "a.jsonl".to_owned(),
            created: 1,
            bytes: 0,
            task: 'c',
            models: vec!["m".to_owned()],
            requests: 1,
        };
        let begin = |id: &str, owner: &str| shelf.write(id, owner, quota).expect("a disk");
        let keep = |id: &str, owner: &str, lines: &'static [u8]| {
            let mut writing = begin(id, owner)?;
            let added = writing.add(&[Bytes::from_static(lines)]);
            added.expect("a disk")?;
            writing.finish(card(owner)).expect("a disk").map(drop)
        };
        assert_eq!(keep("1", "me", b"12345678901"), Err(Over::Bytes));
        assert_eq!(keep("2", "me", b"123456"), Ok(()));
        assert_eq!(keep("3", "me", b"12345"), Err(Over::Bytes));
        // What is being written counts, until it is given up.
        let mut half = begin("4", "me").expect("there is room");
        let all = [Bytes::from_static(b"1234")];
        assert_eq!(half.add(&all).expect("a disk"), Ok(()));
        assert_eq!(keep("5", "me", b""), Err(Over::Files));
        drop(half);
        assert_eq!(keep("6", "me", b"1234"), Ok(()));
        assert_eq!(keep("7", "me", b""), Err(Over::Files));
        assert_eq!(keep("8", "you", b"1234567890"), Ok(()));
        // Two that came at the same time.
        let both = ["a", "b"].map(|id| {
            let mut writing = begin(id, "both").expect("there is room");
            let all = [Bytes::from_static(b"12345")];
            assert_eq!(writing.add(&all).expect("a disk"), Ok(()));
            writing
        });
        let [mut first, second] = both;
        let finished = second.finish(card("both")).expect("a disk");
        assert!(finished.is_ok());
        let more = [Bytes::from_static(b"1")];
        assert_eq!(first.add(&more).expect("a disk"), Ok(()));
        let finished = first.finish(card("both")).expect("a disk");
        assert_eq!(finished.err(), Some(Over::Bytes));
        shelf.forget("2").expect("it goes");
        assert_eq!(keep("9", "me", b"123456"), Ok(()));
        assert_eq!(shelf.of("me").len(), 2);
        assert!(shelf.coming.lock().is_empty());
        let left = fs::read_dir(root.join("files")).expect("a folder").count();
        assert_eq!(left, 4, "nothing of what was refused");
        fs::remove_dir_all(root).expect("it goes");
    }
}
