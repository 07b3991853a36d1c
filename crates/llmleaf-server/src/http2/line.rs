//! What is known of one consumer's connection of HTTP/2 while it lives: what runs on it, since when nothing does, and how many
//! answers it threw away.

use super::bell::Awoken;
use crate::load::Seat;
use crate::reply::{Reply, ReplyBody};
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use llmleaf_exchange::Aborted;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// How many answers a connection may throw away before they are done, beyond those it takes to the end. A consumer that
/// goes on like that makes work for providers and takes nothing (rapid reset, CVE-2023-44487).
const THROWN_AWAY: u32 = 100;

/// Bytes of an answer that HTTP/2 is handed at a time, which is what one frame holds. It takes a piece whole when there is room for
/// any of it: only in pieces does it tell whether its consumer takes them, and until its last piece the request is open.
const PIECE: usize = 16 * 1024;

/// How long after the last bytes of an answer the cut follows on HTTP/2, where both may be read at once: some clients drop what they
/// have not handed on when they hear of a cut.
const LAST_WORDS: Duration = Duration::from_millis(10);

/// One connection.
#[derive(Debug)]
pub struct Line {
    running: Cell<u32>,
    served: Cell<bool>,
    idle_since: Cell<Instant>,
    thrown_away: Cell<u32>,
    /// How often a request was found waiting for us, and not for its consumer.
    waits: Cell<u64>,
    /// How often a piece of an answer was handed on.
    moves: Cell<u64>,
    /// The socket has not taken all that it was to be given.
    clogged: Cell<bool>,
    /// How often all that could be sent had been taken by the socket.
    emptied: Cell<u64>,
    /// Answers that wait for that. Each is a task of its own.
    leaving: RefCell<Vec<Waker>>,
}

impl Line {
    /// A connection that has just been made.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            running: Cell::new(0),
            served: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            thrown_away: Cell::new(0),
            waits: Cell::new(0),
            moves: Cell::new(0),
            clogged: Cell::new(false),
            emptied: Cell::new(0),
            leaving: RefCell::default(),
        })
    }

    /// A request begins, in a place of its own if it is not the only one.
    pub fn open(self: &Rc<Self>, seat: Option<Seat>) -> Open {
        self.running.set(self.running.get().saturating_add(1));
        self.served.set(true);
        Open {
            line: Rc::clone(self),
            finished: false,
            _seat: seat,
        }
    }

    /// Whether a request is being answered.
    pub fn is_running(&self) -> bool {
        self.running.get() > 0
    }

    /// Whether it ever had a request.
    pub fn has_served(&self) -> bool {
        self.served.get()
    }

    /// Since when nothing runs.
    pub fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }

    /// Whether it throws too many answers away.
    pub fn is_abusive(&self) -> bool {
        self.thrown_away.get() > THROWN_AWAY
    }

    /// The socket takes no more for now.
    pub fn refused(&self) {
        self.clogged.set(true);
    }

    /// hyper looked at all it has to send, and has come to rest. What its consumer has room for is with the socket now, unless that
    /// refused some of it: an answer is asked for more only while there is room for all that it gave.
    pub fn rests(&self) {
        if self.clogged.get() {
            return;
        }
        self.emptied.set(self.emptied.get().wrapping_add(1));
        self.leaving.take().into_iter().for_each(Waker::wake);
    }

    /// Whether the socket was empty since it had been so `before` times.
    fn poll_emptied(&self, before: u64, cx: &Context<'_>) -> Poll<()> {
        if self.emptied.get() != before {
            return Poll::Ready(());
        }
        let mut leaving = self.leaving.borrow_mut();
        if !leaving.iter().any(|known| known.will_wake(cx.waker())) {
            leaving.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The socket has everything: hyper flushes when it has nothing left.
    pub fn flushed(&self) {
        self.clogged.set(false);
    }

    /// A number that changes whenever a request waits for us.
    pub fn waits(&self) -> u64 {
        self.waits.get()
    }

    /// A number that changes whenever a piece of an answer is handed on.
    pub fn moves(&self) -> u64 {
        self.moves.get()
    }

    fn wait(&self) {
        self.waits.set(self.waits.get().wrapping_add(1));
    }
}

/// A request that is being answered; dropping it ends it.
#[derive(Debug)]
pub struct Open {
    line: Rc<Line>,
    finished: bool,
    _seat: Option<Seat>,
}

impl Open {
    /// Waits for the reply, and has the reply's body keep this request open. It is polled when something has called that it waits for, and
    /// when there is something `else_new` that all of them look at when they are polled.
    /// It is pinned by the caller: a future that takes another one and pins it has room for it twice.
    pub async fn reply(
        self,
        reply: Pin<&mut impl Future<Output = Reply>>,
        mut else_new: impl FnMut() -> bool,
    ) -> Response<Held> {
        let mut reply = Awoken::new(reply);
        let reply = poll_fn(|cx| {
            let polled = reply.poll(else_new(), cx);
            if polled.is_pending() {
                self.line.wait();
            }
            polled
        });
        let reply = reply.await;
        // Nobody works any more for an answer that is whole.
        let whole = matches!(reply.body(), ReplyBody::Whole(_));
        reply.map(|body| self.hold(body, whole))
    }

    /// Has a body keep this request open. Of a `whole` one nothing is thrown away by going.
    pub fn hold<B>(mut self, body: B, whole: bool) -> Held<B> {
        self.finished = whole;
        Held {
            body,
            rest: Bytes::new(),
            emptied: self.line.emptied.get(),
            open: self,
            cut: false,
            last_words: None,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let line = &self.line;
        line.running.set(line.running.get().saturating_sub(1));
        if !line.is_running() {
            line.idle_since.set(Instant::now());
        }
        let thrown_away = line.thrown_away.get();
        line.thrown_away.set(if self.finished {
            thrown_away.saturating_sub(1)
        } else {
            thrown_away.saturating_add(1)
        });
    }
}

/// A reply's body that keeps its request open.
pub struct Held<B = ReplyBody> {
    body: B,
    /// What came of the body and is still to be handed on.
    rest: Bytes,
    /// How often the socket had been empty when the last of it was handed on.
    emptied: u64,
    open: Open,
    /// The answer ends without a clean end, once what was said has left.
    cut: bool,
    last_words: Option<Pin<Box<Sleep>>>,
}

impl<B> Held<B> {
    /// Hands a frame on, or the first piece of it.
    fn hand_on(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let line = &self.open.line;
        line.moves.set(line.moves.get().wrapping_add(1));
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(other) => return other,
        };
        self.rest = data.split_off(data.len().min(PIECE));
        self.emptied = line.emptied.get();
        Frame::data(data)
    }

    /// Cuts the answer when the bytes before have left: the cut drops what is still queued in this process. How long that may take is
    /// bounded by the clocks of whoever writes.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if self.last_words.is_none() {
            ready!(self.open.line.poll_emptied(self.emptied, cx));
        }
        let sleep = self
            .last_words
            .get_or_insert_with(|| Box::pin(sleep(LAST_WORDS)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Aborted)))
    }
}

impl<B: Body<Data = Bytes, Error = Aborted> + Unpin> Body for Held<B> {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let held = self.get_mut();
        if held.cut {
            return held.poll_cut(cx);
        }
        if !held.rest.is_empty() {
            let rest = Frame::data(std::mem::take(&mut held.rest));
            return Poll::Ready(Some(Ok(held.hand_on(rest))));
        }
        match Pin::new(&mut held.body).poll_frame(cx) {
            Poll::Pending => {
                held.open.line.wait();
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(held.hand_on(frame)))),
            Poll::Ready(None) => {
                held.open.finished = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(Aborted))) => {
                // An answer that we cut ourselves was not thrown away.
                held.open.finished = true;
                held.cut = true;
                held.poll_cut(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let Some(left) = self.body.size_hint().exact() else {
            return SizeHint::default();
        };
        SizeHint::with_exact(left.saturating_add(self.rest.len() as u64))
    }
}

#[cfg(test)]
mod tests;
