//! Stored hashes: what a key in the config is checked against.
//!
//! The inherited kinds (argon2, bcrypt, SHA-crypt) are for passwords that people chose; they are slow on purpose and run
//! on a blocking pool. The hash of a random key is fast. A hash names its own cost, and a hash may come from a file or
//! from a control plane, so each cost has a ceiling that is checked before the hash is accepted.

mod argon;
mod blowfish;
mod sha;

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::credential::MAX_PASSWORD_BYTES;
use crate::error::MintError;
use crate::random_key;

pub use argon::{MAX_ARGON2_LANES, MAX_ARGON2_MEMORY_KIB, MAX_ARGON2_PASSES};
pub use blowfish::{MAX_BCRYPT_COST, MAX_BCRYPT_PASSWORD_BYTES};
pub use sha::MAX_SHA_CRYPT_ROUNDS;

/// Longest stored hash that is looked at, in bytes.
pub const MAX_HASH_BYTES: usize = 512;

/// Why a stored hash is refused. Repeats nothing of it: what stands there may be a password written in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Nothing there.
    #[error("the hash is empty")]
    Empty,
    /// Does not begin with `$`.
    #[error("this is not a password hash; if it is the password itself, hash it first")]
    NotAHash,
    /// Over [`MAX_HASH_BYTES`].
    #[error("the hash is too long")]
    TooLong,
    /// A scheme that is known and refused, or not known.
    #[error("{scheme} is not supported: {why}")]
    Unsupported {
        /// The scheme.
        scheme: &'static str,
        /// The reason, or what to use.
        why: &'static str,
    },
    /// The scheme is known and the rest does not fit it.
    #[error("malformed {scheme} hash: {why}")]
    Malformed {
        /// The scheme.
        scheme: &'static str,
        /// What does not fit.
        why: &'static str,
    },
    /// One check would cost more than a gateway can spend on a stranger.
    #[error("{scheme} {parameter} is {value}, above the ceiling of {ceiling}")]
    TooCostly {
        /// The scheme.
        scheme: &'static str,
        /// Which of its parameters, with its unit.
        parameter: &'static str,
        /// What the hash asks for.
        value: u64,
        /// What is allowed.
        ceiling: u64,
    },
}

/// A stored hash, parsed and known to be affordable.
pub struct PasswordHash {
    stored: Stored,
    /// Of the text that it was parsed from.
    mark: [u8; 32],
}

/// There was no memory to compute a hash in.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

#[derive(PartialEq, Eq)]
enum Stored {
    Argon2(argon::Argon2Hash),
    Bcrypt(blowfish::BcryptHash),
    ShaCrypt(sha::ShaCryptHash),
    RandomKey([u8; 32]),
}

impl PasswordHash {
    /// Parses `$argon2id$…`, `$argon2i$…`, `$2a$…`, `$2b$…`, `$2y$…`, `$5$…`, `$6$…` or the `$llk$sha256$…` of a random key.
    ///
    /// # Errors
    ///
    /// [`HashError`], also for a hash that costs more than its ceiling.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(HashError::Empty);
        }
        if text.len() > MAX_HASH_BYTES {
            return Err(HashError::TooLong);
        }
        let scheme = text
            .strip_prefix('$')
            .and_then(|rest| rest.split('$').next())
            .ok_or(HashError::NotAHash)?;
        let stored = match scheme {
            "argon2id" | "argon2i" => Stored::Argon2(argon::Argon2Hash::parse(text)?),
            "2a" | "2b" | "2y" => Stored::Bcrypt(blowfish::BcryptHash::parse(text)?),
            "5" | "6" => Stored::ShaCrypt(sha::ShaCryptHash::parse(text)?),
            "llk" => Stored::RandomKey(random_key::parse_stored(text)?),
            other => return Err(unsupported(other)),
        };
        Ok(Self {
            stored,
            mark: Sha256::digest(text).into(),
        })
    }

    /// Whether the password is the one. Compares in constant time, and does the whole work also for a password that it
    /// will refuse, so that the time says nothing about the kind of hash.
    ///
    /// Slow, by design, unless the hash is of a random key: never call it on a thread that serves.
    pub fn verify(&self, password: &[u8]) -> bool {
        self.try_verify(password).unwrap_or(false)
    }

    /// [`Self::verify`], where want of memory is not taken for a wrong password.
    pub(crate) fn try_verify(&self, password: &[u8]) -> Result<bool, OutOfMemory> {
        Ok(match &self.stored {
            Stored::Argon2(hash) => return hash.verify(password),
            Stored::Bcrypt(hash) => hash.verify(password),
            Stored::ShaCrypt(hash) => hash.verify(password),
            Stored::RandomKey(digest) => std::str::from_utf8(password)
                .is_ok_and(|key| random_key::fast_hash(key).ct_eq(digest).into()),
        })
    }

    /// The scheme's name, for operators.
    pub fn scheme(&self) -> &'static str {
        match &self.stored {
            Stored::Argon2(_) => "argon2",
            Stored::Bcrypt(_) => "bcrypt",
            Stored::ShaCrypt(_) => "sha-crypt",
            Stored::RandomKey(_) => "random key",
        }
    }

    /// The digest, if this is the fast hash of a random key.
    pub(crate) fn fast(&self) -> Option<&[u8; 32]> {
        match &self.stored {
            Stored::RandomKey(digest) => Some(digest),
            _ => None,
        }
    }

    /// By what a hash is known again, for secrets that stand for a key only as long as its hash does.
    pub(crate) fn mark(&self) -> &[u8; 32] {
        &self.mark
    }

    /// Whether both were parsed from the same hash, for telling a changed key from an unchanged one. Not in constant
    /// time, and never between a hash and anything a consumer sent.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.scheme())
    }
}

/// Hashes a chosen password for the config: argon2id, 19 MiB, 2 passes, 1 lane. That is one of the
/// settings in OWASP's password storage sheet (as of 2025), and well below our own ceilings.
///
/// # Errors
///
/// [`MintError::Password`] for a password that could not be presented later (empty, over
/// [`MAX_PASSWORD_BYTES`], control characters, the prefix of random keys), [`MintError::Entropy`], [`MintError::Hash`].
pub fn hash_password(password: &str) -> Result<String, MintError> {
    if password.is_empty() {
        return Err(MintError::Password("it is empty"));
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(MintError::Password("it has more than 128 bytes"));
    }
    if password.chars().any(char::is_control) {
        return Err(MintError::Password(
            "it contains a line break or another control character",
        ));
    }
    if password.starts_with(random_key::KEY_PREFIX) {
        return Err(MintError::Password(
            "it looks like a random key, whose hash was printed when it was made",
        ));
    }
    argon::hash(password.as_bytes())
}

fn unsupported(scheme: &str) -> HashError {
    let (scheme, why) = match scheme {
        "1" => ("MD5-crypt ($1$)", "it can be broken; make a new hash"),
        "apr1" => ("Apache MD5 ($apr1$)", "it can be broken; make a new hash"),
        "2x" => (
            "bcrypt $2x$",
            "it marks hashes of a faulty implementation; make a new hash",
        ),
        "argon2d" => ("argon2d", "it is not meant for passwords; use argon2id"),
        "y" | "gy" => ("yescrypt", "use argon2id"),
        "7" | "scrypt" => ("scrypt", "use argon2id"),
        "pbkdf2-sha256" | "pbkdf2-sha512" | "pbkdf2" => ("PBKDF2", "use argon2id"),
        _ => (
            "this kind of hash",
            "use argon2id, bcrypt, SHA-crypt or a random key",
        ),
    };
    HashError::Unsupported { scheme, why }
}

#[cfg(test)]
mod tests;
