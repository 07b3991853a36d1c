//! A JSON array whose elements come one by one: what Google's APIs stream where nobody asks for events (`alt=sse`; recorded
//! 2025).
//!
//! The elements are objects. Where one ends is found by its brackets; whether it is JSON is not looked at. What stands between
//! them (`[`, commas, white space, `]`) belongs to the frame that follows. An object that stands alone is a frame too.
//!
//! [`ArrayWriter`] is the way back: an event stream in, an array out.

use bytes::Bytes;
use memchr::{memchr, memchr2};

use crate::feed::Feed;
use crate::{DEFAULT_MAX_FRAME_BYTES, Frame, FramingError, SseFramer, SseLimits, Tail};

/// Bounds on what an [`ArrayFramer`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayLimits {
    /// The longest element, in bytes with what stands before it. Default: [`DEFAULT_MAX_FRAME_BYTES`].
    pub max_element_bytes: usize,
}

impl Default for ArrayLimits {
    fn default() -> Self {
        Self {
            max_element_bytes: DEFAULT_MAX_FRAME_BYTES,
        }
    }
}

/// Cuts a JSON array into [`Frame`]s, one an element.
#[derive(Debug, Default)]
pub struct ArrayFramer {
    limits: ArrayLimits,
    feed: Feed,
    scan: Scan,
}

/// How far the open element has been read.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    /// Where its first bracket is.
    start: usize,
    depth: usize,
    in_string: bool,
}

impl Scan {
    /// Reads on; the end of the element where it is reached.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(unseen) = bytes.get(self.at..).filter(|unseen| !unseen.is_empty()) {
            if self.in_string {
                let Some(found) = memchr2(b'"', b'\\', unseen) else {
                    self.at = bytes.len();
                    return None;
                };
                match unseen.get(found) {
                    Some(b'"') => {
                        self.in_string = false;
                        self.at += found + 1;
                    }
                    // The byte behind it is escaped; it may not be here yet.
                    _ if unseen.len() > found + 1 => self.at += found + 2,
                    _ => {
                        self.at += found;
                        return None;
                    }
                }
                continue;
            }
            match unseen.first() {
                Some(b'{') => {
                    if self.depth == 0 {
                        self.start = self.at;
                    }
                    self.depth += 1;
                }
                Some(b'}') if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(self.at + 1);
                    }
                }
                Some(b'"') => self.in_string = self.depth > 0,
                _ => {}
            }
            self.at += 1;
        }
        None
    }
}

impl ArrayFramer {
    /// A framer at the start of a stream. Allocates nothing.
    pub fn new(limits: ArrayLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Gives the next bytes of the body; see [`NdjsonFramer::push`](crate::NdjsonFramer::push).
    pub fn push(&mut self, chunk: Bytes) {
        self.feed.push(chunk);
    }

    /// The next complete element; `None`: push more bytes, or [`finish`](Self::finish).
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator may be dropped or fused after None; here more may follow the next push"
    )]
    pub fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        let limit = self.limits.max_element_bytes;
        loop {
            let window = self.feed.window(bracket)?;
            let end = self.scan.advance(window);
            let seen = end.unwrap_or(window.len());
            if seen > limit {
                return Some(Err(self.feed.too_large(limit)));
            }
            let Some(end) = end else {
                self.feed.carry();
                continue;
            };
            let start = self.scan.start;
            self.scan = Scan::default();
            if let Err(error) = std::str::from_utf8(window.get(start..end).unwrap_or_default()) {
                let at = start + error.valid_up_to();
                return Some(Err(self.feed.invalid_utf8(at)));
            }
            let raw = self.feed.take(end);
            return Some(Ok(Frame {
                data: raw.slice(start..end),
                event: None,
                has_data: true,
                raw,
            }));
        }
    }

    /// At the end of the body: what is left, which holds no whole element, or `None` if nothing is.
    ///
    /// # Errors
    ///
    /// None so far; as for the other framers.
    pub fn finish(&mut self) -> Option<Result<Tail, FramingError>> {
        let raw = self.feed.take_rest();
        (!raw.is_empty()).then_some(Ok(Tail { frame: None, raw }))
    }
}

/// Through the first place where an element may end, or else all of it.
fn bracket(bytes: &[u8]) -> usize {
    memchr(b'}', bytes).map_or(bytes.len(), |end| end + 1)
}

/// Writes an event stream as a JSON array: the data of each event is an element, a comment is white space.
#[derive(Debug)]
pub struct ArrayWriter {
    framer: SseFramer,
    empty: bool,
    broken: bool,
}

impl Default for ArrayWriter {
    fn default() -> Self {
        // The events are our own: whoever wrote one held it whole.
        let limits = SseLimits {
            max_event_bytes: usize::MAX,
        };
        Self {
            framer: SseFramer::new(limits),
            empty: true,
            broken: false,
        }
    }
}

impl ArrayWriter {
    /// Takes bytes of the event stream, and appends what they become.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.framer.push(Bytes::copy_from_slice(bytes));
        while let Some(next) = self.framer.next() {
            match next {
                Ok(frame) => self.element(&frame, out),
                Err(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
    }

    fn element(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        if !frame.has_data {
            out.extend_from_slice(b"\n");
            return;
        }
        out.extend_from_slice(if self.empty { b"[" } else { b",\r\n" });
        self.empty = false;
        out.extend_from_slice(&frame.data);
    }

    /// Ends the array. False where some of the stream is not in it: then it has no end, and whoever reads it must not be let
    /// believe that it has.
    #[must_use]
    pub fn close(&mut self, out: &mut Vec<u8>) -> bool {
        match self.framer.finish() {
            None => {}
            // A last event may lack its blank line.
            Some(Ok(Tail {
                frame: Some(frame), ..
            })) => self.element(&frame, out),
            Some(Ok(tail)) => self.broken |= !is_silent(&tail.raw),
            Some(Err(_)) => self.broken = true,
        }
        if self.broken {
            return false;
        }
        out.extend_from_slice(if self.empty { b"[]\n" } else { b"\n]\n" });
        self.empty = false;
        true
    }
}

/// True for comments and blank lines.
fn is_silent(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| matches!(byte, b'\r' | b'\n'));
    lines.all(|line| line.is_empty() || line.starts_with(b":"))
}
