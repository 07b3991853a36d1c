//! Worker threads: each has its own runtime, listener, connections to upstreams and nothing that is shared but the snapshot.

use crate::app::App;
use crate::request_id::Ids;
use crate::service::{self, Worker};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use llmleaf_exchange::Node;
use llmleaf_transport::{Limits, Pool};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

/// The first bytes of HTTP/2 without TLS (RFC 9113, section 3.4).
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a connection may take for the head of a request, and may be idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest request head, and largest piece of a body read at once.
const READ_BYTES: usize = 64 * 1024;
/// Most header fields of a request.
const HEADERS: usize = 100;
/// Streams a consumer may run at once on one HTTP/2 connection.
const H2_STREAMS: u32 = 100;
/// How often idle upstream connections are looked after.
const SWEEP: Duration = Duration::from_secs(5);
/// Pause between two looks at a connection that has sent a part of the HTTP/2 preface and no more.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// How long accepting pauses when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    app: &Arc<App>,
    listener: StdListener,
    orders: watch::Receiver<Order>,
) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build_local(LocalOptions::default())?;
    let app = Arc::clone(app);
    let result = runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        let pools = app
            .trusts
            .iter()
            .map(|tls| Pool::new(Limits::default(), tls.clone()))
            .collect::<Vec<_>>();
        let node = Rc::new(Node {
            shared: Arc::clone(&app.shared),
            pools: pools.clone(),
            closing: Arc::clone(&app.closing),
        });
        let worker = Rc::new(Worker {
            app,
            node,
            ids: Ids::new(),
        });
        tokio::task::spawn_local(sweep(pools));
        accept(worker, listener, orders).await;
        Ok(())
    });
    // Hashes that still run are nobody's business any more.
    runtime.shutdown_background();
    result
}

async fn sweep(pools: Vec<Pool>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        pools.iter().for_each(Pool::sweep);
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

async fn accept(worker: Rc<Worker>, listener: TcpListener, mut orders: watch::Receiver<Order>) {
    let live = Live::default();
    let stopped = loop {
        tokio::select! {
            biased;
            changed = orders.changed() => {
                let order = *orders.borrow_and_update();
                if changed.is_err() || order != Order::Run {
                    break order == Order::Stop;
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    tokio::task::spawn_local(connection(Rc::clone(&worker), stream, orders.clone(), live.enter()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    drop(listener);
    if stopped {
        return;
    }
    // The connections hear of it themselves; dropping the set of tasks cuts what is left.
    while live.0.get() > 0 {
        tokio::select! {
            changed = orders.changed() => {
                if changed.is_err() || *orders.borrow_and_update() == Order::Stop {
                    return;
                }
            }
            () = tokio::time::sleep(ACCEPT_PAUSE) => {}
        }
    }
}

async fn connection(
    worker: Rc<Worker>,
    stream: TcpStream,
    mut orders: watch::Receiver<Order>,
    _counted: Counted,
) {
    let speaks_h2 = tokio::select! {
        biased;
        speaks = tokio::time::timeout(HEAD_TIMEOUT, preface(&stream)) => match speaks {
            Ok(Ok(speaks_h2)) => speaks_h2,
            _ => return,
        },
        // Who has asked for nothing yet keeps no worker from ending.
        _ = orders.wait_for(|order| *order != Order::Run) => return,
    };
    let service = service_fn(move |request| {
        let worker = Rc::clone(&worker);
        async move { Ok::<_, Infallible>(service::serve(worker, request).await) }
    });
    let io = TokioIo::new(stream);
    let result = if speaks_h2 {
        let mut builder = http2::Builder::new(Local(orders.clone()));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(H2_STREAMS)
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_header_list_size(64 * 1024)
            .max_pending_accept_reset_streams(20)
            .keep_alive_interval(Some(HEAD_TIMEOUT));
        let connection = builder.serve_connection(io, service);
        // Boxed: it is twice as large as what most connections need.
        Box::pin(graceful(connection, orders, |c| c.graceful_shutdown())).await
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(READ_BYTES)
            .max_headers(HEADERS);
        let connection = builder.serve_connection(io, service);
        graceful(connection, orders, |c| c.graceful_shutdown()).await
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a consumer's connection ended");
    }
}

/// Runs a connection; when the worker drains, it finishes what runs and takes nothing more.
async fn graceful<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    mut orders: watch::Receiver<Order>,
    shut: impl FnOnce(std::pin::Pin<&mut C>),
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        result = connection.as_mut() => return result,
        _ = orders.wait_for(|order| *order != Order::Run) => {}
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

/// Runs the tasks of HTTP/2 on this thread.
#[derive(Clone)]
struct Local(watch::Receiver<Order>);

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        let orders = self.0.clone();
        tokio::task::spawn_local(async move {
            nudged(future, orders).await;
        });
    }
}
