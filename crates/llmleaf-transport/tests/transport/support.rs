//! A server whose every byte the test decides, and the client's side of a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use llmleaf_transport::{Limits, Origin, Pool, Response, TlsConfig, TransportError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A complete small answer.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub fn pool() -> Pool {
    pool_with(Limits::default())
}

pub fn pool_with(limits: Limits) -> Pool {
    Pool::new(limits, TlsConfig::new().expect("TLS"))
}

pub fn post(body: impl Into<Bytes>) -> Request<Bytes> {
    Request::builder()
        .method(Method::POST)
        .uri("/v1/x?y=z")
        .header("x-test", "1")
        .body(body.into())
        .expect("request")
}

pub struct Server {
    listener: TcpListener,
    pub origin: Arc<Origin>,
}

impl Server {
    pub async fn start() -> Server {
        Server::bind("127.0.0.1:0").await
    }

    pub async fn bind(address: &str) -> Server {
        let listener = TcpListener::bind(address).await.expect("bind");
        let local = listener.local_addr().expect("address");
        let (origin, _) = Origin::parse(&format!("http://{local}")).expect("origin");
        Server {
            listener,
            origin: Arc::new(origin),
        }
    }

    pub async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.expect("accept");
        Peer(stream)
    }

    /// Accepts a connection, reads a request, writes `answer`.
    pub async fn answer(&self, answer: &str) -> Peer {
        let mut peer = self.accept().await;
        peer.request().await;
        peer.write(answer).await;
        peer
    }

    /// One whole exchange that ends with the connection in the pool, and the server's end of it.
    pub async fn warm_up(&self, pool: &Pool) -> Peer {
        let (response, peer) = tokio::join!(call(pool, self), self.answer(OK));
        let response = response.expect("response");
        assert_eq!(response.body.collect(99).await.as_deref(), Ok(&b"ok"[..]));
        assert_eq!(pool.idle(), 1);
        peer
    }
}

pub async fn call(pool: &Pool, server: &Server) -> Result<Response, TransportError> {
    pool.call(&server.origin, post("{}"), CONNECT_TIMEOUT).await
}

/// What a call to a server that answers with `answer` and then closes comes to.
pub async fn fetch(answer: &str) -> Result<Bytes, TransportError> {
    let (server, pool) = (Server::start().await, pool());
    let (response, ()) = tokio::join!(call(&pool, &server), async {
        drop(server.answer(answer).await);
    });
    let body = match response {
        Ok(response) => response.body.collect(1 << 20).await,
        Err(error) => Err(error),
    };
    assert!(body.is_ok() || pool.idle() == 0, "kept after {body:?}");
    body
}

/// The server's end of one connection.
pub struct Peer(TcpStream);

impl Peer {
    /// Reads one request: its head, and a body of the length that declares.
    pub async fn request(&mut self) -> (String, Vec<u8>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("request head"));
        }
        let head = String::from_utf8(head).expect("text");
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |l| l.parse().expect("length"))];
        self.0.read_exact(&mut body).await.expect("request body");
        (head, body)
    }

    /// Reads some bytes of a request.
    pub async fn some(&mut self) {
        let mut bytes = [0; 64];
        assert_ne!(self.0.read(&mut bytes).await.expect("read"), 0);
    }

    /// Reads one byte.
    pub async fn byte(&mut self) -> u8 {
        self.0.read_u8().await.expect("a byte")
    }

    pub async fn write(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).await.expect("write");
    }

    /// Writes what surely fits into the socket's buffer.
    pub fn write_now(&mut self, bytes: &str) {
        assert_eq!(
            self.0.try_write(bytes.as_bytes()).expect("write"),
            bytes.len()
        );
    }

    /// Writes `bytes` again and again until the client no longer takes them.
    pub async fn flood(&mut self, bytes: &str) {
        while self.0.write_all(bytes.as_bytes()).await.is_ok() {}
    }

    /// Waits until the client has closed the connection, by FIN or RST.
    pub async fn closed(&mut self) {
        let mut bytes = [0; 4096];
        while !matches!(self.0.read(&mut bytes).await, Ok(0) | Err(_)) {}
    }

    /// Closes with RST.
    pub fn reset(self) {
        self.0.set_zero_linger().expect("linger");
    }
}

/// Lets the runtime look at its sockets until `seen` holds.
pub async fn until(mut seen: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if seen() {
            return;
        }
        look_at_sockets().await;
    }
    panic!("it never came about");
}

/// A round trip on sockets of its own: what else has become ready is known afterwards.
async fn look_at_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    far.expect("accept").0.write_all(b"x").await.expect("write");
    near.expect("connect").read_u8().await.expect("read");
}
