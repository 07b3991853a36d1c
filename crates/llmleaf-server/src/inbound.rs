//! A request's body: bounded, inflated, whole; or bounded and read while it comes ([`Streamed`]).

use crate::alarm::Alarm;
use crate::incoming::{Inbound, Onto};
use bytes::{Bytes, BytesMut};
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame};
use llmleaf_exchange::Source;
use llmleaf_model::{Failure, FailureKind, Origin};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Largest window a zstd frame may ask for, in bytes: what RFC 8878 recommends decoders to support.
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;
/// Most room that is made for what a body only announces: who announces much and sends little is to cost little.
const ROOM: usize = 64 * 1024;
/// How long a body may stand still, and how long it is slow before that counts.
const GRACE: Duration = Duration::from_secs(15);
/// The slowest that a body may come after that: a byte a millisecond, so some 1 KiB a second.
const SLOWEST: Duration = Duration::from_millis(1);

/// Reads a body of at most `limit` bytes, before and after inflation.
///
/// # Errors
/// Too large, cut off, or compressed in a way that is not served or not well-formed.
pub async fn read<B: Inbound>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
) -> Result<Bytes, Failure> {
    let coding = coding(headers)?;
    let raw = gather(headers, body, limit).await?;
    match coding {
        Coding::Identity => Ok(raw),
        Coding::Gzip => inflate(
            GzDecoder::new(Bounded::new(limit)),
            &raw,
            GzDecoder::try_finish,
            GzDecoder::get_mut,
        ),
        Coding::Deflate => inflate(
            ZlibDecoder::new(Bounded::new(limit)),
            &raw,
            ZlibDecoder::try_finish,
            ZlibDecoder::get_mut,
        ),
        Coding::Zstd => zstd(&raw, limit),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

fn coding(headers: &HeaderMap) -> Result<Coding, Failure> {
    let mut all = headers.get_all(CONTENT_ENCODING).iter();
    let name = all.next().map(HeaderValue::as_bytes).unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    match lower.trim_ascii() {
        _ if all.next().is_some() => {}
        b"" | b"identity" => return Ok(Coding::Identity),
        b"gzip" | b"x-gzip" => return Ok(Coding::Gzip),
        b"deflate" => return Ok(Coding::Deflate),
        b"zstd" => return Ok(Coding::Zstd),
        _ => {}
    }
    let message =
        "this content-encoding is not served; send the body plain, or with gzip, deflate or zstd";
    let mut failure = Failure::invalid(message, None);
    failure.status = Some(415);
    Err(failure)
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn gather<B: Inbound>(
    headers: &HeaderMap,
    mut body: B,
    limit: usize,
) -> Result<Bytes, Failure> {
    if declared(headers).is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit as u64));
    }
    if let Some(whole) = body.take_whole() {
        let fits = whole.len() <= limit;
        return fits.then_some(whole).ok_or_else(|| too_large(limit as u64));
    }
    let announced = usize::try_from(body.size_hint().lower());
    let announced = announced.unwrap_or_default().min(limit);
    // Who announces much and sends little is to cost little: where it is full it becomes larger, by some times what came.
    let mut all = BytesMut::with_capacity(announced.min(ROOM));
    let mut body = Paced::new(body);
    while body.onto(&mut all, limit).await? {}
    Ok(all.freeze())
}

/// A body that is read while it comes, by whoever sends it on.
pub struct Streamed<B> {
    body: Paced<B>,
    read: u64,
    limit: u64,
}

impl<B: Body<Data = Bytes> + Unpin> Streamed<B> {
    /// A body of at most `limit` bytes, and the length that its consumer says.
    ///
    /// # Errors
    /// It says that it is longer, or it is compressed: what is inflated is not what was sent.
    pub fn new(headers: &HeaderMap, body: B, limit: u64) -> Result<(Self, Option<u64>), Failure> {
        if coding(headers)? != Coding::Identity {
            let message = "a body that is sent on while it comes is served plain; send it without content-encoding";
            let mut failure = Failure::invalid(message, None);
            failure.status = Some(415);
            return Err(failure);
        }
        let declared = declared(headers);
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let streamed = Self {
            body: Paced::new(body),
            read: 0,
            limit,
        };
        Ok((streamed, declared))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Source for Streamed<B> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            let frame = match ready!(self.body.poll_frame(cx)) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Poll::Ready(None),
                Err(failure) => return Poll::Ready(Some(Err(failure))),
            };
            // Trailers are passed over.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.read = self.read.saturating_add(data.len() as u64);
            let fits = self.read <= self.limit;
            return Poll::Ready(Some(
                fits.then_some(data).ok_or_else(|| too_large(self.limit)),
            ));
        }
    }
}

/// A body that is given up when it comes too slowly.
struct Paced<B> {
    body: B,
    /// How long it may still be waited for. It counts down only while somebody waits: whoever takes the body may be slow as well.
    left: Duration,
    /// When that is over, while somebody waits.
    due: Option<Instant>,
    alarm: Alarm,
}

impl<B: Body<Data = Bytes> + Unpin> Paced<B> {
    fn new(body: B) -> Self {
        Self {
            body,
            left: GRACE,
            due: None,
            alarm: Alarm::default(),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame<Bytes>>, Failure>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.earn(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Ok(Some(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Err(cut_off())),
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Pending => self.wait(cx),
        }
    }

    /// It did not come yet: whether that has been so for too long.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Failure>> {
        let left = self.left;
        let due = *self.due.get_or_insert_with(|| Instant::now() + left);
        if self.alarm.is_past(due, cx) {
            return Poll::Ready(Err(too_slow()));
        }
        Poll::Pending
    }

    /// Bytes buy time, but none that can be saved up.
    fn earn(&mut self, bytes: usize) {
        if let Some(due) = self.due.take() {
            self.left = due.saturating_duration_since(Instant::now());
        }
        let time = SLOWEST.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.left = self.left.saturating_add(time).min(GRACE);
    }
}

impl<B: Inbound> Paced<B> {
    /// Reads on behind `all`; false at the end.
    async fn onto(&mut self, all: &mut BytesMut, limit: usize) -> Result<bool, Failure> {
        poll_fn(|cx| {
            let most = limit.saturating_sub(all.len());
            match self.body.poll_onto(cx, all, most) {
                Poll::Ready(Some(Ok(Onto::Came(bytes)))) => {
                    self.earn(bytes);
                    Poll::Ready(Ok(true))
                }
                Poll::Ready(Some(Ok(Onto::TooLarge))) => Poll::Ready(Err(too_large(limit as u64))),
                Poll::Ready(Some(Err(_))) => Poll::Ready(Err(cut_off())),
                Poll::Ready(None) => Poll::Ready(Ok(false)),
                Poll::Pending => self.wait(cx),
            }
        })
        .await
    }
}

fn cut_off() -> Failure {
    Failure::invalid("the request's body was cut off", None)
}

fn too_slow() -> Failure {
    let mut failure = Failure::invalid("the request's body came too slowly", None);
    failure.status = Some(StatusCode::REQUEST_TIMEOUT.as_u16());
    failure
}

fn too_large(limit: u64) -> Failure {
    Failure::new(
        Origin::Consumer,
        FailureKind::TooLarge,
        format!("the body is larger than {limit} bytes"),
    )
}

fn malformed(coding: &str) -> Failure {
    Failure::invalid(format!("the body is not well-formed {coding}"), None)
}

/// Takes what is written, up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            full: false,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn inflate<D: Write>(
    mut decoder: D,
    raw: &[u8],
    finish: fn(&mut D) -> std::io::Result<()>,
    sink: fn(&mut D) -> &mut Bounded,
) -> Result<Bytes, Failure> {
    let done = decoder.write_all(raw).and_then(|()| finish(&mut decoder));
    let sink = sink(&mut decoder);
    match done {
        _ if sink.full => Err(too_large(sink.limit as u64)),
        Ok(()) => Ok(std::mem::take(&mut sink.bytes).into()),
        Err(_) => Err(malformed("gzip or deflate")),
    }
}

fn zstd(raw: &[u8], limit: usize) -> Result<Bytes, Failure> {
    let mut source = raw;
    let mut decoder =
        ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut source, ZSTD_WINDOW)
            .map_err(|_| malformed("zstd, or needs a window of more than 8 MiB"))?;
    if decoder.decoder.content_size() > limit as u64 {
        return Err(too_large(limit as u64));
    }
    let mut out = Vec::new();
    let read = decoder
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut out);
    match read {
        Ok(_) if out.len() > limit => Err(too_large(limit as u64)),
        Ok(_) => Ok(out.into()),
        Err(_) => Err(malformed("zstd")),
    }
}

#[cfg(test)]
mod tests;
