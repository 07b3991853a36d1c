//! What a controller says of keys beside the roster: blocked, suspended for a time, or narrowed to some models.
//!
//! A key that nothing is said of is unrestricted: verdicts fail open, where the roster fails closed.

use std::collections::HashMap;
use std::fmt;

use crate::error::AuthError;
use crate::models::ModelPatterns;
use crate::roster::MAX_KEYS;

/// What is said of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyVerdict {
    /// It may not be used.
    pub blocked: bool,
    /// It may not be used before this time, in unix seconds.
    pub suspended_until: Option<u64>,
    /// The models it may use, on top of its own list: both must have a model.
    pub models: Option<std::sync::Arc<ModelPatterns>>,
    /// It may be used only while there is something left of what it was granted.
    pub leased: bool,
}

impl KeyVerdict {
    /// Whether the key may be used at that time at all.
    pub(crate) fn admit(&self, unix_secs: u64) -> Result<(), AuthError> {
        if self.blocked {
            return Err(AuthError::Blocked);
        }
        match self.suspended_until {
            Some(until) if unix_secs < until => Err(AuthError::Suspended {
                secs: until - unix_secs,
            }),
            _ => Ok(()),
        }
    }
}

/// Two verdicts name the same key, or there are more than a roster could have keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerdictsError {
    /// Which of both counts would be a guess.
    #[error("two verdicts on the key `{0}`")]
    Duplicate(String),
    /// Over [`MAX_KEYS`].
    #[error("more than {MAX_KEYS} verdicts")]
    TooMany,
}

/// All verdicts, by key id: an immutable table, replaced whole.
#[derive(Default, PartialEq, Eq)]
pub struct Verdicts(HashMap<Box<str>, KeyVerdict>);

impl Verdicts {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// [`VerdictsError`].
    pub fn new(
        entries: impl IntoIterator<Item = (Box<str>, KeyVerdict)>,
    ) -> Result<Self, VerdictsError> {
        let mut table = HashMap::new();
        for (id, verdict) in entries {
            if table.len() >= MAX_KEYS {
                return Err(VerdictsError::TooMany);
            }
            if table.contains_key(&id) {
                return Err(VerdictsError::Duplicate(id.into()));
            }
            table.insert(id, verdict);
        }
        Ok(Self(table))
    }

    /// What is said of a key.
    pub fn get(&self, id: &str) -> Option<&KeyVerdict> {
        self.0.get(id)
    }

    /// The keys of which something is said, in no order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }

    /// How many keys something is said of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is said of any key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verdicts({} keys)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_counts_before_suspended_and_a_suspension_ends() {
        let verdict = |blocked| KeyVerdict {
            blocked,
            suspended_until: Some(100),
            ..KeyVerdict::default()
        };
        assert_eq!(verdict(true).admit(0), Err(AuthError::Blocked));
        assert_eq!(
            verdict(false).admit(90),
            Err(AuthError::Suspended { secs: 10 })
        );
        assert_eq!(verdict(false).admit(100), Ok(()));
    }

    #[test]
    fn g4_two_verdicts_on_one_key_are_none() {
        let entry = || ("k".into(), KeyVerdict::default());
        let error = Verdicts::new([entry(), entry()]).unwrap_err();
        assert_eq!(error, VerdictsError::Duplicate("k".into()));
    }
}
