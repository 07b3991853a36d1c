//! What has begun and not ended, in a file of its own: so that the next process can tell of what died with this one.
//!
//! Notes are written when what they are about is kept, and only of what is then still open: most of what begins ends before, and leaves no
//! trace here.

use crate::line;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Most that are known to be open; of more, nothing is noted.
const MOST: usize = 100_000;
/// The file is written anew when it is this large, and mostly about what has ended.
const LARGE: u64 = 1024 * 1024;

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
}

impl Open {
    /// Reads what an earlier process left open, and begins anew.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn recover(path: &Path) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut left: HashMap<&[u8], &[u8]> = HashMap::new();
        for (_, text) in line::lines(&text) {
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
        let left = left.into_values().map(<[u8]>::to_vec).collect();
        let mut options = OpenOptions::new();
        let file = options.create(true).write(true).truncate(true).open(path)?;
        let open = Self {
            path: path.to_owned(),
            file,
            bytes: 0,
            live: 0,
            noted: HashMap::new(),
            fresh: HashMap::new(),
            text: Vec::new(),
        };
        Ok((open, left))
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

    /// It has ended.
    pub fn end(&mut self, id: &str, now_ms: u64) {
        if self.fresh.remove(id).is_none()
            && let Some(noted) = self.noted.remove(id)
        {
            self.live = self.live.saturating_sub(noted.len() as u64);
            line::write(&[b"-", id.as_bytes()].concat(), now_ms, &mut self.text);
        }
    }

    /// What has ended is kept elsewhere now: it need not be known here.
    pub fn kept(&mut self) {
        for (id, text) in self.fresh.drain() {
            self.text.extend_from_slice(&text);
            self.live += text.len() as u64;
            self.noted.insert(id, text);
        }
        if self.text.is_empty() {
            return;
        }
        // What cannot be written is not told by the next process: the records themselves are elsewhere.
        if self.file.write_all(&self.text).is_ok() {
            self.bytes += self.text.len() as u64;
        }
        self.text.clear();
        if self.bytes > LARGE && self.bytes > 4 * self.live {
            let _ = self.rewrite();
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        let text = self.noted.values().cloned().collect::<Vec<_>>().concat();
        file.write_all(&text)?;
        std::fs::rename(new, &self.path)?;
        self.bytes = text.len() as u64;
        self.file = file;
        Ok(())
    }
}
