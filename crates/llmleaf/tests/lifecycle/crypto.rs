//! Certificates made for one test, and the two ends of TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use llmleaf_testkit::stage::LONG;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Who signs certificates.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("CA").pem();
        Authority {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name or an address.
    pub fn signs(&self, name: &str) -> Pair {
        self.signs_with(name, |_| {})
    }

    /// The same with other properties.
    pub fn signs_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("leaf");
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).expect("leaf");
        Pair {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// A certificate that nobody else vouches for.
    pub fn self_signed(name: &str) -> Pair {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("leaf");
        Pair {
            cert: params.self_signed(&key).expect("leaf").pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A runtime for one test.
fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// Runs a test with a deadline.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    runtime().block_on(async {
        let ended = tokio::time::timeout(LONG, test).await;
        ended.expect("the test ends in time")
    })
}

/// Connects with TLS as `127.0.0.1`, trusting an authority.
pub async fn connect(
    addr: SocketAddr,
    ca: &str,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ca.as_bytes()).flatten());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(addr.ip().to_string()).expect("a name");
    let stream = TcpStream::connect(addr).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Speaks TLS in front of a server that does not, on a thread of its own that ends with this.
pub struct Terminator {
    pub addr: SocketAddr,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Terminator {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and it has been told to end.
            let _ = thread.join();
        }
    }
}

impl Terminator {
    pub fn start(pair: &Pair, behind: SocketAddr) -> Terminator {
        let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes());
        let chain: Vec<_> = chain.flatten().collect();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("listens");
        let addr = listener.local_addr().expect("an address");
        let (end, ended) = tokio::sync::oneshot::channel();
        let serving = async move {
            while let Ok((stream, _)) = listener.accept().await {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a server of its own, not the product"
                )]
                tokio::spawn(relay(acceptor.clone(), stream, behind));
            }
        };
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    // Whether told or forgotten.
                    _ = ended => {}
                }
            });
        });
        Terminator {
            addr,
            end: Some(end),
            thread: Some(thread),
        }
    }
}

async fn relay(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    // A refused handshake is the other side's to tell.
    if let Ok(mut stream) = acceptor.accept(stream).await
        && let Ok(mut inner) = TcpStream::connect(behind).await
    {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
    }
}
