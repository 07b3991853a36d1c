//! Whoever a token was issued to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::models::ModelPatterns;

/// Longest id of a caller within its issuer, in bytes: what OpenID Connect lets a subject have.
pub const MAX_SUBJECT_BYTES: usize = 255;

/// What an identity may ask for, on each node; `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityLimits {
    /// Requests a minute.
    pub requests_per_min: Option<u64>,
    /// Tokens a minute, input and output together.
    pub tokens_per_min: Option<u64>,
    /// Requests at once.
    pub max_concurrent: Option<u32>,
}

/// A caller that was proven by a token.
pub struct Identity {
    /// `issuer:subject`. No id of a key has a colon, so nobody can be taken for somebody of another kind, and one table of
    /// verdicts serves all.
    pub(crate) id: Arc<str>,
    pub(crate) display: Arc<str>,
    pub(crate) models: ModelPatterns,
    pub(crate) limits: IdentityLimits,
    /// It may ask how its requests are decided.
    pub(crate) explains: bool,
    /// Unix seconds from which on the token is not good any more.
    pub(crate) ends: u64,
    /// Unix seconds from which on the issuer is to be asked again, where it was asked.
    pub(crate) answered_until: Option<u64>,
    /// What it was proven by.
    pub(crate) warrants: [Arc<Warrant>; 2],
}

impl Identity {
    /// Whether the token is still good, and so is what it was proven by.
    pub(crate) fn stands(&self, unix_now: u64) -> bool {
        unix_now < self.ends && self.warrants.iter().all(|warrant| warrant.stands())
    }

    /// Whether only time is over.
    pub(crate) fn is_withdrawn(&self) -> bool {
        !self.warrants.iter().all(|warrant| warrant.stands())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What proofs rest on: a key that is published, a configuration that is in effect.
#[derive(Debug, Default)]
pub(crate) struct Warrant {
    withdrawn: AtomicBool,
}

impl Warrant {
    pub(crate) fn stands(&self) -> bool {
        !self.withdrawn.load(Ordering::Acquire)
    }

    pub(crate) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }
}

/// Whether a text can name somebody: something to see, and nothing that looks like something else.
pub(crate) fn names_somebody(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SUBJECT_BYTES
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || is_invisible(c))
}

/// Characters without a shape of their own (Unicode 16, general categories Cf, Zl and Zp): two names that differ in them look alike.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
        | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
        | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}
