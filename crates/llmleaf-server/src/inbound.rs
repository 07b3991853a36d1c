//! A request's body: bounded, inflated, whole.

use crate::alarm::Alarm;
use bytes::{Bytes, BytesMut};
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body, Frame};
use llmleaf_model::{Failure, FailureKind, Origin};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Largest window a zstd frame may ask for, in bytes: what RFC 8878 recommends decoders to support.
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;
/// A body that is copied rather than that hyper's buffer, of 8 KiB at least, is kept for it.
const SMALL: usize = 4 * 1024;
/// How long a body may stand still, and how long it is slow before that counts.
const GRACE: Duration = Duration::from_secs(15);
/// The slowest that a body may come after that: a byte a millisecond, so some 1 KiB a second.
const SLOWEST: Duration = Duration::from_millis(1);

/// Reads a body of at most `limit` bytes, before and after inflation.
///
/// # Errors
/// Too large, cut off, or compressed in a way that is not served or not well-formed.
pub async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
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

async fn gather<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    let mut body = Paced::new(body);
    let Some(first) = body.next(0, limit).await? else {
        return Ok(Bytes::new());
    };
    if body.body.is_end_stream() {
        // A body that comes in one piece is not copied, unless it is much smaller than the buffer that it is a piece of: it is
        // kept as long as its answer takes.
        let small = first.len() <= SMALL;
        return Ok(if small {
            Bytes::copy_from_slice(&first)
        } else {
            first
        });
    }
    let more = usize::try_from(body.body.size_hint().lower())
        .unwrap_or_default()
        .min(limit);
    let mut all = BytesMut::with_capacity(first.len() + more);
    all.extend_from_slice(&first);
    drop(first);
    while let Some(data) = body.next(all.len(), limit).await? {
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// A body that is given up when it comes too slowly.
struct Paced<B> {
    body: B,
    /// When it is too slow; runs from the first time that it was waited for.
    due: Option<Instant>,
    alarm: Alarm,
}

impl<B: Body<Data = Bytes> + Unpin> Paced<B> {
    fn new(body: B) -> Self {
        Self {
            body,
            due: None,
            alarm: Alarm::default(),
        }
    }

    /// The next piece; trailers are passed over.
    async fn next(&mut self, so_far: usize, limit: usize) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.frame().await? {
            match frame.into_data() {
                Ok(data) if so_far + data.len() > limit => return Err(too_large(limit)),
                Ok(data) => return Ok(Some(data)),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    async fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Failure> {
        poll_fn(|cx| {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.earn(frame.data_ref().map_or(0, Bytes::len));
                    return Poll::Ready(Ok(Some(frame)));
                }
                Poll::Ready(Some(Err(_))) => {
                    let failure = Failure::invalid("the request's body was cut off", None);
                    return Poll::Ready(Err(failure));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => {}
            }
            let due = *self.due.get_or_insert_with(|| Instant::now() + GRACE);
            if self.alarm.is_past(due, cx) {
                return Poll::Ready(Err(too_slow()));
            }
            Poll::Pending
        })
        .await
    }

    /// Bytes buy time, but none that can be saved up.
    fn earn(&mut self, bytes: usize) {
        if let Some(due) = &mut self.due {
            let time = SLOWEST.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
            *due = (*due + time).min(Instant::now() + GRACE);
        }
    }
}

fn too_slow() -> Failure {
    let mut failure = Failure::invalid("the request's body came too slowly", None);
    failure.status = Some(StatusCode::REQUEST_TIMEOUT.as_u16());
    failure
}

fn too_large(limit: usize) -> Failure {
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
        _ if sink.full => Err(too_large(sink.limit)),
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
        return Err(too_large(limit));
    }
    let mut out = Vec::new();
    let read = decoder
        .by_ref()
        .take(limit as u64 + 1)
        .read_to_end(&mut out);
    match read {
        Ok(_) if out.len() > limit => Err(too_large(limit)),
        Ok(_) => Ok(out.into()),
        Err(_) => Err(malformed("zstd")),
    }
}

#[cfg(test)]
mod tests;
