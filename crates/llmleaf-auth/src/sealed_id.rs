//! Ids that any node can read, and nobody can write: what a provider keeps for a consumer is found again without shared state.
//!
//! ```text
//! base64url( payload, first 16 bytes of HMAC-SHA256(key of the purpose; owner, payload) )
//! ```
//!
//! The owner is the id of the consumer's key. It stands in the proof and not in the text: an id of another owner does not open,
//! as little as one that was made up. The payload can be read by whoever holds the id, so nothing stands in it that its owner
//! may not know; what names a provider or a credential goes in as a [`IdSeal::tag`]. One input has one id, so that an id that is
//! told twice is the same one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::secret::Secret;

/// Bytes of the proof.
const PROOF: usize = 16;
/// Bytes of a tag.
pub const TAG: usize = 8;
/// Longest id that is looked at.
const LONGEST: usize = 4096;

/// Seals and opens ids of one purpose. Nodes with the same secret open each other's.
pub struct IdSeal([u8; 32]);

impl IdSeal {
    /// From the secret that the nodes share. Ids of one purpose do not open for another.
    pub fn new(secret: &Secret, purpose: &str) -> Self {
        let root = digest(
            secret.expose().as_bytes(),
            &[b"llmleaf sealed id 1", purpose.as_bytes()],
        );
        Self(root)
    }

    /// A stand-in for a name, by which it is known again and nothing else is learnt of it.
    pub fn tag(&self, what: &str, name: &[u8]) -> [u8; TAG] {
        first(&digest(&self.0, &[b"tag", what.as_bytes(), name]))
    }

    /// The id of a payload for an owner.
    pub fn seal(&self, owner: &str, payload: &[u8]) -> String {
        let mut bytes = payload.to_vec();
        bytes.extend_from_slice(&self.proof(owner, payload));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The payload of an id, where it was sealed for this owner.
    pub fn open(&self, owner: &str, id: &str) -> Option<Vec<u8>> {
        if id.len() > LONGEST {
            return None;
        }
        self.open_long(owner, id)
    }

    /// The same for texts whose length was looked at before.
    pub(crate) fn open_long(&self, owner: &str, id: &str) -> Option<Vec<u8>> {
        let mut bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
        let proof = bytes.split_off(bytes.len().checked_sub(PROOF)?);
        let right = self.proof(owner, &bytes).ct_eq(&proof);
        bool::from(right).then_some(bytes)
    }

    fn proof(&self, owner: &str, payload: &[u8]) -> [u8; PROOF] {
        first(&digest(&self.0, &[b"id", owner.as_bytes(), payload]))
    }
}

impl Drop for IdSeal {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for IdSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSeal(…)")
    }
}

/// HMAC of several parts, each behind its length: no two lists of parts are the same bytes.
fn digest(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length; the type does not say so.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seal(secret: &str, purpose: &str) -> IdSeal {
        IdSeal::new(&Secret::new(secret.to_owned()), purpose)
    }

    #[test]
    fn an_id_opens_for_its_owner_purpose_and_secret_only() {
        let id = seal("s", "a").seal("me", b"payload");
        assert_eq!(
            id,
            seal("s", "a").seal("me", b"payload"),
            "it is always the same"
        );
        assert_eq!(
            seal("s", "a").open("me", &id).as_deref(),
            Some(&b"payload"[..])
        );
        for (secret, purpose, owner) in [("s", "a", "you"), ("s", "b", "me"), ("t", "a", "me")] {
            assert_eq!(
                seal(secret, purpose).open(owner, &id),
                None,
                "{secret} {purpose} {owner}"
            );
        }
        assert_ne!(seal("s", "a").tag("x", b"n"), seal("s", "a").tag("y", b"n"));
        assert_ne!(seal("s", "a").tag("x", b"n"), seal("t", "a").tag("x", b"n"));
    }

    #[test]
    fn what_was_never_sealed_does_not_open() {
        let seal = seal("s", "a");
        for id in [
            "",
            "resp_1",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "*",
            &"A".repeat(8192),
        ] {
            assert_eq!(seal.open("me", id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_id_does_not_open(payload: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let seal = seal("s", "a");
            let id = seal.seal("me", &payload);
            prop_assert_eq!(seal.open("me", &id), Some(payload));
            let mut bytes = URL_SAFE_NO_PAD.decode(&id).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(seal.open("me", &URL_SAFE_NO_PAD.encode(bytes)), None);
        }
    }
}
