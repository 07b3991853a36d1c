//! Events that differ in one text and nothing else, taken together.
//!
//! Services write the same bytes around each piece of an answer. Once it is known what these are, the events behind are cut by comparing
//! with them, and no line is looked for: what lies between two of them is one line, and so is what lies between the same bytes again.

use std::ops::Range;

use bytes::Bytes;

use super::block;
use crate::Frame;

/// How many of the first bytes of a text may stand where one is, in a form that needs no second look: without a line end, and without the first byte
/// of what comes behind the text.
pub type Plain = fn(&[u8]) -> usize;

/// What an event is but for a text in it.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Through the byte before the text.
    before: Vec<u8>,
    /// From the byte after the text through the blank line.
    after: Vec<u8>,
    /// How much of `before` comes before the data, and of `after` behind it.
    around: (usize, usize),
    event: Option<Bytes>,
    plain: Plain,
}

impl Pattern {
    /// The pattern of an event whose data has that text in it. `None` where none can be made: of several lines of data, and where it does not
    /// end in a line feed.
    #[must_use]
    pub fn of(frame: &Frame, text: Range<usize>, plain: Plain) -> Option<Self> {
        let raw = &frame.raw;
        let start = block::only_data_at(raw)?;
        let behind = raw.get(start..)?.strip_prefix(&*frame.data)?;
        frame.data.get(text.clone())?;
        let (before, after) = (raw.get(..start + text.start)?, raw.get(start + text.end..)?);
        // An end that may have another byte behind it is the framer's to see. So is a mark that only the first event has.
        let is_usual = after.ends_with(b"\n") && !raw.starts_with(crate::BOM);
        is_usual.then(|| Self {
            before: before.to_vec(),
            after: after.to_vec(),
            around: (start, behind.len()),
            event: frame.event.as_deref().map(Bytes::copy_from_slice),
            plain,
        })
    }

    /// The length of the text of an event at the beginning of these bytes, where that is one of this pattern and there is a text.
    fn text(&self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.strip_prefix(&*self.before)?;
        let text = (self.plain)(rest);
        (text > 0 && rest.get(text..)?.starts_with(&self.after)).then_some(text)
    }

    fn around(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// The events of this pattern at the beginning of these bytes, none of them longer than `limit`.
    pub(super) fn find(&self, bytes: &[u8], limit: usize) -> Option<Found> {
        let (mut length, mut text, mut count) = (0, 0, 0);
        while let Some(own) = bytes.get(length..).and_then(|rest| self.text(rest)) {
            let event = self.around() + own;
            if event > limit {
                break;
            }
            length += event;
            text += own;
            count += 1;
        }
        // Values are UTF-8. What else may be between is not looked at elsewhere: should that not be, each is looked at by itself.
        let is_text = simdutf8::basic::from_utf8(bytes.get(..length)?).is_ok();
        (count > 0 && is_text).then_some(Found {
            length,
            count,
            text,
        })
    }
}

/// Events of one pattern that came one behind the other.
#[derive(Debug)]
pub struct Alike<'p> {
    /// Their exact bytes.
    pub raw: Bytes,
    /// How many they are.
    pub count: u64,
    /// Bytes of their texts.
    pub text: usize,
    pattern: &'p Pattern,
}

/// What is at the beginning of some bytes.
pub(super) struct Found {
    pub length: usize,
    count: u64,
    text: usize,
}

impl<'p> Alike<'p> {
    /// Those that were found, whose bytes these are.
    pub(super) fn of(raw: Bytes, pattern: &'p Pattern, found: &Found) -> Self {
        Self {
            raw,
            count: found.count,
            text: found.text,
            pattern,
        }
    }

    /// They one by one.
    pub fn frames(&self) -> impl Iterator<Item = Frame> {
        let mut rest = self.raw.clone();
        std::iter::from_fn(move || {
            let length = self.pattern.around() + self.pattern.text(&rest)?;
            let raw = rest.split_to(length);
            let (before, behind) = self.pattern.around;
            Some(Frame {
                data: raw.slice(before..length - behind),
                raw,
                event: self.pattern.event.clone(),
                has_data: true,
            })
        })
    }
}
