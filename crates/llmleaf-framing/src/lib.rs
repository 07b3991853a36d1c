//! Bytes to frames: server-sent events, newline-delimited JSON, JSON arrays and multipart forms, without I/O.
//!
//! A framer takes the chunks of a response body as they come from the network
//! ([`SseFramer::push`], [`NdjsonFramer::push`]) and cuts them into [`Frame`]s. It knows where a
//! message ends and nothing of what the message means: no JSON, no dialect, no clock, no socket.
//!
//! Laws, each held by a test in `tests/framing` and by a fuzz target:
//!
//! - **Byte-exact.** The `raw` of all frames, then of the tail, is the input, byte for byte.
//! - **Split-proof.** Where the network cuts the bytes changes no event, no data and no error.
//! - **Prompt.** A frame is out with the byte that completes it, a comment with its line end.
//! - **Honest.** Corrupt UTF-8 is an error with its place, never U+FFFD; a body that ends early is a
//!   [`Tail`], never a frame.
//! - **Bounded and linear.** No frame outgrows its limit; no byte is looked at more than a constant
//!   number of times, however small the chunks; nothing is allocated while no frame is open.
//! - **Zero-copy.** A frame that lies within one pushed chunk shares that chunk's memory.
//!
//! Reading order: this file, `sse.rs`, `sse/block.rs` (the event-stream grammar), `ndjson.rs`, `array.rs`,
//! `feed.rs` (how chunks become one run of bytes), `write.rs` (the way back), [`multipart`] (forms, which come from consumers).

mod array;
mod feed;
pub mod multipart;
mod ndjson;
mod sse;
mod write;

use bytes::Bytes;

pub use array::{ArrayFramer, ArrayLimits, ArrayWriter};
pub use multipart::{MultipartError, MultipartLimits, MultipartReader, PartHead, Piece};
pub use ndjson::{NdjsonFramer, NdjsonLimits};
pub use sse::{Alike, Pattern, SseFramer, SseLimits};
pub use write::{write_comment, write_event, write_line};

/// Default of [`SseLimits::max_event_bytes`] and [`NdjsonLimits::max_line_bytes`]: 8 MiB.
///
/// It leaves room for an image or an audio clip in base64 in one event.
pub const DEFAULT_MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// One message, cut out of the stream with its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The exact bytes on the wire: everything since the frame before, through the blank line (SSE)
    /// or the line end (NDJSON) that ends this one. Forward these to forward the stream unchanged.
    pub raw: Bytes,
    /// The value of the last `event:` field; `None` if there is none or it is empty. Valid UTF-8.
    /// Always `None` in NDJSON.
    pub event: Option<Bytes>,
    /// The values of the `data:` fields joined by `\n`, or the NDJSON line without its end. Valid UTF-8.
    /// Shares memory with `raw` unless there are several `data:` fields.
    pub data: Bytes,
    /// Whether there is anything to dispatch. `false` for a comment, a blank line, or a block of
    /// fields without `data:`: a sign of life and bytes to forward, nothing to decode.
    /// `true` with empty `data` is a real event whose data is the empty string.
    pub has_data: bool,
}

impl Frame {
    /// A frame that carries nothing to decode.
    fn silent(raw: Bytes) -> Self {
        Self {
            raw,
            event: None,
            data: Bytes::new(),
            has_data: false,
        }
    }
}

/// What was left at the end of the body: bytes that no frame end followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The message in the leftover bytes, if they hold data.
    ///
    /// In SSE the specification discards it, since it may have been cut anywhere; some providers end
    /// their last event so all the same, and whether to believe them is the caller's decision. In
    /// NDJSON the last line needs no line end: this is a frame like the others. `None` when the
    /// bytes stop in the middle of a character, which no complete message does.
    pub frame: Option<Frame>,
    /// All leftover bytes, exactly as they came.
    pub raw: Bytes,
}

/// Why a stream cannot be framed any further.
///
/// Every error is final: the framer drops what it holds and ignores what is pushed after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A value that is handed on as text is not UTF-8. What is only forwarded (comments, unknown
    /// fields) is not checked.
    #[error("invalid UTF-8 at byte {offset} of the stream")]
    InvalidUtf8 {
        /// Where the first wrong byte is, in bytes from the start of the stream.
        offset: u64,
    },
    /// A frame goes on past its limit.
    #[error("a frame is longer than {limit} bytes")]
    EventTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// The byte order mark, ignored once, at the very start of a stream.
const BOM: &[u8] = b"\xEF\xBB\xBF";
