//! The configuration in effect: one immutable snapshot, replaced as a whole.
//!
//! A request takes the snapshot that its worker has and keeps it to its end. What a worker does for that is one load of a
//! number that hardly ever changes; only when it has changed is the new snapshot fetched, once per worker.

use crate::app::App;
use crate::request_id::Ids;
use crate::service::Worker;
use llmleaf_exchange::{Drains, Node, Room, Share};
use llmleaf_transport::Pool;
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes that all sessions of a worker hold that are held here.
const SESSION_BYTES: usize = 256 * 1024 * 1024;

/// Where the snapshot in effect is found by all workers.
pub struct Published {
    generation: AtomicU64,
    app: Mutex<Arc<App>>,
}

impl Published {
    /// Publishes the first.
    pub fn new(app: Arc<App>) -> Self {
        Self {
            generation: AtomicU64::new(app.generation),
            app: Mutex::new(app),
        }
    }

    /// The snapshot in effect.
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app.lock())
    }

    /// Puts another one in effect.
    pub fn put(&self, app: Arc<App>) {
        let generation = app.generation;
        let before = std::mem::replace(&mut *self.app.lock(), app);
        self.generation.store(generation, Ordering::Release);
        // Freed outside the lock, by whoever holds it last.
        drop(before);
    }
}

/// A worker's own look at what is published.
pub struct Desk {
    published: Arc<Published>,
    seen: Cell<u64>,
    worker: RefCell<Rc<Worker>>,
    drains: Rc<Drains>,
    room: Room,
    sessions: Room,
}

impl Desk {
    /// A desk with the snapshot in effect.
    pub fn new(published: Arc<Published>) -> Self {
        let app = published.app();
        let pools = app.ways.iter().map(|way| way.pool()).collect();
        let seen = Cell::new(app.generation);
        let drains = Rc::<Drains>::default();
        let room = Room::default();
        let kept = (Rc::clone(&drains), room.clone());
        let worker = worker(app, pools, Rc::new(Ids::new()), kept);
        Self {
            published,
            seen,
            worker: RefCell::new(worker),
            drains,
            room,
            sessions: Room::new(SESSION_BYTES),
        }
    }

    /// What a session holds of the room that all of them have.
    pub fn session(&self) -> Share {
        self.sessions.share()
    }

    /// Upstreams that are read to their end for nobody.
    pub fn drains(&self) -> Rc<Drains> {
        Rc::clone(&self.drains)
    }

    /// What a request is served with.
    pub fn worker(&self) -> Rc<Worker> {
        if self.published.generation.load(Ordering::Acquire) != self.seen.get() {
            self.renew();
        }
        Rc::clone(&self.worker.borrow())
    }

    /// Takes the new snapshot; connections of ways that are still in it are kept.
    fn renew(&self) {
        let app = self.published.app();
        self.seen.set(app.generation);
        let before = Rc::clone(&self.worker.borrow());
        let pools: Vec<Pool> = app
            .ways
            .iter()
            .map(|way| {
                let known = before.app.ways.iter().position(|known| known.same_as(way));
                let known = known.and_then(|index| before.node.pools.get(index));
                known.map_or_else(|| way.pool(), Pool::clone)
            })
            .collect();
        let ids = Rc::clone(&before.ids);
        let kept = (self.drains(), self.room.clone());
        self.worker.replace(worker(app, pools, ids, kept));
    }

    /// Looks after idle upstream connections, the age of issuers' keys, and after a snapshot that no request has asked for yet.
    pub fn sweep(&self) {
        let worker = self.worker();
        worker.node.pools.iter().for_each(Pool::sweep);
        if let Some(tokens) = &worker.app.tokens {
            tokens.tick(&worker);
        }
    }
}

fn worker(
    app: Arc<App>,
    pools: Vec<Pool>,
    ids: Rc<Ids>,
    (drains, room): (Rc<Drains>, Room),
) -> Rc<Worker> {
    let node = Rc::new(Node {
        drains,
        room,
        shared: Arc::clone(&app.shared),
        pools,
        closing: Arc::clone(&app.closing),
        begins: llmleaf_exchange::Begins::default(),
        seeds: llmleaf_exchange::Seeds::default(),
    });
    Rc::new(Worker { app, node, ids })
}
