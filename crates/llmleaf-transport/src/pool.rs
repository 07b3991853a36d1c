//! Idle connections, per origin. Nothing polls them: whether one is still good is asked when it is taken, and by the sweep.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::time::Instant;

use crate::call::{Call, Upgraded, upgrade};
use crate::conn::Conn;
use crate::dial::dial;
use crate::error::TransportError;
use crate::feed::Feed;
use crate::origin::{Given, Key, Origin};
use crate::preamble::{Outbound, Preamble};
use crate::proxy::Proxy;
use crate::resolve::Resolver;
use crate::stream::Stream;
use crate::tls::TlsConfig;
use crate::turns::Turns;

/// What a pool and its connections may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Idle connections kept per origin; the oldest goes first.
    pub idle_per_origin: usize,
    /// How long a connection is kept idle. Less than what providers' servers do, so that they
    /// seldom close one while a request is on its way.
    pub idle_timeout: Duration,
    /// The largest response head, in bytes.
    pub max_header_bytes: usize,
    /// The most header fields in a response.
    pub max_headers: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            idle_per_origin: 64,
            idle_timeout: Duration::from_secs(55),
            max_header_bytes: 64 * 1024,
            max_headers: 100,
        }
    }
}

/// One worker thread's connections. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Pool(Rc<Inner>);

struct Inner {
    limits: Limits,
    tls: TlsConfig,
    proxy: Option<Proxy>,
    resolver: Resolver,
    turns: Turns,
    idle: RefCell<HashMap<Key, VecDeque<Idle>, BuildHasherDefault<Given>>>,
}

struct Idle {
    conn: Box<Conn>,
    since: Instant,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: Limits, tls: TlsConfig) -> Pool {
        Pool::through(None, limits, tls)
    }

    /// An empty pool whose connections all go through that proxy, where there is one.
    pub fn through(proxy: Option<Proxy>, limits: Limits, tls: TlsConfig) -> Pool {
        Pool(Rc::new(Inner {
            limits,
            tls,
            proxy,
            resolver: Resolver::default(),
            turns: Turns::default(),
            idle: RefCell::default(),
        }))
    }

    /// Sends one request and resolves when the response head is there. Dropping the [`Call`]
    /// closes its connection.
    ///
    /// The path and query of the request's URI are used; scheme, host and the `Host` header are
    /// the origin's, and `Content-Length` is set. `connect_timeout` covers name resolution, TCP
    /// and TLS; every other clock is the caller's.
    pub fn call(
        &self,
        origin: &Arc<Origin>,
        request: Request<Bytes>,
        connect_timeout: Duration,
    ) -> Call {
        let request = Outbound::new(request, origin);
        Call::new(self.clone(), Arc::clone(origin), request, connect_timeout)
    }

    /// As [`Pool::call`], where all but the body was written before, for the same origin.
    pub fn post(
        &self,
        origin: &Arc<Origin>,
        preamble: &Preamble,
        body: Bytes,
        connect_timeout: Duration,
    ) -> Call {
        let request = Ok(preamble.with(body));
        Call::new(self.clone(), Arc::clone(origin), request, connect_timeout)
    }

    /// Asks to speak another protocol (WebSocket) from the answer on. The connection never enters the pool, unless the upstream
    /// refuses and its answer is read to the end. Otherwise as [`Pool::call`]; the caller sets the headers that ask.
    ///
    /// # Errors
    /// Those of a call.
    pub fn upgrade(
        &self,
        origin: &Arc<Origin>,
        request: Request<Bytes>,
        connect_timeout: Duration,
    ) -> impl Future<Output = Result<Upgraded, TransportError>> + 'static {
        upgrade(self.clone(), Arc::clone(origin), request, connect_timeout)
    }

    /// The same for a request whose body comes piece by piece. An idle connection that turns out to be closed is replaced only
    /// where the feed can begin again.
    pub fn upload(
        &self,
        origin: &Arc<Origin>,
        request: Request<()>,
        feed: Box<dyn Feed>,
        connect_timeout: Duration,
    ) -> Call {
        Call::fed(
            self.clone(),
            Arc::clone(origin),
            request,
            feed,
            connect_timeout,
        )
    }

    /// Connects without speaking HTTP, for protocols that begin otherwise (WebSocket). The
    /// connection never enters the pool.
    ///
    /// # Errors
    ///
    /// Those of connecting; none of them can have been billed.
    pub async fn connect(
        &self,
        origin: &Origin,
        connect_timeout: Duration,
    ) -> Result<Stream, TransportError> {
        let Inner {
            resolver,
            tls,
            proxy,
            ..
        } = &*self.0;
        let dialled = dial(resolver, tls, proxy.as_ref(), origin, connect_timeout).await;
        if !matches!(dialled, Err(TransportError::Exhausted { .. })) || self.idle() == 0 {
            return dialled;
        }
        // What is kept for later gives way to what is needed now.
        self.0.idle.borrow_mut().clear();
        dial(resolver, tls, proxy.as_ref(), origin, connect_timeout).await
    }

    /// Drops idle connections that have expired or that the upstream has closed. To be called
    /// every few seconds: nothing else wakes an idle connection.
    pub fn sweep(&self) {
        let now = Instant::now();
        let timeout = self.0.limits.idle_timeout;
        self.0.idle.borrow_mut().retain(|_, idle| {
            idle.retain_mut(|idle| !idle.is_expired(now, timeout) && idle.conn.is_idle());
            !idle.is_empty()
        });
    }

    /// How many connections are idle.
    pub fn idle(&self) -> usize {
        self.0.idle.borrow().values().map(VecDeque::len).sum()
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The connection that became idle last and is still usable; unusable ones are dropped.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Box<Conn>> {
        let mut all = self.0.idle.borrow_mut();
        let idle = all.get_mut(origin.hashed())?;
        let now = Instant::now();
        while let Some(mut last) = idle.pop_back() {
            if last.is_expired(now, self.0.limits.idle_timeout) {
                // Those before it have been idle for longer.
                idle.clear();
                return None;
            }
            if last.conn.is_idle() {
                return Some(last.conn);
            }
        }
        None
    }

    /// Keeps a connection if it can take another request; else drops, and so closes, it.
    pub(crate) fn put(&self, origin: &Origin, mut conn: Box<Conn>) {
        let limit = self.0.limits.idle_per_origin;
        if limit == 0 || !conn.is_idle() {
            return;
        }
        let since = Instant::now();
        let mut all = self.0.idle.borrow_mut();
        if let Some(idle) = all.get_mut(origin.hashed()) {
            if idle.len() >= limit {
                idle.pop_front();
            }
            idle.push_back(Idle { conn, since });
        } else {
            let idle = VecDeque::from([Idle { conn, since }]);
            all.insert(origin.hashed().clone(), idle);
        }
    }
}

impl Idle {
    fn is_expired(&self, now: Instant, timeout: Duration) -> bool {
        now.saturating_duration_since(self.since) >= timeout
    }
}
