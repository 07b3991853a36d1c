//! A consumer's body that is sent on while it comes, and never held whole.
//!
//! Whoever reads pulls: what the upstream's socket does not take is not asked of the consumer's. So its size costs nothing, and one of
//! the two that is slow slows the other.
//!
//! What makes another attempt possible is held beside it, for as long as it is little: the *tape*. A target that cannot be reached, or
//! that refuses at once, has taken nothing or little, so the next one is tried. When more was taken than the tape may hold it is let go,
//! and the attempt under way is the last one.
//!
//! Reading order: this file (source, tape, reader), `form.rs` (what a form says before its file), `sending.rs`.

mod form;
mod sending;

pub use form::{Field, Form, Wanted};
pub(crate) use sending::{answered, broken, early, gone, hasty, sent};

use bytes::{Bytes, BytesMut};
use llmleaf_model::{Failure, FailureKind, Origin};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Most bytes of one upload that are held for another attempt.
const TAPE_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of all uploads of a worker that are held.
const ROOM_BYTES: usize = 128 * 1024 * 1024;
/// Bytes of a piece of tape.
const SEGMENT: usize = 64 * 1024;

/// Where a body comes from.
pub trait Source {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The consumer's body is too large, too slow, or cut off.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>>;

    /// Goes back to its beginning; false where that is gone, as it is unless somebody keeps it.
    fn begin_again(&mut self) -> bool {
        false
    }
}

/// What a worker holds of uploads, or of sessions, all together. Clones share it.
#[derive(Clone, Debug)]
pub struct Room {
    held: Rc<Cell<usize>>,
    most: usize,
}

impl Default for Room {
    /// That of uploads.
    fn default() -> Self {
        Self::new(ROOM_BYTES)
    }
}

impl Room {
    /// Nothing is held, of so many bytes at most.
    pub fn new(most: usize) -> Self {
        Self {
            held: Rc::default(),
            most,
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let held = self.held.get().saturating_add(bytes);
        let fits = held <= self.most;
        if fits {
            self.held.set(held);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.held.set(self.held.get().saturating_sub(bytes));
    }

    /// A part of it, which may become larger and smaller.
    pub fn share(&self) -> Share {
        Share {
            room: self.clone(),
            bytes: 0,
        }
    }
}

/// What somebody holds of a room. Dropping it gives it back.
#[derive(Debug)]
pub struct Share {
    room: Room,
    bytes: usize,
}

impl Share {
    /// So many bytes are held now, whether there is room for them or not.
    pub fn hold(&mut self, bytes: usize) {
        self.room.give_back(self.bytes);
        self.bytes = bytes;
        let held = self.room.held.get().saturating_add(bytes);
        self.room.held.set(held);
    }

    /// How many bytes more there is room for.
    pub fn left(&self) -> usize {
        self.room.most.saturating_sub(self.room.held.get())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

/// A consumer's body under way. Clones are the same one.
#[derive(Clone)]
pub struct Upload(Rc<RefCell<Inflow>>);

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inflow = self.0.borrow();
        let held = inflow.tape.as_ref().map(|tape| tape.length);
        f.debug_struct("Upload").field("held", &held).finish()
    }
}

impl Upload {
    /// A body that has not been touched. `length` is what the consumer says that it has.
    pub fn new(source: Box<dyn Source>, length: Option<u64>, room: Room) -> Self {
        let tape = Tape {
            segments: Vec::new(),
            length: 0,
            most: TAPE_BYTES,
            room,
        };
        Self::of(source, length, Some(tape))
    }

    /// What is kept elsewhere, so that it can be read from its beginning any number of times and nothing of it is held.
    pub fn kept(source: Box<dyn Source>, length: u64) -> Self {
        Self::of(source, Some(length), None)
    }

    fn of(source: Box<dyn Source>, length: Option<u64>, tape: Option<Tape>) -> Self {
        Self(Rc::new(RefCell::new(Inflow {
            source: Some(source),
            length,
            read: 0,
            over: None,
            is_kept: tape.is_none(),
            tape,
            crowded: false,
            failure: None,
            halted: None,
            at: 0,
            closed: None,
            last: false,
            moves: 0,
            form: None,
        })))
    }

    /// A reader at the beginning; `None` where the beginning is gone.
    pub fn reader(&self) -> Option<Reader> {
        let begun = self.0.borrow_mut().begin_again();
        begun.then(|| Reader {
            upload: self.clone(),
            at: 0,
        })
    }

    /// Whether it can be read from the beginning once more.
    pub fn can_begin_again(&self) -> bool {
        let inflow = self.0.borrow();
        inflow.tape.is_some() && !inflow.last || inflow.is_kept
    }

    /// Nobody will begin again: what is held is needed until it is read out, and what is still to come is not held at all.
    pub fn let_go(&self) {
        let inflow = &mut *self.0.borrow_mut();
        inflow.last = true;
        inflow.release();
    }

    /// How long it is: as counted where all of it came, else as the consumer says.
    pub fn length(&self) -> Option<u64> {
        let inflow = self.0.borrow();
        match inflow.source {
            None => Some(inflow.read),
            Some(_) => inflow.length,
        }
    }

    /// Bytes that came and that its consumer had not said would come.
    pub fn unsaid(&self) -> u64 {
        let inflow = self.0.borrow();
        inflow
            .read
            .saturating_sub(inflow.length.unwrap_or_default())
    }

    /// Whether the last reader has all of it: no answer before that is one about the whole.
    pub(crate) fn is_passed(&self) -> bool {
        let inflow = self.0.borrow();
        let at = inflow.at as u64;
        let whole = inflow.source.is_none() && at >= inflow.read;
        // Whoever knows how much there is need not ask for more, nor does a service that reads a form and has come to its end.
        whole || inflow.closed.is_some() || inflow.length.is_some_and(|length| at >= length)
    }

    /// The last reader has all of its form, whatever may follow.
    pub(crate) fn close(&self) {
        let mut inflow = self.0.borrow_mut();
        inflow.closed = Some(inflow.at);
    }

    /// Why it could not be read to its end.
    pub fn failure(&self) -> Option<Failure> {
        let inflow = self.0.borrow();
        inflow.failure.as_ref().or(inflow.halted.as_ref()).cloned()
    }

    /// Whoever reads ends it: what it says is not what the target can take. It may be what another one can.
    pub fn fail(&self, failure: Failure) {
        self.0.borrow_mut().halted.get_or_insert(failure);
    }

    /// All of it came.
    pub fn is_whole(&self) -> bool {
        self.0.borrow().source.is_none()
    }

    /// The boundary of a form, and what was read of it ahead; see [`Self::form`].
    pub fn ahead(&self) -> Option<Rc<(String, Form)>> {
        self.0.borrow().form.clone()
    }

    /// A number that changes with every piece that is read, and whenever one is waited for.
    pub fn moves(&self) -> u64 {
        self.0.borrow().moves
    }

    /// How much may be held from here on, if that is more than usual.
    pub(crate) fn hold_up_to(&self, most: usize) {
        if let Some(tape) = &mut self.0.borrow_mut().tape {
            tape.most = most.max(TAPE_BYTES);
        }
    }

    /// Bytes that are held; `None` where the beginning is gone.
    pub(crate) fn held(&self) -> Option<usize> {
        self.0.borrow().tape.as_ref().map(|tape| tape.length)
    }

    /// The beginning is gone because others hold much.
    pub(crate) fn is_crowded(&self) -> bool {
        self.0.borrow().crowded
    }
}

struct Inflow {
    /// `None` when all of it came.
    source: Option<Box<dyn Source>>,
    /// The same when all of it came, if somebody keeps it.
    over: Option<Box<dyn Source>>,
    length: Option<u64>,
    /// Bytes that came.
    read: u64,
    /// Its source has a beginning to go back to.
    is_kept: bool,
    /// All that came, while that is held.
    tape: Option<Tape>,
    /// The tape was let go because others hold much.
    crowded: bool,
    /// What its consumer did wrong.
    failure: Option<Failure>,
    /// Why the last reader did not go on.
    halted: Option<Failure>,
    /// How much the last reader has.
    at: usize,
    /// How much of it is all of its form, as the last reader saw: what may follow says nothing.
    closed: Option<usize>,
    /// The last reader is the last one.
    last: bool,
    moves: u64,
    /// What was read of it ahead, if it is a form, and its boundary.
    form: Option<Rc<(String, Form)>>,
}

impl Inflow {
    /// Whether it can be read from the beginning now. What halted a reader before is that one's own.
    fn begin_again(&mut self) -> bool {
        let held = self.tape.is_some() && !self.last || self.read == 0;
        if !held && !self.source_again() {
            return false;
        }
        self.halted = None;
        self.at = 0;
        self.closed = None;
        true
    }

    /// The same for a source that somebody keeps.
    fn source_again(&mut self) -> bool {
        if let Some(over) = self.over.take() {
            self.source = Some(over);
        }
        let source = self.source.as_mut();
        let again = source.is_some_and(|source| source.begin_again());
        if again {
            self.read = 0;
        }
        again
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(failure) = &self.failure {
            return Poll::Ready(Some(Err(failure.clone())));
        }
        let Some(source) = &mut self.source else {
            return Poll::Ready(None);
        };
        self.moves = self.moves.wrapping_add(1);
        let polled = source.poll_next(cx);
        Poll::Ready(match ready!(polled) {
            Some(Ok(bytes)) => {
                self.record(&bytes);
                Some(Ok(bytes))
            }
            Some(Err(failure)) => {
                self.failure = Some(failure.clone());
                Some(Err(failure))
            }
            None => {
                let over = self.source.take();
                self.over = over.filter(|_| self.is_kept);
                None
            }
        })
    }

    /// Drops what is held where nobody needs it.
    fn release(&mut self) {
        let read_out = |tape: &Tape| self.at >= tape.length;
        if self.last && self.tape.as_ref().is_some_and(read_out) {
            self.tape = None;
        }
    }

    fn record(&mut self, bytes: &[u8]) {
        self.read = self.read.saturating_add(bytes.len() as u64);
        if let Some(tape) = &mut self.tape
            && !tape.record(bytes)
        {
            self.crowded = tape.length.saturating_add(bytes.len()) <= tape.most;
            self.tape = None;
        }
    }
}

/// What came so far. In pieces of its own: what comes is often a small part of a large buffer.
struct Tape {
    /// All but the last are full.
    segments: Vec<BytesMut>,
    length: usize,
    most: usize,
    room: Room,
}

impl Tape {
    /// Adds bytes; false where there is no room for them.
    fn record(&mut self, mut bytes: &[u8]) -> bool {
        let length = self.length.saturating_add(bytes.len());
        if length > self.most || !self.room.take(bytes.len()) {
            return false;
        }
        self.length = length;
        while !bytes.is_empty() {
            let free = self.segments.last().map_or(0, |last| SEGMENT - last.len());
            if free == 0 {
                self.segments.push(BytesMut::new());
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(free));
            if let Some(last) = self.segments.last_mut() {
                last.extend_from_slice(now);
            }
            bytes = later;
        }
        true
    }

    /// What is held from there on, up to the end of a piece.
    fn from(&self, at: usize) -> Option<&[u8]> {
        let segment = self.segments.get(at / SEGMENT)?;
        segment.get(at % SEGMENT..).filter(|rest| !rest.is_empty())
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.room.give_back(self.length);
    }
}

/// Reads an upload from its beginning: what is held, then what comes.
#[derive(Debug)]
pub struct Reader {
    upload: Upload,
    at: usize,
}

impl Reader {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// Those of the source, and that what comes next is gone.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let inflow = &mut *self.upload.0.borrow_mut();
        if let Some(held) = inflow.tape.as_ref().and_then(|tape| tape.from(self.at)) {
            let held = Bytes::copy_from_slice(held);
            self.at += held.len();
            inflow.at = self.at;
            inflow.moves = inflow.moves.wrapping_add(1);
            inflow.release();
            return Poll::Ready(Some(Ok(held)));
        }
        if self.at as u64 != inflow.read {
            return Poll::Ready(Some(Err(Failure::gateway(
                FailureKind::Internal,
                "what is to be read of an upload is not held any more",
            ))));
        }
        let polled = inflow.poll_source(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            self.at += bytes.len();
            inflow.at = self.at;
        }
        polled
    }

    /// The next bytes; see [`Self::poll_next`].
    ///
    /// # Errors
    /// Those of the same.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let next = std::future::poll_fn(|cx| self.poll_next(cx)).await;
        next.transpose()
    }

    /// Whether the next bytes are held, so that they are there at once.
    pub fn is_held(&self) -> bool {
        let inflow = self.upload.0.borrow();
        inflow
            .tape
            .as_ref()
            .is_some_and(|tape| tape.from(self.at).is_some())
    }

    /// Goes back to the beginning; false where that is gone.
    pub fn rewind(&mut self) -> bool {
        let again = self.upload.can_begin_again() && self.upload.0.borrow_mut().begin_again();
        if again {
            self.at = 0;
        }
        again
    }

    /// The upload that it reads.
    pub fn upload(&self) -> &Upload {
        &self.upload
    }
}

/// Bytes of sound that are thought to be a token: at 128 kbit/s services count one for each 500 to 1600 of them.
const SOUND_BYTES_PER_TOKEN: u64 = 1024;

/// Tokens that so many bytes of sound are thought to be.
pub fn sound_tokens(bytes: u64) -> u64 {
    bytes / SOUND_BYTES_PER_TOKEN
}

/// More must be held than may be, before anything can be done with it.
fn unheld(crowded: bool, field: &str, most: usize) -> Failure {
    if crowded {
        let why = "this gateway holds too much of other uploads now; try again shortly, or send the fields before the file";
        let mut failure = Failure::gateway(FailureKind::Overloaded, why);
        failure.status = Some(503);
        return failure;
    }
    let why = format!(
        "`{field}` must stand before a file that brings the body beyond {most} bytes: where the file goes depends on it"
    );
    let mut failure = Failure::new(Origin::Consumer, FailureKind::TooLarge, why);
    failure.param = Some(field.to_owned());
    failure
}

#[cfg(test)]
mod tests;
