//! Which keys count now: those of the file, those that a controller gave, and what it says of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Authenticator;
use crate::error::AuthError;
use crate::grant::{Holder, Principal};
use crate::roster::{Record, Roster};
use crate::verdicts::{KeyVerdict, Verdicts};

pub(super) struct Snapshot {
    /// Counts from 1, and changes whenever a key does. Refusals are of one generation only.
    pub generation: u64,
    /// The file's keys.
    pub roster: Arc<Roster>,
    /// A controller's keys. None of them has an id or a name of the file's: what the file says stands.
    pub upper: Option<Arc<Roster>>,
    /// Where a controller has given keys, the file's do not count.
    pub upper_alone: bool,
    /// There should be keys of a controller, and are none, or they are too old to be believed.
    pub cold: bool,
    /// Nobody is let in until there are verdicts.
    pub closed: bool,
    pub verdicts: Arc<Verdicts>,
}

impl Snapshot {
    pub fn of(roster: Roster) -> Self {
        Self {
            generation: 1,
            roster: Arc::new(roster),
            upper: None,
            upper_alone: false,
            cold: false,
            closed: false,
            verdicts: Arc::default(),
        }
    }

    pub fn get(&self, id: &str) -> Option<&Arc<Record>> {
        let above = || {
            let found = self.upper.as_ref().filter(|_| !self.cold)?.get(id)?;
            let own = self.upper_alone || !self.roster.has(&found.id, &found.display);
            own.then_some(found)
        };
        if self.upper_alone && self.upper.is_some() {
            return above();
        }
        self.roster.get(id).or_else(above)
    }
}

impl Authenticator {
    /// Puts other keys of a controller in place, or none, as [`Self::install`] does with the file's. They count beside the
    /// file's, which win, or `alone`. Returns whether anything changed.
    pub fn install_upper(&self, upper: Option<Roster>, alone: bool) -> bool {
        let _turn = self.replacing.lock();
        let (older, was_alone) = {
            let current = self.current.read();
            (current.upper.clone(), current.upper_alone)
        };
        let same = match (&older, &upper) {
            (None, None) => true,
            (Some(old), Some(new)) => old.same_as(new),
            _ => false,
        };
        if same && was_alone == alone {
            return false;
        }
        if let (Some(upper), Some(older)) = (&upper, &older) {
            upper.inherit_proofs(older);
        }
        let upper = upper.map(Arc::new);
        let replaced = {
            let mut current = self.current.write();
            current.generation = current.generation.wrapping_add(1);
            current.upper_alone = alone;
            std::mem::replace(&mut current.upper, upper)
        };
        self.ruled();
        drop(older);
        if let Some(replaced) = replaced {
            retire(replaced);
        }
        true
    }

    /// Whether the keys of a controller count alone from now on, whichever these are.
    pub fn set_upper_alone(&self, alone: bool) {
        let _turn = self.replacing.lock();
        let mut current = self.current.write();
        if current.upper_alone != alone {
            current.generation = current.generation.wrapping_add(1);
            current.upper_alone = alone;
            self.ruled();
        }
    }

    /// Whether the keys of a controller are missing. Until they are there a credential that is not in the file is not called
    /// wrong, but unknown for now.
    pub fn set_cold(&self, cold: bool) {
        let mut current = self.current.write();
        if current.cold != cold {
            current.generation = current.generation.wrapping_add(1);
            current.cold = cold;
            if !cold {
                // While it is cold nobody's key is missed.
                self.ruled();
            }
        }
    }

    /// Whether the keys of a controller are missing.
    pub fn is_cold(&self) -> bool {
        self.current.read().cold
    }

    /// Whether nobody is let in until there are verdicts.
    pub fn set_closed(&self, closed: bool) {
        self.current.write().closed = closed;
    }

    /// Puts other verdicts in place.
    pub fn install_verdicts(&self, verdicts: Verdicts) {
        let verdicts = Arc::new(verdicts);
        let older = std::mem::replace(&mut self.current.write().verdicts, verdicts);
        self.ruled();
        // Freed outside the lock.
        drop(older);
    }

    pub(super) fn ruled(&self) {
        self.rulings.fetch_add(1, Ordering::Release);
    }

    /// A number that is another one whenever others may call than before: for who has asked [`Self::goes_on`], and would ask again.
    pub fn rulings(&self) -> u64 {
        self.rulings.load(Ordering::Acquire)
    }

    /// Whether what runs for a caller may go on, where that is asked for: it is neither blocked nor suspended, and its key is still there as
    /// far as anybody knows.
    ///
    /// # Errors
    ///
    /// [`AuthError::Blocked`], [`AuthError::Suspended`], [`AuthError::Invalid`].
    pub fn goes_on(&self, principal: &Principal) -> Result<(), AuthError> {
        let current = self.current.read();
        if let Holder::Key { record, .. } = &principal.holder
            && !current.cold
        {
            let found = current.get(&record.id);
            if !found.is_some_and(|found| found.hash.same_as(&record.hash)) {
                return Err(AuthError::Invalid);
            }
        }
        let verdict = current.verdicts.get(principal.key_id());
        verdict.map_or(Ok(()), |verdict| {
            verdict.admit(self.unix_secs.load(Ordering::Relaxed))
        })
    }

    /// The verdicts in place.
    pub fn verdicts(&self) -> Arc<Verdicts> {
        Arc::clone(&self.current.read().verdicts)
    }

    /// The keys of a controller in place.
    pub fn upper(&self) -> Option<Arc<Roster>> {
        self.current.read().upper.clone()
    }

    /// Says what time it is, in unix seconds: suspensions end by it.
    pub fn tell_time(&self, unix_secs: u64) {
        self.unix_secs.store(unix_secs, Ordering::Relaxed);
    }

    /// Whether verdicts let a caller in. For a caller that was just proven; [`Self::authorise`] asks it too.
    ///
    /// # Errors
    ///
    /// [`AuthError::Blocked`], [`AuthError::Suspended`], [`AuthError::VerdictsUnavailable`].
    pub fn admit(&self, principal: &Principal) -> Result<(), AuthError> {
        self.ruling(principal).map(drop)
    }

    /// What verdicts leave a caller, if they let it in.
    fn ruling(&self, principal: &Principal) -> Result<Option<KeyVerdict>, AuthError> {
        let current = self.current.read();
        if current.closed {
            return Err(AuthError::VerdictsUnavailable);
        }
        let Some(verdict) = current.verdicts.get(principal.key_id()) else {
            return Ok(None);
        };
        verdict.admit(self.unix_secs.load(Ordering::Relaxed))?;
        Ok(Some(verdict.clone()))
    }

    /// Whether a key may be used only on what it was granted.
    pub fn is_leased(&self, principal: &Principal) -> bool {
        let current = self.current.read();
        let verdict = current.verdicts.get(principal.key_id());
        verdict.is_some_and(|verdict| verdict.leased)
    }

    /// Whether a caller may use a model, for showing a list of models; a call needs a [`crate::Grant`].
    pub fn permits(&self, principal: &Principal, model: &str) -> bool {
        principal.permits(model) && self.admit_model(principal, model).unwrap_or(false)
    }

    /// As [`Self::admit`], for one model.
    pub(super) fn admit_model(
        &self,
        principal: &Principal,
        model: &str,
    ) -> Result<bool, AuthError> {
        let verdict = self.ruling(principal)?;
        let models = verdict.and_then(|verdict| verdict.models);
        Ok(models.is_none_or(|models| models.allow(model)))
    }
}

/// Frees a roster that nobody can ask for any more, here and not with a worker that still looks something up in it: a large
/// one takes milliseconds to free, and a look-up takes microseconds.
pub(super) fn retire(mut roster: Arc<Roster>) {
    /// Looks at who else holds it; then it is left to them.
    const LOOKS: usize = 10_000;
    for _ in 0..LOOKS {
        if Arc::get_mut(&mut roster).is_some() {
            break;
        }
        std::thread::yield_now();
    }
}
