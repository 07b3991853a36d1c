//! Halves of UTF-16 pairs, as services that cut their text by UTF-16 units write them.
//!
//! An emoji that such a service cuts in two comes as `"\ud83d"` in one frame and `"\ude00"` in the next. Neither is
//! text, so JSON readers refuse both and the answer would be lost. Here a high half is held until the next piece of its
//! block and joined with the low one; a half that stays alone becomes U+FFFD, as everywhere where UTF-16 is read
//! leniently. A frame without a surrogate escape pays one search for it, and frames that are read by their envelope
//! not even that. What goes to a consumer of the same dialect are the bytes as they came.

use crate::{Decoder, Frame};
use bytes::Bytes;
use llmleaf_model::{Delta, Event};
use std::borrow::Cow;

/// Keys whose string value is a piece of an answer, in any wire: only there a half waits for the other.
const PIECES: [&str; 11] = [
    "content",
    "text",
    "arguments",
    "partial_json",
    "input",
    "reasoning",
    "reasoning_content",
    "thinking",
    "tool_plan",
    "summary",
    "refusal",
];

/// A half at the edge of a piece travels through the decoder as `MARK` plus the half: a code point for private use, in
/// a frame that is known to hold one.
const MARK: u32 = 0x10_0000;

/// A whole body with its lone halves replaced.
pub(crate) fn mended(text: &str) -> Cow<'_, str> {
    rewritten(text, false).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A decoder that reads frames with halves of pairs, and leaves the reading itself to the decoder inside.
pub(crate) struct Paired<D> {
    inner: D,
    /// High halves that wait, at most one for each open block.
    held: Vec<Held>,
}

struct Held {
    block: u32,
    half: u32,
    /// Of arguments, else of text.
    arguments: bool,
}

impl<D: Decoder> Paired<D> {
    pub(crate) fn new(inner: D) -> Self {
        Self {
            inner,
            held: Vec::new(),
        }
    }

    fn settle(&mut self, events: Vec<Event>, marked: bool, out: &mut Vec<Event>) {
        for event in events {
            match event {
                Event::BlockDelta {
                    block,
                    delta: Delta::Text(text),
                } => self.piece(block, text, false, marked, out),
                Event::BlockDelta {
                    block,
                    delta: Delta::Arguments(text),
                } => self.piece(block, text, true, marked, out),
                Event::BlockEnd { block } => {
                    if let Some(held) = self.release(block) {
                        out.push(delta(block, "\u{fffd}".to_owned(), held.arguments));
                    }
                    out.push(Event::BlockEnd { block });
                }
                other => out.push(other),
            }
        }
    }

    fn piece(
        &mut self,
        block: u32,
        mut text: String,
        arguments: bool,
        marked: bool,
        out: &mut Vec<Event>,
    ) {
        let held = self.release(block);
        if marked {
            let half = text.chars().next_back().and_then(half_of);
            if let Some(half) = half.filter(|half| *half < 0xDC00) {
                text.pop();
                self.held.push(Held {
                    block,
                    half,
                    arguments,
                });
            }
        }
        let low = text.chars().next().filter(|_| marked).and_then(half_of);
        let head = match (held, low) {
            (Some(held), Some(low)) => Some(joined(held.half, low)),
            (Some(_), None) | (None, Some(_)) => Some('\u{fffd}'),
            (None, None) => None,
        };
        if let Some(head) = head {
            let mut whole = String::from(head);
            whole.extend(text.chars().skip(usize::from(low.is_some())));
            text = whole;
        }
        if !text.is_empty() {
            out.push(delta(block, text, arguments));
        }
    }

    fn release(&mut self, block: u32) -> Option<Held> {
        let at = self.held.iter().position(|held| held.block == block)?;
        Some(self.held.swap_remove(at))
    }
}

impl<D: Decoder> Decoder for Paired<D> {
    fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) {
        let rewritten = std::str::from_utf8(&frame.data)
            .ok()
            .and_then(|text| rewritten(text, true));
        let marked = rewritten.is_some();
        if !marked && self.held.is_empty() {
            return self.inner.push(frame, out);
        }
        let mut events = Vec::new();
        match rewritten {
            Some(text) => {
                let mut frame = frame.clone();
                frame.data = Bytes::from(text);
                self.inner.push(&frame, &mut events);
            }
            None => self.inner.push(frame, &mut events),
        }
        self.settle(events, marked, out);
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        if self.held.is_empty() {
            return self.inner.finish(out);
        }
        let mut events = Vec::new();
        self.inner.finish(&mut events);
        self.settle(events, false, out);
    }
}

fn delta(block: u32, text: String, arguments: bool) -> Event {
    let delta = if arguments {
        Delta::Arguments(text)
    } else {
        Delta::Text(text)
    };
    Event::BlockDelta { block, delta }
}

/// The half that a marked character stands for.
fn half_of(c: char) -> Option<u32> {
    u32::from(c)
        .checked_sub(MARK)
        .filter(|half| (0xD800..=0xDFFF).contains(half))
}

fn joined(high: u32, low: u32) -> char {
    let code = (0x1_0000 + ((high & 0x3FF) << 10)) | (low & 0x3FF);
    char::from_u32(code).unwrap_or('\u{fffd}')
}

/// The text with every lone half replaced; `None` where it holds none. With `marks`, a half that may have its other half
/// in a neighbouring frame becomes its mark.
fn rewritten(text: &str, marks: bool) -> Option<String> {
    let bytes = text.as_bytes();
    if !memchr::memmem::find_iter(bytes, b"\\u")
        .any(|at| matches!(bytes.get(at + 2), Some(b'd' | b'D')))
    {
        return None;
    }
    let mut out = String::new();
    // What was copied so far, and where the string began that is being passed.
    let (mut copied, mut at, mut string) = (0, 0, None);
    while let Some(step) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += step;
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            string = match string {
                Some(_) => None,
                None => Some(at),
            };
            continue;
        }
        let Some(half) = escape(bytes, at) else {
            at += 2;
            continue;
        };
        let low_follows = escape(bytes, at + 6).is_some_and(|next| next >= 0xDC00);
        if half < 0xDC00 && low_follows {
            at += 12;
            continue;
        }
        out.push_str(text.get(copied..at)?);
        let edge = if half < 0xDC00 {
            bytes.get(at + 6) == Some(&b'"')
        } else {
            string == Some(at)
        };
        let mark = char::from_u32(MARK + half)
            .filter(|_| marks && edge && string.is_some_and(|start| is_piece(text, start)));
        out.push(mark.unwrap_or('\u{fffd}'));
        at += 6;
        copied = at;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(text.get(copied..)?);
    Some(out)
}

/// The surrogate that is written as an escape at a place.
fn escape(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&code).then_some(code)
}

/// True where a string that begins at a place is the value of a key that holds pieces.
fn is_piece(text: &str, start: usize) -> bool {
    let key = text
        .get(..start)
        .and_then(|before| before.strip_suffix('"'))
        .and_then(|before| before.trim_end().strip_suffix(':'))
        .and_then(|before| before.trim_end().strip_suffix('"'))
        .and_then(|before| before.rsplit('"').next());
    key.is_some_and(|key| PIECES.contains(&key))
}

#[cfg(test)]
mod tests;
