//! A consumer's socket, what was read of it, and how long is waited.

use crate::alarm::{Alarm, Stall};
use crate::http1::head::{self, Head, Refused};
use crate::http1::spares::Spares;
use crate::incoming::{Cut, Onto};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use llmleaf_transport::{Decoded, Decoder};
use socket2::SockRef;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

/// How long a head may take from its first byte to its last, and a new connection to its first byte.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a consumer that is still sending is listened to after its answer, so that it finds the answer and no reset.
pub const LINGER: Duration = Duration::from_secs(2);
/// How much of that is read.
const LINGER_BYTES: usize = 1024 * 1024;
/// How much is read behind a request that is being answered. Who sends more is not heard hanging up until the answer has ended.
pub const MOST_AHEAD: usize = 16 * 1024;
/// Bytes of one look for that.
const SIP: usize = 1024;
/// Bytes of one look for a request: most come whole in one, and nothing is kept for those that do not come.
const LOOK: usize = 8 * 1024;
/// Most bytes of a body that are read at a time.
const PIECE: usize = 16 * 1024;
/// Least room that is made for more of a body.
const ROOM: usize = 4 * 1024;
/// Room that is made for more of a body, in times of what has come: what was not written to takes no memory, and who has sent this much means it.
const GROWTH: usize = 8;
/// What a consumer is told whose head took too long; nothing can be known of its dialect.
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// What a consumer is told that waits to send its body.
const INVITATION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Most empty lines before a request.
const MOST_EMPTY: u8 = 8;
/// How much is read of a body that nobody wanted, to keep its connection.
const MOST_PASSED: usize = 64 * 1024;

/// What a connection of HTTP/1 is read from and written to.
pub trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Has the end, if it comes now, look like none, or like one again. What the consumer has not been sent by then is lost with it; that its answer was
    /// cut is not. TLS has an end of its own for that, which many clients do without.
    fn spoil(&self, spoilt: bool);
}

impl Socket for TcpStream {
    fn spoil(&self, spoilt: bool) {
        // The system resets it then.
        let _ = SockRef::from(self).set_linger(spoilt.then_some(Duration::ZERO));
    }
}

impl Socket for TlsStream<TcpStream> {
    fn spoil(&self, spoilt: bool) {
        self.get_ref().0.spoil(spoilt);
    }
}

#[cfg(test)]
impl Socket for tokio::io::DuplexStream {
    fn spoil(&self, _: bool) {}
}

/// One connection's socket. The connection reads heads from it and writes answers, the body of a request is read by whoever has that.
pub struct Wire(RefCell<Inner>);

struct Inner {
    socket: Box<dyn Socket>,
    spares: Rc<Spares>,
    /// What was read and nobody has taken.
    ahead: BytesMut,
    /// How much of that is known to hold no whole head.
    seen: usize,
    /// A number of the last request; 0 before the first.
    number: u64,
    /// Empty lines before the next one.
    empty: u8,
    /// What is to come of the request's body.
    body: Decoder,
    /// It will not come.
    cut: bool,
    /// What its sender waits for.
    invitation: &'static [u8],
    /// Something of that was written, and may not have left.
    inviting: bool,
    /// Since when the head that has begun is waited for.
    head_since: Option<Instant>,
    /// Since when there is no request.
    idle_since: Instant,
    stall: Stall,
    lingering: Option<(Instant, usize)>,
    reading: Alarm,
}

/// What comes on a connection that waits for a request.
#[expect(
    clippy::large_enum_variant,
    reason = "almost always it is the large one"
)]
#[derive(Debug)]
pub enum Next {
    /// A request; its body, where all of that came with it.
    Request(Head, Option<Bytes>),
    /// None that is read.
    Refused(Box<Refused>),
    /// The end.
    End,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Of a new connection.
    pub fn new(socket: Box<dyn Socket>, spares: Rc<Spares>) -> Self {
        Self(RefCell::new(Inner {
            socket,
            spares,
            ahead: BytesMut::new(),
            seen: 0,
            number: 0,
            empty: 0,
            body: Decoder::Exactly(0),
            cut: false,
            invitation: &[],
            inviting: false,
            head_since: None,
            idle_since: Instant::now(),
            stall: Stall::default(),
            lingering: None,
            reading: Alarm::default(),
        }))
    }

    /// The socket, and what was read of it.
    pub fn into_parts(self) -> (Box<dyn Socket>, Bytes) {
        let inner = self.0.into_inner();
        (inner.socket, inner.ahead.freeze())
    }

    /// Whether there ever was a request.
    pub fn has_served(&self) -> bool {
        self.0.borrow().number > 0
    }

    /// Whether nothing lacks of the last request.
    pub fn has_whole_request(&self) -> bool {
        self.0.borrow().body.is_done()
    }

    /// The number of the last request.
    pub fn number(&self) -> u64 {
        self.0.borrow().number
    }

    /// Bytes that are to come of its body, where that is known.
    pub fn to_come(&self) -> Option<u64> {
        match self.0.borrow().body {
            Decoder::Exactly(left) => Some(left),
            _ => None,
        }
    }

    /// Waits for the next request. `ends`: only for one that has begun.
    pub fn poll_next(&self, ends: bool, cx: &mut Context<'_>) -> Poll<io::Result<Next>> {
        let inner = &mut *self.0.borrow_mut();
        if let Some(next) = inner.kept() {
            return Poll::Ready(Ok(next));
        }
        loop {
            let mut look = [const { MaybeUninit::uninit() }; LOOK];
            let mut buf = ReadBuf::uninit(&mut look);
            match Pin::new(&mut inner.socket).poll_read(cx, &mut buf) {
                Poll::Ready(read) => read?,
                Poll::Pending if ends && inner.ahead.is_empty() => {
                    return Poll::Ready(Ok(Next::End));
                }
                Poll::Pending => return inner.wait(cx),
            }
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(Next::End));
            }
            if let Some(next) = inner.came(buf.filled()) {
                return Poll::Ready(Ok(next));
            }
        }
    }

    /// The next piece of the request's body; `None` at its end.
    pub fn poll_data(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let inner = &mut *self.0.borrow_mut();
        loop {
            if let Some(end) = inner.body_end() {
                return Poll::Ready(end);
            }
            if inner.ahead.is_empty() {
                ready!(inner.poll_invited(cx));
                inner.ahead.reserve(PIECE);
                let read = pin!(inner.socket.read_buf(&mut inner.ahead)).poll(cx);
                if read.is_pending() {
                    inner.ahead = BytesMut::new();
                }
                inner.cut = !matches!(ready!(read), Ok(1..));
                continue;
            }
            if let Some(piece) = inner.take() {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }

    /// Reads the body on behind what came of it before.
    pub fn poll_onto(
        &self,
        cx: &mut Context<'_>,
        all: &mut BytesMut,
        most: usize,
    ) -> Poll<Option<Result<Onto, Cut>>> {
        {
            let inner = &mut *self.0.borrow_mut();
            if let Some(end) = inner.body_end() {
                return Poll::Ready(end);
            }
            if inner.ahead.is_empty()
                && let Decoder::Exactly(left) = inner.body
            {
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                if left > most {
                    return Poll::Ready(Some(Ok(Onto::TooLarge)));
                }
                ready!(inner.poll_invited(cx));
                if all.capacity() == all.len() {
                    all.reserve(left.min(all.len().saturating_mul(GROWTH).max(ROOM)));
                }
                let mut room = all.limit(left);
                let read = pin!(inner.socket.read_buf(&mut room)).poll(cx);
                let Ok(read @ 1..) = ready!(read) else {
                    inner.cut = true;
                    return Poll::Ready(Some(Err(Cut)));
                };
                inner.body = Decoder::Exactly((left - read) as u64);
                return Poll::Ready(Some(Ok(Onto::Came(read))));
            }
        }
        let piece = match ready!(self.poll_data(cx)) {
            Some(Ok(piece)) => piece,
            Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
            None => return Poll::Ready(None),
        };
        if piece.len() > most {
            return Poll::Ready(Some(Ok(Onto::TooLarge)));
        }
        all.extend_from_slice(&piece);
        Poll::Ready(Some(Ok(Onto::Came(piece.len()))))
    }

    /// Looks whether the consumer has hung up on the request that is being answered. What came behind it is kept, and so is what came of its
    /// body while nobody reads that: whoever reads on takes it from there first. One task asks this and reads, so that nobody's waker is lost.
    ///
    /// # Errors
    /// It has.
    pub fn hear(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let inner = &mut *self.0.borrow_mut();
        while inner.ahead.len() < MOST_AHEAD {
            let mut sip = [const { MaybeUninit::uninit() }; SIP];
            let mut buf = ReadBuf::uninit(&mut sip);
            match Pin::new(&mut inner.socket).poll_read(cx, &mut buf) {
                Poll::Pending => break,
                Poll::Ready(read) => read?,
            }
            if buf.filled().is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            inner.ahead.extend_from_slice(buf.filled());
        }
        Ok(())
    }

    /// Before an answer: an invitation of which some was written is finished, any other is not given any more. Unless somebody `may_read_on` in the
    /// request's body, what is there of it is passed over; more is not waited for, nor is any whose sender waits to be asked.
    pub fn poll_settled(&self, may_read_on: bool, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut *self.0.borrow_mut();
        if inner.inviting {
            ready!(inner.poll_invited(cx));
        }
        let waits = !std::mem::take(&mut inner.invitation).is_empty();
        if !may_read_on && !waits {
            inner.pass(cx);
        }
        Poll::Ready(())
    }

    /// Writes some of these; how much. It is given up when nothing is taken for too long.
    pub fn poll_write(&self, slices: [&[u8]; 3], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0.borrow_mut();
        let vectored = inner.socket.is_write_vectored();
        let socket = Pin::new(&mut inner.socket);
        let polled = match slices {
            [first, [], []] => socket.poll_write(cx, first),
            all if !vectored => {
                let first = all.into_iter().find(|slice| !slice.is_empty());
                socket.poll_write(cx, first.unwrap_or_default())
            }
            all => socket.poll_write_vectored(cx, &all.map(IoSlice::new)),
        };
        match polled {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(ErrorKind::WriteZero.into())),
            polled => inner.stall.heed(polled, cx),
        }
    }

    /// Has everything that was written leave.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        let polled = Pin::new(&mut inner.socket).poll_flush(cx);
        inner.stall.heed(polled, cx)
    }

    /// An answer has left.
    pub fn rest(&self) {
        self.0.borrow_mut().idle_since = Instant::now();
    }

    /// Has the end of the connection look like none, or like one again.
    pub fn spoil(&self, spoilt: bool) {
        self.0.borrow().socket.spoil(spoilt);
    }

    /// Closes, and reads and forgets what the consumer is still sending, to the end or a limit.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut *self.0.borrow_mut();
        if inner.lingering.is_none() {
            let polled = Pin::new(&mut inner.socket).poll_shutdown(cx);
            if ready!(inner.stall.heed(polled, cx)).is_err() {
                return Poll::Ready(());
            }
        }
        let (until, mut left) = *inner
            .lingering
            .get_or_insert_with(|| (Instant::now() + LINGER, LINGER_BYTES));
        // What lies unread in the system when it closes destroys the answer. Who is not in the midst of anything is given one look.
        let done = inner.body.is_done() && inner.ahead.is_empty();
        loop {
            let mut scratch = [const { MaybeUninit::uninit() }; LOOK];
            let mut buf = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut inner.socket).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && left > 0 => {
                    left = left.saturating_sub(buf.filled().len());
                    inner.lingering = Some((until, left));
                }
                Poll::Pending if done && left == LINGER_BYTES => return Poll::Ready(()),
                Poll::Pending if !inner.reading.is_past(until, cx) => return Poll::Pending,
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl Inner {
    /// A request in what is there already.
    fn kept(&mut self) -> Option<Next> {
        // An empty line between requests is nothing (RFC 9112, section 2.2), and there are not many of them.
        while self.empty < MOST_EMPTY && self.ahead.starts_with(b"\r\n") {
            self.ahead.advance(2);
            self.empty += 1;
            self.seen = 0;
        }
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
            self.head_since = None;
            return None;
        }
        if self.seen == self.ahead.len() {
            return None;
        }
        if self.seen > 0
            && self.ahead.len() <= head::LARGEST
            && !head::may_end(&self.ahead, self.seen)
        {
            self.seen = self.ahead.len();
            return None;
        }
        let read = head::read(&self.ahead, &self.spares);
        self.seen = self.ahead.len();
        let mut head = match read {
            Ok(head) => head?,
            Err(refused) => return Some(self.refuse(refused)),
        };
        self.ahead.advance(head.length);
        let whole = self.whole(&mut head);
        Some(self.begin(head, whole))
    }

    /// A request in what just came: as good as always it is one, and all of it.
    fn came(&mut self, mut came: &[u8]) -> Option<Next> {
        if self.ahead.is_empty() {
            while let Some(rest) = came.strip_prefix(b"\r\n")
                && self.empty < MOST_EMPTY
            {
                came = rest;
                self.empty += 1;
            }
            let read = match came {
                [] => return None,
                came => head::read_with_body(came, &self.spares),
            };
            match read {
                Ok(Some((head, whole))) => {
                    let behind = came.get(head.length..).unwrap_or_default();
                    self.ahead.extend_from_slice(behind);
                    return Some(self.begin(head, whole));
                }
                Ok(None) => {}
                Err(refused) => {
                    self.ahead.extend_from_slice(came);
                    return Some(self.refuse(refused));
                }
            }
        }
        let before = self.ahead.len();
        self.ahead.extend_from_slice(came);
        if before == 0 {
            self.seen = self.ahead.len();
            return None;
        }
        self.kept()
    }

    /// The body of a request, where all of it is there.
    fn whole(&mut self, head: &mut Head) -> Option<Bytes> {
        let Decoder::Exactly(length) = head.body else {
            return None;
        };
        let length = usize::try_from(length).ok()?;
        let body = Bytes::copy_from_slice(self.ahead.get(..length)?);
        self.ahead.advance(length);
        head.body = Decoder::Exactly(0);
        Some(body)
    }

    fn begin(&mut self, mut head: Head, whole: Option<Bytes>) -> Next {
        if self.ahead.is_empty() {
            // It may have been much, and more may never come.
            self.ahead = BytesMut::new();
        }
        self.seen = 0;
        self.head_since = None;
        self.number += 1;
        self.empty = 0;
        self.cut = false;
        self.body = std::mem::replace(&mut head.body, Decoder::Exactly(0));
        let waits = head.waits && !self.body.is_done() && self.ahead.is_empty();
        self.invitation = if waits { INVITATION } else { &[] };
        self.inviting = false;
        Next::Request(head, whole)
    }

    /// What follows is not read as anything.
    fn refuse(&mut self, refused: Refused) -> Next {
        self.body = Decoder::ToTheEnd;
        self.cut = true;
        Next::Refused(Box::new(refused))
    }

    fn pass(&mut self, cx: &mut Context<'_>) {
        if self.body.is_done() {
            return;
        }
        // Whoever still has it is not to take what was passed over for all of it.
        self.number += 1;
        let mut passed = 0;
        while !self.body.is_done() && !self.cut && passed < MOST_PASSED {
            if self.ahead.is_empty() {
                self.ahead.reserve(PIECE);
                let read = pin!(self.socket.read_buf(&mut self.ahead)).poll(cx);
                if !matches!(read, Poll::Ready(Ok(1..))) {
                    self.cut = read.is_ready();
                    self.ahead = BytesMut::new();
                    return;
                }
            }
            passed += self.take().map_or(0, |piece| piece.len());
        }
    }

    /// Nothing is there to read: how long that may go on.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let begun = !self.ahead.is_empty();
        let until = if begun {
            *self.head_since.get_or_insert_with(Instant::now) + HEAD_TIMEOUT
        } else if self.number > 0 {
            self.idle_since + IDLE_TIMEOUT
        } else {
            self.idle_since + HEAD_TIMEOUT
        };
        if !self.reading.is_past(until, cx) {
            return Poll::Pending;
        }
        if begun {
            // It may be lost: the connection ends now.
            let _ = Pin::new(&mut self.socket).poll_write(cx, TOO_SLOW);
        }
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// How the body ends, if nothing of it is to be read.
    fn body_end<T>(&self) -> Option<Option<Result<T, Cut>>> {
        if self.body.is_done() {
            return Some(None);
        }
        self.cut.then_some(Some(Err(Cut)))
    }

    /// A piece of the body out of what is there.
    fn take(&mut self) -> Option<Bytes> {
        let Ok(Decoded { start, end, used }) = self.body.decode(&mut self.ahead) else {
            self.cut = true;
            return None;
        };
        let taken = self.ahead.split_to(used).freeze();
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        let piece = taken.get(start..end).filter(|piece| !piece.is_empty())?;
        // A small one is not to hold the room that it was read into.
        Some(match piece.len() < SIP {
            true => Bytes::copy_from_slice(piece),
            false => taken.slice(start..end),
        })
    }

    /// Asks for the body, where its sender waits for that.
    fn poll_invited(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.invitation.is_empty() {
            let polled = Pin::new(&mut self.socket).poll_write(cx, self.invitation);
            let written = match ready!(self.stall.heed(polled, cx)) {
                Ok(written @ 1..) => written,
                // Whoever reads will find what is the matter.
                _ => self.invitation.len(),
            };
            self.invitation = self.invitation.get(written..).unwrap_or_default();
            self.inviting = true;
        }
        if self.inviting {
            let polled = Pin::new(&mut self.socket).poll_flush(cx);
            let _ = ready!(self.stall.heed(polled, cx));
            self.inviting = false;
        }
        Poll::Ready(())
    }
}
