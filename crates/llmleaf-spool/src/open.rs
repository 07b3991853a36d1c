//! What has begun and not ended, in a file of its own: so that the next process can tell of what died with this one.
//!
//! Notes are written when what they are about is kept, and only of what is then still open: most of what begins ends before, and leaves no
//! trace here.

use crate::faults::{self, Act};
use crate::line;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Most that are known to be open; of more, nothing is noted.
const MOST: usize = 100_000;
/// The file is written anew when it is this large, and mostly about what has ended.
const LARGE: u64 = 1024 * 1024;

/// The name of the file in the folder of a spool.
const NAME: &str = "open";
/// How long a disk that takes nothing is left alone.
const PAUSE_MS: u64 = 1000;

/// The notes.
pub struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// Bytes of it that are about what is open.
    live: u64,
    /// Open, and noted in the file.
    noted: HashMap<String, Vec<u8>>,
    /// Open since the last time that something was kept.
    fresh: HashMap<String, Vec<u8>>,
    /// Lines to be written.
    text: Vec<u8>,
    /// The file says something else than what is known here, and is written anew then.
    stale: Option<u64>,
}

impl Open {
    /// Reads what an earlier process left open. It stays noted until [`Open::settled`].
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn recover(folder: &Path) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(&path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end as u64 + 1);
        if whole < text.len() as u64 {
            // A line that follows a torn one would be lost with it.
            file.set_len(whole)?;
        }
        let open = Self {
            path,
            file,
            bytes: whole,
            live: whole,
            noted: HashMap::new(),
            fresh: HashMap::new(),
            text: Vec::new(),
            stale: None,
        };
        Ok((open, left_open(&text)))
    }

    /// What an earlier process left open is kept elsewhere now, where it outlives the machine.
    pub fn settled(&mut self) {
        // What cannot be cut is told again by the next process.
        if self.file.set_len(0).is_ok() {
            (self.bytes, self.live) = (0, 0);
        }
    }

    /// Something begins. Its id has no spaces.
    pub fn begin(&mut self, id: &str, what: &[u8], now_ms: u64) {
        if self.noted.len() + self.fresh.len() < MOST {
            let mut text = Vec::with_capacity(what.len() + id.len() + 40);
            line::write(
                &[b"+", id.as_bytes(), b" ", what].concat(),
                now_ms,
                &mut text,
            );
            self.fresh.insert(id.to_owned(), text);
        }
    }

    /// It has ended. Whether it was known to be open.
    pub fn end(&mut self, id: &str, now_ms: u64) -> bool {
        if self.fresh.remove(id).is_some() {
            return true;
        }
        let noted = self.noted.remove(id);
        if let Some(noted) = &noted {
            self.live = self.live.saturating_sub(noted.len() as u64);
            line::write(&[b"-", id.as_bytes()].concat(), now_ms, &mut self.text);
        }
        noted.is_some()
    }

    /// What has ended is kept elsewhere now: it need not be known here. Whether all that is open is on the disk.
    pub fn kept(&mut self, now_ms: u64) -> bool {
        for (id, text) in self.fresh.drain() {
            self.text.extend_from_slice(&text);
            self.live += text.len() as u64;
            self.noted.insert(id, text);
        }
        let text = std::mem::take(&mut self.text);
        let large = self.bytes > LARGE && self.bytes > 4 * self.live;
        let kept = match self.stale {
            Some(again) if now_ms < again => return false,
            Some(_) => self.rewrite(),
            None if text.is_empty() => return true,
            None => self.write(&text).and_then(|()| match large {
                true => self.rewrite(),
                false => Ok(()),
            }),
        };
        self.stale = match kept {
            Ok(()) => None,
            Err(_) => Some(now_ms.saturating_add(PAUSE_MS)),
        };
        self.stale.is_none()
    }

    /// All of it, or none.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let written = faults::pass(Act::Write).and_then(|()| self.file.write_all(text));
        if written.is_err() {
            let _ = self.file.set_len(self.bytes);
            return written;
        }
        self.bytes += text.len() as u64;
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        faults::pass(Act::Write)?;
        let new = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(&new)?;
        file.set_len(0)?;
        let text = self.noted.values().cloned().collect::<Vec<_>>().concat();
        file.write_all(&text)?;
        std::fs::rename(new, &self.path)?;
        (self.bytes, self.live) = (text.len() as u64, text.len() as u64);
        self.file = file;
        Ok(())
    }
}

/// What of this has begun and not ended.
fn left_open(text: &[u8]) -> Vec<Vec<u8>> {
    let mut left: HashMap<&[u8], &[u8]> = HashMap::new();
    for (_, text) in line::lines(text) {
        let Some((_, note)) = line::read(text) else {
            continue;
        };
        match note.split_first() {
            Some((b'+', rest)) => {
                let at = rest.iter().position(|byte| *byte == b' ');
                let parts = at.and_then(|at| rest.split_at_checked(at));
                if let Some((id, what)) = parts {
                    left.insert(id, what.get(1..).unwrap_or_default());
                }
            }
            Some((b'-', id)) => {
                left.remove(id);
            }
            _ => {}
        }
    }
    left.into_values().map(<[u8]>::to_vec).collect()
}
