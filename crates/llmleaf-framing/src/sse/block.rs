//! One block of an event stream: lines up to a blank one. Positions count from the block's first byte
//! and survive until the next look, so a byte is scanned once however the block arrives.

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr2, memchr2_iter};

use crate::{BOM, Frame};

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// What a look at the bytes of a block found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// The block goes on past these bytes.
    More,
    /// The block is these first `length` bytes.
    Ends { length: usize },
    /// The block goes on past the limit.
    TooLarge,
    /// A value is not UTF-8: the first wrong byte is at `at`.
    InvalidUtf8 { at: usize },
}

/// What is known of the open block.
#[derive(Debug)]
pub(super) struct Block {
    /// Where the line begins that has no end yet.
    line: usize,
    /// How far that line has been searched for its end.
    scanned: usize,
    /// The value of the last `event:` field; empty if there was none.
    event: Range<usize>,
    /// The value of the first `data:` field.
    data: Range<usize>,
    /// How many `data:` fields there were.
    data_lines: usize,
    /// Whether a line came that is no comment.
    has_fields: bool,
    /// Whether the byte before `line` is a CR that was the last byte known: an LF may belong to it.
    after_cr: bool,
    /// Whether this is the first block of the stream, which may open with a byte order mark.
    at_start: bool,
}

impl Block {
    /// The block at the start of a stream.
    pub(super) fn first() -> Self {
        Self {
            line: 0,
            scanned: 0,
            event: 0..0,
            data: 0..0,
            data_lines: 0,
            has_fields: false,
            after_cr: false,
            at_start: true,
        }
    }

    /// This block, which has ended; the one after it is left in its place.
    pub(super) fn take(&mut self) -> Self {
        let following = Self {
            after_cr: self.after_cr,
            at_start: false,
            ..Self::first()
        };
        std::mem::replace(self, following)
    }

    /// Whether nothing of it is known yet, and it may be any block but the first.
    pub(super) fn is_untouched(&self) -> bool {
        self.scanned == 0 && !self.after_cr && !self.at_start
    }

    pub(super) fn has_data(&self) -> bool {
        self.data_lines > 0
    }

    /// Reads on in `bytes`, which begin with the block and hold all that earlier calls saw.
    pub(super) fn advance(&mut self, bytes: &[u8], limit: usize) -> Scan {
        if self.pass_late_lf(bytes) && self.line == 1 {
            // The LF of the CRLF that ended the block before.
            return Scan::Ends { length: 1 };
        }
        loop {
            let unseen = bytes.get(self.scanned..).unwrap_or_default();
            // Every second line is the blank one behind an event: to see that takes no search.
            let found = match unseen.first() {
                Some(&(LF | CR)) => Some(0),
                _ => memchr2(LF, CR, unseen),
            };
            let Some(length) = found else {
                self.scanned = bytes.len();
                return if bytes.len() > limit {
                    Scan::TooLarge
                } else {
                    Scan::More
                };
            };
            let end = self.scanned + length;
            if end >= limit {
                return Scan::TooLarge;
            }
            let ends_block = match self.read_line(bytes, end) {
                Ok(ends_block) => ends_block,
                Err(at) => return Scan::InvalidUtf8 { at },
            };
            self.line = self.pass_line_end(bytes, end);
            self.scanned = self.line;
            if ends_block {
                return Scan::Ends { length: self.line };
            }
        }
    }

    /// Reads the last line of the stream, which has no end. `raw` is the block and all that is left.
    ///
    /// `Ok(false)`: it stops in the middle of a character. `Err`: where the first wrong byte is.
    pub(super) fn close(&mut self, raw: &[u8]) -> Result<bool, usize> {
        match self.read_line(raw, raw.len()) {
            Ok(_) => Ok(true),
            Err(at) => match std::str::from_utf8(raw.get(at..).unwrap_or_default()) {
                Err(error) if error.error_len().is_none() => Ok(false),
                _ => Err(at),
            },
        }
    }

    /// The frame of a block that has ended and whose bytes are `raw`.
    pub(super) fn frame(self, raw: Bytes) -> Frame {
        if !self.has_fields {
            return Frame::silent(raw);
        }
        let event = (!self.event.is_empty()).then(|| raw.slice(self.event));
        let data = match self.data_lines {
            0 => Bytes::new(),
            1 => raw.slice(self.data),
            _ => join_data(raw.get(self.data.start..).unwrap_or_default()),
        };
        Frame {
            raw,
            event,
            data,
            has_data: self.data_lines > 0,
        }
    }

    /// Skips the LF of a CRLF that was cut in two; whether there was one.
    fn pass_late_lf(&mut self, bytes: &[u8]) -> bool {
        if !self.after_cr {
            return false;
        }
        let Some(&next) = bytes.get(self.line) else {
            return false;
        };
        self.after_cr = false;
        if next == LF {
            self.line += 1;
            self.scanned = self.line;
        }
        next == LF
    }

    /// Where the line after the one whose LF, CR, or CRLF is at `end` begins.
    fn pass_line_end(&mut self, bytes: &[u8], end: usize) -> usize {
        let next = end + 1;
        if bytes.get(end) == Some(&CR) {
            match bytes.get(next) {
                Some(&LF) => return next + 1,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        next
    }

    /// Takes in the line from `self.line` to `end`; whether it ends the block.
    fn read_line(&mut self, bytes: &[u8], end: usize) -> Result<bool, usize> {
        let mut start = self.line;
        let mut line = bytes.get(start..end).unwrap_or_default();
        if self.at_start
            && start == 0
            && let Some(rest) = line.strip_prefix(BOM)
        {
            start = BOM.len();
            line = rest;
        }
        match line.first() {
            None => return Ok(true),
            // A comment ends a block only where nothing else is in it: see the module above.
            Some(b':') => return Ok(!self.has_fields),
            Some(_) => self.has_fields = true,
        }
        if let Some(at) = value_at(line, b"data") {
            check_utf8(line, at).map_err(|wrong| start + wrong)?;
            if self.data_lines == 0 {
                self.data = start + at..end;
            }
            self.data_lines += 1;
        } else if let Some(at) = value_at(line, b"event") {
            check_utf8(line, at).map_err(|wrong| start + wrong)?;
            self.event = start + at..end;
        }
        Ok(false)
    }
}

/// Through the first place where a block may end: the first line end, or else all of it.
pub(super) fn line_end(bytes: &[u8]) -> usize {
    match memchr2(LF, CR, bytes) {
        None => bytes.len(),
        Some(end) if bytes.get(end..end + 2) == Some(b"\r\n") => end + 2,
        Some(end) => end + 1,
    }
}

/// Where the value of the one `data:` field of a block begins; `None` where there is none, or more than one.
pub(super) fn only_data_at(block: &[u8]) -> Option<usize> {
    let mut start = 0;
    let mut found = None;
    for end in memchr2_iter(LF, CR, block) {
        if let Some(at) = block
            .get(start..end)
            .and_then(|line| value_at(line, b"data"))
            && found.replace(start + at).is_some()
        {
            return None;
        }
        start = end + 1;
    }
    found
}

/// Where in `line` the value of the field `name` begins, if the line is that field.
fn value_at(line: &[u8], name: &[u8]) -> Option<usize> {
    match line.strip_prefix(name)? {
        [] => Some(name.len()),
        [b':', b' ', ..] => Some(name.len() + 2),
        [b':', ..] => Some(name.len() + 1),
        _ => None,
    }
}

/// Whether `line` is UTF-8 from `at`, or where in `line` its first wrong byte is.
fn check_utf8(line: &[u8], at: usize) -> Result<(), usize> {
    let value = line.get(at..).unwrap_or_default();
    if simdutf8::basic::from_utf8(value).is_ok() {
        return Ok(());
    }
    // Only this one says where.
    match std::str::from_utf8(value) {
        Ok(_) => Ok(()),
        Err(error) => Err(at + error.valid_up_to()),
    }
}

/// Joins the values of several `data:` fields. `values` is the block from the first of these values.
///
/// The second walk over the lines keeps the open block small; events of several lines are rare.
fn join_data(values: &[u8]) -> Bytes {
    let mut joined = Vec::with_capacity(values.len());
    let mut line_start = None;
    // CRLF reads as two ends with an empty line between, which is no field.
    for end in memchr2_iter(LF, CR, values).chain([values.len()]) {
        match line_start {
            None => joined.extend_from_slice(values.get(..end).unwrap_or_default()),
            Some(start) => {
                let line = values.get(start..end).unwrap_or_default();
                if let Some(at) = value_at(line, b"data") {
                    joined.push(LF);
                    joined.extend_from_slice(line.get(at..).unwrap_or_default());
                }
            }
        }
        line_start = Some(end + 1);
    }
    Bytes::from(joined)
}
