//! Listening sockets: one per worker and address, all on the same port, so that the kernel spreads connections over them.

use socket2::{Domain, Protocol, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::task::{Context, Poll};
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Bytes that the system takes for a consumer before it can send them. By itself it takes up to four MiB, which thousands of slow readers
/// together do not get: then all connections of the machine lack room, and what it takes later looks like a reader that goes on.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 64 * 1024;

/// What a listening address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `server.listen`: plain HTTP, or TLS where that has no address of its own.
    Main,
    /// `server.tls.listen`.
    Tls,
    /// `metrics.listen`: scrapers, without TLS.
    Metrics,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub kind: Kind,
    /// As configured: its port may be 0.
    pub listen: SocketAddr,
}

/// The addresses of a configuration.
pub fn addresses(config: &llmleaf_config::Config) -> Vec<Address> {
    let server = &config.server;
    let apart = server.tls.as_ref().and_then(|tls| tls.listen);
    let main = (Kind::Main, Some(server.listen));
    let scrapers = (Kind::Metrics, config.metrics.listen);
    [main, (Kind::Tls, apart), scrapers]
        .into_iter()
        .filter_map(|(kind, listen)| {
            Some(Address {
                kind,
                listen: listen?,
            })
        })
        .collect()
}

/// A listening socket on its way to a worker.
pub struct Bound {
    pub address: Address,
    pub listener: StdListener,
}

impl Bound {
    /// Where it listens, which says the port where 0 was asked for.
    pub fn at(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }
}

/// Binds an address for so many workers; returns where it listens as well, which says the port where 0 was asked for.
///
/// `shared` lets other processes listen there too. Otherwise a port that is taken is an error.
///
/// # Errors
/// The system's word.
pub fn bind(
    address: Address,
    workers: usize,
    shared: bool,
) -> io::Result<(SocketAddr, Vec<Bound>)> {
    // With a shared port the kernel would let a second llmleaf listen beside this one. Binding once without sharing
    // tells whether the port is free.
    let at = if shared {
        address.listen
    } else {
        socket(address.listen, false)?.local_addr()?
    };
    let workers = workers.max(1);
    let first = socket(at, shared || workers > 1)?;
    let at = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..workers {
        all.push(socket(at, true)?);
    }
    let bound = all.into_iter().map(|listener| Bound { address, listener });
    Ok((at, bound.collect()))
}

fn socket(listen: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Those that are accepted have it from here.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT) {
        tracing::warn!(%error, "the system does not bound what it takes for slow readers");
    }
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Which addresses a worker is to listen on from now on: those it has and that are wanted stay, new ones come along.
pub struct Change {
    pub wanted: Vec<Address>,
    pub fresh: Vec<Bound>,
}

/// A worker's open doors.
#[derive(Default)]
pub struct Doors {
    open: Vec<(Address, TcpListener)>,
    /// The one that is asked first.
    turn: usize,
}

impl Doors {
    /// Opens and closes doors. Returns the connections that had come to a door before it was closed.
    pub fn change(&mut self, change: Change) -> Vec<(TcpStream, Kind)> {
        let (stay, go) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(address, _)| change.wanted.contains(address));
        self.open = stay;
        for Bound { address, listener } in change.fresh {
            match TcpListener::from_std(listener) {
                Ok(listener) => self.open.push((address, listener)),
                Err(error) => {
                    tracing::error!(%error, listen = %address.listen, "cannot listen there");
                }
            }
        }
        let go = Self { open: go, turn: 0 };
        go.close()
    }

    /// Waits for a connection.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, Kind)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Asks the doors in turn: one that is besieged does not shut the others.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Kind)>> {
        let count = self.open.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            if let Some((address, listener)) = self.open.get(at)
                && let Poll::Ready(accepted) = listener.poll_accept(cx)
            {
                self.turn = at + 1;
                return Poll::Ready(accepted.map(|(stream, _)| (stream, address.kind)));
            }
        }
        Poll::Pending
    }

    /// Closes all doors, and returns the connections that wait at them: closing a socket resets those in its queue.
    pub fn close(self) -> Vec<(TcpStream, Kind)> {
        let mut waiting = Vec::new();
        for (address, listener) in self.open {
            // The system is asked itself: the runtime knows only of those that it has been told of.
            let Ok(listener) = listener.into_std() else {
                continue;
            };
            while let Ok((stream, _)) = listener.accept() {
                let stream = stream.set_nonblocking(true).map(|()| stream);
                if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                    waiting.push((stream, address.kind));
                }
            }
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Change, Doors, Kind, bind};

    #[tokio::test]
    async fn a_door_where_many_wait_does_not_shut_the_other() {
        let mut doors = Doors::default();
        let mut waiting = Vec::new();
        for kind in [Kind::Main, Kind::Tls] {
            let listen = "127.0.0.1:0".parse().expect("an address");
            let (at, fresh) = bind(Address { kind, listen }, 1, false).expect("a door");
            let wanted = Vec::from_iter(doors.open.iter().map(|(address, _)| *address));
            doors.change(Change { wanted, fresh });
            for _ in 0..3 {
                waiting.push(std::net::TcpStream::connect(at).expect("connects"));
            }
        }
        let mut came = Vec::new();
        for _ in 0..4 {
            came.push(doors.accept().await.expect("a connection").1);
        }
        came.sort_by_key(|kind| *kind == Kind::Tls);
        assert_eq!(came, [Kind::Main, Kind::Main, Kind::Tls, Kind::Tls]);
    }
    /// Fault A7: what the system takes for slow readers is bounded too.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[tokio::test]
    async fn a7_little_is_taken_for_a_reader_before_it_can_be_sent() {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let address = Address {
            kind: Kind::Main,
            listen,
        };
        let (at, fresh) = bind(address, 1, false).expect("a door");
        let mut doors = Doors::default();
        let wanted = vec![address];
        doors.change(Change { wanted, fresh });
        let _consumer = std::net::TcpStream::connect(at).expect("connects");
        let (stream, _) = doors.accept().await.expect("a connection");
        let unsent = socket2::SockRef::from(&stream).tcp_notsent_lowat();
        assert_eq!(unsent.expect("the system's word"), super::UNSENT);
    }
}
