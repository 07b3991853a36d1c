//! A response and its body, which owns the connection it comes from.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use crate::conn::Conn;
use crate::error::TransportError;
use crate::headers::Headers;
use crate::origin::Origin;
use crate::pool::Pool;

/// A response whose head has arrived.
pub struct Response {
    pub status: StatusCode,
    pub headers: Headers,
    pub body: Body,
    /// How long the connection took to be made; `None` where it was there.
    pub(crate) connected: Option<Duration>,
}

impl Response {
    /// Whether the connection had carried another exchange before.
    pub fn reused(&self) -> bool {
        self.connected.is_none()
    }

    /// How long the connection took to be made; `None` where it was there already.
    pub fn connected(&self) -> Option<Duration> {
        self.connected
    }
}

/// A response body. Dropping it before its end closes the connection; at its clean end the
/// connection goes back to the pool by itself.
#[must_use = "dropping a body closes its connection"]
pub struct Body(State);

enum State {
    Live(Live),
    Ended,
    Failed(TransportError),
}

struct Live {
    conn: Box<Conn>,
    pool: Pool,
    origin: Arc<Origin>,
}

impl Body {
    pub(crate) fn new(conn: Box<Conn>, pool: Pool, origin: Arc<Origin>) -> Body {
        let mut body = Body(State::Live(Live { conn, pool, origin }));
        body.end_if_complete();
        body
    }

    /// The next bytes as they came, never empty; `None` at the end that the upstream marked.
    ///
    /// An end that was not marked is an error, and so is every poll after it. What came together is handed on together; whoever wants
    /// to write all that is there in one go polls until `Pending`.
    pub fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, TransportError>>> {
        let live = match &mut self.0 {
            State::Live(live) => live,
            State::Ended => return Poll::Ready(None),
            State::Failed(error) => return Poll::Ready(Some(Err(error.clone()))),
        };
        let polled = match live.conn.poll_data(cx) {
            Poll::Ready(polled) => polled,
            Poll::Pending => return Poll::Pending,
        };
        match polled {
            Ok(Some(data)) => {
                self.end_if_complete();
                Poll::Ready(Some(Ok(data)))
            }
            Ok(None) => {
                self.end();
                Poll::Ready(None)
            }
            Err(error) => {
                self.0 = State::Failed(error.clone());
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// The next bytes; see [`Body::poll_chunk`].
    pub async fn chunk(&mut self) -> Option<Result<Bytes, TransportError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole body, if it is at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`TransportError::BodyTooLarge`], as soon as it is known, and whatever ends the body early.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, TransportError> {
        let too_large = || TransportError::BodyTooLarge { limit };
        if self.remaining().is_some_and(|len| len > limit as u64) {
            return Err(too_large());
        }
        let Some(first) = self.chunk().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_large());
        }
        if self.is_end_stream() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(chunk) = self.chunk().await.transpose()? {
            if whole.len() + chunk.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Whether the body is known to have ended: nothing more will come, and nothing was lost.
    pub fn is_end_stream(&self) -> bool {
        matches!(self.0, State::Ended)
    }

    /// How many bytes are still to come, if the upstream declared it.
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            State::Live(live) => live.conn.remaining(),
            State::Ended => Some(0),
            State::Failed(_) => None,
        }
    }

    /// A body whose declared length is reached ends without being polled once more.
    fn end_if_complete(&mut self) {
        if let State::Live(live) = &self.0
            && live.conn.remaining() == Some(0)
        {
            self.end();
        }
    }

    fn end(&mut self) {
        if let State::Live(live) = std::mem::replace(&mut self.0, State::Ended) {
            let Live { conn, pool, origin } = live;
            pool.put(&origin, conn);
        }
    }
}
