//! Bcrypt.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::HashError;

/// Highest cost; each step doubles the time, and 12 takes a quarter of a second or so.
pub const MAX_BCRYPT_COST: u32 = 12;
/// Bcrypt reads no more than this. A longer password is refused: cut, it would match everything that begins alike.
pub const MAX_BCRYPT_PASSWORD_BYTES: usize = 72;

const MIN_COST: u32 = 4;
const SCHEME: &str = "bcrypt";
const HASH_CHARS: usize = 60;

#[derive(PartialEq, Eq)]
pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; 16],
    /// 23 of the 24 bytes: the form has no room for the last one.
    digest: [u8; 23],
}

impl BcryptHash {
    /// `$2y$` and two digits of cost, `$`, 22 characters of salt, 31 of digest. The letter says which implementation made
    /// it; `a`, `b` and `y` mean the same for every password that is accepted here.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() != HASH_CHARS || !text.is_ascii() {
            return Err(malformed("it must have 60 characters"));
        }
        let mut fields = text.split('$').skip(2);
        let (Some(cost), Some(rest), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(malformed("it must have three parts"));
        };
        if cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed("the cost must have two digits"));
        }
        let cost: u32 = cost
            .parse()
            .map_err(|_| malformed("the cost is not a number"))?;
        if cost < MIN_COST {
            return Err(malformed("the cost is below 4"));
        }
        if cost > MAX_BCRYPT_COST {
            return Err(HashError::TooCostly {
                scheme: SCHEME,
                parameter: "cost",
                value: cost.into(),
                ceiling: MAX_BCRYPT_COST.into(),
            });
        }
        let (salt, digest) = rest
            .split_at_checked(22)
            .ok_or_else(|| malformed("the salt is too short"))?;
        Ok(Self {
            cost,
            salt: decode(salt, "the salt is not bcrypt's base64")?,
            digest: decode(digest, "the digest is not bcrypt's base64")?,
        })
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        // A NUL ends the password for other implementations, so two different passwords would share a hash.
        let whole = password.len() <= MAX_BCRYPT_PASSWORD_BYTES && !password.contains(&0);
        let mut key = Zeroizing::new([0_u8; MAX_BCRYPT_PASSWORD_BYTES]);
        for (place, &byte) in key.iter_mut().zip(password) {
            *place = byte;
        }
        // The terminating NUL is part of the key as long as there is room for it.
        let used = password
            .len()
            .saturating_add(1)
            .min(MAX_BCRYPT_PASSWORD_BYTES);
        let made = bcrypt::bcrypt(self.cost, self.salt, key.get(..used).unwrap_or(&*key));
        let equal = made
            .get(..self.digest.len())
            .is_some_and(|made| made.ct_eq(&self.digest).into());
        equal && whole
    }
}

fn decode<const N: usize>(text: &str, why: &'static str) -> Result<[u8; N], HashError> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    let bytes = BASE64.decode(text).map_err(|_| malformed(why))?;
    bytes.try_into().map_err(|_| malformed(why))
}

fn malformed(why: &'static str) -> HashError {
    HashError::Malformed {
        scheme: SCHEME,
        why,
    }
}
