//! TLS on the listener: certificate and key from two PEM files, read again at every reload.

use crate::app::BuildError;
use crate::ways::file;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What consumers' handshakes are answered with.
#[derive(Clone)]
pub struct Listener {
    /// Stands for certificate and key, so that a reload knows them again.
    mark: [u8; 32],
    pub config: Arc<ServerConfig>,
    /// TLS has an address of its own, beside plain HTTP.
    pub apart: bool,
}

impl Listener {
    /// Whether it was made from the same files' contents.
    pub fn same_as(&self, other: &Self) -> bool {
        self.mark == other.mark
    }
}

/// Reads certificate and key. Where both are as `before` they are not made anew: sessions can be resumed then.
///
/// # Errors
/// A file cannot be read, or they are no certificate with its key.
pub fn listener(
    tls: &llmleaf_config::Tls,
    before: Option<&Listener>,
) -> Result<Listener, BuildError> {
    let apart = tls.listen.is_some();
    let (cert, key) = (file(&tls.cert)?, zeroize::Zeroizing::new(file(&tls.key)?));
    let mut mark = Sha256::new();
    mark.update((cert.len() as u64).to_le_bytes());
    mark.update(&cert);
    mark.update(&*key);
    let mark = mark.finalize().into();
    if let Some(known) = before.filter(|known| known.mark == mark) {
        let config = Arc::clone(&known.config);
        return Ok(Listener {
            mark,
            config,
            apart,
        });
    }
    let refuse = |path: &std::path::Path, why: String| BuildError::Certificate {
        path: path.to_owned(),
        why,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&cert).collect();
    let chain = chain.map_err(|error| refuse(&tls.cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse(&tls.cert, "it holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| refuse(&tls.key, format!("it holds no private key: {error}")))?;
    // The provider is given explicitly: with two compiled in, rustls would panic on choosing.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| refuse(&tls.cert, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refuse(&tls.cert, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Listener {
        mark,
        config: Arc::new(config),
        apart,
    })
}
