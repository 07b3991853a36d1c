//! Named edits on JSON text: everything that is not edited keeps its bytes.

use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// Edits of one text, applied in one pass.
#[derive(Debug, Default)]
pub struct Splices<'a> {
    edits: Vec<(Range<usize>, Cow<'a, str>)>,
}

impl<'a> Splices<'a> {
    /// No edits yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a range. Ranges of different edits must not overlap.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Cow<'a, str>>) {
        self.edits.push((range, with.into()));
    }

    /// Inserts at a place.
    pub fn insert(&mut self, at: usize, text: impl Into<Cow<'a, str>>) {
        self.replace(at..at, text);
    }

    /// Removes a range.
    pub fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// True where nothing is edited.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The edited text. Edits out of bounds or off character borders are passed over (`debug_assert`ed).
    pub fn apply(mut self, text: &str) -> Vec<u8> {
        // An insertion comes before an edit that starts at the same place.
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let grown: usize = self.edits.iter().map(|(_, with)| with.len()).sum();
        let mut out = Vec::with_capacity(text.len() + grown);
        let mut at = 0;
        for (range, with) in &self.edits {
            let Some(kept) = text.get(at..range.start) else {
                debug_assert!(false, "overlapping or misplaced edit");
                continue;
            };
            out.extend_from_slice(kept.as_bytes());
            out.extend_from_slice(with.as_bytes());
            at = range.end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default().as_bytes());
        out
    }
}

/// Where a value lies in the text that it was read from.
pub(crate) fn range_of(text: &str, raw: &RawValue) -> Option<Range<usize>> {
    let start = (raw.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let range = start..start + raw.get().len();
    text.get(range.clone()).map(|_| range)
}

/// An item of a list with the comma on one side of it: the one before where a kept item is before, else the one after.
pub(crate) fn removal_of(
    text: &str,
    list: &[&RawValue],
    at: usize,
    kept_before: bool,
) -> Option<Range<usize>> {
    let own = range_of(text, list.get(at)?)?;
    if kept_before {
        let before = range_of(text, list.get(at.checked_sub(1)?)?)?;
        return Some(before.end..own.end);
    }
    Some(match list.get(at + 1) {
        Some(next) => own.start..range_of(text, next)?.start,
        None => own,
    })
}

/// A JSON string literal of a text.
pub fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
