//! The way between a consumer's socket and HTTP/2's reader: how long is waited, and the end of who throws answers away.

use super::line::Line;
use crate::alarm::{Alarm, Stall};
use crate::http1::{HEAD_TIMEOUT, IDLE_TIMEOUT};
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A consumer's socket as hyper sees it.
#[derive(Debug)]
pub struct Guard<S> {
    stream: S,
    line: Rc<Line>,
    reading: Alarm,
    stall: Stall,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Around a socket.
    pub fn new(stream: S, line: Rc<Line>) -> Self {
        Self {
            stream,
            line,
            reading: Alarm::default(),
            stall: Stall::default(),
        }
    }

    /// Nothing is there to read: how long that may go on. It may while a request is answered: the exchange has clocks of its own, so has
    /// the body, and so has writing.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.is_running() {
            return Poll::Pending;
        }
        let patience = if self.line.has_served() {
            IDLE_TIMEOUT
        } else {
            HEAD_TIMEOUT
        };
        if !self.reading.is_past(self.line.idle_since() + patience, cx) {
            return Poll::Pending;
        }
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Passes on what writing said, unless nothing was taken for too long.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            self.line.refused();
        }
        self.stall.heed(polled, cx)
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
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if polled.is_pending() {
            return this.wait(cx);
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
        this.written(polled, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        if polled.is_ready() {
            this.line.flushed();
        }
        this.written(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
