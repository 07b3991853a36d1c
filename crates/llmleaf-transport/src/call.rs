//! From a request to a response head.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use tokio::time::Instant;

use crate::body::{Body, Response};
use crate::conn::Conn;
use crate::error::TransportError;
use crate::feed::{Fed, Feed};
use crate::origin::Origin;
use crate::pool::Pool;
use crate::preamble::Outbound;
use crate::stream::Stream;

/// How soon after a request was begun its connection must close for the close to have been on its way before. A later one
/// means that the upstream had the request, and perhaps worked on it, so that repeating it might be paid for twice.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// A request under way; resolves when the response head is there. Dropping it closes the
/// connection.
#[must_use = "nothing is sent until it is polled"]
pub struct Call(Pin<Box<dyn Future<Output = Result<Response, TransportError>>>>);

impl Call {
    pub(crate) fn new(
        pool: Pool,
        origin: Arc<Origin>,
        request: Result<Outbound, TransportError>,
        connect_timeout: Duration,
    ) -> Call {
        Call(Box::pin(run(pool, origin, request, None, connect_timeout)))
    }

    pub(crate) fn fed(
        pool: Pool,
        origin: Arc<Origin>,
        request: Request<()>,
        feed: Box<dyn Feed>,
        connect_timeout: Duration,
    ) -> Call {
        let fed = Fed::new(feed);
        let request = Outbound::fed(request, fed.length(), &origin);
        Call(Box::pin(run(
            pool,
            origin,
            request,
            Some(fed),
            connect_timeout,
        )))
    }
}

impl Future for Call {
    type Output = Result<Response, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

async fn run(
    pool: Pool,
    origin: Arc<Origin>,
    request: Result<Outbound, TransportError>,
    mut fed: Option<Fed>,
    connect_timeout: Duration,
) -> Result<Response, TransportError> {
    let request = request?;
    pool.turns().behind_others().await;
    let mut exchanged = None;
    if let Some(mut conn) = pool.take(&origin) {
        // The upstream may be closing the connection just now. It cannot have answered then, and
        // the request goes once more, on a fresh connection; never a third time.
        let began = Instant::now();
        let streams = fed.is_some();
        match conn.exchange(&request, fed.take(), pool.limits()).await {
            Err(error)
                if error.is_stale()
                    && (!error.possibly_billed() || began.elapsed() < STALE_WITHIN) =>
            {
                fed = conn.take_fed().and_then(Fed::rewound);
                if streams && fed.is_none() {
                    return Err(error);
                }
            }
            result => {
                exchanged = Some((conn, result?));
            }
        }
    }
    let (conn, (status, headers), connected) = match exchanged {
        Some((conn, head)) => (conn, head, None),
        None => {
            // Boxed: what connecting needs is large, and most requests find a connection.
            let began = Instant::now();
            let stream = Box::pin(pool.connect(&origin, connect_timeout)).await?;
            let connected = began.elapsed();
            let mut conn = Conn::new(stream);
            let head = conn.exchange(&request, fed.take(), pool.limits()).await?;
            (conn, head, Some(connected))
        }
    };
    Ok(Response {
        status,
        headers,
        body: Body::new(conn, pool, origin),
        connected,
    })
}

/// What a request to speak another protocol came to.
pub enum Upgraded {
    /// The upstream does: its headers, the connection, and what it has already sent.
    Switched(HeaderMap, Stream, Bytes),
    /// It does not, and says why.
    Refused(Response),
}

/// Asks to speak another protocol, on a connection of its own. Dropping the future closes it.
pub(crate) async fn upgrade(
    pool: Pool,
    origin: Arc<Origin>,
    request: Request<Bytes>,
    connect_timeout: Duration,
) -> Result<Upgraded, TransportError> {
    let request = Outbound::new(request, &origin)?;
    let stream = Box::pin(pool.connect(&origin, connect_timeout)).await?;
    let mut conn = Conn::new(stream);
    let (status, headers) = conn.exchange_switching(&request, pool.limits()).await?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let (stream, begun) = conn.into_parts();
        return Ok(Upgraded::Switched(headers.into_map(), stream, begun));
    }
    Ok(Upgraded::Refused(Response {
        status,
        headers,
        body: Body::new(conn, pool, origin),
        connected: None,
    }))
}
