//! A fake provider on a real loopback socket: it answers by script, byte by byte where a test needs that, keeps every
//! request, and knows to the moment when a connection was closed on it.
//!
//! It runs on a thread of its own and can be used from plain and from async tests. The HTTP/1.1 in it is
//! written by hand, so that it can also be wrong on purpose.
//!
//! ```no_run
//! use std::time::Duration;
//! use llmleaf_testkit::replay::{Gate, Replay, Script};
//!
//! let replay = Replay::start();
//! let gate = Gate::new();
//! replay.push(Script::sse("data: {}\n\ndata: [DONE]\n\n").hold_at(10, &gate));
//! // … a consumer calls replay.url(), reads some of it and goes …
//! let closed = replay.wait_closed(0, Duration::from_secs(5)).expect("closed");
//! # let _ = closed;
//! ```

mod answer;
mod canary;
mod gate;
mod request;
mod script;
mod server;
mod signal;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot};

pub use answer::{Answer, Ended};
pub(crate) use canary::canaries_in;
pub use canary::{CANARY, canary_in, new_canary};
pub use gate::Gate;
pub use request::Request;
pub use script::{Framing, Script};
pub(crate) use signal::Signal;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Bytes that the system takes before they are sent.
const SEND_BYTES: usize = 128 * 1024;

/// What to do with a connection as soon as it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAccept {
    /// Keep it open and never read from it; its close cannot be seen.
    Ignore,
    /// FIN at once.
    Close,
    /// RST at once.
    Reset,
}

/// What to do with a connection out of turn, while it is idle between requests.
#[derive(Clone, Debug)]
pub enum Command {
    /// FIN.
    Close,
    /// RST.
    Reset,
    /// Bytes nobody asked for.
    Write(Bytes),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedHow {
    /// The peer sent FIN.
    Fin,
    /// The peer sent RST.
    Reset,
    /// We sent RST, so nothing more can be seen of the peer.
    ByUs,
}

/// When and how a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The moment the socket told us; a read is always pending on it.
    pub at: Instant,
    /// How.
    pub how: ClosedHow,
}

/// A write to the socket that was taken whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// When the last byte was taken by the kernel.
    pub at: Instant,
    /// Number of bytes, HTTP framing included.
    pub bytes: usize,
}

/// What is known of one connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// When it was accepted.
    pub accepted_at: Instant,
    /// How many requests came over it.
    pub requests: usize,
    /// Every write, in order.
    pub writes: Vec<Written>,
    /// Its end, once the peer closed it; a FIN of ours does not count.
    pub closed: Option<Closed>,
}

type Handler = Box<dyn FnMut(&Request) -> Script + Send>;

#[derive(Default)]
struct State {
    scripts: VecDeque<Script>,
    by_canary: BTreeMap<String, Script>,
    handler: Option<Handler>,
    accepts: VecDeque<OnAccept>,
    early: bool,
    unscripted: usize,
    requests: Vec<Request>,
    /// By number.
    answers: Vec<Answer>,
    numbered: usize,
    kept: Kept,
    connections: Vec<Connection>,
    thread: crate::queued::Thread,
    commands: Vec<mpsc::UnboundedSender<Command>>,
}

impl State {
    fn ended(&self, answers: Vec<Answer>) -> Vec<(Answer, Option<Closed>)> {
        let ended = |answer: Answer| {
            let closed = self.connections[answer.request.connection].closed;
            (answer, closed)
        };
        answers.into_iter().map(ended).collect()
    }
}

/// How much of a body is kept.
#[derive(Clone, Copy)]
struct Kept(usize);

impl Default for Kept {
    fn default() -> Self {
        Kept(4 << 20)
    }
}

type Shared = Arc<Signal<State>>;

/// The fake provider. Dropping it closes everything and ends its thread.
pub struct Replay {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// Listens on an ephemeral loopback port.
    ///
    /// # Panics
    /// When the machine gives no port or no thread.
    #[must_use]
    pub fn start() -> Self {
        Replay::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Listens there.
    ///
    /// # Panics
    /// When the address cannot be listened on, or the machine gives no thread.
    #[must_use]
    pub fn start_at(addr: SocketAddr) -> Self {
        let listener = listening(addr).expect("the address can be listened on");
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        let shared = Shared::default();
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || server::run(listener, &state, stopped))
            .expect("a thread can be started");
        Replay {
            addr,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:PORT`, to be used as the base URL of a provider.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The script for the next request that has none yet; scripts are used in order, over all connections.
    pub fn push(&self, script: Script) {
        self.shared.update(|state| state.scripts.push_back(script));
    }

    /// The script for the request with this canary, whenever it comes; it goes before all others.
    pub fn push_for(&self, canary: &str, script: Script) {
        self.shared
            .update(|state| state.by_canary.insert(canary.to_owned(), script));
    }

    /// Decides for every request that no pushed script is left for. A request with neither gets a 500 and is counted
    /// by [`Replay::unscripted`].
    pub fn on(&self, handler: impl FnMut(&Request) -> Script + Send + 'static) {
        self.shared
            .update(|state| state.handler = Some(Box::new(handler)));
    }

    /// What to do with the next connection instead of serving it.
    pub fn push_accept(&self, action: OnAccept) {
        self.shared.update(|state| state.accepts.push_back(action));
    }

    /// Whether to answer as soon as the head of a request is there, while its body still comes in. The connection is
    /// closed after such an answer.
    pub fn answer_early(&self, early: bool) {
        self.shared.update(|state| state.early = early);
    }

    /// How many requests found no script.
    #[must_use]
    pub fn unscripted(&self) -> usize {
        self.shared.read(|state| state.unscripted)
    }

    /// Every request so far, in the order in which they were complete.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.read(|state| state.requests.clone())
    }

    /// Every request since the last call, for tests with many: [`Replay::requests`] and its kin forget them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        self.shared
            .update(|state| std::mem::take(&mut state.requests))
    }

    /// What was said to every request so far, as far as it went, in the order of the requests.
    #[must_use]
    pub fn answers(&self) -> Vec<Answer> {
        self.shared.read(|state| state.answers.clone())
    }

    /// Keeps no more than so many bytes of what is said to one request, and one write: for tests that say much.
    pub fn keep_answers_to(&self, bytes: usize) {
        self.shared.update(|state| state.kept = Kept(bytes));
    }

    /// The same, together with the ends of their connections as far as they are known.
    #[must_use]
    pub fn answers_and_ends(&self) -> Vec<(Answer, Option<Closed>)> {
        self.shared.read(|state| state.ended(state.answers.clone()))
    }

    /// The same since the last call.
    #[must_use]
    pub fn take_answers(&self) -> Vec<(Answer, Option<Closed>)> {
        self.shared.update(|state| {
            let answers = std::mem::take(&mut state.answers);
            state.ended(answers)
        })
    }

    /// How many connections the peer has not closed.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.read(|state| {
            let every = state.connections.iter();
            every.filter(|line| line.closed.is_none()).count()
        })
    }

    /// Every connection so far, in the order they were accepted; their position is their number.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.read(|state| state.connections.clone())
    }

    /// Waits until there are that many requests and returns all; `None` after the timeout.
    #[must_use]
    pub fn wait_requests(&self, count: usize, timeout: Duration) -> Option<Vec<Request>> {
        self.shared.wait(timeout, enough(count))
    }

    /// The same for async tests; combine it with a timeout.
    pub async fn requests_reach(&self, count: usize) -> Vec<Request> {
        self.shared.changed_to(enough(count)).await
    }

    /// Waits until the peer has closed a connection; `None` after the timeout.
    #[must_use]
    pub fn wait_closed(&self, connection: usize, timeout: Duration) -> Option<Closed> {
        self.shared.wait(timeout, closed(connection))
    }

    /// The same for async tests; combine it with a timeout.
    pub async fn closed(&self, connection: usize) -> Closed {
        self.shared.changed_to(closed(connection)).await
    }

    /// Waits until every connection accepted so far was closed by the peer; `false` after the timeout.
    #[must_use]
    pub fn wait_all_closed(&self, timeout: Duration) -> bool {
        let all = |state: &State| {
            let mut every = state.connections.iter();
            every
                .all(|connection| connection.closed.is_some())
                .then_some(())
        };
        self.shared.wait(timeout, all).is_some()
    }

    /// Waits until that many connections were accepted; `None` after the timeout.
    #[must_use]
    pub fn wait_accepted(&self, count: usize, timeout: Duration) -> Option<()> {
        let accepted = |state: &State| (state.connections.len() >= count).then_some(());
        self.shared.wait(timeout, accepted)
    }

    /// Waits until so many writes on a connection were taken whole; `false` after the timeout.
    #[must_use]
    pub fn wait_writes(&self, connection: usize, count: usize, timeout: Duration) -> bool {
        let written = |state: &State| {
            let connection = state.connections.get(connection)?;
            (connection.writes.len() >= count).then_some(())
        };
        self.shared.wait(timeout, written).is_some()
    }

    /// How long this server stood by for a processor so far.
    #[must_use]
    pub fn queued(&self) -> Duration {
        self.shared.read(|state| state.thread.clone()).queued()
    }

    /// Acts on a connection while it is idle; a command that comes during an answer waits until it is done.
    pub fn command(&self, connection: usize, command: Command) {
        self.shared.read(|state| {
            // A connection that is gone takes no more commands, which is what its peer sees too.
            let _ = state.commands[connection].send(command);
        });
    }
}

/// As std's `bind` does it, but for its room of 128 connections, where thousands may come at once, and for megabytes that are taken for each
/// of them: those of a real provider are not the memory of the program's machine.
fn listening(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    // Those that are accepted have it from here.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn enough(count: usize) -> impl Fn(&State) -> Option<Vec<Request>> {
    move |state| (state.requests.len() >= count).then(|| state.requests.clone())
}

fn closed(connection: usize) -> impl Fn(&State) -> Option<Closed> {
    move |state| state.connections.get(connection)?.closed
}

impl Drop for Replay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server thread was printed by it; a panic here would hide it.
            let _ = thread.join();
        }
    }
}

/// A port that refuses every connection, for as long as this value lives: it is bound, so that nobody else gets
/// it, but nobody listens.
pub struct RefusedPort {
    /// The address that refuses.
    pub addr: SocketAddr,
    _bound: TcpSocket,
}

impl RefusedPort {
    /// Takes an ephemeral loopback port.
    ///
    /// # Panics
    /// When the machine gives none.
    #[must_use]
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a loopback port is free");
        RefusedPort {
            addr: socket.local_addr().expect("a bound socket has an address"),
            _bound: socket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn many_may_come_before_it_looks() {
        let listener = listening(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let addr = listener.local_addr().expect("an address");
        let come = |_| TcpStream::connect_timeout(&addr, Duration::from_secs(5));
        let all: Vec<TcpStream> = (0..200).map_while(|count| come(count).ok()).collect();
        assert_eq!(all.len(), 200);
    }
}
