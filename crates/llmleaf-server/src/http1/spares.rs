//! What one request of a worker leaves for the next.

use http::HeaderMap;
use std::cell::Cell;

/// Most bytes of room that are kept for the next answer.
const MOST_ROOM: usize = 32 * 1024;
/// Most fields that are kept room for.
const MOST_FIELDS: usize = 64;

/// Memory that is taken by whoever needs it and left when it is not needed any more: nothing of it is held by a connection
/// that waits.
#[derive(Default)]
pub struct Spares {
    buf: Cell<Vec<u8>>,
    headers: Cell<HeaderMap>,
}

impl Spares {
    /// An empty buffer.
    pub fn buf(&self) -> Vec<u8> {
        self.buf.take()
    }

    /// A buffer is not needed any more.
    pub fn leave_buf(&self, mut buf: Vec<u8>) {
        if buf.capacity() <= MOST_ROOM {
            buf.clear();
            self.buf.set(buf);
        }
    }

    /// An empty map.
    pub fn headers(&self) -> HeaderMap {
        self.headers.take()
    }

    /// A map is not needed any more.
    pub fn leave_headers(&self, mut headers: HeaderMap) {
        if headers.capacity() <= MOST_FIELDS {
            headers.clear();
            self.headers.set(headers);
        }
    }
}
