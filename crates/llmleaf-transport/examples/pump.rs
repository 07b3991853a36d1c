//! A bare reverse proxy on the pool: what the shape itself costs, before any parsing.
//!
//! `pump LISTEN UPSTREAM_URL`, for instance `pump 127.0.0.1:19250 http://127.0.0.1:19100`.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use llmleaf_transport::{Body, Limits, Origin, Pool, TlsConfig, TransportError};
use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;

/// The most that leaves as one frame, in bytes.
const MAX_FRAME_BYTES: usize = 64 * 1024;

struct Shared {
    pool: Pool,
    origin: Arc<Origin>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pump LISTEN UPSTREAM_URL".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())?;
    let limits = Limits {
        idle_per_origin: 8192,
        ..Limits::default()
    };
    let shared = Rc::new(Shared {
        pool: Pool::new(limits, TlsConfig::new()?),
        origin: Arc::new(Origin::parse(&upstream)?.0),
    });
    runtime.block_on(serve(listen, shared))
}

async fn serve(listen: String, shared: Rc<Shared>) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Rc::clone(&shared);
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| forward(Rc::clone(&shared), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A connection that ends badly concerns its consumer only.
            let _ = connection.await;
        });
    }
}

async fn forward(
    shared: Rc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Pumped>, Infallible> {
    Ok(match pump(&shared, request).await {
        Ok(response) => response,
        Err(_) => {
            let mut response = Response::new(Pumped(None));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    })
}

async fn pump(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Pumped>, Box<dyn std::error::Error>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let request = Request::from_parts(head, body);
    let upstream = shared
        .pool
        .call(&shared.origin, request, Duration::from_secs(3))
        .await?;
    let mut response = Response::new(Pumped(Some(upstream.body)));
    *response.status_mut() = upstream.status;
    *response.headers_mut() = upstream.headers.into_map();
    Ok(response)
}

/// An upstream body, all that is ready at once as one frame.
struct Pumped(Option<Body>);

impl http_body::Body for Pumped {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let first = match body.poll_chunk(cx) {
            Poll::Ready(Some(Ok(first))) => first,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let Poll::Ready(Some(Ok(second))) = body.poll_chunk(cx) else {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        };
        let mut joined = BytesMut::with_capacity((first.len() + second.len()) * 8);
        joined.extend_from_slice(&first);
        joined.extend_from_slice(&second);
        while joined.len() < MAX_FRAME_BYTES {
            match body.poll_chunk(cx) {
                Poll::Ready(Some(Ok(next))) => joined.extend_from_slice(&next),
                // An end or an error is told again on the next poll.
                Poll::Ready(_) | Poll::Pending => break,
            }
        }
        Poll::Ready(Some(Ok(Frame::data(joined.freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.0.as_ref().map_or(Some(0), Body::remaining) {
            Some(length) => http_body::SizeHint::with_exact(length),
            None => http_body::SizeHint::default(),
        }
    }
}
