//! What can be wrong with an answer, or with there being none.

use llmleaf_route::Millis;
use std::collections::BTreeMap;

/// Why a pull or a push brought nothing. Says nothing that the controller wrote, beyond names of keys and providers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection, or one that broke.
    #[error("{0}")]
    Transport(String),
    /// Not all of it came in time.
    #[error("not answered within {0} ms")]
    Slow(u64),
    /// The body is beyond its limit, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// A status that is no success; redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The version is none.
    #[error("the answer's version is none: it is `17`, or `2.17`")]
    Version,
    /// It is an earlier snapshot than the one in effect, or says not which it is.
    #[error("the answer is an earlier snapshot than the one in effect")]
    Rollback,
    /// Not what it should be.
    #[error("the answer cannot be read: {0}")]
    Shape(String),
    /// Readable, and cannot be put in effect.
    #[error("the answer cannot be put in effect: {0}")]
    Refused(String),
    /// The client itself has failed.
    #[error("a fault of this program")]
    Fault,
    /// Much smaller than the one before.
    #[error("{to} entries where there were {from}: held until it is said once more")]
    Shrunk {
        /// Entries before.
        from: usize,
        /// Entries now.
        to: usize,
    },
}

impl Trouble {
    /// A stable word for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Transport(_) => "transport",
            Self::Slow(_) => "slow",
            Self::TooLarge(_) => "too_large",
            Self::Status(_) => "status",
            Self::Version => "version",
            Self::Rollback => "rollback",
            Self::Shape(_) => "shape",
            Self::Refused(_) => "refused",
            Self::Fault => "fault",
            Self::Shrunk { .. } => "shrunk",
        }
    }
}

/// What went wrong so far.
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    counts: BTreeMap<&'static str, u64>,
    last: Option<(Trouble, Millis)>,
}

impl Troubles {
    pub(super) fn add(&mut self, trouble: Trouble, now: Millis) {
        *self.counts.entry(trouble.kind()).or_default() += 1;
        self.last = Some((trouble, now));
    }

    /// How often each kind was met.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The last one, and when it was.
    pub fn last(&self) -> Option<&(Trouble, Millis)> {
        self.last.as_ref()
    }
}
