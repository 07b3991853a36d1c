//! A request's body that comes piece by piece.

use bytes::Bytes;
use std::task::{Context, Poll};

/// Where a request's body comes from while it is sent. It is asked only when the socket has taken what it gave before, so a slow
/// upstream slows whoever sends, and nothing is gathered between the two.
pub trait Feed {
    /// The next bytes; `None` at the end. What is empty is passed over.
    ///
    /// # Errors
    /// The body cannot be completed: whoever feeds knows why. The connection is of no further use, and the call fails with
    /// [`TransportError::Fed`](crate::TransportError::Fed).
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unfed>>>;

    /// Goes back to the beginning, so that the request can be sent once more on a fresh connection. False where what was given is gone.
    fn rewind(&mut self) -> bool;

    /// How many bytes it gives in all, where that is known: it becomes the request's `Content-Length`. Else the body goes in chunks.
    fn length(&self) -> Option<u64>;
}

/// A body cannot be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfed;

/// A body under way, framed for the connection.
pub(crate) struct Fed {
    feed: Box<dyn Feed>,
    /// What is still to come of a body whose length was told.
    left: Option<u64>,
    begun: bool,
}

impl std::fmt::Debug for Fed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fed").field("left", &self.left).finish()
    }
}

/// What is to be written next.
pub(crate) enum Next {
    /// This, and before it that.
    Piece(Vec<u8>, Bytes),
    /// These last bytes.
    End(&'static [u8]),
}

impl Fed {
    pub fn new(feed: Box<dyn Feed>) -> Self {
        let left = feed.length();
        Self {
            feed,
            left,
            begun: false,
        }
    }

    /// Begins again.
    pub fn rewound(mut self) -> Option<Self> {
        self.feed.rewind().then(|| Self::new(self.feed))
    }

    pub fn length(&self) -> Option<u64> {
        self.left
    }

    /// The next piece, framed. An error also where the body is not as long as was told.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Unfed>> {
        loop {
            let piece = match self.feed.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(unfed))) => return Poll::Ready(Err(unfed)),
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => continue,
                Poll::Ready(Some(Ok(piece))) => Some(piece),
                Poll::Ready(None) => None,
            };
            return Poll::Ready(self.framed(piece));
        }
    }

    fn framed(&mut self, piece: Option<Bytes>) -> Result<Next, Unfed> {
        match (piece, &mut self.left) {
            (Some(piece), Some(left)) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(Unfed)?;
                Ok(Next::Piece(Vec::new(), piece))
            }
            (Some(piece), None) => {
                let before = if self.begun { "\r\n" } else { "" };
                self.begun = true;
                let head = format!("{before}{:x}\r\n", piece.len());
                Ok(Next::Piece(head.into_bytes(), piece))
            }
            (None, Some(0)) => Ok(Next::End(b"")),
            (None, Some(_)) => Err(Unfed),
            (None, None) if self.begun => Ok(Next::End(b"\r\n0\r\n\r\n")),
            (None, None) => Ok(Next::End(b"0\r\n\r\n")),
        }
    }
}
