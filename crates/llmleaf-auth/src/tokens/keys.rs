//! What signatures are checked with: the keys that an issuer publishes (RFC 7517, 2015-05).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

use super::form::MAX_KID_BYTES;
use super::identity::Warrant;
use super::strict;

/// Largest set of keys, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 256 * 1024;
/// Most keys of a set.
pub const MAX_KEYS: usize = 256;
/// Most keys of one name that a signature is tried with.
const MAX_TRIES: usize = 4;
/// Smallest and largest modulus of RSA, in bytes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// How tokens may be signed: only by who has a private key. Whoever could check a shared secret could make a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS#1 padding and SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSA with PSS padding and SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Algorithm {
    /// All of them, by the names that they have in headers (RFC 7518 section 3.1; RFC 8037; RFC 9864 for the last).
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
        ("Ed25519", Self::EdDsa),
    ];

    /// The algorithm of that name, spelt just so.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.iter();
        all.find(|(known, _)| *known == name).map(|(_, alg)| *alg)
    }

    fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                Family::Rsa
            }
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::EdDsa => Family::Ed25519,
        }
    }

    fn of_crate(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::Ps384 => jsonwebtoken::Algorithm::PS384,
            Self::Ps512 => jsonwebtoken::Algorithm::PS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Es384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Why a set of keys is not taken: the one before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeySetError {
    /// Over a bound.
    #[error("the key set has more than {MAX_KEYS} keys or {MAX_KEY_SET_BYTES} bytes")]
    TooLarge,
    /// Not JSON with a list `keys`.
    #[error("the answer is not a key set")]
    Form,
    /// No key of it can check a signature.
    #[error("the key set has no key that can check a signature of an accepted kind")]
    Empty,
}

/// A public key.
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    family: Family,
    /// The one algorithm that it is for, where its issuer says so.
    only: Option<Algorithm>,
    key: DecodingKey,
    mark: [u8; 32],
    /// Stands as long as the issuer publishes the key.
    pub(crate) warrant: Arc<Warrant>,
}

impl VerifyingKey {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.family == algorithm.family() && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether it made that signature.
    pub(crate) fn verifies(&self, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
        let algorithm = algorithm.of_crate();
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, algorithm)
            .unwrap_or(false)
    }
}

/// The keys of an issuer.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    skipped: usize,
}

/// Which keys a token means.
pub(crate) enum Found<'s> {
    /// One of these made the signature, or none did.
    Candidates(Vec<&'s Arc<VerifyingKey>>),
    /// None has that name.
    Unknown,
    /// There are keys of that name, or there is none, and they are for another algorithm; or it is not said which key.
    Unfit,
}

impl KeySet {
    /// Reads what an issuer publishes. Keys that are for something else are left out.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let document = strict::object(bytes).ok_or(KeySetError::Form)?;
        let Some(Value::Array(listed)) = document.get("keys") else {
            return Err(KeySetError::Form);
        };
        if listed.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let objects = listed.iter().map(Value::as_object);
        let keys: Vec<_> = objects
            .filter_map(|key| Some(Arc::new(read(key?)?)))
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self {
            skipped: listed.len().saturating_sub(keys.len()),
            keys,
        })
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many were left out.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// This set in the place of the one before: keys that stay are the same, and those that are gone prove nothing any more.
    pub(crate) fn succeed(mut self, before: &Self) -> Self {
        for old in &before.keys {
            match self.keys.iter_mut().find(|new| new.mark == old.mark) {
                Some(new) => *new = Arc::clone(old),
                None => old.warrant.withdraw(),
            }
        }
        self
    }

    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let fitting = |key: &&Arc<VerifyingKey>| key.fits(algorithm);
        let Some(kid) = kid else {
            // RFC 7515 section 4.1.4: the name is a hint. Without it there must be nothing to choose.
            let all: Vec<_> = self.keys.iter().filter(fitting).take(2).collect();
            return match all.len() {
                1 => Found::Candidates(all),
                _ => Found::Unfit,
            };
        };
        let named = |key: &&Arc<VerifyingKey>| key.kid.as_deref() == Some(kid);
        let candidates: Vec<_> = (self.keys.iter())
            .filter(named)
            .filter(fitting)
            .take(MAX_TRIES)
            .collect();
        if !candidates.is_empty() {
            Found::Candidates(candidates)
        } else if self.keys.iter().any(|key| named(&key)) {
            Found::Unfit
        } else {
            Found::Unknown
        }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.len())
    }
}

/// A key that can check signatures, or `None`.
fn read(key: &Map<String, Value>) -> Option<VerifyingKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    // A private half that is published is nobody's secret; and shared secrets check nothing here.
    let private = ["d", "k", "p", "q"];
    if private.iter().any(|name| key.contains_key(*name)) {
        return None;
    }
    if key.contains_key("use") && text("use") != Some("sig") {
        return None;
    }
    let verifies = |ops: &Value| {
        let ops = ops.as_array();
        ops.is_some_and(|ops| ops.iter().any(|op| op == "verify"))
    };
    if key.get("key_ops").is_some_and(|ops| !verifies(ops)) {
        return None;
    }
    let (family, material, decoding) = material(key)?;
    let only = match key.get("alg") {
        None => None,
        Some(name) => {
            let named = Algorithm::named(name.as_str()?)?;
            Some(Some(named).filter(|named| named.family() == family)?)
        }
    };
    let kid = match key.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().filter(|kid| kid.len() <= MAX_KID_BYTES)?),
    };
    let mut mark = Sha256::new();
    mark.update(format!("{family:?} {only:?} {kid:?} "));
    mark.update(&material);
    Some(VerifyingKey {
        kid: kid.map(str::to_owned),
        family,
        only,
        key: decoding,
        mark: mark.finalize().into(),
        warrant: Arc::default(),
    })
}

/// A key's family, the bytes that make it up, and the key; `None` where it is too weak, or of no family that is used here.
fn material(key: &Map<String, Value>) -> Option<(Family, Vec<u8>, DecodingKey)> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let (n, e) = (n.without_zeros(), e.without_zeros());
            let odd = e.last().is_some_and(|last| last % 2 == 1);
            let exponent_fits = odd && e.len() <= 8 && *e != [1];
            if !RSA_BYTES.contains(&n.len()) || !exponent_fits {
                return None;
            }
            let key = DecodingKey::from_rsa_raw_components(n, e);
            Some((Family::Rsa, [n, e].concat(), key))
        }
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            let (family, length) = match curve {
                "P-256" => (Family::P256, 32),
                _ => (Family::P384, 48),
            };
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != length || y.len() != length {
                return None;
            }
            // An uncompressed point (SEC 1, section 2.3.3).
            let point = [&[4], x.as_slice(), &y].concat();
            let key = DecodingKey::from_ec_der(&point);
            Some((family, point, key))
        }
        ("OKP", Some("Ed25519")) => {
            let x = bytes("x").filter(|x| x.len() == 32)?;
            let key = DecodingKey::from_ed_der(&x);
            Some((Family::Ed25519, x, key))
        }
        _ => None,
    }
}

trait Number {
    fn without_zeros(&self) -> &[u8];
}

impl Number for [u8] {
    /// A number's bytes without zeros in front.
    fn without_zeros(&self) -> &[u8] {
        let zeros = self.iter().take_while(|byte| **byte == 0).count();
        self.get(zeros..).unwrap_or_default()
    }
}
