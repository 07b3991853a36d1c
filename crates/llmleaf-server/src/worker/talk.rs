//! What is said on one connection: HTTP of either version, until it ends or the worker does.

use super::{LATECOMERS, Order};
use crate::alarm::Alarm;
use crate::gate::MOST_FIELDS;
use crate::guard::{Guard, IDLE_TIMEOUT, WRITE_STALL};
use crate::line::Line;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
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

/// Largest request head, and largest piece of a body read at once.
const READ_BYTES: usize = 64 * 1024;
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

/// Answers the requests of a connection. What is left of one that speaks no HTTP any more is returned, with what was read of it.
pub async fn talk<S, F, B>(
    stream: S,
    line: &Rc<Line>,
    speaks_h2: bool,
    orders: watch::Receiver<Order>,
    answer: impl Fn(Request<Incoming>) -> F + 'static,
) -> Option<(Guard<S>, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let io = TokioIo::new(Guard::new(stream, Rc::clone(line), speaks_h2));
    let service = service_fn(answer);
    let result = if speaks_h2 {
        let local = Local {
            line: Rc::clone(line),
            orders: orders.clone(),
        };
        // Boxed: it is twice as large as what most connections need.
        let connection = Restful {
            connection: Box::pin(multiplexing(local).serve_connection(io, service)),
            line: Rc::clone(line),
        };
        let shut = |c: Pin<&mut Restful<http2::Connection<_, _, _>>>| {
            c.get_mut().connection.as_mut().graceful_shutdown();
        };
        Box::pin(graceful(connection, orders, line, shut)).await
    } else {
        let mut builder = http1::Builder::new();
        // The guard has the clocks: hyper's own cannot tell a slow head from an idle connection.
        builder
            // Nor does hyper look for hang-ups; the guard does.
            .half_close(true)
            .header_read_timeout(None)
            .max_buf_size(READ_BYTES)
            .max_header_size(READ_BYTES)
            .max_headers(MOST_FIELDS);
        let mut connection = builder.serve_connection(io, service);
        let shut = |c: Pin<&mut &mut http1::Connection<_, _>>| {
            Pin::new(&mut **c.get_mut()).graceful_shutdown();
        };
        let result = graceful(&mut connection, orders, line, shut).await;
        if result.is_ok() && line.has_switched() {
            let parts = connection.into_parts();
            return Some((parts.io.into_inner(), parts.read_buf));
        }
        result
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a consumer's connection ended");
    }
    None
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

/// Runs a connection; when the worker drains, it finishes what runs and takes nothing more.
async fn graceful<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    mut orders: watch::Receiver<Order>,
    line: &Line,
    shut: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let mut news = orders.clone();
    if let Some(result) = until(&mut connection, &mut orders, &mut news).await {
        return result;
    }
    // hyper closes a connection on which it has read nothing yet, also where a request waits to be read: who came just
    // before the doors closed is left a moment for its first one.
    if !line.has_served() {
        let mut moment = pin!(tokio::time::sleep(LATECOMERS));
        let first = poll_fn(|cx| {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(result));
            }
            if line.has_served() || moment.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        });
        if let Some(result) = first.await {
            return result;
        }
    }
    shut(connection.as_mut());
    nudged(connection, orders).await
}

/// Runs a connection until it ends, or the worker drains.
async fn until<C: Future>(
    connection: &mut Pin<&mut C>,
    orders: &mut watch::Receiver<Order>,
    news: &mut watch::Receiver<Order>,
) -> Option<C::Output> {
    // Not for the task to be told that it has done enough: it would be woken, and nobody would wait.
    let drains = tokio::task::unconstrained(orders.wait_for(|order| *order != Order::Run));
    let mut drains = pin!(drains);
    let mut waits = false;
    poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        // Whoever waits has left its waker, which is the task's own: to ask again at every poll costs more than to see that there is no news.
        if waits && !news.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        waits = true;
        news.mark_unchanged();
        match drains.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Runs a future, and polls it once more at every order: an exchange looks at the node's state when it is polled.
async fn nudged<F: Future>(future: F, mut orders: watch::Receiver<Order>) -> F::Output {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            output = future.as_mut() => return output,
            changed = orders.changed() => if changed.is_err() {
                return future.await;
            }
        }
    }
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
