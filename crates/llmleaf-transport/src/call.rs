//! From a request to a response head.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::time::Instant;

use crate::body::{Body, Response};
use crate::conn::Conn;
use crate::error::TransportError;
use crate::feed::{Fed, Feed};
use crate::origin::Origin;
use crate::pool::Pool;
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
        request: Request<Bytes>,
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
        let request = request.map(|()| Bytes::new());
        let fed = Some(Fed::new(feed));
        Call(Box::pin(run(pool, origin, request, fed, connect_timeout)))
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
    mut request: Request<Bytes>,
    mut fed: Option<Fed>,
    connect_timeout: Duration,
) -> Result<Response, TransportError> {
    prepare(&mut request, fed.as_ref(), &origin)?;
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
    mut request: Request<Bytes>,
    connect_timeout: Duration,
) -> Result<Upgraded, TransportError> {
    prepare(&mut request, None, &origin)?;
    let stream = Box::pin(pool.connect(&origin, connect_timeout)).await?;
    let mut conn = Conn::new(stream);
    let (status, headers) = conn.exchange_switching(&request, pool.limits()).await?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let (stream, begun) = conn.into_parts();
        return Ok(Upgraded::Switched(headers, stream, begun));
    }
    Ok(Upgraded::Refused(Response {
        status,
        headers,
        body: Body::new(conn, pool, origin),
        connected: None,
    }))
}

/// Makes the request the origin's: path only in the request line, its `Host`, a known length.
fn prepare(
    request: &mut Request<Bytes>,
    fed: Option<&Fed>,
    origin: &Origin,
) -> Result<(), TransportError> {
    if *request.method() == Method::CONNECT {
        return Err(TransportError::Request("CONNECT is not forwarded".into()));
    }
    if request.uri().authority().is_some() {
        let root = || PathAndQuery::from_static("/");
        let path = request.uri().path_and_query().cloned().unwrap_or_else(root);
        *request.uri_mut() = Uri::from(path);
    }
    *request.version_mut() = http::Version::HTTP_11;
    let empty = request.body().is_empty();
    let length = match fed {
        Some(fed) => fed.length(),
        None => Some(request.body().len() as u64),
    };
    let takes_body = !matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers_mut();
    headers.insert(HOST, origin.host_header().clone());
    // The length is what the body has, whatever a header says.
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    match length {
        // Also where it is 0: servers answer 411 to a POST without a length.
        Some(length) if !empty || takes_body => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(_) => {}
        None => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    Ok(())
}
