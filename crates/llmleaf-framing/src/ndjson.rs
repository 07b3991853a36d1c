//! Newline-delimited JSON: a message a line (<https://github.com/ndjson/ndjson-spec>, read 2026-11-25).
//!
//! Lines end with LF or CRLF. A lone CR is white space to JSON and does not end one. Lines of nothing
//! but white space are frames without data. Whether a line is JSON is not looked at.

use bytes::Bytes;
use memchr::memchr;

use crate::feed::Feed;
use crate::{BOM, DEFAULT_MAX_FRAME_BYTES, Frame, FramingError, Tail};

/// Bounds on what an [`NdjsonFramer`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NdjsonLimits {
    /// The longest line, in bytes with its line end. Default: [`DEFAULT_MAX_FRAME_BYTES`].
    pub max_line_bytes: usize,
}

impl Default for NdjsonLimits {
    fn default() -> Self {
        Self {
            max_line_bytes: DEFAULT_MAX_FRAME_BYTES,
        }
    }
}

/// Cuts newline-delimited JSON into [`Frame`]s.
#[derive(Debug)]
pub struct NdjsonFramer {
    limits: NdjsonLimits,
    feed: Feed,
    /// How far the open line has been searched for its end.
    scanned: usize,
}

impl NdjsonFramer {
    /// A framer at the start of a stream. Allocates nothing.
    pub fn new(limits: NdjsonLimits) -> Self {
        Self {
            limits,
            feed: Feed::default(),
            scanned: 0,
        }
    }

    /// Gives the next bytes of the body. Does no work; take all frames before the next push, since
    /// untaken chunks are kept whole and count against no limit.
    pub fn push(&mut self, chunk: Bytes) {
        self.feed.push(chunk);
    }

    /// The next complete line; `None`: push more bytes, or [`finish`](Self::finish). Not an iterator,
    /// because `None` is not the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator may be dropped or fused after None; here more may follow the next push"
    )]
    pub fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        let limit = self.limits.max_line_bytes;
        loop {
            let window = self.feed.window(line_end)?;
            let unseen = window.get(self.scanned..).unwrap_or_default();
            let Some(length) = memchr(b'\n', unseen).map(|at| self.scanned + at + 1) else {
                self.scanned = window.len();
                if self.scanned > limit {
                    return Some(Err(self.feed.too_large(limit)));
                }
                self.feed.carry();
                continue;
            };
            self.scanned = 0;
            if length > limit {
                return Some(Err(self.feed.too_large(limit)));
            }
            let start = self.feed.offset();
            let raw = self.feed.take(length);
            let frame = frame(raw, start);
            if frame.is_err() {
                self.feed.close();
            }
            return Some(frame.map_err(|wrong| wrong.error));
        }
    }

    /// At the end of the body: the last line, if no line end followed it, or `None` if nothing is left.
    /// Nothing can be pushed after it. Call it when [`next`](Self::next) says `None`: if there are
    /// untaken frames, their bytes are in the tail's `raw` and its `frame` is `None`.
    ///
    /// # Errors
    ///
    /// [`FramingError::InvalidUtf8`], unless the wrong byte is only that the stream ends in the middle
    /// of a character: that is a cut, not corruption, and gives a tail without frame.
    pub fn finish(&mut self) -> Option<Result<Tail, FramingError>> {
        let drained = self.feed.is_drained();
        let start = self.feed.offset();
        let raw = self.feed.take_rest();
        if raw.is_empty() {
            return None;
        }
        let frame = match frame(raw.clone(), start) {
            Ok(frame) => Some(frame).filter(|frame| drained && frame.has_data),
            Err(wrong) if drained && !wrong.is_cut => return Some(Err(wrong.error)),
            Err(_) => None,
        };
        Some(Ok(Tail { frame, raw }))
    }
}

/// Why a line is no frame.
struct Wrong {
    error: FramingError,
    /// Whether the line only stops in the middle of a character.
    is_cut: bool,
}

/// The frame of the line `raw`, which begins `start` bytes into the stream.
fn frame(raw: Bytes, start: u64) -> Result<Frame, Wrong> {
    let line = raw.strip_suffix(b"\n").unwrap_or(&raw);
    let end = line.strip_suffix(b"\r").unwrap_or(line).len();
    let begin = match start {
        0 if raw.starts_with(BOM) => BOM.len(),
        _ => 0,
    };
    let value = raw.get(begin..end).unwrap_or_default();
    if value
        .iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
    {
        return Ok(Frame::silent(raw));
    }
    if let Err(error) = std::str::from_utf8(value) {
        return Err(Wrong {
            error: FramingError::InvalidUtf8 {
                offset: start + (begin + error.valid_up_to()) as u64,
            },
            is_cut: error.error_len().is_none(),
        });
    }
    Ok(Frame {
        data: raw.slice(begin..end),
        event: None,
        has_data: true,
        raw,
    })
}

/// Through the first line end, or else all of it.
fn line_end(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1)
}
