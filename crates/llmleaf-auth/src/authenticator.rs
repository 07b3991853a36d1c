//! Deciding whether a credential is good, in two halves: what can be decided at once, and work for a blocking pool.

mod recall;
mod refusals;
mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::credential::{Credential, Kind};
use crate::error::{AuthError, MintError};
use crate::grant::{Grant, Holder, Principal};
use crate::roster::{Record, Roster};
use crate::secret::Secret;
use crate::tokens::TokenFault;

pub use recall::{Mark, Recall};
pub use refusals::MAX_REFUSALS;
use refusals::Refusals;
use snapshot::{Retired, Snapshot};

/// Decides for all worker threads of a process; share it behind an `Arc`.
///
/// What was proven or refused is remembered by HMAC-SHA256 of the canonical credential under a key that never leaves
/// the process: a look into memory gives no credential, and nobody outside can choose where an entry lands.
///
/// Who looks something up takes no lock: a thread that puts something in place may be one of low priority, and whoever waited for its lock
/// would wait until that one gets a processor. And who looks up never holds a whole roster but for that moment, so that a large one is
/// freed where it is replaced.
pub struct Authenticator {
    mac: Hmac<Sha256>,
    current: ArcSwap<Snapshot>,
    /// Who replaces a part of it, one at a time: for a look and a swap, never while rosters are compared.
    replacing: Mutex<()>,
    /// What was replaced while somebody held it for longer than a look-up takes.
    retired: Mutex<Vec<Retired>>,
    refusals: Arc<Refusals>,
    /// Counts how often who may call has changed.
    rulings: AtomicU64,
    /// What time it is, as it was told last.
    unix_secs: AtomicU64,
}

/// What is known about a credential without slow work.
#[derive(Debug)]
pub enum Check {
    /// It is good: a random key, or a password that was proven before.
    Granted(Principal),
    /// It is not.
    Denied(AuthError),
    /// Run this on a blocking pool and hand the verdict to [`Authenticator::settle`]. When the pool's queue is full, drop
    /// it and answer [`AuthError::Overloaded`].
    NeedsWork(Work),
}

impl Authenticator {
    /// Starts with a roster and a random key.
    ///
    /// # Errors
    ///
    /// [`MintError::Entropy`] when the system gives no random bytes.
    pub fn new(roster: Roster) -> Result<Self, MintError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| MintError::Entropy)?;
        Ok(Self::with_key(&key, roster))
    }

    /// Starts with a given key, for runs that must be repeatable.
    pub fn with_key(key: &[u8; 32], roster: Roster) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of every length");
        Self {
            mac,
            current: ArcSwap::from_pointee(Snapshot::of(roster)),
            replacing: Mutex::new(()),
            retired: Mutex::default(),
            refusals: Arc::new(Refusals::new()),
            rulings: AtomicU64::new(0),
            unix_secs: AtomicU64::new(0),
        }
    }

    /// Puts another roster in place. Keys that did not change stay proven; all refusals are forgotten; and whoever holds a
    /// [`Principal`] of a key that is gone, or has another hash, gets no [`Grant`] any more. Returns whether anything
    /// changed: an equal roster is put aside, so that a pull every few seconds costs nobody anything.
    pub fn install(&self, roster: Roster) -> bool {
        let roster = Arc::new(roster);
        loop {
            let older = Arc::clone(&self.current.load().roster);
            if older.same_as(&roster) {
                return false;
            }
            roster.inherit_proofs(&older);
            let changed = self.change(|current| {
                let is_older = Arc::ptr_eq(&current.roster, &older);
                current.roster = Arc::clone(&roster);
                // Otherwise another was put in place meanwhile, and this is to be compared with that one.
                is_older.then_some(()).ok_or(())
            });
            if changed.is_ok() {
                self.ruled();
                self.retire(older);
                return true;
            }
        }
    }

    /// Decides what can be decided at once. Takes well under a microsecond.
    ///
    /// A random key is always decided here. A password is, if it was proven or refused before; otherwise there is work,
    /// also for an id that does not exist: there the hash of some other key is computed and its outcome thrown away.
    pub fn check(&self, credential: &Credential) -> Check {
        match credential.kind() {
            Kind::RandomKey => self.check_random_key(credential),
            Kind::Password => self.check_password(credential),
            // Those are proven by their issuers' keys.
            Kind::Signed | Kind::Opaque => Check::Denied(AuthError::Invalid),
        }
    }

    fn check_random_key(&self, credential: &Credential) -> Check {
        /// Compared with when there is nothing to compare with. No digest is all zeros.
        const NOBODY: [u8; 32] = [0; 32];
        let digest = crate::random_key::fast_hash(credential.secret().expose());
        let current = self.current.load();
        let record = current.get(credential.id());
        let expected = record
            .and_then(|record| record.hash.fast())
            .unwrap_or(&NOBODY);
        let equal: bool = digest.ct_eq(expected).into();
        match record {
            Some(record) if equal => {
                Check::Granted(Principal::of_key(record.clone(), current.generation))
            }
            _ => Check::Denied(AuthError::Invalid),
        }
    }

    fn check_password(&self, credential: &Credential) -> Check {
        let digest = self.digest(credential);
        let seed = self.seed_of(credential.id());
        let (known, stand_in, generation) = {
            let current = self.current.load();
            let known = current
                .get(credential.id())
                .filter(|record| record.hash.fast().is_none());
            if let Some(record) = known.filter(|record| record.is_proven(&digest)) {
                return Check::Granted(Principal::of_key(record.clone(), current.generation));
            }
            // Looked for also when the id is known, so that both take the same steps.
            let stand_in = current.roster.stand_in(current.upper.as_deref(), seed);
            (known.cloned(), stand_in.cloned(), current.generation)
        };
        let Some(stand_in) = stand_in else {
            // No key has a slow hash, so no password can be right.
            return Check::Denied(AuthError::Invalid);
        };
        let real = known.is_some();
        let record = known.unwrap_or(stand_in);
        if self.refusals.contains(&digest, generation) {
            return Check::Denied(AuthError::Invalid);
        }
        Check::NeedsWork(Work {
            record,
            real,
            password: credential.secret().duplicate(),
            digest,
            generation,
            refusals: self.refusals.clone(),
        })
    }

    /// Turns the outcome of the work into a decision. A key that was removed or changed while the work ran is refused.
    ///
    /// # Errors
    ///
    /// [`AuthError::Invalid`]; [`AuthError::Overloaded`] when there was no memory for the hash.
    pub fn settle(&self, verdict: Verdict) -> Result<Principal, AuthError> {
        match verdict.0 {
            Outcome::Accepted { record, digest } => {
                let (record, generation) = self.lookup(&record)?;
                record.prove(digest);
                Ok(Principal::of_key(record, generation))
            }
            Outcome::Refused => Err(AuthError::Invalid),
            Outcome::Unable => Err(AuthError::Overloaded),
        }
    }

    /// Leave to use a model, by the roster as it is now: the one place where that is decided, for every endpoint and for
    /// every turn of a long session.
    ///
    /// # Errors
    ///
    /// [`AuthError::Invalid`] when the key is gone or has another hash since it was proven;
    /// [`AuthError::Blocked`], [`AuthError::Suspended`], [`AuthError::ModelNotAllowed`], of a token
    /// [`AuthError::ModelNotGranted`].
    pub fn authorise(&self, principal: &Principal, model: &str) -> Result<Grant, AuthError> {
        let principal = self.refresh(principal)?;
        let permitted = self.admit_model(&principal, model)? && principal.permits(model);
        if !permitted {
            let model = model.to_owned();
            return Err(match principal.holder {
                Holder::Key { .. } => AuthError::ModelNotAllowed { model },
                Holder::Token(_) => AuthError::ModelNotGranted { model },
            });
        }
        Ok(Grant {
            principal,
            model: model.into(),
        })
    }

    /// The principal as the roster has it now, for sessions that outlive a roster.
    ///
    /// # Errors
    ///
    /// [`AuthError::Invalid`] when the key is gone or has another hash since it was proven; of a token
    /// [`TokenFault::Withdrawn`] when what it was proven by is gone. Whether its time is over the caller knows
    /// ([`Principal::ends`]).
    pub fn refresh(&self, principal: &Principal) -> Result<Principal, AuthError> {
        let (record, generation) = match &principal.holder {
            Holder::Key { record, generation } => (record, *generation),
            Holder::Token(identity) if identity.is_withdrawn() => {
                return Err(AuthError::Token(TokenFault::Withdrawn));
            }
            Holder::Token(_) => return Ok(principal.clone()),
        };
        if self.current.load().generation == generation {
            return Ok(principal.clone());
        }
        let (record, generation) = self.lookup(record)?;
        Ok(Principal::of_key(record, generation))
    }

    /// The key of this id that counts now, for work that it handed over when its credential was proven, and that outlived the proof.
    /// Nobody who came with a token is known by its id alone.
    pub fn known(&self, id: &str) -> Option<Principal> {
        let current = self.current.load();
        let found = current.get(id)?;
        Some(Principal::of_key(found.clone(), current.generation))
    }

    /// The key of an id that counts now, where its hash is the one with this mark: for a secret that was made here and says so.
    pub(crate) fn vouched(
        &self,
        id: &str,
        is_mark: impl Fn(&[u8; 32]) -> bool,
    ) -> Option<Principal> {
        let current = self.current.load();
        let record = current.get(id)?;
        is_mark(record.hash.mark()).then(|| Principal::of_key(record.clone(), current.generation))
    }

    /// A secret of this process.
    pub(crate) fn secret_of_process(&self, purpose: &str) -> Secret {
        let mut mac = self.mac.clone();
        mac.update(b"::");
        mac.update(purpose.as_bytes());
        let bytes = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Secret::new(hex)
    }

    /// The current record of the same id, if its hash is still the same, and the generation of its roster.
    fn lookup(&self, record: &Record) -> Result<(Arc<Record>, u64), AuthError> {
        let current = self.current.load();
        let found = current.get(&record.id).ok_or(AuthError::Invalid)?;
        if !found.hash.same_as(&record.hash) {
            return Err(AuthError::Invalid);
        }
        Ok((found.clone(), current.generation))
    }

    /// The keyed digest of a credential. An id has no colon, so no two credentials run together.
    fn digest(&self, credential: &Credential) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(credential.id().as_bytes());
        mac.update(b":");
        mac.update(credential.secret().expose().as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A number for an id that nobody outside can predict.
    fn seed_of(&self, id: &str) -> u64 {
        let mut mac = self.mac.clone();
        mac.update(b":");
        mac.update(id.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes
            .iter()
            .take(8)
            .fold(0, |seed, &byte| (seed << 8) | u64::from(byte))
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator(…)")
    }
}

/// A slow hash that has to be computed. Owns all it needs; takes up to a second and 64 MiB, so a pool should run few.
pub struct Work {
    record: Arc<Record>,
    /// Whether `record` is the key that was named, and not a stand-in.
    real: bool,
    password: Secret,
    digest: [u8; 32],
    generation: u64,
    refusals: Arc<Refusals>,
}

impl Work {
    /// Computes the hash. Looks first whether the same credential was decided while this waited in a queue: when many
    /// requests with one new credential come at once, the first pays for all that were queued behind it.
    pub fn run(self) -> Verdict {
        if self.real && self.record.is_proven(&self.digest) {
            return self.accepted();
        }
        if self.refusals.contains(&self.digest, self.generation) {
            return Verdict(Outcome::Refused);
        }
        match self
            .record
            .hash
            .try_verify(self.password.expose().as_bytes())
        {
            Ok(matched) if matched && self.real => {
                self.record.prove(self.digest);
                self.accepted()
            }
            Ok(_) => {
                self.refusals.insert(self.digest, self.generation);
                Verdict(Outcome::Refused)
            }
            // Says nothing about the password, so nothing is remembered.
            Err(_) => Verdict(Outcome::Unable),
        }
    }

    fn accepted(self) -> Verdict {
        Verdict(Outcome::Accepted {
            record: self.record,
            digest: self.digest,
        })
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Work(…)")
    }
}

/// The outcome of [`Work`], for [`Authenticator::settle`].
#[must_use = "settle it"]
pub struct Verdict(Outcome);

enum Outcome {
    Accepted {
        record: Arc<Record>,
        digest: [u8; 32],
    },
    Refused,
    Unable,
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verdict(…)")
    }
}

#[cfg(test)]
mod tests;
