//! What a private key signs to prove who asks for a token: a JWT by RS256 (RFC 7519, RFC 7523 section 3).
//!
//! Only signing is here, which is three lines of base64 around the cryptography that TLS brings along; a JWT from anybody else is not
//! read by this crate.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;

/// How long an assertion is good, in seconds: the most that its readers take.
const GOOD_FOR: u64 = 3600;
/// By how much an assertion is dated back, in seconds: our clock may be ahead of its reader's.
const SKEW: u64 = 10;

/// A key that cannot sign. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// No PEM.
    #[error("`private_key` is not a private key in PEM form")]
    NotPem,
    /// PEM of another key.
    #[error("`private_key` is not an RSA key")]
    NotRsa,
    /// Too small, or broken.
    #[error("`private_key` is no RSA key of 2048 bits or more that can be used")]
    Unusable,
}

/// Signs assertions.
pub struct Signer {
    key: KeyPair,
    key_id: Option<String>,
    mark: [u8; 32],
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl Signer {
    /// From the PEM text of a private key, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// It is none, or none that can sign by RSA.
    pub fn new(pem: &str, key_id: Option<String>) -> Result<Self, KeyError> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NotPem)?;
        let mark = Sha256::digest(key.secret_der()).into();
        let pair = match &key {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(KeyError::NotRsa),
        };
        let refused = |error: aws_lc_rs::error::KeyRejected| match error.to_string().as_str() {
            "WrongAlgorithm" => KeyError::NotRsa,
            _ => KeyError::Unusable,
        };
        let key = pair.map_err(refused)?;
        if key.public_modulus_len() < 256 {
            return Err(KeyError::Unusable);
        }
        Ok(Self { key, key_id, mark })
    }

    /// Stands for the key.
    pub(crate) fn mark(&self) -> [u8; 32] {
        self.mark
    }

    /// An assertion, good from now on; `None` if the cryptography fails.
    pub(crate) fn sign(
        &self,
        issuer: &str,
        scope: &str,
        audience: &str,
        unix_now: u64,
    ) -> Option<String> {
        let header = Header {
            alg: "RS256",
            typ: "JWT",
            kid: self.key_id.as_deref(),
        };
        let issued = unix_now.saturating_sub(SKEW);
        let claims = Claims {
            iss: issuer,
            scope,
            aud: audience,
            iat: issued,
            exp: issued + GOOD_FOR,
        };
        let encode = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
        let mut text = encode(serde_json::to_vec(&header).ok()?);
        text.push('.');
        text.push_str(&encode(serde_json::to_vec(&claims).ok()?));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .ok()?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Some(text)
    }

    /// The public half, as DER (RFC 8017, appendix A.1.1), for whoever checks.
    pub fn public_key(&self) -> Vec<u8> {
        use aws_lc_rs::signature::KeyPair as _;
        self.key.public_key().as_ref().to_vec()
    }
}
