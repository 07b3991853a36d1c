//! Getting a connection, or not getting one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use llmleaf_transport::{Origin, TransportError};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{CONNECT_TIMEOUT, OK, Server, call, pool, post};

fn origin(url: &str) -> Arc<Origin> {
    Arc::new(Origin::parse(url).expect("url").0)
}

async fn error_of(url: &str, timeout: Duration) -> TransportError {
    let result = pool().call(&origin(url), post("{}"), timeout).await;
    let error = result.err().expect("error");
    assert!(error.retry_is_safe() && !error.response_started());
    error
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        listener.local_addr().expect("address")
    };
    let error = error_of(&format!("http://{address}"), CONNECT_TIMEOUT).await;
    assert_eq!(error.kind(), "refused");
}

#[tokio::test]
async fn an_unknown_host_says_so() {
    // A label of 64 letters: refused by the system's resolver itself, no server is asked.
    let url = format!("http://{}.invalid", "x".repeat(64));
    let error = error_of(&url, CONNECT_TIMEOUT).await;
    assert_eq!(error.kind(), "resolve");
}

/// A listener that takes no further connection: its backlog is full and nobody accepts.
async fn full_listener() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
    listener.bind(&any.into()).expect("bind");
    listener.listen(0).expect("listen");
    let address = listener
        .local_addr()
        .ok()
        .and_then(|a| a.as_socket())
        .expect("address");
    // A backlog of 0 holds one connection on Linux.
    let filler = TcpStream::connect(address).await.expect("filler");
    (listener, address, vec![filler])
}

#[tokio::test]
async fn b2_connecting_has_a_limit() {
    let (_listener, address, _fillers) = full_listener().await;
    // Paused time jumps to the next timer whenever nothing else is ready.
    tokio::time::pause();
    let error = error_of(&format!("http://{address}"), Duration::from_secs(3)).await;
    assert_eq!(error, TransportError::ConnectTimeout { limit_ms: 3000 });
}

#[tokio::test]
async fn the_limit_covers_the_tls_handshake() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = server.local_addr().expect("address");
    tokio::time::pause();
    let error = error_of(&format!("https://{address}"), Duration::from_secs(3)).await;
    assert_eq!(error.kind(), "connect_timeout");
}

#[tokio::test]
async fn an_ipv6_literal_works() {
    let server = Server::bind("[::1]:0").await;
    assert_eq!(server.origin.host(), "::1");
    let pool = pool();
    let (response, (head, _)) = tokio::join!(call(&pool, &server), async {
        let mut peer = server.accept().await;
        let request = peer.request().await;
        peer.write(OK).await;
        request
    });
    assert_eq!(response.expect("response").status, 200);
    assert!(head.contains("host: [::1]:"), "{head}");
}

#[tokio::test]
async fn a_name_is_resolved_and_every_address_tried() {
    // `localhost` may also be ::1, where nobody listens.
    let server = Server::start().await;
    let by_name = origin(&format!("http://localhost:{}", server.origin.port()));
    let pool = pool();
    let call = pool.call(&by_name, post("{}"), CONNECT_TIMEOUT);
    let (response, _peer) = tokio::join!(call, server.answer(OK));
    assert_eq!(response.expect("response").status, 200);
}

#[tokio::test]
async fn a_plain_stream_can_be_had() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (server, pool) = (Server::start().await, pool());
    let stream = pool.connect(&server.origin, CONNECT_TIMEOUT);
    let (stream, mut peer) = tokio::join!(stream, server.accept());
    let mut stream = stream.expect("stream");
    peer.write("hello").await;
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.expect("read");
    assert_eq!(&hello, b"hello");
    stream.shutdown().await.expect("shutdown");
    peer.closed().await;
}
