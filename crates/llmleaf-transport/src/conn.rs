//! One HTTP/1.1 connection, driven by whoever polls it.
//!
//! There is no task and no channel between the connection and its exchange: polling for the response writes the request, reads the
//! socket and decodes, in the caller's own task. Chunks that arrive together leave together, as one piece.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};

use crate::coding::{Decoded, Decoder};
use crate::error::{Progress, TransportError, from_io};
use crate::feed::{Fed, Next};
use crate::head::{Finder, Head};
use crate::headers::Headers;
use crate::pool::Limits;
use crate::preamble::{HeadEnd, Outbound};
use crate::stream::Stream;

/// Room for the first read of a response, in bytes. It doubles while reads fill it, so that only a stream that is fast enough
/// to need it has a large buffer, and only for as long.
const FIRST_READ: usize = 8 * 1024;
/// The largest read, in bytes.
const LARGEST_READ: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Conn {
    stream: Stream,
    outgoing: Outgoing,
    /// What was read and is not decoded yet.
    buf: BytesMut,
    read_size: usize,
    decoder: Decoder,
    keep_alive: bool,
    /// A byte came since the request began.
    response_started: bool,
}

/// The request on its way up.
#[derive(Debug, Default)]
struct Outgoing {
    head: Bytes,
    head_end: HeadEnd,
    body: Bytes,
    /// Where the rest of the body comes from.
    fed: Option<Fed>,
    came: Came,
    written: usize,
    /// All of it is in the kernel's hands.
    sent: bool,
    /// Nothing more is written: an error response came first.
    muted: bool,
    failed: bool,
}

/// How much came of a request whose body may come in pieces.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// There never was a request.
    #[default]
    Nothing,
    Some,
    All,
    /// It could not be completed.
    Broken,
}

impl Outgoing {
    /// Writes what is there; false where it cannot be written.
    fn poll_written(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<bool> {
        let all = self.head.len() + self.head_end.bytes().len() + self.body.len();
        while self.written < all {
            let mut passed = self.written;
            let [head, end, body] =
                [self.head.as_ref(), self.head_end.bytes(), &self.body].map(|part| {
                    let rest = part.get(passed..).unwrap_or_default();
                    passed = passed.saturating_sub(part.len());
                    rest
                });
            let first = [head, end, body].into_iter().find(|part| !part.is_empty());
            let polled = if head.is_empty() && end.is_empty() || !stream.is_write_vectored() {
                Pin::new(&mut *stream).poll_write(cx, first.unwrap_or_default())
            } else {
                let all = [head, end, body].map(IoSlice::new);
                Pin::new(&mut *stream).poll_write_vectored(cx, &all)
            };
            match polled {
                Poll::Ready(Ok(length)) if length > 0 => self.written += length,
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(true)
    }

    /// Takes the next piece of a body that comes in pieces; false where there is nothing to write now.
    fn refill(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(fed) = self.fed.as_mut().filter(|_| self.came == Came::Some) else {
            return false;
        };
        self.written = 0;
        (self.head, self.body) = (Bytes::new(), Bytes::new());
        self.head_end = HeadEnd::default();
        let Poll::Ready(next) = fed.poll_next(cx) else {
            return false;
        };
        match next {
            Ok(Next::Piece(head, body)) => (self.head, self.body) = (head.into(), body),
            Ok(Next::End(last)) => {
                self.came = Came::All;
                self.body = Bytes::from_static(last);
            }
            Err(_) => self.came = Came::Broken,
        }
        self.came != Came::Broken
    }

    /// Whether there is no more to come from elsewhere.
    fn is_whole(&self) -> bool {
        match self.came {
            Came::Nothing | Came::Some => self.fed.is_none(),
            Came::All => true,
            Came::Broken => false,
        }
    }
}

impl Conn {
    pub fn new(stream: Stream) -> Box<Conn> {
        Box::new(Conn {
            stream,
            outgoing: Outgoing::default(),
            buf: BytesMut::new(),
            read_size: FIRST_READ,
            decoder: Decoder::Exactly(0),
            keep_alive: true,
            response_started: false,
        })
    }

    /// Sends a request and waits for the head of its response. An error response that comes before the request is written does not
    /// wait for the rest of it; the connection is of no further use then.
    pub async fn exchange(
        &mut self,
        request: &Outbound,
        fed: Option<Fed>,
        limits: &Limits,
    ) -> Result<(StatusCode, Headers), TransportError> {
        self.answered(request, fed, limits, Finder::default()).await
    }

    /// The same for a request to speak another protocol from here on: 101 is an answer.
    pub async fn exchange_switching(
        &mut self,
        request: &Outbound,
        limits: &Limits,
    ) -> Result<(StatusCode, Headers), TransportError> {
        self.answered(request, None, limits, Finder::switching())
            .await
    }

    /// The stream of a connection that speaks no HTTP any more, and what was read of it beyond the head.
    pub fn into_parts(self) -> (Stream, Bytes) {
        (self.stream, self.buf.freeze())
    }

    async fn answered(
        &mut self,
        request: &Outbound,
        fed: Option<Fed>,
        limits: &Limits,
        mut finder: Finder,
    ) -> Result<(StatusCode, Headers), TransportError> {
        self.outgoing = Outgoing {
            head: request.head.clone(),
            head_end: request.end,
            body: request.body.clone(),
            fed,
            came: Came::Some,
            ..Outgoing::default()
        };
        self.response_started = false;
        let head =
            std::future::poll_fn(|cx| self.poll_head(cx, &mut finder, limits, request.to_head));
        let head = head.await?;
        self.keep_alive = head.keep_alive;
        self.decoder = head.body;
        if head.status.as_u16() >= 400 && !self.outgoing.sent {
            self.outgoing.muted = true;
        }
        if self.outgoing.muted || self.outgoing.sent {
            // It is not asked to begin again.
            self.outgoing.fed = None;
        }
        Ok((head.status, head.headers))
    }

    /// What the body came from, for as long as no response did.
    pub fn take_fed(&mut self) -> Option<Fed> {
        self.outgoing.fed.take()
    }

    /// How much is still to come of the body, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.decoder {
            Decoder::Exactly(left) => Some(left),
            _ if self.decoder.is_done() => Some(0),
            _ => None,
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        finder: &mut Finder,
        limits: &Limits,
        to_head: bool,
    ) -> Poll<Result<Head, TransportError>> {
        loop {
            self.write(cx);
            if self.outgoing.came == Came::Broken {
                return Poll::Ready(Err(TransportError::Fed));
            }
            if let Some(head) = finder.next(&mut self.buf, limits, to_head)? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(self.progress().ended()));
            }
        }
    }

    /// The next bytes of the body; `None` at its end.
    pub fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, TransportError>> {
        loop {
            if self.decoder.is_done() {
                return Poll::Ready(Ok(None));
            }
            if self.buf.is_empty() {
                // A response may begin before its request has ended.
                self.write(cx);
                if self.outgoing.came == Came::Broken {
                    return Poll::Ready(Err(TransportError::Fed));
                }
                if ready!(self.poll_fill(cx))? == 0 {
                    return Poll::Ready(match self.decoder {
                        Decoder::ToTheEnd => Ok(None),
                        _ => Err(self.progress().ended()),
                    });
                }
            }
            let Decoded { start, end, used } = self.decoder.decode(&mut self.buf)?;
            // All of it is taken as it is; a part is one of what others are to be parts of.
            let mut taken = match used == self.buf.len() {
                true => std::mem::take(&mut self.buf),
                false => self.buf.split_to(used),
            };
            self.release();
            if start < end {
                taken.truncate(end);
                taken.advance(start);
                return Poll::Ready(Ok(Some(taken.freeze())));
            }
        }
    }

    /// Reads what is there behind what was read before; 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, TransportError>> {
        if self.stream.poll_readable(cx).is_pending() {
            self.release();
            return Poll::Pending;
        }
        let (room, read) = match self.buf.capacity() == 0 && self.read_size == FIRST_READ {
            true => (FIRST_READ, self.poll_look(cx)),
            false => self.poll_more(cx),
        };
        if read.is_pending() {
            self.release();
        }
        match ready!(read) {
            Ok(read) => {
                self.response_started |= read > 0;
                if read == room {
                    self.read_size = (self.read_size * 2).min(LARGEST_READ);
                } else if read < FIRST_READ / 2 {
                    self.read_size = FIRST_READ;
                }
                Poll::Ready(Ok(read))
            }
            Err(error) => Poll::Ready(Err(from_io(&error, self.progress()))),
        }
    }

    /// Reads what is there to where there is room in any case, and keeps a copy: most of what comes is small, and room for more than it
    /// would be made for each piece of a stream.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; FIRST_READ];
        let mut look = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut look))?;
        self.buf.extend_from_slice(look.filled());
        Poll::Ready(Ok(look.filled().len()))
    }

    /// Reads what is there behind what there is; with the room that was left for it.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> (usize, Poll<io::Result<usize>>) {
        if self.buf.capacity() - self.buf.len() < self.read_size / 2 {
            self.buf.reserve(self.read_size);
        }
        let room = self.buf.capacity() - self.buf.len();
        let read = pin!(self.stream.read_buf(&mut self.buf));
        (room, read.poll(cx))
    }

    /// Keeps no room while nothing is in it: most streams wait most of the time, for their provider or for a slow consumer. What was
    /// handed on is a piece of the same memory, which is free when that is.
    fn release(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    /// Writes what can be written. A write that fails is not reported: the upstream may have answered before it closed, and that
    /// answer (a 413, say) is still to be read. Reading then finds it, or the end.
    fn write(&mut self, cx: &mut Context<'_>) {
        let Self {
            stream, outgoing, ..
        } = self;
        if outgoing.sent || outgoing.muted || outgoing.failed {
            return;
        }
        loop {
            match outgoing.poll_written(stream, cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => {
                    outgoing.failed = true;
                    return;
                }
                Poll::Pending => return,
            }
            if !outgoing.refill(cx) {
                break;
            }
        }
        // An encrypted stream may still hold some of it.
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(Ok(())) if outgoing.is_whole() => {
                outgoing.sent = true;
                // They may be large, and the answer long.
                outgoing.head = Bytes::new();
                outgoing.head_end = HeadEnd::default();
                outgoing.body = Bytes::new();
            }
            Poll::Ready(Err(_)) => outgoing.failed = true,
            _ => {}
        }
    }

    /// Whether the connection can take another request: the last one is done on both ends, the upstream has not closed it, and no
    /// byte is there that nobody asked for. Wakes nobody afterwards; who keeps the connection asks again before using it.
    pub fn is_idle(&mut self) -> bool {
        let done = self.keep_alive
            && self.decoder.is_done()
            && !self.outgoing.muted
            && !self.outgoing.failed
            // Who answers early may have been sent all but the end of its request: what the next one begins with would be read as that.
            && (self.outgoing.sent || self.outgoing.came == Came::Nothing);
        if !done || !self.buf.is_empty() {
            return false;
        }
        self.release();
        let mut byte = [0; 1];
        let mut probe = tokio::io::ReadBuf::new(&mut byte);
        let mut nobody = Context::from_waker(Waker::noop());
        tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), &mut nobody, &mut probe)
            .is_pending()
    }

    fn progress(&self) -> Progress {
        Progress {
            sent: self.outgoing.sent,
            response_started: self.response_started,
            write_failed: self.outgoing.failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_request_whose_end_is_not_written_makes_no_idle_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(addr).await.expect("a connection");
        let (_peer, _) = listener.accept().await.expect("a peer");
        let mut conn = Conn::new(Stream::from(stream));
        assert!(conn.is_idle(), "nothing was ever asked");
        // A whole answer came while the last chunk waits for room.
        conn.outgoing = Outgoing {
            came: Came::All,
            body: Bytes::from_static(b"0\r\n\r\n"),
            ..Outgoing::default()
        };
        assert!(!conn.is_idle());
        std::future::poll_fn(|cx| {
            conn.write(cx);
            match conn.outgoing.sent {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        assert!(conn.is_idle());
    }
}
