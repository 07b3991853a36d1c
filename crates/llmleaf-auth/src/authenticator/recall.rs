//! Who was proven on a connection, known again by the headers that said so, which need not be read once more.

use super::Authenticator;
use crate::credential::CredentialHeaders;
use crate::grant::{Holder, Principal};
use hmac::Mac;
use subtle::ConstantTimeEq;

/// The last caller with a key on one connection.
#[derive(Debug, Default)]
pub struct Recall(Option<(Mark, Principal)>);

/// The keyed digest of where which values stood. No value can be had from it, and none can be made to fit it.
#[derive(Clone, Copy)]
pub struct Mark([u8; 32]);

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mark(…)")
    }
}

impl Recall {
    /// Keeps whom these headers have proven. Only of keys: a token ends, and its issuer may say so.
    pub fn keep(&mut self, mark: Mark, principal: &Principal) {
        if let Holder::Key { .. } = principal.holder {
            self.0 = Some((mark, principal.clone()));
        }
    }
}

impl Authenticator {
    /// The mark of these headers; `None` where there are none, or too many.
    pub fn mark(&self, headers: &CredentialHeaders<'_>) -> Option<Mark> {
        let mut mac = self.mac.clone();
        // No credential is digested that begins so: an id is not empty.
        mac.update(b":::");
        for (source, value) in headers.all()? {
            mac.update(&[*source as u8]);
            mac.update(&value.len().to_le_bytes());
            mac.update(value);
        }
        Some(Mark(mac.finalize().into_bytes().into()))
    }

    /// Whom the same headers have proven on this connection before, if that still holds by the roster as it is now.
    pub fn recall(&self, known: &mut Recall, mark: &Mark) -> Option<Principal> {
        let (own, principal) = known.0.as_mut()?;
        let same: bool = own.0.ct_eq(&mark.0).into();
        if !same {
            return None;
        }
        let now = self.refresh(principal).ok()?;
        // As it is now, or every later request would look for it in the roster.
        principal.clone_from(&now);
        Some(now)
    }
}
