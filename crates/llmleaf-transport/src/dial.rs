//! From an origin to a connected, encrypted if need be, stream; through a proxy where one is set.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{TransportError, from_connecting};
use crate::origin::Origin;
use crate::proxy::Proxy;
use crate::resolve::Resolver;
use crate::stream::Stream;
use crate::tls::TlsConfig;

/// How long one address is tried before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects within `limit`, which covers name resolution, TCP and TLS.
pub(crate) async fn dial(
    resolver: &Resolver,
    tls: &TlsConfig,
    proxy: Option<&Proxy>,
    origin: &Origin,
    limit: Duration,
) -> Result<Stream, TransportError> {
    match timeout(limit, dial_untimed(resolver, tls, proxy, origin)).await {
        Ok(result) => result,
        Err(_) => {
            resolver.doubt(proxy.map_or(origin, Proxy::origin));
            Err(TransportError::ConnectTimeout {
                limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            })
        }
    }
}

async fn dial_untimed(
    resolver: &Resolver,
    tls: &TlsConfig,
    proxy: Option<&Proxy>,
    origin: &Origin,
) -> Result<Stream, TransportError> {
    let Some(proxy) = proxy else {
        let tcp = connect(resolver, origin).await?;
        let Some(name) = origin.server_name() else {
            return Ok(tcp.into());
        };
        return encrypt(tls, name, tcp).await.map(Stream::from);
    };
    // Boxed: a call without a proxy would carry this about.
    Box::pin(tunnel(resolver, tls, proxy, origin)).await
}

async fn tunnel(
    resolver: &Resolver,
    tls: &TlsConfig,
    proxy: &Proxy,
    origin: &Origin,
) -> Result<Stream, TransportError> {
    let mut tcp = connect(resolver, proxy.origin()).await?;
    match proxy.origin().server_name() {
        None => {
            proxy.open(&mut tcp, origin).await?;
            match origin.server_name() {
                None => Ok(tcp.into()),
                Some(name) => encrypt(tls, name, tcp).await.map(Stream::from),
            }
        }
        // The proxy itself is spoken to inside TLS, and its certificate is verified like any other.
        Some(of_proxy) => {
            let mut outer = encrypt(tls, of_proxy, tcp).await?;
            proxy.open(&mut outer, origin).await?;
            match origin.server_name() {
                None => Ok(outer.into()),
                Some(name) => encrypt(tls, name, outer).await.map(Stream::from),
            }
        }
    }
}

async fn connect(resolver: &Resolver, to: &Origin) -> Result<TcpStream, TransportError> {
    let addresses = resolver
        .resolve(to)
        .await
        .map_err(|reason| TransportError::Resolve {
            host: to.host().to_owned(),
            reason: reason.to_string(),
        })?;
    let connected = connect_first(&addresses).await.and_then(|tcp| {
        tcp.set_nodelay(true)?;
        Ok(tcp)
    });
    connected.map_err(|error| {
        resolver.doubt(to);
        from_connecting(&error)
    })
}

async fn encrypt<S: AsyncRead + AsyncWrite + Unpin>(
    tls: &TlsConfig,
    name: &ServerName<'static>,
    stream: S,
) -> Result<TlsStream<S>, TransportError> {
    TlsConnector::from(tls.client())
        .connect(name.clone(), stream)
        .await
        .map_err(|error| TransportError::Tls(error.to_string()))
}

/// The first address that accepts. They are tried in the resolver's order, the address families
/// alternating; the next one starts when the last has failed or has taken too long.
async fn connect_first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    if let [only] = addresses {
        return TcpStream::connect(only).await;
    }
    let mut race = Race {
        waiting: alternate(addresses).into_iter(),
        running: Vec::new(),
        last_error: None,
    };
    let mut stagger = pin!(sleep(Duration::ZERO));
    std::future::poll_fn(|cx| race.poll(stagger.as_mut(), cx)).await
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

struct Race {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<Attempt>,
    last_error: Option<io::Error>,
}

impl Race {
    fn poll(
        &mut self,
        mut stagger: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<TcpStream>> {
        loop {
            if let Some(winner) = self.poll_running(cx) {
                return Poll::Ready(Ok(winner));
            }
            let overdue = self.running.is_empty() || stagger.as_mut().poll(cx).is_ready();
            let next = if overdue { self.waiting.next() } else { None };
            match next {
                Some(address) => {
                    self.running.push(Box::pin(TcpStream::connect(address)));
                    stagger.as_mut().reset(Instant::now() + STAGGER);
                }
                None if self.running.is_empty() => {
                    let none = || io::Error::other("no address");
                    return Poll::Ready(Err(self.last_error.take().unwrap_or_else(none)));
                }
                None => return Poll::Pending,
            }
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<TcpStream> {
        let mut at = 0;
        while let Some(attempt) = self.running.get_mut(at) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => return Some(stream),
                Poll::Ready(Err(error)) => {
                    self.last_error = Some(error);
                    drop(self.running.swap_remove(at));
                }
                Poll::Pending => at += 1,
            }
        }
        None
    }
}

fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut merged = Vec::with_capacity(addresses.len());
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            return merged;
        }
        merged.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_from_the_preferred_one() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|a| a.parse().expect("address")).collect()
        };
        let given = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1"]);
        let wanted = parse(&["[::1]:1", "127.0.0.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(alternate(&given), wanted);
        assert_eq!(alternate(&[]), vec![]);
    }

    #[tokio::test]
    async fn a_refusing_address_gives_way_to_the_next() {
        let closed = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            listener.and_then(|l| l.local_addr()).expect("free port")
        };
        let open = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bind");
        let open_address = open.local_addr().expect("address");
        let stream = connect_first(&[closed, open_address])
            .await
            .expect("second");
        assert_eq!(stream.peer_addr().expect("peer"), open_address);
        let error = connect_first(&[closed, closed])
            .await
            .expect_err("both closed");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
