//! The keys that exist: an immutable table, built whole and replaced whole.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use subtle::ConstantTimeEq;

use crate::models::ModelPatterns;
use crate::password::PasswordHash;
use crate::tokens::IdentityLimits;

/// Longest key id or display name, in bytes.
pub const MAX_ID_BYTES: usize = 128;
/// Most keys in one roster.
pub const MAX_KEYS: usize = 2_000_000;

/// One key, as config or control plane give it.
#[derive(Debug)]
pub struct KeyEntry {
    /// What the credential names. May not contain a colon.
    pub id: String,
    /// What logs, usage records and ownership of batches show instead of the id.
    pub name: Option<String>,
    /// What the credential is checked against.
    pub hash: PasswordHash,
    /// Which models it may use: `None` is all of them, an empty list is none.
    pub allowed_models: Option<ModelPatterns>,
}

/// Why a set of keys is refused. Positions count from 0, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// An id or a name that is empty.
    #[error("key {position}: id and name may not be empty")]
    Empty {
        /// Which entry.
        position: usize,
    },
    /// An id or a name over [`MAX_ID_BYTES`].
    #[error("key {position}: id and name may not be longer than {MAX_ID_BYTES} bytes")]
    TooLong {
        /// Which entry.
        position: usize,
    },
    /// A credential is split at its first colon, so such an id could never be presented.
    #[error("key {position}: the id `{id}` contains a colon")]
    Colon {
        /// Which entry.
        position: usize,
        /// The id.
        id: String,
    },
    /// A line break or another control character in an id or a name.
    #[error("key {position}: id and name may not contain control characters")]
    ControlCharacter {
        /// Which entry.
        position: usize,
    },
    /// Two keys with one id.
    #[error("key {position}: the id `{id}` is taken by another key")]
    DuplicateId {
        /// The later entry.
        position: usize,
        /// The id.
        id: String,
    },
    /// Two keys shown alike. They would own each other's batches and share a line in every bill.
    #[error("key {position}: another key is already shown as `{display}`")]
    DuplicateDisplay {
        /// The entry whose name is taken, by another name or by the id of a key without one.
        position: usize,
        /// The name.
        display: String,
    },
    /// Over [`MAX_KEYS`].
    #[error("more than {MAX_KEYS} keys")]
    TooManyKeys,
}

/// All keys of a gateway.
#[derive(Default)]
pub struct Roster {
    by_id: HashMap<Arc<str>, Arc<Record>>,
    /// The keys with slow hashes, for choosing the work that is done for ids that do not exist.
    slow: Vec<Arc<Record>>,
    /// The names of keys that are shown by another name than their id.
    names: HashSet<Arc<str>>,
}

impl Roster {
    /// Builds the table. No keys at all is allowed, and lets nobody in.
    ///
    /// # Errors
    ///
    /// [`RosterError`], for the first entry that does not fit.
    pub fn new(entries: Vec<KeyEntry>) -> Result<Self, RosterError> {
        let count = entries.len();
        Self::build(
            count,
            entries.into_iter().map(|entry| (entry, Own::Elsewhere)),
        )
    }

    fn build(
        count: usize,
        entries: impl Iterator<Item = (KeyEntry, Own)>,
    ) -> Result<Self, RosterError> {
        if count > MAX_KEYS {
            return Err(RosterError::TooManyKeys);
        }
        let mut roster = Self {
            by_id: HashMap::with_capacity(count),
            slow: Vec::with_capacity(count),
            names: HashSet::new(),
        };
        let mut named = Vec::new();
        for (position, (entry, limits)) in entries.enumerate() {
            check_names(position, &entry)?;
            let record = Arc::new(Record::new(entry, limits));
            if record.display != record.id {
                named.push((position, record.clone()));
            }
            if record.hash.fast().is_none() {
                roster.slow.push(record.clone());
            }
            if let Some(taken) = roster.by_id.insert(record.id.clone(), record) {
                return Err(RosterError::DuplicateId {
                    position,
                    id: taken.id.to_string(),
                });
            }
        }
        roster.names = roster.check_displays(&named)?;
        Ok(roster)
    }

    /// The same for a roster that nothing is laid over: it may be large, and need not know whom it shows by which name. What its keys may
    /// ask for comes with them.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn upper(entries: Vec<(KeyEntry, IdentityLimits)>) -> Result<Self, RosterError> {
        let count = entries.len();
        let each = entries.into_iter().map(|(entry, limits)| {
            let limited = limits != IdentityLimits::default();
            (entry, Own::Here(limited.then(|| Box::new(limits))))
        });
        let mut roster = Self::build(count, each)?;
        roster.names = HashSet::new();
        Ok(roster)
    }

    /// Ids differ, so only a name that is not its own id can collide: with another name, or with a key shown by its id.
    fn check_displays(
        &self,
        named: &[(usize, Arc<Record>)],
    ) -> Result<HashSet<Arc<str>>, RosterError> {
        let mut seen = HashSet::with_capacity(named.len());
        for (position, record) in named {
            let is_an_id = self
                .get(&record.display)
                .is_some_and(|other| other.display == record.display);
            if is_an_id || !seen.insert(record.display.clone()) {
                return Err(RosterError::DuplicateDisplay {
                    position: *position,
                    display: record.display.to_string(),
                });
            }
        }
        Ok(seen)
    }

    /// Whether a key of this roster has that id, or is shown by that name.
    pub(crate) fn has(&self, id: &str, display: &str) -> bool {
        let shown = |id: &str| self.get(id).is_some_and(|record| &*record.display == id);
        self.get(id).is_some() || self.names.contains(display) || shown(display)
    }

    /// Every key's id, display name and allow-list, for showing them. In no order.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str, Option<&ModelPatterns>)> {
        let records = self.by_id.values();
        records.map(|record| (&*record.id, &*record.display, record.models.as_ref()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none, so that nobody is let in.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Record>> {
        self.by_id.get(id)
    }

    /// The key whose hash stands in for an id that does not exist. Always the same one for the same `seed`, so that an
    /// unknown id has one cost, as a known one has; and, over many ids, each kind of hash as often as in the roster.
    /// `upper` is another roster that counts as a part of this one.
    pub(crate) fn stand_in<'a>(
        &'a self,
        upper: Option<&'a Self>,
        seed: u64,
    ) -> Option<&'a Arc<Record>> {
        let above = upper.map_or(&[][..], |upper| upper.slow.as_slice());
        let count = u64::try_from(self.slow.len() + above.len()).ok()?;
        let place = usize::try_from(seed.checked_rem(count)?).ok()?;
        let own = self.slow.get(place);
        own.or_else(|| above.get(place.checked_sub(self.slow.len())?))
    }

    /// Whether both hold the same keys with the same hashes and grants.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.by_id.values().all(|record| {
                other.get(&record.id).is_some_and(|theirs| {
                    record.display == theirs.display
                        && record.models == theirs.models
                        && record.limits == theirs.limits
                        && record.hash.same_as(&theirs.hash)
                })
            })
    }

    /// Takes over what the older roster has proven about keys that did not change, so that a reload does not make every
    /// consumer pay for a slow hash again.
    pub(crate) fn inherit_proofs(&self, older: &Self) {
        for old in &older.slow {
            let Some(proof) = old.proof.get() else {
                continue;
            };
            if let Some(record) = self
                .get(&old.id)
                .filter(|record| record.hash.same_as(&old.hash))
            {
                record.prove(*proof);
            }
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster({} keys)", self.len())
    }
}

fn check_names(position: usize, entry: &KeyEntry) -> Result<(), RosterError> {
    for text in std::iter::once(&entry.id).chain(&entry.name) {
        if text.is_empty() {
            return Err(RosterError::Empty { position });
        }
        if text.len() > MAX_ID_BYTES {
            return Err(RosterError::TooLong { position });
        }
        if text.chars().any(char::is_control) {
            return Err(RosterError::ControlCharacter { position });
        }
    }
    if entry.id.contains(':') {
        return Err(RosterError::Colon {
            position,
            id: entry.id.clone(),
        });
    }
    Ok(())
}

/// What a key may ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// Whoever has the file knows.
    Elsewhere,
    /// That, or as much as it likes.
    Here(Option<Box<IdentityLimits>>),
}

/// A key in the table, with what has been proven about it.
pub(crate) struct Record {
    pub(crate) id: Arc<str>,
    pub(crate) display: Arc<str>,
    pub(crate) hash: PasswordHash,
    pub(crate) models: Option<ModelPatterns>,
    pub(crate) limits: Own,
    /// The keyed digest of the one credential that was proven. One is enough: two passwords for one hash would be a
    /// collision. So the cache of proofs is as large as the roster, and nothing a consumer sends can make it grow.
    proof: OnceLock<[u8; 32]>,
}

impl Record {
    fn new(entry: KeyEntry, limits: Own) -> Self {
        let id: Arc<str> = entry.id.into();
        Self {
            display: entry.name.map_or_else(|| id.clone(), Into::into),
            id,
            hash: entry.hash,
            models: entry.allowed_models,
            limits,
            proof: OnceLock::new(),
        }
    }

    /// Whether this very credential has been proven before.
    pub(crate) fn is_proven(&self, digest: &[u8; 32]) -> bool {
        self.proof
            .get()
            .is_some_and(|proof| proof.ct_eq(digest).into())
    }

    /// Remembers the credential. Only for one that the hash accepted.
    pub(crate) fn prove(&self, digest: [u8; 32]) {
        // Another thread may have proven the same one in the meantime.
        let _ = self.proof.set(digest);
    }
}

#[cfg(test)]
mod tests;
