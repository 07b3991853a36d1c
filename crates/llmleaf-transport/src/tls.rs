//! One TLS client configuration, built once and shared by every pool.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// How upstream certificates are verified. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    client: Arc<ClientConfig>,
}

/// Why a TLS configuration could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("the CA file is not PEM: {0}")]
    Pem(String),
    #[error("the CA file holds no certificate")]
    NoCertificate,
    #[error("a certificate of the CA file cannot be a trust anchor: {0}")]
    Anchor(String),
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// What proves to an upstream who is calling: PEM texts.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Certificate chain, leaf first.
    pub cert: &'a [u8],
    /// Private key.
    pub key: &'a [u8],
}

impl TlsConfig {
    /// Trusts Mozilla's root certificates.
    ///
    /// # Errors
    ///
    /// Only if the cryptography provider lacks TLS 1.2 and 1.3.
    pub fn new() -> Result<TlsConfig, TlsError> {
        Self::build(public_roots(), None)
    }

    /// Trusts the authorities in the PEM text `ca`, and no others, or Mozilla's where there is none; shows `identity`
    /// to those who ask.
    ///
    /// # Errors
    ///
    /// When a text holds nothing of what it should, or something malformed.
    pub fn with(ca: Option<&[u8]>, identity: Option<Identity<'_>>) -> Result<TlsConfig, TlsError> {
        let roots = ca.map_or_else(|| Ok(public_roots()), own_roots)?;
        Self::build(roots, identity)
    }

    fn build(roots: RootCertStore, identity: Option<Identity<'_>>) -> Result<TlsConfig, TlsError> {
        // The provider is given explicitly: with two compiled in, rustls would panic on choosing.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| TlsError::Setup(e.to_string()))?
            .with_root_certificates(roots);
        let mut client = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert, key }) => {
                let refuse = |error: &dyn std::fmt::Display| TlsError::Identity(error.to_string());
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| refuse(&e))?;
                builder
                    .with_client_auth_cert(chain.map_err(|e| refuse(&e))?, key)
                    .map_err(|e| refuse(&e))?
            }
        };
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConfig {
            client: Arc::new(client),
        })
    }

    /// Draws a first random number. The cryptography library then gathers entropy, once per process, for about a tenth
    /// of a second (aws-lc's jitter source, measured 2026-11); better on a thread of its own at the start than on
    /// one that serves, at the first handshake.
    pub fn warm_up(&self) {
        // A source that fails now fails the handshakes too, and is reported there.
        let _ = self
            .client
            .crypto_provider()
            .secure_random
            .fill(&mut [0; 32]);
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }
}

fn own_roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| TlsError::Pem(e.to_string()))?;
        roots
            .add(certificate)
            .map_err(|e| TlsError::Anchor(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(roots)
}

fn public_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}
