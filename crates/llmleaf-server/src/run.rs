//! The server as a whole: threads, signals, reloads, and the end.

use crate::app::{App, BuildError};
use crate::batches::runner;
use crate::control::Controller;
use crate::desk::Published;
use crate::doors::{self, Address, Bound, Kind};
use crate::load;
use crate::notify::Notify;
use crate::reload::{Reloader, Source};
use crate::signals::{Asked, Signals};
use crate::usage::Happening;
use crate::watch::Watcher;
use crate::worker::{self, Order};
use llmleaf_config::{Config, Server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

/// Stack of a worker thread.
const STACK_BYTES: usize = 2 * 1024 * 1024;
/// How long streams that are cut at the end of the drain time have to tell their consumers.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often threads are asked whether they are done.
const LOOK: Duration = Duration::from_millis(20);
/// How often they are looked at while they should all be running.
const ROUND: Duration = Duration::from_secs(1);
/// Changes of addresses that a worker may not have heard of yet.
const DOOR_CHANGES: usize = 8;

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

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// The address.
    pub addr: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
    /// Whether it is for scrapers alone.
    pub scrapers: bool,
}

type Worker = JoinHandle<std::io::Result<()>>;

/// How it stops.
#[derive(Clone, Copy)]
struct Pace {
    /// Still taking connections for so long.
    delay: Duration,
    /// Then letting run what runs for so long.
    drain: Duration,
}

impl Pace {
    fn of(server: &Server) -> Self {
        Self {
            delay: server.drain_delay,
            drain: server.drain,
        }
    }
}

/// Serves until SIGTERM or ctrl-c; then takes nothing new, finishes what runs within `server.drain_secs`, and returns. What
/// runs longer is told so and cut; a second signal cuts it at once. SIGHUP, and a change of the files, reload the
/// configuration from its source.
///
/// # Errors
/// The configuration cannot be served, or the address is taken.
pub fn run(
    config: Config,
    source: Option<Source>,
    ready: impl FnOnce(&[Listening]),
) -> Result<(), RunError> {
    let notify = Notify::from_environment();
    let app = Arc::new(App::build(&config)?);
    let workers = config.server.workers.max(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Start)?;
    let published = Arc::new(Published::new(Arc::clone(&app)));
    let mut reloader = Reloader {
        controller: Controller::start(&config, &app)?,
        source,
        layer: None,
        refused: None,
        published: Arc::clone(&published),
        config,
        workers,
        doors: Vec::new(),
    };
    // Before anybody can connect: who may, and where to, should be known by then.
    runtime.block_on(reloader.first());
    let (listening, bound) = bind(&reloader.config, workers)?;
    warm_up(&app)?;
    load::watch(&app.load).map_err(RunError::Start)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new(reloader.source.is_some()).map_err(RunError::Start)?
    };
    let (orders, heard) = watch::channel(Order::Run);
    let (mut threads, doors) = start(&published, &heard, bound)?;
    threads.extend(run_batches(&published, &heard)?);
    drop(heard);
    reloader.doors = doors;
    // The files are looked at before anybody can know that they were read, and change them.
    let watcher = match &reloader.source {
        Some(_) => Watcher::new(every(&reloader), reloader.files()),
        None => Watcher::new(Duration::ZERO, []),
    };
    ready(&listening);
    notify.ready("Serving");
    happened(
        &app,
        &Happening::NodeStarted {
            version: env!("CARGO_PKG_VERSION"),
            generation: published.app().generation,
            workers,
        },
    );
    runtime.block_on(async {
        serve(&mut signals, &mut reloader, watcher, &notify, &threads).await;
        let pace = Pace::of(&reloader.config.server);
        stop(pace, &app, &mut signals, &orders, &threads, &notify).await;
    });
    let ended = join(threads);
    // Every exchange has ended, and none begins. Whatever became of the workers, what was used is known.
    app.telemetry.flush();
    if let Some(usage) = &app.usage {
        usage.flush();
        if reloader.pushes_usage() {
            reloader.controller.end();
            usage.drain();
        }
    }
    ended
}

/// Tells a controller that wants to know.
fn happened(app: &App, happening: &Happening) {
    if let Some(usage) = &app.usage {
        usage.tell(happening);
    }
}

/// Waits for every thread, and says what was wrong with the first that did not end well.
fn join(threads: Vec<Worker>) -> Result<(), RunError> {
    let ended = threads.into_iter().map(|thread| match thread.join() {
        Ok(result) => result.map_err(RunError::Start),
        Err(_) => Err(RunError::Worker("it panicked".into())),
    });
    // All of them, also after the first that is wrong.
    let ended: Vec<Result<(), RunError>> = ended.collect();
    ended.into_iter().collect()
}

/// Binds every address for every worker.
fn bind(config: &Config, workers: usize) -> Result<(Vec<Listening>, Vec<Vec<Bound>>), RunError> {
    let server = &config.server;
    let apart = server.tls.as_ref().is_some_and(|tls| tls.listen.is_some());
    let mut listening = Vec::new();
    let mut all: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    for address in doors::addresses(config) {
        let Address { listen, kind } = address;
        let (addr, bound) = doors::bind(address, workers, server.reuse_port)
            .map_err(|error| RunError::Listen { listen, error })?;
        all.iter_mut()
            .zip(bound)
            .for_each(|(worker, bound)| worker.push(bound));
        let own = kind == Kind::Main && server.tls.is_some() && !apart;
        listening.push(Listening {
            addr,
            tls: kind == Kind::Tls || own,
            scrapers: kind == Kind::Metrics,
        });
    }
    Ok((listening, all))
}

fn start(
    published: &Arc<Published>,
    orders: &watch::Receiver<Order>,
    bound: Vec<Vec<Bound>>,
) -> Result<(Vec<Worker>, Vec<mpsc::Sender<doors::Change>>), RunError> {
    let mut threads = Vec::new();
    let mut doors = Vec::new();
    for (index, bound) in bound.into_iter().enumerate() {
        let (published, orders) = (Arc::clone(published), orders.clone());
        let (tell, hear) = mpsc::channel(DOOR_CHANGES);
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .stack_size(STACK_BYTES)
            .spawn(move || worker::run(published, bound, hear, orders))
            .map_err(RunError::Start)?;
        threads.push(thread);
        doors.push(tell);
    }
    Ok((threads, doors))
}

/// Begins to run the batches of this gateway, where it has any.
fn run_batches(
    published: &Arc<Published>,
    orders: &watch::Receiver<Order>,
) -> Result<Option<Worker>, RunError> {
    let Some(store) = published.app().batch_store.clone() else {
        return Ok(None);
    };
    let (published, orders) = (Arc::clone(published), orders.clone());
    let thread = std::thread::Builder::new()
        .name("batches".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || runner::run(published, store, orders))
        .map_err(RunError::Start)?;
    Ok(Some(thread))
}

/// How often the files are looked at.
fn every(reloader: &Reloader) -> Duration {
    reloader.config.server.watch
}

/// Runs until told to stop, or until a worker has ended by itself.
async fn serve(
    signals: &mut Signals,
    reloader: &mut Reloader,
    mut watcher: Watcher,
    notify: &Notify,
    threads: &[Worker],
) {
    let mut alive = tokio::time::interval(notify.watchdog.unwrap_or(ROUND).min(ROUND));
    loop {
        tokio::select! {
            biased;
            asked = signals.next() => match asked {
                Asked::Stop => return,
                Asked::Reload => tracing::info!("asked to reload"),
            },
            changed = watcher.changed() => {
                let files: Vec<String> = changed.iter().map(|p| p.display().to_string()).collect();
                tracing::info!(files = files.join(", "), "files have changed");
            }
            offer = reloader.offered() => {
                reloader.take(offer);
                continue;
            }
            _ = alive.tick() => {
                if threads.iter().any(JoinHandle::is_finished) {
                    tracing::error!("a worker has ended; ending with it");
                    return;
                }
                if notify.watchdog.is_some() {
                    notify.alive();
                }
                continue;
            }
        }
        notify.reloading();
        let others = reloader.reload();
        notify.ready("Serving");
        let files = reloader.files().into_iter().chain(others);
        watcher.watch(every(reloader), files);
    }
}

/// Ends what runs: at its own pace within the drain time, then with a word, then without.
async fn stop(
    Pace { delay, drain }: Pace,
    app: &App,
    signals: &mut Signals,
    orders: &watch::Sender<Order>,
    threads: &[Worker],
    notify: &Notify,
) {
    app.draining.store(true, Ordering::Relaxed);
    notify.stopping(delay + drain + LAST_WORDS);
    let drain_secs = drain.as_secs();
    happened(app, &Happening::NodeDraining { drain_secs });
    tracing::info!(drain_secs = drain.as_secs(), "draining");
    if !delay.is_zero() {
        tokio::select! {
            () = signals.stop() => {
                tracing::info!("stopping at once");
                orders.send_replace(Order::Stop);
                return;
            }
            () = tokio::time::sleep(delay) => {}
        }
    }
    orders.send_replace(Order::Drain);
    tokio::select! {
        () = signals.stop() => tracing::info!("stopping at once"),
        () = finished(threads) => {}
        () = tokio::time::sleep(drain) => {
            tracing::info!("drain time is over");
            app.closing.store(true, Ordering::Relaxed);
            orders.send_replace(Order::Close);
            tokio::select! {
                () = signals.stop() => tracing::info!("stopping at once"),
                () = tokio::time::sleep(LAST_WORDS) => {}
                () = finished(threads) => {}
            }
        }
    }
    orders.send_replace(Order::Stop);
}

/// Makes TLS ready beside the start, so that no worker stands still at its first handshake.
fn warm_up(app: &App) -> Result<(), RunError> {
    let mut origins = app.shared.upstreams.iter().filter_map(|u| u.origin());
    let wanted = app.tls.is_some() || origins.any(|o| o.is_tls());
    let Some(way) = app.ways.first().filter(|_| wanted) else {
        return Ok(());
    };
    let tls = way.tls.clone();
    let thread = std::thread::Builder::new().name("warm-up".to_owned());
    // It ends by itself; nobody waits for it.
    thread
        .spawn(move || tls.warm_up())
        .map(drop)
        .map_err(RunError::Start)
}

/// Waits until every worker is done.
async fn finished(threads: &[Worker]) {
    while !threads.iter().all(JoinHandle::is_finished) {
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_worker_that_fails_is_told_of_when_all_have_ended() {
        let ended = Arc::<AtomicU32>::default();
        let (wait, go) = std::sync::mpsc::channel::<()>();
        let spawn = |work: Box<dyn FnOnce() + Send>| {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || {
                work();
                ended.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        };
        let last: Box<dyn FnOnce() + Send> = Box::new(move || go.recv().expect("told to"));
        let threads = vec![spawn(Box::new(|| panic!("a fault"))), spawn(last)];
        let joined = std::thread::spawn(move || join(threads));
        wait.send(()).expect("it waits");
        let joined = joined.join().expect("it tells");
        assert!(matches!(joined, Err(RunError::Worker(_))));
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }
}
