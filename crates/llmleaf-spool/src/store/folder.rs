//! The folder of a spool: its lock, its segments, how far they are acknowledged, and what nobody takes.

use super::Position;
use crate::SpoolError;
use crate::faults::{self, Act};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Digits of a segment's number in its name.
const DIGITS: usize = 20;
const SEGMENT: &str = "seg";

pub(super) struct Folder {
    path: PathBuf,
    /// Held as long as the spool is open; the system gives it back when the process ends, however that happens.
    _lock: File,
}

pub(super) fn refused(path: &Path, error: io::Error) -> SpoolError {
    SpoolError::Io {
        path: path.display().to_string(),
        error,
    }
}

impl Folder {
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        std::fs::create_dir_all(path).map_err(|error| refused(path, error))?;
        let name = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(&name).map_err(|error| refused(&name, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(path.display().to_string())),
            Err(TryLockError::Error(error)) => Err(refused(&name, error)),
        }
    }

    /// The segments that are there, in their order. Other files are left alone.
    pub fn segments(&self) -> Result<Vec<(u64, PathBuf)>, SpoolError> {
        let entries = std::fs::read_dir(&self.path).map_err(|error| refused(&self.path, error))?;
        let numbered = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_stem()?.to_str()?;
            let ours = path.extension()? == SEGMENT && number.len() == DIGITS;
            Some((number.parse().ok().filter(|_| ours)?, path))
        });
        let mut segments: Vec<(u64, PathBuf)> = numbered.collect();
        segments.sort_unstable();
        Ok(segments)
    }

    pub fn path_of(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:0DIGITS$}.{SEGMENT}"))
    }

    /// How far records are acknowledged. What cannot be read says that none are: they are told again.
    pub fn acknowledged(&self) -> Position {
        let text = std::fs::read_to_string(self.path.join("acknowledged"));
        text.ok().as_deref().and_then(position).unwrap_or_default()
    }

    /// Takes note of how far records are acknowledged: the whole note or none of it.
    pub fn acknowledge(&self, (number, offset): Position) -> io::Result<()> {
        let text = format!("{number} {offset}");
        let new = self.path.join("acknowledged.new");
        std::fs::write(
            &new,
            format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes())),
        )?;
        std::fs::rename(new, self.path.join("acknowledged"))
    }

    /// Lays lines aside. When there are too many, the older ones go.
    pub fn bury(&self, text: &[u8], most: u64) -> io::Result<()> {
        let path = self.path.join("dead.log");
        let full = std::fs::metadata(&path).is_ok_and(|found| found.len() >= most);
        if full {
            std::fs::rename(&path, self.path.join("dead.old.log"))?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let before = file.metadata()?.len();
        let written = faults::pass(Act::Write)
            .and_then(|()| file.write_all(text))
            .and_then(|()| file.sync_data());
        if written.is_err() {
            let _ = file.set_len(before);
        }
        written
    }
}

fn position(text: &str) -> Option<Position> {
    let (text, sum) = text.trim_end().rsplit_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(text.as_bytes()) {
        return None;
    }
    let (number, offset) = text.split_once(' ')?;
    Some((number.parse().ok()?, offset.parse().ok()?))
}
