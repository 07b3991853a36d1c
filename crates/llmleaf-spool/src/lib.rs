//! Records that must not be lost, on their way to somebody who may be away: appended to bounded files, read in batches, acknowledged, and
//! read again by the next process where they were not.
//!
//! A segment is a file of lines, so that it can be read by people and that a damaged record costs itself alone: eight digits of a checksum, the
//! time in unix milliseconds, the record. Delivery is at least once; whoever takes records knows them by the ids in them.
//!
//! What this crate does not know: what a record is (bytes without a line end), how it is pushed, and the time, which it is told.
//!
//! Reading order: [`line`] (the format), `segment` (one file, or its stand-in in memory), `store` (all of them), [`Spool`] (what it is
//! for), [`delivery`] (when to push what), [`scribe`] (the thread that writes), [`open`] (what had begun when a process died).

pub mod delivery;
mod faults;
pub mod line;
pub mod open;
pub mod scribe;
mod segment;
mod store;

pub use delivery::{Delivery, Next, Verdict};
pub use open::Open;
pub use scribe::{Flushed, NoRoom, Pen, Scribe};
pub use store::{Batch, Gauges, Unread};

use faults::Act;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use store::{Shown, Store};
use thiserror::Error;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of records that wait, in files or in memory; beyond them the oldest are dropped, and counted.
    pub bytes: u64,
    /// Bytes of one segment.
    pub segment_bytes: u64,
    /// Most bytes in memory while the disk takes none.
    pub memory_bytes: u64,
}

impl Bounds {
    /// For so many bytes in all.
    pub fn of(bytes: u64) -> Self {
        Self {
            bytes,
            segment_bytes: (bytes / 16).clamp(4 * 1024, 8 * 1024 * 1024),
            memory_bytes: bytes.min(8 * 1024 * 1024),
        }
    }
}

/// A spool that cannot be opened.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// Another process has it.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// The system refuses.
    #[error("cannot use {path}: {error}")]
    Io {
        /// The file or folder.
        path: String,
        /// The system's word.
        #[source]
        error: std::io::Error,
    },
    /// Its records cannot be read.
    #[error(transparent)]
    Unread(#[from] Unread),
}

/// Whether the disk has what was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// It has, or there is none.
    Yes,
    /// Some of it is in memory alone, or may be.
    No,
}

/// Most records, and bytes of them, that are taken over at a time.
const ADOPTED: usize = 1024;
const ADOPTED_BYTES: usize = 4 * 1024 * 1024;

/// A spool. Clones are the same one; one thread writes, another reads.
#[derive(Clone)]
pub struct Spool(Arc<Shared>);

struct Shared {
    /// Held while a disk is waited for.
    store: Mutex<Store>,
    /// How it does, for those who must not wait for a disk.
    shown: Mutex<Shown>,
    /// Held while the disk takes what was appended: who finds nothing left to sync must know that it is there.
    syncing: Mutex<()>,
}

impl Spool {
    /// In a folder, which is made where it is not there, with what an earlier process left in it.
    ///
    /// # Errors
    /// The folder cannot be used, or another process has it.
    pub fn open(folder: &Path, bounds: Bounds) -> Result<Self, SpoolError> {
        Ok(Self::of(Store::open(folder, bounds)?))
    }

    /// In memory alone: what is not delivered is lost with the process.
    pub fn in_memory(bounds: Bounds) -> Self {
        Self::of(Store::in_memory(bounds))
    }

    fn of(mut store: Store) -> Self {
        let shown = Mutex::new(store.shown());
        let store = Mutex::new(store);
        Self(Arc::new(Shared {
            store,
            shown,
            syncing: Mutex::new(()),
        }))
    }

    fn change<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.0.store.lock();
        let done = work(&mut store);
        let shown = store.shown();
        *self.0.shown.lock() = shown;
        done
    }

    /// Appends records. They are the system's when this returns, and outlive the process. Nothing fails: what cannot be kept is counted in
    /// [`Gauges::lost`].
    pub fn append<'a>(&self, records: impl IntoIterator<Item = &'a [u8]>, now_ms: u64) {
        self.change(|store| store.append(records.into_iter(), now_ms));
    }

    /// Has the disk take what was appended, for the case that the machine stops. Whether all that waits is there, or was never to be.
    pub fn sync(&self) -> Kept {
        let _turn = self.0.syncing.lock();
        let mut files = self.change(Store::due_sync);
        // A slow disk keeps nobody from appending.
        files.retain(|file| {
            let synced = faults::pass(Act::Sync).and_then(|()| file.sync_data());
            if let Err(error) = &synced {
                tracing::error!(%error, "the disk may not have the last usage records");
            }
            synced.is_err()
        });
        let synced = files.is_empty();
        if !synced {
            self.change(|store| store.sync_again(files));
        }
        match synced && !self.0.shown.lock().gauges.failing {
            true => Kept::Yes,
            false => Kept::No,
        }
    }

    /// The oldest records that are not acknowledged, in their order: at most so many, and at most so many bytes unless one alone has more.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn batch(&self, most: usize, bytes: usize) -> Result<Batch, Unread> {
        self.0.store.lock().batch(0, most, bytes)
    }

    /// The record that comes so many after the oldest one that is not acknowledged.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn one_after(&self, skip: usize, bytes: usize) -> Result<Batch, Unread> {
        self.0.store.lock().batch(skip, 1, bytes)
    }

    /// Goes on without the records that could not be read. They are counted as lost; their file is kept beside the others, as `.unread`.
    pub fn give_up(&self, unread: &Unread) {
        self.change(|store| store.give_up(unread));
    }

    /// A batch has arrived: its records are not told again. Of what was dropped meanwhile, nothing is left to acknowledge.
    pub fn acknowledge(&self, batch: &Batch) {
        self.change(|store| store.acknowledge(batch));
    }

    /// A batch that nobody will ever take: laid aside in a file of its own, `dead.log`, and not told again.
    ///
    /// # Errors
    /// The disk does not take it. It waits on.
    pub fn bury(&self, batch: &Batch) -> std::io::Result<()> {
        self.change(|store| store.bury(batch))
    }

    /// Takes over what another spool has, if nobody has that one open: its records, and what had begun there and not ended. Nothing of it
    /// goes before it is on this one's disk; where that takes it not, or has no room, it stays where it is. Returns how many records.
    ///
    /// # Errors
    /// Its folder cannot be read. What was not taken over stays there.
    pub fn adopt(&self, folder: &Path, bounds: Bounds, now_ms: u64) -> Result<u64, SpoolError> {
        let other = match Self::open(folder, bounds) {
            Ok(other) => other,
            Err(SpoolError::InUse(_)) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut taken = 0;
        loop {
            let batch = other.batch(ADOPTED, ADOPTED_BYTES)?;
            if batch.is_empty() {
                break;
            }
            if self.take_over(&batch.records, now_ms) == Kept::No {
                return Ok(taken);
            }
            taken += batch.records.len() as u64;
            other.acknowledge(&batch);
        }
        let (mut open, left) = Open::recover(folder).map_err(|error| SpoolError::Io {
            path: folder.display().to_string(),
            error,
        })?;
        if self.take_over(&left, now_ms) == Kept::Yes {
            taken += left.len() as u64;
            open.settled();
            other.change(Store::clear);
        }
        Ok(taken)
    }

    fn take_over(&self, records: &[Vec<u8>], now_ms: u64) -> Kept {
        let records = || records.iter().map(Vec::as_slice);
        if !self.0.store.lock().has_room(records()) {
            return Kept::No;
        }
        self.append(records(), now_ms);
        self.sync()
    }

    /// How it does. Waits for no disk.
    pub fn gauges(&self, now_ms: u64) -> Gauges {
        self.0.shown.lock().at(now_ms)
    }
}

#[cfg(test)]
mod tests;
