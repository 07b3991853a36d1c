//! JSON written straight into bytes, without a tree in between. Every text goes through the escaper.

pub(super) use crate::writer::{string as push_string, to_json};

use llmleaf_model::Rest;

/// An object under construction. The braces are balanced by [`ObjectWriter::end`].
pub(super) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Goes on with an object whose brace and first fields are written.
    pub(super) fn resume(out: &'o mut Vec<u8>) -> Self {
        Self { out, empty: false }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// Writes the key; the caller writes the value.
    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        push_string(self.out, key);
        self.out.push(b':');
        self.out
    }

    pub(super) fn string(&mut self, key: &str, value: &str) {
        push_string(self.key(key), value);
    }

    pub(super) fn string_if(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(key, value);
        }
    }

    /// Writes text that is already JSON.
    pub(super) fn raw(&mut self, key: &str, value: &str) {
        self.key(key).extend_from_slice(value.as_bytes());
    }

    pub(super) fn integer(&mut self, key: &str, value: u64) {
        self.raw(key, itoa::Buffer::new().format(value));
    }

    pub(super) fn boolean(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// Writes the fields that a reading of the same dialect did not name.
    pub(super) fn rest(&mut self, rest: &Rest) {
        for (key, value) in rest.iter() {
            self.raw(key, value.as_str());
        }
    }
}

/// Appends a list, with one call of `write` per item.
pub(super) fn push_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
