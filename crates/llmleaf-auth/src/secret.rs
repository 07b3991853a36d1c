//! Text that must not be seen.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret: prints nothing, cannot be serialised or cloned by accident, and is overwritten when dropped.
///
/// Build it from a `String` that already owns the text, so that no other copy stays behind.
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same, in a time that depends on the lengths only: digests are compared, not texts, so
    /// neither the place of the first difference nor a shared prefix shows.
    pub fn ct_eq(&self, other: &[u8]) -> bool {
        let ours = Sha256::digest(self.0.as_bytes());
        let theirs = Sha256::digest(other);
        ours.as_slice().ct_eq(theirs.as_slice()).into()
    }

    /// A second copy, for work that outlives the request. Named, rather than `Clone`, so that it is seen.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

/// As [`Secret::ct_eq`].
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other.0.as_bytes())
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_of_the_whole_text() {
        let secret = Secret::new("correct horse".into());
        assert!(secret.ct_eq(b"correct horse"));
        for other in [
            &b""[..],
            b"correct hors",
            b"correct horse ",
            b"Correct horse",
        ] {
            assert!(!secret.ct_eq(other), "{other:?}");
        }
    }

    #[test]
    fn debug_shows_neither_text_nor_length() {
        assert_eq!(format!("{:?}", Secret::new("a".into())), "Secret(…)");
        assert_eq!(format!("{:#?}", Secret::new("b".repeat(99))), "Secret(…)");
    }
}
