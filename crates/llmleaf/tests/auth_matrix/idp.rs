//! An identity provider, played: its keys, its tokens, its endpoints.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as Rsa, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Its keys; and those of somebody who is none.
pub struct Keys {
    pub rsa: Rsa,
    pub ec: EcdsaKeyPair,
    pub ed: Ed25519KeyPair,
    pub evil_ec: EcdsaKeyPair,
    pub evil_ed: Ed25519KeyPair,
}

/// One set for all tests: making it is the slow part.
pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let ec = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let ed = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        Keys {
            rsa: Rsa::generate(KeySize::Rsa2048).expect("a key"),
            ec: ec(),
            ed: ed(1),
            evil_ec: ec(),
            evil_ed: ed(66),
        }
    })
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn rsa_jwk() -> Value {
    // RFC 8017, appendix A.1.1: a sequence of two numbers, of known lengths for 2048 bits.
    let der = keys().rsa.public_key().as_ref();
    json!({"kty": "RSA", "kid": "rsa-1", "use": "sig", "n": b64(&der[9..265]), "e": "AQAB"})
}

pub fn ec_jwk(key: &EcdsaKeyPair, kid: &str) -> Value {
    let point = key.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256",
        "x": b64(&point[1..33]), "y": b64(&point[33..])})
}

pub fn ed_jwk(key: &Ed25519KeyPair, kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(key.public_key().as_ref())})
}

/// What it publishes.
pub fn key_set() -> String {
    let (ec, ed) = (ec_jwk(&keys().ec, "ec-1"), ed_jwk(&keys().ed, "ed-1"));
    let other = json!({"kty": "oct", "kid": "oct-1", "k": b64("a shared secret, published")});
    json!({"keys": [rsa_jwk(), ec, ed, other]}).to_string()
}

/// A token of these very texts, signed so.
pub fn raw(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = b64(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

pub fn by_ed(signed: &[u8]) -> Vec<u8> {
    keys().ed.sign(signed).as_ref().to_vec()
}

pub fn by_ec(signed: &[u8]) -> Vec<u8> {
    let signature = keys().ec.sign(&SystemRandom::new(), signed);
    signature.expect("a signature").as_ref().to_vec()
}

pub fn by_evil_ed(signed: &[u8]) -> Vec<u8> {
    keys().evil_ed.sign(signed).as_ref().to_vec()
}

pub fn by_evil_ec(signed: &[u8]) -> Vec<u8> {
    let signature = keys().evil_ec.sign(&SystemRandom::new(), signed);
    signature.expect("a signature").as_ref().to_vec()
}

pub fn by_rsa(how: &'static dyn RsaEncoding) -> impl Fn(&[u8]) -> Vec<u8> {
    move |signed| {
        let mut signature = vec![0; keys().rsa.public_modulus_len()];
        let signed = keys()
            .rsa
            .sign(how, &SystemRandom::new(), signed, &mut signature);
        signed.expect("a signature");
        signature
    }
}

pub fn by_secret(algorithm: hmac::Algorithm, secret: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, secret);
    move |signed| hmac::sign(&key, signed).as_ref().to_vec()
}

pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

/// Claims of a good token.
pub fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": "llmleaf", "sub": "alice", "exp": now() + 600, "iat": now() - 5,
        "roles": ["dev"], "scope": "llm"})
}

/// These claims, but for one.
pub fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// The header of a token by `ed-1`.
pub const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"ed-1"}"#;

/// A good token with these claims.
pub fn token(claims: &Value) -> String {
    raw(HEADER, &claims.to_string(), by_ed)
}
