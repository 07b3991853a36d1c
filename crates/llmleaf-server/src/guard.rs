//! The way between a consumer's socket and hyper: what is refused before hyper reads it, and how long is waited.
//!
//! Reading order: this file (clocks, the end of a connection), `framing.rs` (which heads are refused).

mod framing;

use crate::alarm::Alarm;
use crate::line::Line;
use bytes::{Buf as _, BytesMut};
use framing::Framing;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a head may take from its first byte to its last, and a new connection to its first byte.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a consumer may take nothing of what it is sent.
pub const WRITE_STALL: Duration = Duration::from_secs(60);
/// How long a consumer that is still sending is listened to after its answer, so that it finds the answer and no reset.
const LINGER: Duration = Duration::from_secs(2);
/// How much of that is read.
const LINGER_BYTES: usize = 1024 * 1024;
/// How much is read behind a request that is being answered. Who sends more is not heard hanging up until the answer has ended.
const MOST_AHEAD: usize = 16 * 1024;
/// Bytes of one look.
const SIP: usize = 1024;
/// What a consumer is told whose head took too long; nothing can be known of its dialect.
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A consumer's socket as hyper sees it.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    line: Rc<Line>,
    /// `None` for HTTP/2, which has no two ways to read a frame.
    framing: Option<Framing>,
    /// Since when the head that has begun is waited for.
    head_since: Option<Instant>,
    /// Since when no byte could be written.
    stalled_since: Option<Instant>,
    lingering: Option<Lingering>,
    /// What came behind the request that is being answered.
    ahead: BytesMut,
    /// hyper is to be told when that can be handed on. Once: it may not want it any more.
    nudge: bool,
    reading: Alarm,
    writing: Alarm,
}

#[derive(Clone, Copy, Debug)]
struct Lingering {
    until: Instant,
    bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Around a socket that speaks HTTP/1, or HTTP/2.
    pub fn new(stream: S, line: Rc<Line>, speaks_h2: bool) -> Self {
        if speaks_h2 {
            line.multiplex();
        }
        Self {
            stream,
            line,
            framing: (!speaks_h2).then(Framing::default),
            head_since: None,
            stalled_since: None,
            lingering: None,
            ahead: BytesMut::new(),
            nudge: false,
            reading: Alarm::default(),
            writing: Alarm::default(),
        }
    }

    /// Whether a request is being answered, or its answer has not left.
    fn is_busy(&self) -> bool {
        self.line.is_running() || self.line.is_writing()
    }

    /// Until when something must come to be read. Nothing must while a request is answered: the exchange has clocks of its own, so has
    /// the body, and so has writing.
    fn deadline(&mut self) -> Option<Instant> {
        let in_head = self.framing.as_ref().is_some_and(Framing::is_in_head);
        if !in_head || self.is_busy() {
            self.head_since = None;
        }
        if self.is_busy() || self.line.has_switched() {
            return None;
        }
        Some(if in_head {
            *self.head_since.get_or_insert_with(Instant::now) + HEAD_TIMEOUT
        } else if self.line.has_served() {
            self.line.idle_since() + IDLE_TIMEOUT
        } else {
            self.line.idle_since() + HEAD_TIMEOUT
        })
    }

    /// Nothing is there to read: how long that may go on.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(until) = self.deadline() else {
            return Poll::Pending;
        };
        if !self.reading.is_past(until, cx) {
            return Poll::Pending;
        }
        if self.head_since.is_some() {
            // It may be lost: the connection ends now.
            let _ = Pin::new(&mut self.stream).poll_write(cx, TOO_SLOW);
        }
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// An answer has left. hyper reads on only when it is woken: by what waits here already, or by the clock.
    fn rest(&mut self, cx: &mut Context<'_>) {
        if self.is_busy() || self.framing.is_none() {
            return;
        }
        if !self.ahead.is_empty() {
            if std::mem::take(&mut self.nudge) {
                cx.waker().wake_by_ref();
            }
        } else if let Some(until) = self.deadline() {
            self.reading.arm(until, cx);
        }
    }

    /// Whether the consumer has hung up on the request that is being answered. hyper would look for that itself, into a buffer of 8 KiB for
    /// each connection, and would look no more once something came behind the request: that waits here instead.
    fn has_hung_up(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let between = self.framing.as_ref().is_some_and(Framing::is_between);
        if !between || !self.is_busy() || self.line.has_switched() {
            return Ok(());
        }
        self.nudge = true;
        while self.ahead.len() < MOST_AHEAD {
            let mut scratch = [const { MaybeUninit::uninit() }; SIP];
            let mut buf = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Pending => break,
                Poll::Ready(read) => read?,
            }
            if buf.filled().is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.ahead.extend_from_slice(buf.filled());
            // An empty line between requests is nothing (RFC 9112, section 2.2).
            while self.ahead.starts_with(b"\r\n") {
                self.ahead.advance(2);
            }
        }
        Ok(())
    }

    /// Hands on what waits here, up to the end of a request.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let room = buf.remaining().min(self.ahead.len());
        let bytes = self.ahead.get_mut(..room).unwrap_or_default();
        let taken = match &mut self.framing {
            Some(framing) => framing.follow(bytes),
            None => room,
        };
        buf.put_slice(&self.ahead.split_to(taken));
        if self.ahead.is_empty() {
            // It may have been much, and more may never come.
            self.ahead = BytesMut::new();
        }
    }

    /// Passes on what writing said, unless nothing was taken for too long.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.has_hung_up(cx)?;
        if polled.is_ready() {
            self.stalled_since = None;
            return polled;
        }
        self.line.refused();
        let until = *self.stalled_since.get_or_insert_with(Instant::now) + WRITE_STALL;
        if self.writing.is_past(until, cx) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    /// Reads and forgets what the consumer is still sending, to the end or a limit.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut left = *self.lingering.get_or_insert_with(|| Lingering {
            until: Instant::now() + LINGER,
            bytes: LINGER_BYTES,
        });
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && left.bytes > 0 => {
                    left.bytes = left.bytes.saturating_sub(buf.filled().len());
                    self.lingering = Some(left);
                }
                Poll::Pending if !self.reading.is_past(left.until, cx) => return Poll::Pending,
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.line.is_abusive() {
            tracing::debug!("a connection that throws its answers away was closed");
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        if this.line.has_switched() {
            this.framing = None;
        }
        // Nothing is handed on before an answer has left; what hyper does with it then, and when, differs.
        if this.is_busy() && this.framing.as_ref().is_some_and(Framing::is_between) {
            this.has_hung_up(cx)?;
            return Poll::Pending;
        }
        if !this.ahead.is_empty() {
            this.hand_on(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if polled.is_pending() {
            return this.wait(cx);
        }
        if let Some(framing) = &mut this.framing
            && let Some(came) = buf.filled_mut().get_mut(before..)
        {
            let taken = framing.follow(came);
            if let Some(behind) = came.get(taken..).filter(|behind| !behind.is_empty()) {
                this.ahead.extend_from_slice(behind);
                buf.set_filled(before + taken);
            }
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(taken)) = &polled {
            this.line.took(*taken, cx);
        }
        this.written(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(taken)) = &polled {
            this.line.took(*taken, cx);
        }
        this.written(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        if polled.is_ready() {
            this.line.flushed(cx);
            this.rest(cx);
        }
        this.written(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let midway = this.framing.as_ref().is_some_and(Framing::is_midway);
        if midway || !this.ahead.is_empty() {
            ready!(this.linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
