//! One segment: a file, or bytes in memory where there is no folder or the disk takes none.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// What a segment is kept in.
pub(crate) enum Body {
    File { path: PathBuf, file: Arc<File> },
    Memory(Vec<u8>),
}

/// A segment.
pub(crate) struct Segment {
    pub number: u64,
    /// Bytes of whole lines.
    pub len: u64,
    /// Records in it that are not acknowledged.
    pub waiting: u64,
    pub body: Body,
}

impl Segment {
    /// An empty one in memory.
    pub fn in_memory(number: u64) -> Self {
        Self {
            number,
            len: 0,
            waiting: 0,
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
            body: Body::File {
                path,
                file: Arc::new(file),
            },
        })
    }

    /// A file of an earlier process.
    pub fn open(number: u64, path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).open(&path)?;
        Ok(Self {
            number,
            len: file.metadata()?.len(),
            waiting: 0,
            body: Body::File {
                path,
                file: Arc::new(file),
            },
        })
    }

    pub fn is_memory(&self) -> bool {
        matches!(self.body, Body::Memory(_))
    }

    /// Appends whole lines; all of them or, as far as whoever reads is concerned, none.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        match &mut self.body {
            Body::Memory(bytes) => bytes.extend_from_slice(lines),
            Body::File { file, .. } => {
                if let Err(error) = (&**file).write_all(lines) {
                    // What was written of them would make a damaged line.
                    let _ = file.set_len(self.len);
                    return Err(error);
                }
            }
        }
        self.len += lines.len() as u64;
        Ok(())
    }

    /// Cuts what follows that many bytes.
    pub fn cut(&mut self, len: u64) {
        if let Body::File { file, .. } = &self.body {
            // What cannot be cut is passed over when it is read.
            let _ = file.set_len(len);
        }
        self.len = len;
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
            Body::File { file, .. } => {
                let mut file = &**file;
                let mut bytes = Vec::with_capacity(most);
                file.seek(SeekFrom::Start(offset))?;
                file.take(most as u64).read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// It goes, and its file with it.
    pub fn discard(self) {
        if let Body::File { path, .. } = self.body {
            let _ = std::fs::remove_file(path);
        }
    }
}
