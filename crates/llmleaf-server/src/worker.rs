//! Worker threads: each has its own runtime, listener, connections to upstreams and nothing that is shared but the snapshot.

use crate::desk::{Desk, Published};
use crate::doors::{Bound, Change, Doors, Kind};
use crate::ebb;
use crate::http1::{self, HEAD_TIMEOUT, Refused, Socket, Spares};
use crate::http2::{self, Line};
use crate::incoming::Incoming;
use crate::load::{Entry, Seat};
use crate::reply::{Reply, ReplyBody};
use crate::socket::{self, Upgrades};
use crate::{gate, service, telemetry};
use http::{Request, Response, StatusCode, Version};
use llmleaf_exchange::panics;
use llmleaf_transport::Turns;
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

/// The first bytes of HTTP/2 without TLS (RFC 9113, section 3.4).
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often idle upstream connections are looked after.
const SWEEP: Duration = Duration::from_secs(5);
/// How often callers are looked at, where what runs ends with them.
const LOOK: Duration = Duration::from_millis(500);
/// Pause between two looks at a connection that has sent a part of the HTTP/2 preface and no more.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// What a connection is told that finds no place.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How long accepting pauses when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of an answer, encrypted, that wait for the socket to take them.
const TLS_UNWRITTEN: usize = 16 * 1024;
/// How long a connection that was accepted just before the doors closed may wait with its first request.
pub const LATECOMERS: Duration = Duration::from_secs(1);

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
        tokio::task::spawn_local(ebb::tend());
        tokio::task::spawn_local(desk.drains().tend());
        let house = House {
            orders: own(orders, Rc::clone(&desk)),
            desk,
            live: Live::default(),
            turns: Rc::default(),
            spares: Rc::default(),
        };
        accept(house, doors, changes).await;
        Ok(())
    });
    // Hashes that still run are nobody's business any more.
    runtime.shutdown_background();
    result
}

/// A channel of this worker's own that says what the common one does. Every connection asks it whenever it is polled, and asking
/// takes a lock, which no other thread is to wait for. It also says the same once more when callers have become others and what
/// runs may have to end with them: whoever hears it has its exchanges polled.
fn own(mut orders: watch::Receiver<Order>, desk: Rc<Desk>) -> watch::Receiver<Order> {
    let (sender, own) = watch::channel(*orders.borrow_and_update());
    tokio::task::spawn_local(async move {
        let mut known = 0;
        loop {
            let look = match desk.worker().app.cuts {
                true => LOOK,
                false => SWEEP,
            };
            match tokio::time::timeout(look, orders.changed()).await {
                Ok(Err(_)) => return,
                Ok(Ok(())) => {}
                Err(_) => {
                    let app = &desk.worker().app;
                    let now = app.authenticator.rulings();
                    if std::mem::replace(&mut known, now) == now || !app.cuts {
                        continue;
                    }
                }
            }
            sender.send_replace(*orders.borrow_and_update());
        }
    });
    own
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
    turns: Rc<Turns>,
    spares: Rc<Spares>,
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
                let own = kind == Kind::Main && app.tls.as_ref().is_some_and(|tls| !tls.apart);
                let plain = kind != Kind::Tls && !own;
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
    // Boxed: it is large, and soon over.
    if let Some((socket, speaks_h2)) = Box::pin(begin(&house, stream, kind)).await {
        talk(&house, socket, kind, speaks_h2, place.crowded).await;
    }
}

/// Finds out what a connection speaks, with TLS where that is expected.
async fn begin(house: &House, stream: TcpStream, kind: Kind) -> Option<(Box<dyn Socket>, bool)> {
    let tls = house.desk.worker().app.tls.clone();
    let tls = tls.filter(|tls| match kind {
        Kind::Tls => true,
        Kind::Main => !tls.apart,
        Kind::Metrics => false,
    });
    let Some(tls) = tls else {
        if kind == Kind::Tls {
            return None;
        }
        let speaks_h2 = first(&house.orders, preface(&stream)).await?.ok()?;
        return Some((Box::new(stream), speaks_h2));
    };
    // How many there may be at once is said by the places, and how long one may take by the deadline for a beginning.
    let handshake = TlsAcceptor::from(tls.config).accept(stream);
    let mut stream = first(&house.orders, handshake).await?.ok()?;
    // What rustls takes beyond what the socket does.
    stream.get_mut().1.set_buffer_limit(Some(TLS_UNWRITTEN));
    let speaks_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Some((Box::new(stream), speaks_h2))
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

/// Speaks with a consumer on a connection that is ready for it.
async fn talk(house: &House, socket: Box<dyn Socket>, kind: Kind, speaks_h2: bool, crowded: bool) {
    let host = Host {
        desk: Rc::clone(&house.desk),
        turns: Rc::clone(&house.turns),
        upgrades: Upgrades::new(Rc::clone(&house.desk)),
        kind,
        crowded,
    };
    let orders = house.orders.clone();
    if speaks_h2 {
        // Boxed: it is twice as large as what most connections need.
        Box::pin(multiplexed(host, socket, orders)).await;
        return;
    }
    let upgrades = Rc::clone(&host.upgrades);
    let left = http1::talk(socket, host, &house.spares, orders.clone()).await;
    if let (Some((stream, begun)), Some(opened)) = (left, upgrades.take()) {
        // Boxed: few connections become one.
        Box::pin(socket::run(
            Rc::clone(&house.desk),
            orders,
            opened,
            stream,
            begun,
        ))
        .await;
    }
}

/// The same over HTTP/2, which runs more than one request at a time.
async fn multiplexed(host: Host, socket: Box<dyn Socket>, orders: watch::Receiver<Order>) {
    let line = Line::new();
    let of_service = Rc::clone(&line);
    let hears = orders.clone();
    let service = move |request: Request<Incoming>| {
        let further = of_service
            .is_running()
            .then(|| host.desk.worker().app.load.further());
        let mut host = host.clone();
        host.crowded |= matches!(further, Some(None));
        let open = of_service.open(further.flatten());
        let mut news = hears.clone();
        news.mark_unchanged();
        async move {
            let reply = pin!(host.reply(request));
            Ok(open.reply(reply, || is_news(&mut news)).await)
        }
    };
    http2::talk(socket, &line, orders, service).await;
}

/// What answers the requests of one connection.
#[derive(Clone)]
struct Host {
    desk: Rc<Desk>,
    turns: Rc<Turns>,
    upgrades: Rc<Upgrades>,
    kind: Kind,
    crowded: bool,
}

impl Host {
    async fn reply(&self, request: Request<Incoming>) -> Reply {
        let worker = self.desk.worker();
        let node = Rc::clone(&worker);
        let version = request.version();
        let mut reply = if self.kind == Kind::Metrics {
            // Boxed: hardly any connection is one of these.
            Box::pin(telemetry::door::serve(&worker, &request)).await
        } else {
            let reply = service::serve(worker, request, self.crowded, &self.upgrades).await;
            if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
                return reply;
            }
            self.turns.behind_others().await;
            reply
        };
        if node.app.draining.load(Ordering::Relaxed) {
            gate::close(&mut reply, version);
        }
        reply
    }
}

impl http1::Service for Host {
    type Body = ReplyBody;

    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> {
        self.reply(request)
    }

    fn refuse(&self, refused: Refused) -> Response<ReplyBody> {
        let mut reply = service::unread(&self.desk.worker(), &refused);
        gate::close(&mut reply, Version::HTTP_11);
        reply
    }
}

/// Whether an order came since this was asked last. What runs looks at the state of the node then.
fn is_news(orders: &mut watch::Receiver<Order>) -> bool {
    let is_news = orders.has_changed().unwrap_or(true);
    if is_news {
        orders.mark_unchanged();
    }
    is_news
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
