//! TLS: whom we believe, and what the pool makes of it.

use std::sync::Arc;

use llmleaf_transport::{Identity, Limits, Origin, Pool, TlsConfig, TlsError, TransportError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::{CONNECT_TIMEOUT, OK, post};

pub struct TlsServer {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    pub ca_pem: String,
    pub origin: Arc<Origin>,
    /// A certificate and key that this server accepts of a client.
    client: (String, String),
}

impl TlsServer {
    /// A server with a certificate for `name` from a CA of its own, called as 127.0.0.1.
    pub async fn start(name: &str) -> TlsServer {
        TlsServer::start_with(name, |_| {}, false).await
    }

    /// The same with a certificate of other properties, and whether clients must show one.
    async fn start_with(
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
        asks: bool,
    ) -> TlsServer {
        let ca_key = KeyPair::generate().expect("key");
        let mut ca = CertificateParams::new(Vec::new()).expect("CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("CA").pem();
        let key = KeyPair::generate().expect("key");
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).expect("leaf");
        change(&mut leaf);
        let issuer = Issuer::new(ca, ca_key);
        let leaf = leaf.signed_by(&key, &issuer).expect("leaf");
        let client_key = KeyPair::generate().expect("key");
        let client = CertificateParams::new(vec!["client".to_owned()]).expect("client");
        let client = client.signed_by(&client_key, &issuer).expect("client");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(
            rustls::pki_types::CertificateDer::pem_slice_iter(ca_pem.as_bytes()).flatten(),
        );
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        );
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match asks {
            true => builder.with_client_cert_verifier(verifier.build().expect("verifier")),
            false => builder.with_no_client_auth(),
        };
        let config = builder
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
            client: (client.pem(), client_key.serialize_pem()),
        }
    }

    pub fn trust(&self) -> TlsConfig {
        TlsConfig::with(Some(self.ca_pem.as_bytes()), None).expect("CA")
    }

    fn trusting_pool(&self) -> Pool {
        Pool::new(Limits::default(), self.trust())
    }

    /// The server's side of a handshake over a stream that is there already.
    pub async fn shake<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> TlsStream<S> {
        self.acceptor.accept(stream).await.expect("handshake")
    }

    pub async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        self.acceptor.accept(stream).await
    }

    async fn answer(&self, answer: &str) -> TlsStream<TcpStream> {
        let mut stream = self.accept().await.expect("handshake");
        exchange(&mut stream, answer).await;
        stream
    }
}

pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, answer: &str) {
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
async fn a_certificate_of_the_given_ca_is_accepted_and_the_connection_reused() {
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
async fn b3_an_expired_certificate_is_refused() {
    let past = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let server = TlsServer::start_with("127.0.0.1", past, false).await;
    let pool = server.trusting_pool();
    let (result, _) = tokio::join!(call(&pool, &server), server.accept());
    assert_eq!(result.expect_err("refused").kind(), "tls");
}

#[tokio::test]
async fn b3_an_old_protocol_is_refused() {
    /// A `ServerHello` of TLS 1.0 with a cipher suite that was offered, and the alert that tells the version is too low.
    fn hello() -> Vec<u8> {
        let mut bytes = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
        bytes.extend_from_slice(&[7; 32]);
        bytes.extend_from_slice(&[0, 0xc0, 0x2f, 0]);
        bytes
    }
    for answer in [hello(), vec![0x15, 3, 1, 0, 2, 2, 70]] {
        let server = TlsServer::start("127.0.0.1").await;
        let pool = server.trusting_pool();
        let (result, ()) = tokio::join!(call(&pool, &server), async {
            let (mut stream, _) = server.listener.accept().await.expect("accepts");
            stream.write_all(&answer).await.expect("written");
            // Until the client goes.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        let error = result.expect_err("refused");
        assert_eq!(error.kind(), "tls");
        assert!(error.retry_is_safe(), "nothing was sent");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks() {
    let server = TlsServer::start_with("127.0.0.1", |_| {}, true).await;
    let (cert, key) = (server.client.0.as_bytes(), server.client.1.as_bytes());
    let ca = Some(server.ca_pem.as_bytes());
    let tls = TlsConfig::with(ca, Some(Identity { cert, key })).expect("an identity");
    let pool = Pool::new(Limits::default(), tls);
    let (result, _) = tokio::join!(call(&pool, &server), server.answer(OK));
    assert_eq!(result, Ok((false, "ok".to_owned())));
    // Without one the server ends the connection.
    let pool = server.trusting_pool();
    let (result, refused) = tokio::join!(call(&pool, &server), server.accept());
    assert!(result.is_err() && refused.is_err());
    let swapped = Identity {
        cert: key,
        key: cert,
    };
    assert!(matches!(
        TlsConfig::with(ca, Some(swapped)),
        Err(TlsError::Identity(_))
    ));
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
        TlsConfig::with(Some(b""), None).err(),
        Some(TlsError::NoCertificate)
    );
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        TlsConfig::with(Some(broken), None),
        Err(TlsError::Anchor(_))
    ));
}
