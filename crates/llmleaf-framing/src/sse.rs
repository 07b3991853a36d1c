//! Server-sent events, read as the WHATWG HTML standard says ("Interpreting an event stream",
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>, read 2026-11-25).
//!
//! What the standard leaves to us, since it has no notion of exact bytes:
//!
//! - A comment line that opens a block is a frame of its own, so that `: ping` is seen with its line
//!   end and an endless run of comments costs no memory. A blank line with no block before it is one
//!   as well.
//! - A blank line that ends with CR at the end of a chunk ends its frame at once. Should an LF follow,
//!   it is a frame of its own (`raw` is that LF, no data): nothing waits for a byte that may never
//!   come, and a forwarded CRLF is never held back half. This is the one case where the cut of the
//!   chunks shows: in the number of frames without data and in where `raw` is cut, never in the
//!   frames with data.
//! - `id` and `retry` are for reconnection, which does not exist here: they stay in `raw`.

mod alike;
mod block;

use bytes::Bytes;

use crate::feed::Feed;
use crate::{DEFAULT_MAX_FRAME_BYTES, Frame, FramingError, Tail};
pub use alike::{Alike, Pattern};
use block::{Block, Scan};

/// Bounds on what an [`SseFramer`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseLimits {
    /// The longest event, in bytes on the wire through the blank line, whose line end counts as one
    /// byte. Comments inside an event count; comments between events do not. Default:
    /// [`DEFAULT_MAX_FRAME_BYTES`].
    pub max_event_bytes: usize,
}

impl Default for SseLimits {
    fn default() -> Self {
        Self {
            max_event_bytes: DEFAULT_MAX_FRAME_BYTES,
        }
    }
}

/// Cuts an event stream into [`Frame`]s.
///
/// ```
/// # use llmleaf_framing::{SseFramer, SseLimits};
/// let mut framer = SseFramer::new(SseLimits::default());
/// framer.push("event: delta\ndata: {\"te".into());
/// assert!(framer.next().is_none());
/// framer.push("xt\":1}\n\n".into());
/// let frame = framer.next().unwrap().unwrap();
/// assert_eq!(frame.event.as_deref(), Some(&b"delta"[..]));
/// assert_eq!(frame.data, "{\"text\":1}");
/// assert!(framer.next().is_none());
/// assert!(framer.finish().is_none());
/// ```
#[derive(Debug)]
pub struct SseFramer {
    limits: SseLimits,
    feed: Feed,
    block: Block,
}

impl SseFramer {
    /// A framer at the start of a stream. Allocates nothing.
    pub fn new(limits: SseLimits) -> Self {
        Self {
            limits,
            feed: Feed::default(),
            block: Block::first(),
        }
    }

    /// Gives the next bytes of the body. Does no work; take all frames before the next push, since
    /// untaken chunks are kept whole and count against no limit.
    pub fn push(&mut self, chunk: Bytes) {
        self.feed.push(chunk);
    }

    /// The next complete frame; `None`: push more bytes, or [`finish`](Self::finish). Not an
    /// iterator, because `None` is not the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator may be dropped or fused after None; here more may follow the next push"
    )]
    pub fn next(&mut self) -> Option<Result<Frame, FramingError>> {
        let limit = self.limits.max_event_bytes;
        loop {
            let window = self.feed.window(block::line_end)?;
            match self.block.advance(window, limit) {
                Scan::More => self.feed.carry(),
                Scan::Ends { length } => {
                    let raw = self.feed.take(length);
                    let block = self.block.take();
                    return Some(Ok(block.frame(raw)));
                }
                Scan::TooLarge => return Some(Err(self.feed.too_large(limit))),
                Scan::InvalidUtf8 { at } => return Some(Err(self.feed.invalid_utf8(at))),
            }
        }
    }

    /// The events of this pattern that are here, one behind the other, and that [`next`](Self::next) would return one by one. `None` where the
    /// next one is another, or not all of it is here.
    pub fn alike<'p>(&mut self, pattern: &'p Pattern) -> Option<Alike<'p>> {
        let unread = self.feed.unread().filter(|_| self.block.is_untouched())?;
        let found = pattern.find(unread, self.limits.max_event_bytes)?;
        let raw = self.feed.take(found.length);
        Some(Alike::of(raw, pattern, &found))
    }

    /// At the end of the body: what no blank line followed, or `None` if nothing is left. Nothing can
    /// be pushed after it. Call it when [`next`](Self::next) says `None`: if there are untaken
    /// frames, their bytes are in the tail's `raw` and its `frame` is `None`.
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
        let mut block = self.block.take();
        let whole = match block.close(&raw) {
            Ok(whole) => whole && drained,
            Err(at) if drained => {
                let offset = start + at as u64;
                return Some(Err(FramingError::InvalidUtf8 { offset }));
            }
            Err(_) => false,
        };
        let frame = (whole && block.has_data()).then(|| block.frame(raw.clone()));
        Some(Ok(Tail { frame, raw }))
    }
}
