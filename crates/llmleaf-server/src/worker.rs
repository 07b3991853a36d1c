//! Worker threads: each has its own runtime, listener, connections to upstreams and nothing that is shared but the snapshot.

use crate::alarm::Alarm;
use crate::desk::{Desk, Published};
use crate::doors::{Bound, Change, Doors, Kind};
use crate::gate::MOST_FIELDS;
use crate::guard::{Guard, HEAD_TIMEOUT, IDLE_TIMEOUT, WRITE_STALL};
use crate::line::Line;
use crate::load::{Entry, Seat};
use crate::service;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use llmleaf_exchange::panics;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// The first bytes of HTTP/2 without TLS (RFC 9113, section 3.4).
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
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
/// How often idle upstream connections are looked after.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause between two looks at a connection that has sent a part of the HTTP/2 preface and no more.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// What a connection is told that finds no place.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How long accepting pauses when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// TLS handshakes that a worker does at a time.
const HANDSHAKES: usize = 256;
/// How long a connection that was accepted just before the doors closed may wait with its first request.
const LATECOMERS: Duration = Duration::from_secs(1);

/// What a worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Serve.
    Run,
    /// Take no new connections, finish what runs.
    Drain,
    /// The time to finish is over: whatever still runs tells its consumer so, and ends. `App::closing` is set before this.
    Close,
    /// End now.
    Stop,
}

/// Serves until told otherwise, and until the last connection is done.
pub fn run(
    published: Arc<Published>,
    bound: Vec<Bound>,
    changes: mpsc::Receiver<Change>,
    orders: watch::Receiver<Order>,
) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build_local(LocalOptions::default())?;
    let result = runtime.block_on(async move {
        let mut doors = Doors::default();
        doors.change(Change {
            wanted: Vec::new(),
            fresh: bound,
        });
        let desk = Rc::new(Desk::new(published));
        tokio::task::spawn_local(sweep(Rc::clone(&desk)));
        let house = House {
            desk,
            orders,
            live: Live::default(),
            handshakes: Rc::new(Semaphore::new(HANDSHAKES)),
        };
        accept(house, doors, changes).await;
        Ok(())
    });
    // Hashes that still run are nobody's business any more.
    runtime.shutdown_background();
    result
}

async fn sweep(desk: Rc<Desk>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        // Were there ever a fault in it, the next round would be as good as this one.
        let _ = panics::contain(|| desk.sweep());
    }
}

/// Counts live connections; the count falls when one is dropped, however it ends.
#[derive(Clone, Default)]
struct Live(Rc<Cell<usize>>);

struct Counted(Live);

impl Live {
    fn enter(&self) -> Counted {
        self.0.set(self.0.get() + 1);
        Counted(self.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get().saturating_sub(1));
    }
}

/// What every connection of a worker needs.
#[derive(Clone)]
struct House {
    desk: Rc<Desk>,
    orders: watch::Receiver<Order>,
    live: Live,
    handshakes: Rc<Semaphore>,
}

impl House {
    fn welcome(&self, (stream, kind): (TcpStream, Kind)) {
        let _ = stream.set_nodelay(true);
        if let Some(place) = self.admit(&stream, kind) {
            tokio::task::spawn_local(connection(self.clone(), stream, kind, place));
        }
    }

    /// A place for a new connection; without one it is told so, and closed.
    fn admit(&self, stream: &TcpStream, kind: Kind) -> Option<Place> {
        let app = &self.desk.worker().app;
        let (crowded, seat) = match app.load.enter() {
            Entry::Served(seat) => (false, seat),
            Entry::Probes(seat) => (true, seat),
            Entry::Full => {
                let plain = kind == Kind::Main && app.tls.as_ref().is_none_or(|tls| tls.apart);
                if plain {
                    // It may be lost: nobody waits for what the consumer has to say.
                    let _ = stream.try_write(FULL);
                }
                return None;
            }
        };
        Some(Place {
            crowded,
            _seat: seat,
            _counted: self.live.enter(),
        })
    }
}

async fn accept(mut house: House, mut doors: Doors, mut changes: mpsc::Receiver<Change>) {
    let stopped = loop {
        tokio::select! {
            biased;
            changed = house.orders.changed() => {
                let order = *house.orders.borrow_and_update();
                if changed.is_err() || order != Order::Run {
                    break order == Order::Stop;
                }
            }
            Some(change) = changes.recv() => {
                let waiting = doors.change(change);
                waiting.into_iter().for_each(|stream| house.welcome(stream));
            }
            accepted = doors.accept() => match accepted {
                Ok(stream) => house.welcome(stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    let waiting = doors.close();
    if stopped {
        return;
    }
    waiting.into_iter().for_each(|stream| house.welcome(stream));
    // The connections hear of it themselves; dropping the set of tasks cuts what is left.
    while house.live.0.get() > 0 {
        tokio::select! {
            changed = house.orders.changed() => {
                if changed.is_err() || *house.orders.borrow_and_update() == Order::Stop {
                    return;
                }
            }
            () = tokio::time::sleep(ACCEPT_PAUSE) => {}
        }
    }
}

/// What a connection holds as long as it lives.
struct Place {
    /// There is room for questions of health only.
    crowded: bool,
    _seat: Seat,
    _counted: Counted,
}

async fn connection(house: House, stream: TcpStream, kind: Kind, place: Place) {
    let tls = house.desk.worker().app.tls.clone();
    let tls = tls.filter(|tls| kind == Kind::Tls || !tls.apart);
    let Some(tls) = tls else {
        if kind == Kind::Main
            && let Some(Ok(speaks_h2)) = first(&house.orders, preface(&stream)).await
        {
            talk(&house, stream, speaks_h2, place.crowded).await;
        }
        return;
    };
    let handshake = async {
        // Handshakes cost the most that a stranger can ask for: some at a time, the others within the same deadline.
        let _turn = house.handshakes.acquire().await.ok()?;
        TlsAcceptor::from(tls.config).accept(stream).await.ok()
    };
    if let Some(Some(stream)) = first(&house.orders, handshake).await {
        let speaks_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        talk(&house, stream, speaks_h2, place.crowded).await;
    }
}

/// Waits for what a connection begins with, as long as a head may take. Who has asked for nothing yet keeps no worker from
/// ending for long: a moment is left to those that came just before the worker took no more.
async fn first<F: Future>(orders: &watch::Receiver<Order>, beginning: F) -> Option<F::Output> {
    let mut orders = orders.clone();
    let mut beginning = pin!(tokio::time::timeout(HEAD_TIMEOUT, beginning));
    tokio::select! {
        biased;
        begun = beginning.as_mut() => return begun.ok(),
        _ = orders.wait_for(|order| *order != Order::Run) => {}
    }
    let begun = tokio::time::timeout(LATECOMERS, beginning).await;
    begun.ok()?.ok()
}

async fn talk<S>(house: &House, stream: S, speaks_h2: bool, crowded: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let desk = Rc::clone(&house.desk);
    let orders = house.orders.clone();
    let line = Line::new(crowded);
    let io = TokioIo::new(Guard::new(stream, Rc::clone(&line), speaks_h2));
    let of_service = Rc::clone(&line);
    let service = service_fn(move |request| {
        let worker = desk.worker();
        // Only HTTP/2 runs more than one at a time.
        let further = of_service.is_running().then(|| worker.app.load.further());
        let crowded = of_service.is_crowded() || matches!(further, Some(None));
        let open = of_service.open(further.flatten());
        async move {
            let node = Rc::clone(&worker);
            let reply = pin!(service::serve(worker, request, crowded));
            let mut reply = open.reply(reply).await;
            // HTTP/2 has no such header; there GOAWAY says it.
            if !speaks_h2 && node.app.draining.load(Ordering::Relaxed) {
                let close = HeaderValue::from_static("close");
                reply.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(reply)
        }
    });
    let result = if speaks_h2 {
        let local = Local {
            line: Rc::clone(&line),
            orders: orders.clone(),
        };
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
        let connection = builder.serve_connection(io, service);
        // Boxed: it is twice as large as what most connections need.
        Box::pin(graceful(connection, orders, &line, |c| {
            c.graceful_shutdown();
        }))
        .await
    } else {
        let mut builder = http1::Builder::new();
        // The guard has the clocks: hyper's own cannot tell a slow head from an idle connection.
        builder
            .header_read_timeout(None)
            .max_buf_size(READ_BYTES)
            .max_header_size(READ_BYTES)
            .max_headers(MOST_FIELDS);
        let connection = builder.serve_connection(io, service);
        graceful(connection, orders, &line, |c| c.graceful_shutdown()).await
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a consumer's connection ended");
    }
}

/// Runs a connection; when the worker drains, it finishes what runs and takes nothing more.
async fn graceful<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    mut orders: watch::Receiver<Order>,
    line: &Line,
    shut: impl FnOnce(std::pin::Pin<&mut C>),
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        result = connection.as_mut() => return result,
        _ = orders.wait_for(|order| *order != Order::Run) => {}
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

/// Whether the connection opens as HTTP/2; looks at the first bytes and leaves them where they are.
async fn preface(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0; H2_PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        let seen = first.get(..seen).unwrap_or_default();
        if seen == H2_PREFACE {
            return Ok(true);
        }
        if seen.is_empty() || !H2_PREFACE.starts_with(seen) {
            return Ok(false);
        }
        // Part of the preface: the rest is on its way, and peeking again at once would spin.
        tokio::time::sleep(PREFACE_PAUSE).await;
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
        let before = line.waits();
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if line.waits() != before {
            // It waits for us: for its head, or for the upstream.
            since = None;
            return Poll::Pending;
        }
        let until = *since.get_or_insert_with(Instant::now) + WRITE_STALL;
        if alarm.is_past(until, cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}
