//! An answer as it goes out: its head, and a body whose end can be seen.

use crate::http1::spares::Spares;
use crate::http1::wire::Wire;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body::{Body, Frame};
use llmleaf_exchange::Aborted;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that are gathered for one write.
const GATHERED: usize = 16 * 1024;
/// The same, where the socket did not take all of what it was given: a slow reader is to cost little.
const SLOWLY: usize = 2 * 1024;
/// A piece that is copied behind what goes before it. To hand the system one more address costs more than that.
const COPIED: usize = 4 * 1024;
/// Room for an answer's head. Few are larger.
const HEAD: usize = 640;

/// How a request wants its answer.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub version: Version,
    /// Without its body.
    pub head_only: bool,
    /// The connection stays for another one.
    pub keeps: bool,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There is none.
    NoBody,
    /// By the length; so much is still to come.
    Exactly(u64),
    Chunked,
    /// The connection closes.
    Close,
}

/// What is on its way to the socket.
pub struct Outgoing {
    buf: Vec<u8>,
    /// How much of that was taken.
    at: usize,
    /// A large piece behind it, which is not copied.
    large: Bytes,
    /// What ends that.
    behind: &'static [u8],
    end: End,
    state: State,
    clogged: bool,
    keeps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There may be more of the body.
    Open,
    /// That was all.
    Done,
    /// It ends where it should not, and is seen to.
    Cut,
}

impl Outgoing {
    /// With the answer's head; `exact` is the length of its body, where that is known.
    pub fn new(parts: &Parts, exact: Option<u64>, manner: Manner, spares: &Spares) -> Self {
        let headers = &parts.headers;
        let end = end(parts, exact, manner);
        let keeps = manner.keeps && end != End::Close && !closes(headers);
        let copied = match end {
            End::Exactly(length) if length < COPIED as u64 => length as usize,
            _ => 0,
        };
        let mut buf = spares.buf();
        buf.reserve(HEAD + copied);
        write_head(&mut buf, parts, end, manner, keeps);
        let is_empty = manner.head_only || matches!(end, End::NoBody | End::Exactly(0));
        Self {
            buf,
            at: 0,
            large: Bytes::new(),
            behind: &[],
            end,
            state: if is_empty { State::Done } else { State::Open },
            clogged: false,
            keeps,
        }
    }

    /// Whether the connection can take another request after it, when it has left.
    pub fn keeps(&self) -> bool {
        self.keeps && self.state == State::Done
    }

    /// Whether the end of the connection is all that tells its end: until it is all sent, any other end is to be seen to be one.
    pub fn ends_with_connection(&self) -> bool {
        self.end == End::Close
    }

    /// Whether it was sent to its end, and that was not a cut.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Sends it with its body. Pieces that are there leave together, and none waits for one that is not.
    pub fn poll<B>(
        &mut self,
        wire: &Wire,
        body: &mut B,
        spares: &Spares,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>
    where
        B: Body<Data = Bytes, Error = Aborted> + Unpin,
    {
        loop {
            if self.buf.capacity() == 0 {
                self.buf = spares.buf();
            }
            let waits = self.gather(body, cx);
            if let Err(error) = ready!(self.poll_written(wire, cx)) {
                return Poll::Ready(Err(error));
            }
            if waits || self.state != State::Open {
                spares.leave_buf(std::mem::take(&mut self.buf));
            }
            if self.state != State::Open {
                return Poll::Ready(Ok(()));
            }
            if waits {
                wire.hear(cx)?;
                return Poll::Pending;
            }
        }
    }

    /// Takes what there is of the body; whether there is no more of it now.
    fn gather<B>(&mut self, body: &mut B, cx: &mut Context<'_>) -> bool
    where
        B: Body<Data = Bytes, Error = Aborted> + Unpin,
    {
        // What the socket has not taken is waited for first.
        if self.at > 0 || self.clogged && !self.buf.is_empty() {
            return false;
        }
        let most = if self.clogged { SLOWLY } else { GATHERED };
        while self.state == State::Open && self.large.is_empty() && self.buf.len() < most {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(None) => self.finish(),
                Poll::Ready(Some(Ok(frame))) => self.put(frame),
                Poll::Ready(Some(Err(Aborted))) => self.state = State::Cut,
            }
        }
        false
    }

    fn finish(&mut self) {
        self.state = match self.end {
            End::Exactly(1..) => State::Cut,
            _ => State::Done,
        };
        if self.end == End::Chunked {
            self.buf.extend_from_slice(b"0\r\n\r\n");
        }
    }

    fn put(&mut self, frame: Frame<Bytes>) {
        // Trailers are told to nobody.
        let Ok(mut data) = frame.into_data() else {
            return;
        };
        if let End::Exactly(left) = &mut self.end {
            let fits = usize::try_from(*left).unwrap_or(usize::MAX);
            if data.len() > fits {
                data.truncate(fits);
                self.state = State::Cut;
            }
            *left -= data.len() as u64;
        }
        if data.is_empty() {
            return;
        }
        let chunked = self.end == End::Chunked;
        if chunked {
            write_size(&mut self.buf, data.len());
        }
        let line: &[u8] = if chunked { b"\r\n" } else { b"" };
        if data.len() < COPIED {
            self.buf.extend_from_slice(&data);
            self.buf.extend_from_slice(line);
        } else {
            self.large = data;
            self.behind = line;
        }
        if self.end == End::Exactly(0) && self.state == State::Open {
            self.state = State::Done;
        }
    }

    fn poll_written(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let first = self.buf.get(self.at..).unwrap_or_default();
            let slices = [first, &*self.large, self.behind];
            if slices.iter().all(|slice| slice.is_empty()) {
                break;
            }
            let Poll::Ready(written) = wire.poll_write(slices, cx) else {
                self.clogged = true;
                wire.hear(cx)?;
                return Poll::Pending;
            };
            self.advance(written?);
        }
        self.buf.clear();
        self.at = 0;
        let flushed = wire.poll_flush(cx);
        self.clogged = flushed.is_pending();
        if self.clogged {
            wire.hear(cx)?;
        }
        flushed
    }

    /// So much was taken.
    fn advance(&mut self, written: usize) {
        let of_buf = written.min(self.buf.len().saturating_sub(self.at));
        self.at += of_buf;
        let of_large = (written - of_buf).min(self.large.len());
        self.large = self.large.split_off(of_large);
        let of_behind = written - of_buf - of_large;
        self.behind = self.behind.get(of_behind..).unwrap_or_default();
    }
}

fn end(parts: &Parts, exact: Option<u64>, manner: Manner) -> End {
    let told = parts.headers.get(CONTENT_LENGTH);
    let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
    match (told.or(exact), manner.version) {
        _ if has_no_body(parts.status) => End::NoBody,
        (Some(length), _) => End::Exactly(length),
        (None, Version::HTTP_11) => End::Chunked,
        (None, _) => End::Close,
    }
}

fn has_no_body(status: StatusCode) -> bool {
    status.is_informational()
        || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
}

/// Whether it is to be the last on its connection.
fn closes(headers: &HeaderMap) -> bool {
    let value = headers.get(CONNECTION).map(HeaderValue::as_bytes);
    value.is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
}

fn write_head(buf: &mut Vec<u8>, parts: &Parts, end: End, manner: Manner, keeps: bool) {
    buf.extend_from_slice(b"HTTP/1.1 ");
    buf.extend_from_slice(parts.status.as_str().as_bytes());
    buf.push(b' ');
    let reason = parts.status.canonical_reason().unwrap_or_default();
    buf.extend_from_slice(reason.as_bytes());
    buf.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        // Whoever made the answer does not say how it is sent; where it has no body, only 304 may tell of one (RFC 9110, section 8.6).
        let length = *name == CONTENT_LENGTH
            && end == End::NoBody
            && parts.status != StatusCode::NOT_MODIFIED;
        if *name != TRANSFER_ENCODING && !length {
            write_field(buf, name.as_str(), value.as_bytes());
        }
    }
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    match end {
        End::Exactly(length) if !parts.headers.contains_key(CONTENT_LENGTH) => {
            write_field(buf, "content-length", length.to_string().as_bytes());
        }
        End::Chunked => write_field(buf, "transfer-encoding", b"chunked"),
        _ => {}
    }
    if !keeps && !switches && !closes(&parts.headers) {
        write_field(buf, "connection", b"close");
    } else if keeps && manner.version == Version::HTTP_10 {
        write_field(buf, "connection", b"keep-alive");
    }
    if !parts.headers.contains_key(DATE) {
        buf.extend_from_slice(b"date: ");
        date(|date| buf.extend_from_slice(date));
        buf.extend_from_slice(b"\r\n");
    }
    buf.extend_from_slice(b"\r\n");
}

fn write_field(buf: &mut Vec<u8>, name: &str, value: &[u8]) {
    buf.extend_from_slice(name.as_bytes());
    buf.extend_from_slice(b": ");
    buf.extend_from_slice(value);
    buf.extend_from_slice(b"\r\n");
}

/// The line before a chunk (RFC 9112, section 7.1).
fn write_size(buf: &mut Vec<u8>, size: usize) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let digit = (size >> (4 * digit) & 0xf) as u32;
        buf.push(char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8));
    }
    buf.extend_from_slice(b"\r\n");
}

/// Hands on the date as a field has it (RFC 9110, section 5.6.7), which is written once a second.
fn date(tell: impl FnOnce(&[u8])) {
    thread_local! {
        static DATE: RefCell<(u64, String)> = RefCell::default();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now || text.is_empty() {
            *second = now;
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
        }
        tell(text.as_bytes());
    });
}

#[cfg(test)]
mod tests;
