//! All segments of a spool, what of them is acknowledged, and what is dropped when there is no room.

mod folder;

use crate::line;
use crate::segment::{Body, Segment};
use crate::{Bounds, SpoolError};
use folder::Folder;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// Text that is written at a time.
const WRITE_BYTES: usize = 64 * 1024;
/// How long a disk that takes nothing is left alone.
const PAUSE_MS: u64 = 1000;

/// A place between two lines: the number of a segment, and an offset in it.
pub(crate) type Position = (u64, u64);

/// Records in their order, and where they end.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The records.
    pub records: Vec<Vec<u8>>,
    /// How many of them are from which segment.
    parts: Vec<(u64, u64)>,
    end: Position,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records as a list between a head and a tail, with commas: `{"events":[` and `]}`, say.
    pub fn joined(&self, head: &str, tail: &str) -> Vec<u8> {
        let mut text = head.as_bytes().to_vec();
        text.extend_from_slice(&self.records.join(&b','));
        text.extend_from_slice(tail.as_bytes());
        text
    }
}

/// The oldest records that wait cannot be read.
#[derive(Debug, Error)]
#[error("records cannot be read: {error}")]
pub struct Unread {
    number: u64,
    #[source]
    error: io::Error,
}

impl Unread {
    /// Somebody took the file away: there is nothing to try again.
    pub fn is_gone(&self) -> bool {
        self.error.kind() == io::ErrorKind::NotFound
    }
}

/// How a spool does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Records that wait to be acknowledged.
    pub waiting: u64,
    /// Bytes of what is kept, acknowledged or not.
    pub bytes: u64,
    /// For how long the oldest of them waits.
    pub age_ms: u64,
    /// Records that were dropped because there was no room.
    pub lost: u64,
    /// Records that were laid aside because nobody takes them.
    pub dead: u64,
    /// Lines that were damaged, and so are no records.
    pub damaged: u64,
    /// The disk takes nothing.
    pub failing: bool,
}

/// What gauges are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub gauges: Gauges,
    /// When the oldest record that waits was written.
    oldest: Option<u64>,
}

impl Shown {
    pub fn at(&self, now_ms: u64) -> Gauges {
        Gauges {
            age_ms: self
                .oldest
                .map_or(0, |oldest| now_ms.saturating_sub(oldest)),
            ..self.gauges
        }
    }
}

pub(crate) struct Store {
    folder: Option<Folder>,
    bounds: Bounds,
    segments: VecDeque<Segment>,
    next: u64,
    acknowledged: Position,
    /// When the oldest record that waits was written, once it was looked at.
    oldest: Option<u64>,
    /// Files with something that the disk may not have yet.
    unsynced: Vec<Arc<File>>,
    retry_at: u64,
    text: Vec<u8>,
    counts: Gauges,
}

impl Store {
    pub fn in_memory(bounds: Bounds) -> Self {
        let bounds = Bounds {
            memory_bytes: bounds.bytes,
            ..bounds
        };
        Self {
            folder: None,
            bounds,
            segments: VecDeque::new(),
            next: 1,
            acknowledged: (0, 0),
            oldest: None,
            unsynced: Vec::new(),
            retry_at: 0,
            text: Vec::new(),
            counts: Gauges::default(),
        }
    }

    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, SpoolError> {
        let folder = Folder::open(path)?;
        let mut store = Self {
            acknowledged: folder.acknowledged(),
            ..Self::in_memory(bounds)
        };
        store.bounds = bounds;
        let mut clean = false;
        for (number, path) in folder.segments()? {
            store.next = number.saturating_add(1);
            let segment = Segment::open(number, path.clone());
            let mut segment = segment.map_err(|error| folder::refused(&path, error))?;
            if number < store.acknowledged.0 {
                segment.discard();
                continue;
            }
            clean = store.look_over(&mut segment)?;
            store.segments.push_back(segment);
        }
        if let Some(last) = store.segments.back_mut().filter(|_| clean) {
            last.resume();
        }
        // A number that was acknowledged is never given to another segment.
        store.next = store.next.max(store.acknowledged.0.saturating_add(1));
        store.folder = Some(folder);
        store.sweep();
        Ok(store)
    }

    /// Counts what an earlier process left in a segment, and cuts the line that it could not finish. Whether it may be written on.
    fn look_over(&mut self, segment: &mut Segment) -> Result<bool, SpoolError> {
        let acknowledged = self.begin_of(segment);
        let from = acknowledged.min(segment.len);
        let text = segment
            .read(from, usize::MAX)
            .map_err(|error| folder::refused(Path::new("a segment"), error))?;
        let mut end = 0;
        for (at, text) in line::lines(&text) {
            end = at + text.len() + 1;
            match line::read(text) {
                Some((at_ms, _)) => {
                    segment.waiting += 1;
                    if segment.waiting == 1 {
                        segment.first_ms = at_ms;
                    }
                }
                None => self.counts.damaged += 1,
            }
        }
        let cut = end == text.len() || segment.cut(from + end as u64).is_ok();
        // Where the machine stopped, a file may have less than was acknowledged of it: what is new there would count as taken.
        Ok(cut && segment.len >= acknowledged)
    }

    pub fn append<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>, now_ms: u64) {
        let mut count = 0;
        let mut text = std::mem::take(&mut self.text);
        for record in records {
            line::write(record, now_ms, &mut text);
            count += 1;
            if text.len() >= WRITE_BYTES {
                self.put(&text, count, now_ms);
                (count, text) = (0, Vec::new());
            }
        }
        if count > 0 {
            self.put(&text, count, now_ms);
        }
        text.clear();
        self.text = text;
    }

    /// Appends lines of so many records.
    fn put(&mut self, text: &[u8], count: u64, now_ms: u64) {
        self.make_room(text.len() as u64);
        let most = self.bounds.segment_bytes;
        let ready = self.segments.back().is_some_and(|last| {
            let again = last.is_memory() && self.folder.is_some() && now_ms >= self.retry_at;
            last.len < most && last.is_open() && !again
        });
        if !ready {
            self.roll(now_ms);
        }
        let Some(last) = self.segments.back_mut() else {
            return;
        };
        if last.len == 0 {
            last.first_ms = now_ms;
        }
        match last.append(text) {
            Ok(()) => {
                last.waiting += count;
                if let Body::File {
                    file: Some(file), ..
                } = &last.body
                    && !self.unsynced.iter().any(|known| Arc::ptr_eq(known, file))
                {
                    self.unsynced.push(Arc::clone(file));
                }
                if !last.is_memory() {
                    self.recovers();
                }
            }
            Err(error) => {
                last.close();
                // A full disk makes files all the same, once for each try.
                if last.len == 0
                    && let Some(empty) = self.segments.pop_back()
                {
                    empty.discard();
                }
                self.fails(&error, now_ms);
                self.stand_in(text, count, now_ms);
            }
        }
    }

    /// Memory takes everything.
    fn stand_in(&mut self, text: &[u8], count: u64, now_ms: u64) {
        let most = self.bounds.segment_bytes;
        let last = self.segments.back();
        if !last.is_some_and(|last| last.is_memory() && last.len < most) {
            let mut empty = Segment::in_memory(self.next);
            empty.first_ms = now_ms;
            self.next += 1;
            self.segments.push_back(empty);
        }
        if let Some(last) = self.segments.back_mut()
            && last.append(text).is_ok()
        {
            last.waiting += count;
        }
    }

    fn fails(&mut self, error: &io::Error, now_ms: u64) {
        if !self.counts.failing {
            tracing::error!(%error, "the disk takes no usage records; they are kept in memory meanwhile");
        }
        self.counts.failing = true;
        self.retry_at = self.retry_at.max(now_ms.saturating_add(PAUSE_MS));
    }

    fn recovers(&mut self) {
        if std::mem::take(&mut self.counts.failing) {
            tracing::info!("the disk takes usage records again");
        }
    }

    /// What stayed in memory while the disk took nothing goes there when it does.
    fn catch_up(&mut self) {
        let Some(folder) = &self.folder else {
            return;
        };
        let mut waits = self.segments.iter_mut().filter(|s| s.is_memory());
        let caught = waits.try_for_each(|segment| {
            let file = segment.written(folder.path_of(segment.number))?;
            self.unsynced.push(file);
            Ok(())
        });
        match caught {
            Ok(()) => self.recovers(),
            Err(error) => self.fails(&error, 0),
        }
    }

    /// Begins a segment.
    fn roll(&mut self, now_ms: u64) {
        let number = self.next;
        self.next += 1;
        let made = match &self.folder {
            None => Ok(Segment::in_memory(number)),
            Some(folder) => Segment::create(number, folder.path_of(number)),
        };
        let segment = made.unwrap_or_else(|error| {
            self.fails(&error, now_ms);
            Segment::in_memory(number)
        });
        if let Some(last) = self.segments.back_mut() {
            last.close();
        }
        self.segments.push_back(segment);
        self.sweep();
    }

    /// Whether these can be appended, and nothing dropped for them.
    pub fn has_room<'a>(&self, records: impl Iterator<Item = &'a [u8]>) -> bool {
        let more: usize = records.map(|record| record.len() + line::OVERHEAD).sum();
        self.total(|_| true).saturating_add(more as u64) <= self.bounds.bytes
    }

    /// Drops the oldest until so many bytes more may be kept.
    fn make_room(&mut self, more: u64) {
        while self.total(|_| true).saturating_add(more) > self.bounds.bytes
            && let Some(oldest) = self.segments.pop_front()
        {
            self.lose(oldest);
        }
        while self.total(Segment::is_memory).saturating_add(more) > self.bounds.memory_bytes
            && let Some(index) = self.segments.iter().position(Segment::is_memory)
            && let Some(oldest) = self.segments.remove(index)
        {
            self.lose(oldest);
        }
    }

    fn total(&self, of: impl Fn(&Segment) -> bool) -> u64 {
        let counted = self.segments.iter().filter(|segment| of(segment));
        counted.map(|segment| segment.len).sum()
    }

    fn lose(&mut self, segment: Segment) {
        if self.counts.lost == 0 && segment.waiting > 0 {
            tracing::error!("usage records are dropped: there is no room for more");
        }
        self.counts.lost += segment.waiting;
        self.oldest = None;
        segment.discard();
    }

    /// Discards what is acknowledged, but for the segment that is written to.
    fn sweep(&mut self) {
        while self.segments.len() > 1
            && let Some(first) = self.segments.front()
            && (first.number, first.len) <= self.acknowledged
            && let Some(first) = self.segments.pop_front()
        {
            first.discard();
        }
    }

    /// The oldest records that are not acknowledged, but for the first so many of them.
    pub fn batch(&self, skip: usize, most: usize, bytes: usize) -> Result<Batch, Unread> {
        let mut skip = skip;
        let mut batch = Batch {
            end: self.acknowledged,
            ..Batch::default()
        };
        let mut left = bytes;
        for segment in &self.segments {
            if segment.number < self.acknowledged.0 {
                continue;
            }
            let mut offset = self.begin_of(segment);
            let mut count = 0;
            let mut unread = None;
            let mut want = left.clamp(1, WRITE_BYTES);
            while offset < segment.len && batch.records.len() < most && left > 0 {
                let text = match segment.read(offset, want) {
                    Ok(text) => text,
                    Err(error) => {
                        unread = Some(error);
                        break;
                    }
                };
                let mut read = 0;
                for (at, text) in line::lines(&text) {
                    let fits = text.len() <= left || batch.records.is_empty();
                    if batch.records.len() >= most || !fits {
                        left = 0;
                        break;
                    }
                    read = at + text.len() + 1;
                    if let Some((_, record)) = line::read(text) {
                        if skip > 0 {
                            skip -= 1;
                            continue;
                        }
                        left = left.saturating_sub(text.len());
                        batch.records.push(record.to_vec());
                        count += 1;
                    }
                }
                offset += read as u64;
                if read == 0 && left > 0 {
                    if want as u64 >= segment.len - offset {
                        break;
                    }
                    want = want.saturating_mul(4);
                }
            }
            batch.end = (segment.number, offset);
            batch.parts.push((segment.number, count));
            // What comes after it would take it along when it is acknowledged.
            match unread {
                Some(error) if batch.records.is_empty() => {
                    return Err(Unread {
                        number: segment.number,
                        error,
                    });
                }
                Some(_) => break,
                None => {}
            }
            if batch.records.len() >= most || left == 0 {
                break;
            }
        }
        Ok(batch)
    }

    /// Where what is not acknowledged begins in a segment.
    fn begin_of(&self, segment: &Segment) -> u64 {
        match segment.number.cmp(&self.acknowledged.0) {
            Ordering::Less => segment.len,
            Ordering::Equal => self.acknowledged.1,
            Ordering::Greater => 0,
        }
    }

    /// Goes on without a segment that cannot be read: its records are counted as lost, and its file is kept for who can.
    pub fn give_up(&mut self, unread: &Unread) {
        let mut numbers = self.segments.iter().map(|segment| segment.number);
        let at = numbers.position(|number| number == unread.number);
        if let Some(segment) = at.and_then(|at| self.segments.remove(at)) {
            tracing::error!(error = %unread.error, records = segment.waiting, "usage records cannot be read, and are given up");
            self.counts.lost += segment.waiting;
            self.oldest = None;
            segment.set_aside();
        }
    }

    pub fn acknowledge(&mut self, batch: &Batch) {
        if batch.end <= self.acknowledged {
            return;
        }
        for (number, count) in &batch.parts {
            let mut segments = self.segments.iter_mut();
            if let Some(segment) = segments.find(|segment| segment.number == *number) {
                segment.waiting = segment.waiting.saturating_sub(*count);
                if batch.end.0 > *number || batch.end.1 >= segment.len {
                    // All of it was read, and these were no records any more.
                    self.counts.damaged += std::mem::take(&mut segment.waiting);
                }
            }
        }
        self.acknowledged = batch.end;
        self.oldest = None;
        self.sweep();
        if let Some(folder) = &self.folder {
            // Else they are told once more after a restart.
            let _ = folder.acknowledge(batch.end);
        }
    }

    /// Gives up its files; all that they hold is acknowledged.
    pub fn clear(&mut self) {
        for segment in self.segments.drain(..) {
            segment.discard();
        }
    }

    pub fn bury(&mut self, batch: &Batch) -> io::Result<()> {
        if let Some(folder) = &self.folder {
            let mut text = Vec::new();
            for record in &batch.records {
                line::write(record, 0, &mut text);
            }
            folder.bury(&text, self.bounds.bytes / 8)?;
        }
        self.counts.dead += batch.records.len() as u64;
        self.acknowledge(batch);
        Ok(())
    }

    /// Files to sync.
    pub fn due_sync(&mut self) -> Vec<Arc<File>> {
        if self.segments.iter().any(Segment::is_memory) {
            self.catch_up();
        }
        std::mem::take(&mut self.unsynced)
    }

    /// The disk did not take what is in these.
    pub fn sync_again(&mut self, files: Vec<Arc<File>>) {
        self.unsynced.extend(files);
    }

    /// How it does, whatever the time.
    pub fn shown(&mut self) -> Shown {
        let waiting = self.segments.iter().map(|segment| segment.waiting).sum();
        if waiting == 0 {
            self.oldest = None;
        } else if self.oldest.is_none() {
            self.oldest = self.oldest();
        }
        Shown {
            gauges: Gauges {
                waiting,
                bytes: self.total(|_| true),
                ..self.counts
            },
            oldest: self.oldest,
        }
    }

    /// When the oldest record that waits was written.
    fn oldest(&self) -> Option<u64> {
        let mut waiting = self.segments.iter().filter(|segment| segment.waiting > 0);
        let segment = waiting.next()?;
        let found = match self.begin_of(segment) {
            0 => None,
            from => segment.read(from, WRITE_BYTES).ok().and_then(|text| {
                line::lines(&text).find_map(|(_, text)| Some(line::read(text)?.0))
            }),
        };
        Some(found.unwrap_or(segment.first_ms))
    }
}
