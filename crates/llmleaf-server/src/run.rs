//! The server as a whole: listeners, threads, signals.

use crate::app::{App, BuildError};
use crate::load;
use crate::worker::{self, Order};
use llmleaf_config::Config;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Stack of a worker thread.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// How long streams that are cut at the end of the drain time have to tell their consumers.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why the server did not run, or ended badly.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration cannot be served.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's word.
        #[source]
        error: std::io::Error,
    },
    /// Threads or signals could not be set up.
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    /// A worker ended with a fault.
    #[error("a worker failed: {0}")]
    Worker(String),
}

/// Serves until SIGTERM or ctrl-c; then takes nothing new, finishes what runs within `server.drain_secs`, and returns. A
/// second signal ends it at once.
///
/// # Errors
/// The configuration cannot be served, or the address is taken.
pub fn run(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), RunError> {
    let (listen, workers, drain) = (
        config.server.listen,
        config.server.workers,
        config.server.drain,
    );
    let app = Arc::new(App::build(config)?);
    let listeners =
        listeners(listen, workers).map_err(|error| RunError::Listen { listen, error })?;
    let bound = listeners
        .first()
        .and_then(|l| l.local_addr().ok())
        .unwrap_or(listen);
    warm_up(&app)?;
    load::watch(&app.load).map_err(RunError::Start)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Start)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(RunError::Start)?
    };
    let (orders, heard) = watch::channel(Order::Run);
    let mut threads = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        let (app, heard) = (Arc::clone(&app), heard.clone());
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .stack_size(STACK_BYTES)
            .spawn(move || worker::run(&app, listener, heard))
            .map_err(RunError::Start)?;
        threads.push(thread);
    }
    drop(heard);
    ready(bound);
    runtime.block_on(async {
        signals.any().await;
        app.draining.store(true, Ordering::Relaxed);
        tracing::info!(drain_secs = drain.as_secs(), "draining");
        orders.send_replace(Order::Drain);
        tokio::select! {
            () = signals.any() => tracing::info!("stopping at once"),
            () = tokio::time::sleep(drain) => {
                tracing::info!("drain time is over");
                app.closing.store(true, Ordering::Relaxed);
                orders.send_replace(Order::Close);
                tokio::select! {
                    () = signals.any() => tracing::info!("stopping at once"),
                    () = tokio::time::sleep(LAST_WORDS) => {}
                    () = finished(&threads) => {}
                }
            }
            () = finished(&threads) => {}
        }
        orders.send_replace(Order::Stop);
    });
    for thread in threads {
        match thread.join() {
            Ok(result) => result.map_err(RunError::Start)?,
            Err(_) => return Err(RunError::Worker("it panicked".into())),
        }
    }
    Ok(())
}

/// Makes TLS ready beside the start, so that no worker stands still at its first handshake.
fn warm_up(app: &App) -> Result<(), RunError> {
    let mut origins = app.shared.upstreams.iter().filter_map(|u| u.origin());
    let Some(tls) = app.trusts.first().filter(|_| origins.any(|o| o.is_tls())) else {
        return Ok(());
    };
    let tls = tls.clone();
    let thread = std::thread::Builder::new().name("warm-up".to_owned());
    // It ends by itself; nobody waits for it.
    thread
        .spawn(move || tls.warm_up())
        .map(drop)
        .map_err(RunError::Start)
}

/// Waits until every worker is done.
async fn finished<T>(threads: &[std::thread::JoinHandle<T>]) {
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// One listener per worker on the same address: the kernel spreads connections over them.
fn listeners(listen: SocketAddr, count: usize) -> std::io::Result<Vec<TcpListener>> {
    // With a shared port the kernel would let a second llmleaf listen beside this one. Binding once without sharing
    // tells whether the port is free.
    let bound = socket(listen, false)?.local_addr()?;
    (0..count.max(1))
        .map(|_| socket(bound, count > 1))
        .collect()
}

fn socket(listen: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
