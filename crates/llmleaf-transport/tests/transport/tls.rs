//! TLS: whom we believe, and what the pool makes of it.

use std::sync::Arc;

use llmleaf_transport::{Limits, Origin, Pool, TlsConfig, TlsError, TransportError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::{CONNECT_TIMEOUT, OK, post};

struct TlsServer {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ca_pem: String,
    origin: Arc<Origin>,
}

impl TlsServer {
    /// A server with a certificate for `name` from a CA of its own, called as 127.0.0.1.
    async fn start(name: &str) -> TlsServer {
        let ca_key = KeyPair::generate().expect("key");
        let mut ca = CertificateParams::new(Vec::new()).expect("CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("CA").pem();
        let key = KeyPair::generate().expect("key");
        let leaf = CertificateParams::new(vec![name.to_owned()]).expect("leaf");
        let leaf = leaf
            .signed_by(&key, &Issuer::new(ca, ca_key))
            .expect("leaf");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("certificate");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (origin, _) = Origin::parse(&format!("https://{address}")).expect("origin");
        TlsServer {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca_pem,
            origin: Arc::new(origin),
        }
    }

    fn trusting_pool(&self) -> Pool {
        let tls = TlsConfig::with_extra_ca(self.ca_pem.as_bytes()).expect("CA");
        Pool::new(Limits::default(), tls)
    }

    async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        self.acceptor.accept(stream).await
    }

    async fn answer(&self, answer: &str) -> TlsStream<TcpStream> {
        let mut stream = self.accept().await.expect("handshake");
        exchange(&mut stream, answer).await;
        stream
    }
}

async fn exchange(stream: &mut TlsStream<TcpStream>, answer: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n{}") {
        request.push(stream.read_u8().await.expect("request"));
    }
    stream.write_all(answer.as_bytes()).await.expect("write");
    stream.flush().await.expect("flush");
}

async fn call(pool: &Pool, server: &TlsServer) -> Result<(bool, String), TransportError> {
    let response = pool
        .call(&server.origin, post("{}"), CONNECT_TIMEOUT)
        .await?;
    let reused = response.reused();
    let body = response.body.collect(99).await?;
    Ok((reused, String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test]
async fn a_certificate_of_the_extra_ca_is_accepted_and_the_connection_reused() {
    let server = TlsServer::start("127.0.0.1").await;
    let pool = server.trusting_pool();
    let (first, mut stream) = tokio::join!(call(&pool, &server), server.answer(OK));
    assert_eq!(first, Ok((false, "ok".to_owned())));
    assert_eq!(pool.idle(), 1);
    let (second, ()) = tokio::join!(call(&pool, &server), exchange(&mut stream, OK));
    assert_eq!(second, Ok((true, "ok".to_owned())));
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);
}

#[tokio::test]
async fn b3_a_certificate_of_an_unknown_ca_is_refused() {
    let server = TlsServer::start("127.0.0.1").await;
    let pool = Pool::new(Limits::default(), TlsConfig::new().expect("TLS"));
    let (result, _) = tokio::join!(call(&pool, &server), server.accept());
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), "tls");
    assert!(error.retry_is_safe(), "nothing was sent");
}

#[tokio::test]
async fn b3_a_certificate_for_another_host_is_refused() {
    let server = TlsServer::start("other.example").await;
    let pool = server.trusting_pool();
    let (result, _) = tokio::join!(call(&pool, &server), server.accept());
    assert_eq!(result.expect_err("refused").kind(), "tls");
}

#[tokio::test]
async fn a_body_cut_off_without_a_tls_end_is_an_error() {
    // Without a length only TLS's own end marker tells a whole body from a cut one.
    let server = TlsServer::start("127.0.0.1").await;
    let pool = server.trusting_pool();
    let answer = "HTTP/1.1 200 OK\r\n\r\nab";
    let (result, ()) = tokio::join!(call(&pool, &server), async {
        drop(server.answer(answer).await);
    });
    assert_eq!(result.expect_err("cut").kind(), "closed");
    let (result, ()) = tokio::join!(call(&pool, &server), async {
        let mut stream = server.answer(answer).await;
        stream.shutdown().await.expect("shutdown");
    });
    assert_eq!(result, Ok((false, "ab".to_owned())));
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    assert_eq!(
        TlsConfig::with_extra_ca(b"").err(),
        Some(TlsError::NoCertificate)
    );
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        TlsConfig::with_extra_ca(broken),
        Err(TlsError::Anchor(_))
    ));
}
