//! The fields of a response's head.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use memchr::memchr;
use std::cell::OnceCell;
use std::fmt;
use std::ops::Deref;

/// The fields of a response, all of them well-formed. Most exchanges want to know one of the twenty or so that services send, so that they are
/// made a map of when somebody asks for it.
#[derive(Clone)]
pub struct Headers {
    /// Their lines, with the empty one at the end.
    lines: Bytes,
    map: OnceCell<HeaderMap>,
}

impl Headers {
    /// From the lines of a head that was read and found well-formed.
    pub(crate) fn new(lines: Bytes) -> Self {
        Self {
            lines,
            map: OnceCell::new(),
        }
    }

    /// Takes memory of its own instead of a part of what was read.
    pub(crate) fn settle(&mut self) {
        self.lines = Bytes::copy_from_slice(&self.lines);
    }

    /// The value of the first field of that name, which is in lower case. Makes no map.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let is = |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
        let mut fields = self.fields();
        fields.find(|(found, _)| is(found)).map(|(_, value)| value)
    }

    /// All of them as a map.
    pub fn into_map(self) -> HeaderMap {
        match self.map.into_inner() {
            Some(map) => map,
            None => map(&self.lines),
        }
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        fields(&self.lines)
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        self.map.get_or_init(|| map(&self.lines))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Name and value of each line. Values are without the white space around them (RFC 9112, section 5).
pub(crate) fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(memchr(b'\n', rest)? + 1)?;
        rest = after;
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        Some((name, value.get(1..).unwrap_or_default().trim_ascii()))
    })
}

fn map(lines: &Bytes) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(16);
    for (name, value) in fields(lines) {
        // The value shares the head's bytes.
        let value = HeaderValue::from_maybe_shared(lines.slice_ref(value));
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            map.append(name, value);
        } else {
            debug_assert!(false, "a head that was found well-formed is not");
        }
    }
    map
}
