//! From a request to a response head.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::body::{Body, Response};
use crate::conn::Conn;
use crate::error::TransportError;
use crate::origin::Origin;
use crate::pool::Pool;

/// How many bytes may come before the response head, as a multiple of its limit: there may be
/// interim responses before it, and the beginning of a body is read with it.
const HEAD_ALLOWANCE: usize = 4;

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
        Call(Box::pin(run(pool, origin, request, connect_timeout)))
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
    connect_timeout: Duration,
) -> Result<Response, TransportError> {
    prepare(&mut request, &origin)?;
    let mut reused = false;
    let mut exchanged = None;
    if let Some(conn) = pool.take(&origin) {
        // The upstream may be closing the connection just now. It cannot have answered then, and
        // the request goes once more, on a fresh connection; never a third time.
        match exchange(conn, request.clone(), &pool).await {
            Err(error) if error.is_stale() => {}
            result => {
                reused = true;
                exchanged = Some(result?);
            }
        }
    }
    let (conn, response) = match exchanged {
        Some(exchanged) => exchanged,
        None => {
            // Boxed: what connecting needs is large, and most requests find a connection.
            let conn = Box::pin(connect(&pool, &origin, connect_timeout)).await?;
            exchange(conn, request, &pool).await?
        }
    };
    let (head, incoming) = response.into_parts();
    Ok(Response {
        status: head.status,
        headers: head.headers,
        body: Body::new(conn, incoming, pool, origin),
        reused,
    })
}

async fn connect(
    pool: &Pool,
    origin: &Origin,
    timeout: Duration,
) -> Result<Box<Conn>, TransportError> {
    let stream = pool.connect(origin, timeout).await?;
    Conn::new(stream, pool.limits()).await
}

type Exchanged = (Box<Conn>, http::Response<Incoming>);

async fn exchange(
    mut conn: Box<Conn>,
    request: Request<Bytes>,
    pool: &Pool,
) -> Result<Exchanged, TransportError> {
    let allowance = pool
        .limits()
        .max_header_bytes
        .saturating_mul(HEAD_ALLOWANCE);
    let mut head = pin!(conn.send(request.map(Full::new), allowance as u64));
    let answered = std::future::poll_fn(|cx| conn.drive(cx, |cx| head.as_mut().poll(cx))).await?;
    let response = answered.map_err(|error| conn.read_error(&error))?;
    check(response.status(), response.headers())?;
    conn.wire().head_arrived();
    // An error that comes before the request is written does not wait for the rest of it. The
    // connection is of no further use then.
    if response.status().as_u16() >= 400 && !conn.wire().is_sent() {
        conn.wire().mute();
    }
    Ok((conn, response))
}

/// Makes the request the origin's: path only in the request line, its `Host`, a known length.
fn prepare(request: &mut Request<Bytes>, origin: &Origin) -> Result<(), TransportError> {
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
    let takes_body = !matches!(*request.method(), Method::GET | Method::HEAD);
    let headers = request.headers_mut();
    headers.insert(HOST, origin.host_header().clone());
    // The length is what the body has; hyper would believe a header that says otherwise.
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    if empty && takes_body {
        // hyper leaves the length out of an empty request; servers answer 411 to a POST like that.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(())
}

/// Refuses responses whose end another reader might see elsewhere.
fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), TransportError> {
    let refuse = |reason: &str| Err(TransportError::Protocol(reason.to_owned()));
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return refuse("the upstream switched protocols unasked");
    }
    let Some(coding) = headers.get(TRANSFER_ENCODING) else {
        return Ok(());
    };
    if headers.contains_key(CONTENT_LENGTH) {
        return refuse("both Content-Length and Transfer-Encoding");
    }
    if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return refuse("a transfer coding other than chunked");
    }
    Ok(())
}
