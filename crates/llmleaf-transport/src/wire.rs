//! What is seen on one connection's wire, and whom its readiness wakes.
//!
//! hyper's connection talks to its caller through channels that wake a task. Here both ends are
//! polled by the same task, so such a wake-up would only poll that task once more for nothing.
//! Therefore hyper is polled with a [`Quiet`] waker, and only the socket knows the real one.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{HeadAllowanceSpent, Progress};
use crate::stream::Stream;

/// A waker that only remembers that it was called: the poller looks, and polls again.
#[derive(Debug, Default)]
pub(crate) struct Quiet(AtomicBool);

impl Quiet {
    /// Whether it was called since the last look.
    pub fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Shared by a connection's owner and the stream inside hyper.
#[derive(Debug)]
pub(crate) struct Wire {
    waker: RefCell<Waker>,
    /// Bytes since the current request began.
    read: Cell<u64>,
    written: Cell<u64>,
    /// The whole request has been handed to the kernel: hyper flushes only when nothing is left.
    flushed: Cell<bool>,
    /// How many bytes may be read before a response head is there; none once it is.
    head_allowance: Cell<Option<u64>>,
    /// Nothing more is written: an error response came while the request was still going up.
    muted: Cell<bool>,
    write_failed: Cell<bool>,
}

impl Wire {
    pub fn new() -> Rc<Wire> {
        Rc::new(Wire {
            waker: RefCell::new(Waker::noop().clone()),
            read: Cell::new(0),
            written: Cell::new(0),
            flushed: Cell::new(false),
            head_allowance: Cell::new(None),
            muted: Cell::new(false),
            write_failed: Cell::new(false),
        })
    }

    /// Whom the socket's readiness wakes from now on.
    pub fn wake_up(&self, waker: &Waker) {
        self.waker.borrow_mut().clone_from(waker);
    }

    /// Starts counting for a request.
    pub fn begin(&self, head_allowance: u64) {
        self.read.set(0);
        self.written.set(0);
        self.flushed.set(false);
        self.head_allowance.set(Some(head_allowance));
    }

    /// The response head is there.
    pub fn head_arrived(&self) {
        self.head_allowance.set(None);
    }

    /// Stops the rest of the request from being written.
    pub fn mute(&self) {
        self.muted.set(true);
    }

    /// Whether the whole request is on its way.
    pub fn is_sent(&self) -> bool {
        self.flushed.get()
    }

    /// Whether the connection can no longer carry another request.
    pub fn is_spoilt(&self) -> bool {
        self.muted.get() || self.write_failed.get()
    }

    pub fn progress(&self) -> Progress {
        Progress {
            sent: self.flushed.get(),
            response_started: self.read.get() > 0,
            write_failed: self.write_failed.get(),
        }
    }

    /// A failed write is not reported: the upstream may have answered before it closed, and
    /// that answer (a 413, say) is still to be read. Reading then finds it, or the end.
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(n)) => {
                self.written.set(self.written.get() + n as u64);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(_)) => {
                self.write_failed.set(true);
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The stream as hyper sees it.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: Stream,
    wire: Rc<Wire>,
}

impl Metered {
    pub fn new(stream: Stream, wire: Rc<Wire>) -> Metered {
        Metered { stream, wire }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        _quiet: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Metered { stream, wire } = self.get_mut();
        let read = wire.read.get();
        if wire.head_allowance.get().is_some_and(|limit| read >= limit) {
            return Poll::Ready(Err(io::Error::other(HeadAllowanceSpent)));
        }
        let before = buf.filled().len();
        let waker = wire.waker.borrow();
        let polled = Pin::new(stream).poll_read(&mut Context::from_waker(&waker), buf);
        let new = buf.filled().len().saturating_sub(before);
        wire.read.set(read + new as u64);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        _quiet: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Metered { stream, wire } = self.get_mut();
        if wire.is_spoilt() {
            return Poll::Pending;
        }
        let waker = wire.waker.borrow();
        wire.wrote(Pin::new(stream).poll_write(&mut Context::from_waker(&waker), buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _quiet: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Metered { stream, wire } = self.get_mut();
        if wire.is_spoilt() {
            return Poll::Pending;
        }
        let waker = wire.waker.borrow();
        wire.wrote(Pin::new(stream).poll_write_vectored(&mut Context::from_waker(&waker), bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _quiet: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Metered { stream, wire } = self.get_mut();
        if wire.is_spoilt() {
            return Poll::Ready(Ok(()));
        }
        let waker = wire.waker.borrow();
        match Pin::new(stream).poll_flush(&mut Context::from_waker(&waker)) {
            Poll::Ready(Err(_)) => {
                wire.write_failed.set(true);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                wire.flushed.set(wire.written.get() > 0);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _quiet: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Metered { stream, wire } = self.get_mut();
        let waker = wire.waker.borrow();
        Pin::new(stream).poll_shutdown(&mut Context::from_waker(&waker))
    }
}
