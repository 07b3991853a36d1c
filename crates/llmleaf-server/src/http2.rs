//! HTTP/2 with a consumer: hyper's, with limits and clocks around it.
//!
//! Reading order: this file, `guard.rs` (between the socket and hyper), `line.rs` (between hyper and an answer), `bell.rs`.

mod bell;
mod guard;
mod line;

pub use line::Line;

use crate::alarm::{Alarm, WRITE_STALL};
use crate::graceful::{graceful, nudged};
use crate::http1::IDLE_TIMEOUT;
use crate::incoming::Incoming;
use crate::worker::Order;
use bytes::Bytes;
use guard::Guard;
use http::{Request, Response};
use http_body::Body;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

/// Streams a consumer may run at once on one HTTP/2 connection.
const H2_STREAMS: u32 = 100;
/// Bytes of a body that may be on their way on one stream, and on a whole connection.
const H2_WINDOW: u32 = 64 * 1024;
const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Largest header list, as RFC 9113 counts it; what a HPACK index stands for counts in full.
const H2_HEADER_LIST: u32 = 64 * 1024;
/// Table of HPACK entries that a consumer may fill.
const H2_HEADER_TABLE: u32 = 4096;
/// Largest frame.
const H2_FRAME: u32 = 16 * 1024;
/// Bytes of an answer that wait for their consumer, on one stream.
const H2_SEND_BYTES: usize = 64 * 1024;
/// Streams that may be reset before they were looked at (CVE-2023-44487), and that may have to be reset by us for their
/// consumer's faults (CVE-2025-8671), before the connection ends.
const H2_PENDING_RESETS: usize = 20;
const H2_LOCAL_RESETS: usize = 64;

/// Answers the requests of a connection.
pub async fn talk<S, F, B>(
    socket: S,
    line: &Rc<Line>,
    orders: watch::Receiver<Order>,
    answer: impl Fn(Request<Incoming>) -> F + 'static,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let io = TokioIo::new(Guard::new(socket, Rc::clone(line)));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        answer(request.map(Incoming::Http2))
    });
    let local = Local {
        line: Rc::clone(line),
        orders: orders.clone(),
    };
    let connection = pin!(Restful {
        connection: Box::pin(multiplexing(local).serve_connection(io, service)),
        line: Rc::clone(line),
    });
    let shut = |c: Pin<&mut Restful<http2::Connection<_, _, _>>>| {
        c.get_mut().connection.as_mut().graceful_shutdown();
    };
    if let Err(error) = graceful(connection, orders, || line.has_served(), shut).await {
        tracing::debug!(%error, "a consumer's connection ended");
    }
}

/// A connection of HTTP/2 that says when it has come to rest: whoever writes to the socket cannot know whether there is more.
struct Restful<C> {
    connection: Pin<Box<C>>,
    line: Rc<Line>,
}

impl<C: Future> Future for Restful<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.get_mut();
        let polled = this.connection.as_mut().poll(cx);
        this.line.rests();
        polled
    }
}

/// HTTP/2 with its limits.
fn multiplexing(local: Local) -> http2::Builder<Local> {
    let mut builder = http2::Builder::new(local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_header_list_size(H2_HEADER_LIST)
        .header_table_size(H2_HEADER_TABLE)
        .max_frame_size(H2_FRAME)
        .max_send_buf_size(H2_SEND_BYTES)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .max_local_error_reset_streams(H2_LOCAL_RESETS)
        .keep_alive_interval(Some(IDLE_TIMEOUT));
    builder
}

/// Runs the tasks of a connection of HTTP/2 on this thread.
#[derive(Clone)]
struct Local {
    line: Rc<Line>,
    orders: watch::Receiver<Order>,
}

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        let (line, orders) = (Rc::clone(&self.line), self.orders.clone());
        tokio::task::spawn_local(nudged(unless_stalled(line, future), orders));
    }
}

/// Runs the task of one stream, and drops it, which resets the stream, when its consumer has given it no room for too long.
/// The connection's own clock does not see that: other streams, and pings, go on.
async fn unless_stalled<F: Future>(line: Rc<Line>, future: F) {
    let mut future = pin!(future);
    let mut alarm = Alarm::default();
    let mut since = None;
    poll_fn(|cx| {
        let (waits, moves) = (line.waits(), line.moves());
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if line.waits() != waits {
            // It waits for us: for its head, or for the upstream.
            since = None;
            return Poll::Pending;
        }
        if line.moves() != moves {
            // There was room for the piece before, and this one waits for more.
            since = Some(Instant::now());
        }
        let until = *since.get_or_insert_with(Instant::now) + WRITE_STALL;
        if alarm.is_past(until, cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
