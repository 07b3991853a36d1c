//! The unread bytes of a stream: chunks in, one contiguous run per frame out.
//!
//! A frame within one chunk is a slice of it. Of a frame that spans chunks, each byte is copied once,
//! line by line, so that what follows the frame in the last chunk stays a slice of that chunk.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::FramingError;

#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// The open frame as far as it came in chunks before `chunk`. Empty unless a frame spans chunks.
    carried: Vec<u8>,
    /// The unread rest of the chunk at hand.
    chunk: Bytes,
    /// Chunks pushed while `chunk` was not read to its end: empty in a push, drain, push rhythm.
    waiting: VecDeque<Bytes>,
    /// How many bytes of the stream lie before the open frame.
    offset: u64,
    /// The stream is over, by an error or by its end.
    closed: bool,
}

impl Feed {
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() || self.closed {
            return;
        }
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.waiting.push_back(chunk);
        }
    }

    /// How many bytes of the stream lie before the open frame.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The open frame from its first byte, with bytes that the call before did not show; it may go on
    /// past the frame's end. `None`: all that was pushed has been shown.
    ///
    /// `line_end` says how many bytes of a chunk to carry over at once, at most all of them: through
    /// the first place where a frame may end.
    pub(crate) fn window(&mut self, line_end: fn(&[u8]) -> usize) -> Option<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.waiting.pop_front()?;
        }
        if self.carried.is_empty() {
            return Some(&self.chunk);
        }
        let length = line_end(&self.chunk).min(self.chunk.len());
        self.carried
            .extend_from_slice(self.chunk.get(..length).unwrap_or_default());
        self.chunk.advance(length);
        Some(&self.carried)
    }

    /// The unread bytes of the chunk at hand, where the open frame begins in it.
    pub(crate) fn unread(&self) -> Option<&Bytes> {
        (self.carried.is_empty() && !self.chunk.is_empty()).then_some(&self.chunk)
    }

    /// The window shown last held no frame end: keep it and let its chunk go.
    pub(crate) fn carry(&mut self) {
        if self.carried.is_empty() {
            self.carried.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
        }
    }

    /// Cuts the first `length` bytes of the window shown last: the frame.
    pub(crate) fn take(&mut self, length: usize) -> Bytes {
        let frame = if self.carried.is_empty() {
            self.chunk.split_to(length.min(self.chunk.len()))
        } else {
            // Bytes are carried up to a line end at a time, so the frame ends where they end.
            debug_assert_eq!(length, self.carried.len());
            Bytes::from(std::mem::take(&mut self.carried))
        };
        self.offset += frame.len() as u64;
        frame
    }

    /// Whether every byte pushed has been shown and no frame end was found in what is left.
    pub(crate) fn is_drained(&self) -> bool {
        self.chunk.is_empty() && self.waiting.is_empty()
    }

    /// All that is left. Nothing is taken in after it.
    pub(crate) fn take_rest(&mut self) -> Bytes {
        self.closed = true;
        while self.window(<[u8]>::len).is_some() {
            self.carry();
        }
        let length = self.carried.len();
        self.take(length)
    }

    /// Ends the stream for a frame that is longer than `limit` bytes.
    pub(crate) fn too_large(&mut self, limit: usize) -> FramingError {
        self.close();
        FramingError::EventTooLarge { limit }
    }

    /// Ends the stream for a wrong byte, `at` bytes from the start of the open frame.
    pub(crate) fn invalid_utf8(&mut self, at: usize) -> FramingError {
        let offset = self.offset + at as u64;
        self.close();
        FramingError::InvalidUtf8 { offset }
    }

    /// Releases all bytes and refuses further ones.
    pub(crate) fn close(&mut self) {
        *self = Self {
            offset: self.offset,
            closed: true,
            ..Self::default()
        };
    }
}
