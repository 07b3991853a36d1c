//! Keys that are random, and so need no slow hash.
//!
//! ```text
//! llk_<id>_<24 characters of secret><6 characters of checksum>
//! ```
//!
//! Secret and checksum are base62, so a double click selects the whole key, and a secret scanner finds it with
//! `llk_[A-Za-z0-9._@+~-]+_[A-Za-z0-9]{30}`. 24 characters of base62 are 142 bits. The checksum is over everything in
//! front of it, the id too: a mistyped key is told apart from a wrong one without looking anything up. The id in the
//! key makes the look-up direct, and may itself contain underscores, since the last 30 characters never do.
//!
//! The config holds `$llk$sha256$<base64url>`: SHA-256 of the whole key behind a domain prefix. That is enough, because
//! what is hashed cannot be guessed; and since the id is hashed too, a hash moved to another id is worth nothing.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::error::{Hint, MintError};
use crate::password::HashError;
use crate::roster::MAX_ID_BYTES;
use crate::secret::Secret;

/// What every random key begins with.
pub const KEY_PREFIX: &str = "llk_";
/// What the stored hash of a random key begins with.
pub const STORED_PREFIX: &str = "$llk$sha256$";
/// Characters of secret: 24 × log2(62) = 142.9 bits.
pub const SECRET_CHARS: usize = 24;
/// Characters of checksum: 32 bits in base62.
pub const CHECKSUM_CHARS: usize = 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM_DOMAIN: &[u8] = b"llmleaf key checksum 1\0";
const STORED_DOMAIN: &[u8] = b"llmleaf key stored 1\0";

/// A freshly made key. The credential is shown once, to whoever will use it; the hash goes into the config.
pub struct NewKey {
    /// What the consumer sends.
    pub credential: Secret,
    /// What the operator writes into the config. Not a secret in the strict sense, yet not for show.
    pub stored_hash: String,
}

impl NewKey {
    /// Makes a key for `id`.
    ///
    /// # Errors
    ///
    /// [`MintError::Id`] when the id is empty, over [`MAX_ID_BYTES`], or has characters other than ASCII letters, digits
    /// and `. _ - @ + ~` (anything else would not survive in a header or would hide the key from scanners);
    /// [`MintError::Entropy`].
    pub fn generate(id: &str) -> Result<Self, MintError> {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(MintError::Id("it must have 1 to 128 bytes"));
        }
        if !id.bytes().all(is_id_byte) {
            return Err(MintError::Id(
                "only ASCII letters, digits and . _ - @ + ~ are possible",
            ));
        }
        // Reserved up front: a string that grows leaves a copy of the secret behind.
        let mut text =
            String::with_capacity(KEY_PREFIX.len() + id.len() + 1 + SECRET_CHARS + CHECKSUM_CHARS);
        text.push_str(KEY_PREFIX);
        text.push_str(id);
        text.push('_');
        push_random_base62(&mut text, SECRET_CHARS)?;
        let sum = checksum(&text);
        text.extend(sum.iter().map(|&byte| char::from(byte)));
        let stored_hash = format!(
            "{STORED_PREFIX}{}",
            URL_SAFE_NO_PAD.encode(fast_hash(&text))
        );
        Ok(Self {
            credential: Secret::new(text),
            stored_hash,
        })
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewKey(…)")
    }
}

/// The id inside a random key, if the text is one and its checksum holds.
pub(crate) fn parse(text: &str) -> Result<&str, Hint> {
    let body = text.strip_prefix(KEY_PREFIX).ok_or(Hint::RandomKeyShape)?;
    let (id, tail) = body.rsplit_once('_').ok_or(Hint::RandomKeyShape)?;
    let shaped = !id.is_empty()
        && id.len() <= MAX_ID_BYTES
        && id.bytes().all(is_id_byte)
        && tail.len() == SECRET_CHARS + CHECKSUM_CHARS
        && tail.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !shaped {
        return Err(Hint::RandomKeyShape);
    }
    let (summed, sum) = text
        .split_at_checked(text.len() - CHECKSUM_CHARS)
        .ok_or(Hint::RandomKeyShape)?;
    if sum.as_bytes() == checksum(summed) {
        Ok(id)
    } else {
        Err(Hint::RandomKeyChecksum)
    }
}

/// The digest that is stored for a key and compared with.
pub(crate) fn fast_hash(key: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(STORED_DOMAIN)
        .chain_update(key.as_bytes())
        .finalize()
        .into()
}

/// The digest in a stored hash string.
pub(crate) fn parse_stored(text: &str) -> Result<[u8; 32], HashError> {
    let malformed = HashError::Malformed {
        scheme: "random key",
        why: "expected $llk$sha256$ and 43 characters of base64url, as `llmleaf key new` prints it",
    };
    let Some(encoded) = text.strip_prefix(STORED_PREFIX) else {
        return Err(malformed);
    };
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| malformed)?;
    bytes.try_into().map_err(|_| malformed)
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-@+~".contains(&byte)
}

/// The first 32 bits of a digest, in base62, most significant digit first.
fn checksum(text: &str) -> [u8; CHECKSUM_CHARS] {
    let digest = Sha256::new()
        .chain_update(CHECKSUM_DOMAIN)
        .chain_update(text.as_bytes())
        .finalize();
    let mut rest = digest
        .iter()
        .take(4)
        .fold(0_u32, |sum, &byte| (sum << 8) | u32::from(byte));
    let mut out = [b'0'; CHECKSUM_CHARS];
    for place in out.iter_mut().rev() {
        // The remainder is below 62, so it fits and names a place in the alphabet.
        let digit = usize::try_from(rest % 62).unwrap_or(0);
        *place = ALPHABET.get(digit).copied().unwrap_or(b'0');
        rest /= 62;
    }
    out
}

/// Appends `count` characters, each of the 62 equally likely.
fn push_random_base62(text: &mut String, count: usize) -> Result<(), MintError> {
    /// 4 × 62: bytes from here on are thrown away, or the first eight letters would come up more often.
    const FAIR: u8 = 248;
    let mut pool = [0_u8; 64];
    let mut wanted = count;
    while wanted > 0 {
        getrandom::fill(&mut pool).map_err(|_| MintError::Entropy)?;
        for &byte in pool.iter().filter(|&&byte| byte < FAIR).take(wanted) {
            let letter = ALPHABET
                .get(usize::from(byte % 62))
                .copied()
                .unwrap_or(b'0');
            text.push(char::from(letter));
            wanted -= 1;
        }
    }
    pool.zeroize();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_back() {
        for id in [
            "a",
            "team-a",
            "under_score",
            "alice@example.com",
            "_",
            "x_y_z_",
            &"i".repeat(MAX_ID_BYTES),
        ] {
            let key = NewKey::generate(id).unwrap();
            let text = key.credential.expose();
            assert_eq!(parse(text), Ok(id));
            assert_eq!(text.len(), 4 + id.len() + 1 + 30);
            assert_eq!(parse_stored(&key.stored_hash), Ok(fast_hash(text)));
        }
    }

    #[test]
    fn two_keys_differ() {
        let (a, b) = (
            NewKey::generate("a").unwrap(),
            NewKey::generate("a").unwrap(),
        );
        assert_ne!(a.credential.expose(), b.credential.expose());
        assert_ne!(a.stored_hash, b.stored_hash);
    }

    #[test]
    fn ids_that_do_not_fit_a_header_are_refused() {
        for id in [
            "",
            "a:b",
            "a b",
            "ä",
            "a\n",
            "a\"b",
            "a,b",
            &"i".repeat(MAX_ID_BYTES + 1),
        ] {
            assert!(
                matches!(NewKey::generate(id), Err(MintError::Id(_))),
                "{id:?}"
            );
        }
    }

    #[test]
    fn every_single_typo_is_noticed() {
        let key = NewKey::generate("team_a").unwrap();
        let text = key.credential.expose();
        for at in 0..text.len() {
            let mut typo = text.as_bytes().to_vec();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            assert!(
                parse(std::str::from_utf8(&typo).unwrap()).is_err(),
                "place {at}"
            );
            assert!(parse(&text[..at]).is_err(), "cut at {at}");
        }
    }

    /// Pinned: keys in use must stay valid, so the form may be added to and never changed. The values were computed by
    /// another program, from the description above.
    #[test]
    fn the_form_is_stable() {
        let text = "llk_team-a_0123456789ABCDEFGHIJKLMN";
        let sum = String::from_utf8(checksum(text).to_vec()).unwrap();
        assert_eq!(sum, "2E7MkF");
        let stored = URL_SAFE_NO_PAD.encode(fast_hash(&format!("{text}{sum}")));
        assert_eq!(stored, "Bb6I4PCW4jYWiXDOiHNlIguwIwAxk0_mq_iIUV5-g7A");
    }

    #[test]
    fn stored_hashes_are_canonical() {
        let good = NewKey::generate("a").unwrap().stored_hash;
        assert!(parse_stored(&good).is_ok());
        for bad in [
            &good[..good.len() - 1],
            &format!("{good}="),
            "$llk$sha256$",
            "$llk$md5$AAAA",
        ] {
            assert!(parse_stored(bad).is_err(), "{bad}");
        }
    }
}
