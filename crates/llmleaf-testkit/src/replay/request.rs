//! A request as it came over the wire.

use std::time::Instant;

use bytes::Bytes;

use crate::json::{self, Value};
use crate::wire::{Dechunker, Progress, head, header, is_chunked};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Number of the connection it came over.
    pub connection: usize,
    /// Method.
    pub method: String,
    /// Path with query, as it stood in the request line.
    pub path: String,
    /// Headers in order, names as they were spelled.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub body: Bytes,
    /// When the head was complete.
    pub head_at: Instant,
    /// When all of it was there.
    pub complete_at: Instant,
}

impl Request {
    /// The first value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text; U+FFFD for what is no UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a tree; `None` when it is no JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        json::parse(std::str::from_utf8(&self.body).ok()?).ok()
    }
}

/// The request at the start of some bytes and how many bytes it took. With `early` the body need not be complete.
pub(super) fn read(
    bytes: &[u8],
    connection: usize,
    early: bool,
    head_at: Instant,
) -> Option<(Request, usize)> {
    let head = head(bytes)?;
    let rest = &bytes[head.length..];
    let (body, taken) = if is_chunked(&head.headers) {
        let (mut input, mut body) = (rest.to_vec(), Vec::new());
        match Dechunker::default().take(&mut input, &mut body) {
            Progress::More if !early => return None,
            Progress::Broken => panic!("the request body is not well chunked: {:?}", head.line),
            Progress::More | Progress::Done => (body, rest.len() - input.len()),
        }
    } else {
        let length = header(&head.headers, "content-length").unwrap_or("0");
        let length: usize = length.parse().expect("content-length is a number");
        let there = length.min(rest.len());
        if there < length && !early {
            return None;
        }
        (rest[..there].to_vec(), there)
    };
    let mut words = head.line.split(' ');
    let request = Request {
        connection,
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: Bytes::from(body),
        head_at,
        complete_at: Instant::now(),
    };
    Some((request, head.length + taken))
}
