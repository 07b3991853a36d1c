//! Where an exchange's bytes leave it, and how the server polls for them.

mod running;

pub use running::Exchange;

use crate::begins::{Begins, Owed};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use llmleaf_framing::ArrayWriter;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of an answer that are handed on as one piece if they came together: at the beginning, and later.
const BEGINNING: usize = 64 * 1024;
const PIECE: usize = 8 * 1024;

/// Status and headers of a reply.
#[derive(Debug)]
pub struct ReplyHead {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body, where there is no more to come.
    pub whole: Option<Bytes>,
}

/// The stream ended in an error that was told in-band; the transport must not end cleanly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream was aborted after an in-band error")]
pub struct Aborted;

/// An exchange's work.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub(crate) struct Slot {
    head: Option<ReplyHead>,
    head_sent: bool,
    /// The status that the consumer is told.
    status: Option<u16>,
    /// Time in which its work ran, and since when it runs now.
    own: Duration,
    running: Option<Instant>,
    ready: Vec<u8>,
    /// How much was taken last: about as much will be needed next.
    usual: usize,
    /// How much was taken in all.
    taken: usize,
    aborted: bool,
    /// Attempts that run, and those among them whose upstreams are read to their end even if nobody listens.
    open: usize,
    draining: usize,
    /// Nobody listens any more.
    gone: bool,
    /// Bytes that nobody got.
    pub discarded: usize,
    /// What comes of the same request once more.
    repeats: Repeats,
    /// What is kept back until somebody has looked at it.
    kept: Option<Kept>,
    /// The consumer wants its events as one JSON array.
    list: Option<ArrayWriter>,
    /// Says whether the caller may call no more; `None` where what runs goes on whatever becomes of that.
    bar: Option<Bar>,
    tells: Tells,
    owed: Owed,
}

/// What it is good for to ask again.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Repeats {
    #[default]
    Unknown,
    /// It would come to the same, or be paid for again.
    InVain,
}

/// What a consumer is told beside its answer.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Tells {
    #[default]
    Nothing,
    /// How its exchange was decided.
    Decisions,
}

/// An answer that is kept back.
#[derive(Default)]
struct Kept {
    head: Option<ReplyHead>,
    bytes: Vec<u8>,
    /// The stream is complete.
    closed: bool,
    /// It broke off, and its last words are among its bytes.
    broke_off: bool,
}

/// What is kept back of an answer, as it is shown and let go.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// A whole one, under that head.
    Whole(Option<Top>, Bytes),
    /// A stream.
    Stream(Bytes),
}

/// Status and headers of what is shown.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

/// Says whether a caller may call no more. Asked whenever its exchange is polled, so it costs next to nothing.
pub type Bar = Box<dyn Fn() -> bool>;

impl Slot {
    /// The consumer has gone.
    pub fn leave(&mut self) {
        self.gone = true;
        self.ready = Vec::new();
        self.list = None;
        if let Some(kept) = &mut self.kept {
            kept.bytes = Vec::new();
        }
    }

    /// Status and headers go out. Once; later ones change nothing.
    fn begin(&mut self, head: ReplyHead) {
        if !self.head_sent {
            self.head_sent = true;
            self.status = Some(head.status.as_u16());
            self.head = Some(head);
        }
    }

    /// Bytes go out.
    fn add(&mut self, bytes: &[u8]) {
        if self.gone {
            return;
        }
        if self.ready.capacity() == 0 {
            self.ready.reserve_exact(self.usual.max(bytes.len()));
        }
        match &mut self.list {
            Some(list) => list.push(bytes, &mut self.ready),
            None => self.ready.extend_from_slice(bytes),
        }
    }

    /// The stream is complete.
    fn end(&mut self) {
        if let Some(list) = &mut self.list {
            self.aborted |= !list.close(&mut self.ready);
        }
    }

    /// Its work has run since then, and stands.
    fn stands(&mut self, since: Instant) {
        self.running = None;
        self.own = self.own.saturating_add(since.elapsed());
    }

    /// Whether its work is to go on when the consumer goes.
    fn drains(&self) -> bool {
        self.open > 0 && self.open == self.draining
    }
}

/// The driver's end.
#[derive(Clone)]
pub(crate) struct Outlet(Rc<RefCell<Slot>>);

/// An attempt that runs, until dropped.
pub(crate) struct Open {
    out: Outlet,
    drains: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        let slot = &mut *self.out.0.borrow_mut();
        slot.open = slot.open.saturating_sub(1);
        slot.draining = slot.draining.saturating_sub(usize::from(self.drains));
    }
}

impl Outlet {
    /// An attempt runs.
    pub fn open(&self, drains: bool) -> Open {
        let slot = &mut *self.0.borrow_mut();
        slot.open += 1;
        slot.draining += usize::from(drains);
        Open {
            out: self.clone(),
            drains,
        }
    }

    /// This is owed before anybody is asked or answered.
    pub fn owes(&self, owed: Owed) {
        self.0.borrow_mut().owed = owed;
    }

    /// Waits until its begin is kept, together with those of others that are ready.
    pub async fn kept(&self, begins: &Begins) {
        if self.0.borrow().owed.is_due() {
            begins.gather().await;
            poll_fn(|cx| self.0.borrow_mut().owed.poll(cx)).await;
        }
    }

    /// It ends. Whoever has not heard of its begin need not.
    pub fn withdraw(&self) {
        self.0.borrow_mut().owed.withdraw();
    }

    /// Whether the caller may call no more.
    pub fn is_barred(&self) -> bool {
        self.0.borrow().bar.as_ref().is_some_and(|bar| bar())
    }

    /// Whether its consumer asks for its decisions, and may.
    pub fn explains(&self) -> bool {
        self.0.borrow().tells == Tells::Decisions
    }

    /// Nobody listens any more.
    pub fn is_gone(&self) -> bool {
        self.0.borrow().gone
    }

    /// So many bytes of an upstream's answer were read; counted where nobody takes them.
    pub fn read(&self, bytes: usize) {
        let slot = &mut *self.0.borrow_mut();
        if slot.gone {
            slot.discarded = slot.discarded.saturating_add(bytes);
        }
    }

    /// Sends status and headers. Once; later calls change nothing.
    pub fn head(&self, head: ReplyHead) {
        let slot = &mut *self.0.borrow_mut();
        match &mut slot.kept {
            Some(kept) if !slot.head_sent => {
                kept.head.get_or_insert(head);
            }
            // What comes whole after a sign of life has no place any more; nobody answers so.
            Some(_) => {}
            None => slot.begin(head),
        }
    }

    /// From now on the answer is kept back.
    pub fn keep_back(&self) {
        self.0.borrow_mut().kept = Some(Kept::default());
    }

    /// Whether the answer is kept back.
    pub fn keeps_back(&self) -> bool {
        self.0.borrow().kept.is_some()
    }

    /// Bytes that are kept back.
    pub fn kept_back(&self) -> usize {
        self.0
            .borrow()
            .kept
            .as_ref()
            .map_or(0, |kept| kept.bytes.len())
    }

    /// Nothing of an answer is there any more: another one begins, or none.
    pub fn begin_anew(&self) {
        if let Some(kept) = &mut self.0.borrow_mut().kept {
            *kept = Kept::default();
        }
    }

    /// Nothing more is kept back, and what was is gone.
    pub fn give_up(&self) {
        self.0.borrow_mut().kept = None;
    }

    /// What is told now is the last word on this request.
    pub fn last_word(&self) {
        self.0.borrow_mut().repeats = Repeats::InVain;
    }

    /// Whether what is kept back is an answer that broke off.
    pub fn broke_off(&self) -> bool {
        self.0
            .borrow()
            .kept
            .as_ref()
            .is_some_and(|kept| kept.broke_off)
    }

    /// What is kept back, to be shown. It is to be given back with [`Self::release`].
    pub fn shown(&self) -> Option<Shown> {
        let slot = &mut *self.0.borrow_mut();
        let kept = slot.kept.as_mut()?;
        let whole = kept.head.as_ref().and_then(|head| {
            let body = head.whole.clone()?;
            let (status, headers) = (head.status, head.headers.clone());
            Some(Shown::Whole(Some(Top { status, headers }), body))
        });
        let begun = kept.head.is_some() || slot.head_sent;
        whole.or_else(|| begun.then(|| Shown::Stream(std::mem::take(&mut kept.bytes).into())))
    }

    /// Lets go what is kept back: as it is, or that.
    pub fn release(&self, shown: Option<Shown>) {
        let slot = &mut *self.0.borrow_mut();
        let Some(Kept {
            mut head,
            bytes,
            closed,
            ..
        }) = slot.kept.take()
        else {
            return;
        };
        let stream = match shown {
            None => Bytes::from(bytes),
            Some(Shown::Stream(bytes)) => bytes,
            Some(Shown::Whole(_, body)) => {
                if let Some(head) = &mut head {
                    head.whole = Some(body);
                }
                Bytes::new()
            }
        };
        if let Some(head) = head {
            slot.begin(head);
        }
        if !stream.is_empty() {
            slot.add(&stream);
        }
        if closed {
            slot.end();
        }
    }

    /// A sign of life, which nothing keeps back. There is none where a whole answer is kept: its head would take it along.
    pub fn sign(&self, bytes: &[u8]) {
        let slot = &mut *self.0.borrow_mut();
        let head = slot.kept.as_ref().and_then(|kept| kept.head.as_ref());
        if head.is_some_and(|head| head.whole.is_some()) {
            return;
        }
        if let Some(head) = slot.kept.as_mut().and_then(|kept| kept.head.take()) {
            slot.begin(head);
        }
        slot.add(bytes);
    }

    /// Whether status and headers are gone, or made and kept back.
    pub fn head_made(&self) -> bool {
        let slot = self.0.borrow();
        let kept = slot.kept.as_ref();
        slot.head_sent || kept.is_some_and(|kept| kept.head.is_some())
    }

    /// Whether status and headers are gone.
    pub fn head_sent(&self) -> bool {
        self.0.borrow().head_sent
    }

    /// The status that the consumer is told.
    pub fn status(&self) -> Option<u16> {
        self.0.borrow().status
    }

    /// Time in which the exchange's work ran, and waited for nobody.
    pub fn own_time(&self) -> Duration {
        let slot = self.0.borrow();
        let now = slot.running.map(|since| since.elapsed());
        slot.own.saturating_add(now.unwrap_or_default())
    }

    /// Adds bytes for the consumer.
    pub fn write(&self, bytes: &[u8]) {
        let slot = &mut *self.0.borrow_mut();
        match &mut slot.kept {
            Some(_) if slot.gone => {}
            Some(kept) => kept.bytes.extend_from_slice(bytes),
            None => slot.add(bytes),
        }
    }

    /// About so many bytes will be written: room for them is made at once, and no more than that.
    pub fn expect(&self, bytes: usize) {
        let slot = &mut *self.0.borrow_mut();
        if slot.gone || slot.list.is_some() || slot.kept.is_some() {
            return;
        }
        if slot.ready.capacity() == 0 {
            slot.ready.reserve_exact(slot.usual.max(bytes));
        } else {
            slot.ready.reserve(bytes);
        }
    }

    /// The stream is complete. What is written ends well, or not at all where some of it could not be written.
    pub fn close(&self) {
        let slot = &mut *self.0.borrow_mut();
        match &mut slot.kept {
            Some(kept) => kept.closed = true,
            None => slot.end(),
        }
    }

    /// Bytes that wait to be taken.
    pub fn pending(&self) -> usize {
        self.0.borrow().ready.len()
    }

    /// Whether it is time to hand on what is there. The socket surely has room for the beginning of an answer, so that goes in
    /// one piece; what comes later may have to wait for a slow reader, who must not cost much.
    pub fn is_full(&self) -> bool {
        let slot = self.0.borrow();
        slot.ready.len() >= PIECE.max(BEGINNING.saturating_sub(slot.taken))
    }

    /// Waits until the consumer's connection took what was written. It polls us again when it has.
    pub async fn taken(&self) {
        poll_fn(|_| {
            if self.pending() == 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Ends the transport without a clean end.
    pub fn abort(&self) {
        let slot = &mut *self.0.borrow_mut();
        match &mut slot.kept {
            Some(kept) => kept.broke_off = true,
            None => slot.aborted = true,
        }
    }
}

#[cfg(test)]
impl Outlet {
    /// One of no exchange.
    pub fn alone() -> Self {
        Self(Rc::default())
    }

    /// What was written and is not taken.
    pub fn written(&self) -> Vec<u8> {
        self.0.borrow().ready.clone()
    }
}

#[cfg(test)]
mod tests;
