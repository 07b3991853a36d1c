//! SHA-256-crypt and SHA-512-crypt, as written by `crypt(3)`: `$5$` and `$6$`.

use password_hash::PasswordVerifier;
use sha_crypt::ShaCrypt;

use super::HashError;

/// Most rounds. Leaves room for the 656,000 that one widespread library takes by default.
pub const MAX_SHA_CRYPT_ROUNDS: u32 = 700_000;

const MIN_ROUNDS: u32 = 1000;
const MAX_SALT_CHARS: usize = 16;
const SCHEME: &str = "SHA-crypt";

#[derive(PartialEq, Eq)]
pub(super) struct ShaCryptHash(Box<str>);

impl ShaCryptHash {
    /// `$6$`, optionally `rounds=N$`, salt, `$`, digest.
    ///
    /// Stricter than the library, which takes `rounds=` with a number that it dislikes for a salt, and then lets nobody in.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let mut fields = text.split('$').skip(1);
        let digest_chars = match fields.next() {
            Some("5") => 43,
            _ => 86,
        };
        let mut salt = fields.next();
        if let Some(rounds) = salt.and_then(|field| field.strip_prefix("rounds=")) {
            check_rounds(rounds)?;
            salt = fields.next();
        }
        let (Some(salt), Some(digest), None) = (salt, fields.next(), fields.next()) else {
            return Err(malformed("salt or digest is missing"));
        };
        if salt.is_empty() || salt.len() > MAX_SALT_CHARS || !salt.bytes().all(is_crypt_byte) {
            return Err(malformed(
                "the salt must have 1 to 16 of the characters ./0-9A-Za-z",
            ));
        }
        if digest.len() != digest_chars || !digest.bytes().all(is_crypt_byte) {
            return Err(malformed(
                "the digest has the wrong length or other characters than ./0-9A-Za-z",
            ));
        }
        Ok(Self(text.into()))
    }

    pub(super) fn verify(&self, password: &[u8]) -> bool {
        // The library compares in constant time.
        ShaCrypt::default()
            .verify_password(password, &*self.0)
            .is_ok()
    }
}

fn check_rounds(text: &str) -> Result<(), HashError> {
    let canonical =
        !text.starts_with('0') && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    let rounds: u32 = match text.parse() {
        Ok(rounds) if canonical => rounds,
        _ => return Err(malformed("the rounds are not a number")),
    };
    if rounds < MIN_ROUNDS {
        return Err(malformed("fewer than 1000 rounds"));
    }
    if rounds > MAX_SHA_CRYPT_ROUNDS {
        return Err(HashError::TooCostly {
            scheme: SCHEME,
            parameter: "rounds",
            value: rounds.into(),
            ceiling: MAX_SHA_CRYPT_ROUNDS.into(),
        });
    }
    Ok(())
}

fn is_crypt_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/'
}

fn malformed(why: &'static str) -> HashError {
    HashError::Malformed {
        scheme: SCHEME,
        why,
    }
}
