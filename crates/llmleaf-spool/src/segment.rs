//! One segment: a file, or bytes in memory where there is no folder or the disk takes none.

use crate::faults::{self, Act};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What a segment is kept in.
pub(crate) enum Body {
    /// A file, which is open while it is written to: one descriptor, however many segments wait.
    File {
        path: PathBuf,
        file: Option<Arc<File>>,
    },
    Memory(Vec<u8>),
}

/// A segment.
pub(crate) struct Segment {
    pub number: u64,
    /// Bytes of whole lines.
    pub len: u64,
    /// Records in it that are not acknowledged.
    pub waiting: u64,
    /// When its first record was written.
    pub first_ms: u64,
    pub body: Body,
}

impl Segment {
    /// An empty one in memory.
    pub fn in_memory(number: u64) -> Self {
        Self {
            number,
            len: 0,
            waiting: 0,
            first_ms: 0,
            body: Body::Memory(Vec::new()),
        }
    }

    /// A new file.
    pub fn create(number: u64, path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        let file = options.open(&path)?;
        Ok(Self {
            number,
            len: 0,
            waiting: 0,
            first_ms: 0,
            body: Body::File {
                path,
                file: Some(Arc::new(file)),
            },
        })
    }

    /// A file of an earlier process.
    pub fn open(number: u64, path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            number,
            len: std::fs::metadata(&path)?.len(),
            waiting: 0,
            first_ms: 0,
            body: Body::File { path, file: None },
        })
    }

    pub fn is_memory(&self) -> bool {
        matches!(self.body, Body::Memory(_))
    }

    /// Whether more can be appended.
    pub fn is_open(&self) -> bool {
        !matches!(self.body, Body::File { file: None, .. })
    }

    /// What an earlier process began is written on. Where that cannot be, another is begun.
    pub fn resume(&mut self) {
        if let Body::File { path, file } = &mut self.body {
            let mut options = OpenOptions::new();
            *file = options
                .read(true)
                .append(true)
                .open(path)
                .ok()
                .map(Arc::new);
        }
    }

    /// Nothing more is written to it.
    pub fn close(&mut self) {
        if let Body::File { file, .. } = &mut self.body {
            *file = None;
        }
    }

    /// Appends whole lines; all of them or, as far as whoever reads is concerned, none.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match &mut self.body {
            Body::Memory(bytes) => bytes.extend_from_slice(lines),
            Body::File { file, .. } => {
                let file = file.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
                let written = faults::pass(Act::Write).and_then(|()| (&**file).write_all(lines));
                if let Err(error) = written {
                    // What was written of them would make a damaged line.
                    let _ = file.set_len(self.len);
                    return Err(error);
                }
            }
        }
        self.len += lines.len() as u64;
        Ok(())
    }

    /// What is in memory is written to a file, all of it or none, and nothing more to that. The file, to be synced.
    pub fn written(&mut self, path: PathBuf) -> io::Result<Arc<File>> {
        let Body::Memory(bytes) = &self.body else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let written = faults::pass(Act::Write).and_then(|()| (&file).write_all(bytes));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        self.body = Body::File { path, file: None };
        Ok(Arc::new(file))
    }

    /// Cuts what follows that many bytes. What cannot be cut is never read, and nothing may be written behind it.
    pub fn cut(&mut self, len: u64) -> io::Result<()> {
        self.len = len;
        match &self.body {
            Body::File { path, .. } => OpenOptions::new().write(true).open(path)?.set_len(len),
            Body::Memory(_) => Ok(()),
        }
    }

    /// At most so many bytes from an offset on.
    pub fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = most.min(left);
        match &self.body {
            Body::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = bytes.get(from..).unwrap_or_default();
                Ok(bytes.get(..most).unwrap_or(bytes).to_vec())
            }
            Body::File {
                file: Some(file), ..
            } => section(file, offset, most),
            Body::File { path, file: None } => section(&File::open(path)?, offset, most),
        }
    }

    /// It goes, and its file stays under another name, for people.
    pub fn set_aside(self) {
        if let Body::File { path, .. } = self.body {
            let _ = std::fs::rename(&path, path.with_extension("unread"));
        }
    }

    /// It goes, and its file with it.
    pub fn discard(self) {
        if let Body::File { path, .. } = self.body {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn section(mut file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    faults::pass(Act::Read)?;
    let mut bytes = Vec::with_capacity(most);
    file.seek(SeekFrom::Start(offset))?;
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
