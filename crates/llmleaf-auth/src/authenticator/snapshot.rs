//! Which keys count now: those of the file, those that a controller gave, and what it says of them.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Authenticator;
use crate::error::AuthError;
use crate::grant::{Holder, Principal};
use crate::roster::{Record, Roster};
use crate::verdicts::{KeyVerdict, Verdicts};

/// What was replaced and is still held by somebody.
pub(super) type Retired = Arc<dyn Any + Send + Sync>;

#[derive(Clone)]
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
        self.install_upper_if(upper, alone, || true)
    }

    /// The same, unless it is not wanted any more when it could count: comparing large rosters takes its time.
    pub fn install_upper_if(
        &self,
        upper: Option<Roster>,
        alone: bool,
        wanted: impl Fn() -> bool,
    ) -> bool {
        let upper = upper.map(Arc::new);
        loop {
            let (older, was_alone) = {
                let current = self.current.load();
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
            let changed = self.change(|current| {
                if !wanted() {
                    return Err(Missed::Unwanted);
                }
                if current.upper.as_ref().map(Arc::as_ptr) != older.as_ref().map(Arc::as_ptr) {
                    return Err(Missed::Overtaken);
                }
                current.upper_alone = alone;
                current.upper.clone_from(&upper);
                Ok(())
            });
            match changed {
                Ok(()) => {}
                Err(Missed::Unwanted) => return false,
                Err(Missed::Overtaken) => continue,
            }
            self.ruled();
            if let Some(older) = older {
                self.retire(older);
            }
            return true;
        }
    }

    /// Changes which keys count, as a new generation, unless that comes to nothing.
    pub(super) fn change<E>(
        &self,
        change: impl FnOnce(&mut Snapshot) -> Result<(), E>,
    ) -> Result<(), E> {
        let _turn = self.replacing.lock();
        let mut next = Snapshot::clone(&self.current.load());
        change(&mut next)?;
        next.generation = next.generation.wrapping_add(1);
        self.current.store(Arc::new(next));
        Ok(())
    }

    /// Changes what is said of keys. They are the same ones, so what was refused stays so.
    fn amend<T>(&self, amend: impl FnOnce(&mut Snapshot) -> T) -> T {
        let _turn = self.replacing.lock();
        let mut next = Snapshot::clone(&self.current.load());
        let amended = amend(&mut next);
        self.current.store(Arc::new(next));
        amended
    }

    /// Whether the keys of a controller count alone from now on, whichever these are.
    pub fn set_upper_alone(&self, alone: bool) {
        let changed = self.change(|current| {
            let other = current.upper_alone != alone;
            current.upper_alone = alone;
            other.then_some(()).ok_or(())
        });
        if changed.is_ok() {
            self.ruled();
        }
    }

    /// Whether the keys of a controller are missing. Until they are there a credential that is not in the file is not called
    /// wrong, but unknown for now.
    pub fn set_cold(&self, cold: bool) {
        let changed = self.change(|current| {
            let other = current.cold != cold;
            current.cold = cold;
            other.then_some(()).ok_or(())
        });
        if changed.is_ok() && !cold {
            // While it is cold nobody's key is missed.
            self.ruled();
        }
    }

    /// Whether the keys of a controller are missing.
    pub fn is_cold(&self) -> bool {
        self.current.load().cold
    }

    /// Whether nobody is let in until there are verdicts.
    pub fn set_closed(&self, closed: bool) {
        if self.current.load().closed != closed {
            self.amend(|current| current.closed = closed);
        }
    }

    /// Puts other verdicts in place.
    pub fn install_verdicts(&self, verdicts: Verdicts) {
        self.install_verdicts_if(verdicts, || true);
    }

    /// The same, unless they are not wanted any more when they could count. Returns whether they count.
    pub fn install_verdicts_if(&self, verdicts: Verdicts, wanted: impl Fn() -> bool) -> bool {
        let verdicts = Arc::new(verdicts);
        let older = self
            .amend(|current| wanted().then(|| std::mem::replace(&mut current.verdicts, verdicts)));
        let Some(older) = older else {
            return false;
        };
        self.ruled();
        self.retire(older);
        true
    }

    /// Frees what was replaced, here and not with a worker that still looks something up in it: a large table takes long to free, and
    /// a look-up takes microseconds. What is held for longer than this looks at it is kept, for [`Self::bury`].
    pub(super) fn retire(&self, mut replaced: Arc<impl Send + Sync + 'static>) {
        /// Looks at who else holds it.
        const LOOKS: usize = 1000;
        self.bury();
        for _ in 0..LOOKS {
            if Arc::get_mut(&mut replaced).is_some() {
                return;
            }
            std::thread::yield_now();
        }
        self.retired.lock().push(replaced);
    }

    /// Frees what was replaced and is held by nobody any more. Returns whether nothing is left to free.
    pub fn bury(&self) -> bool {
        let mut retired = self.retired.lock();
        let is_free = |one: &mut Retired| Arc::get_mut(one).is_some();
        let free: Vec<Retired> = retired.extract_if(.., is_free).collect();
        let none_left = retired.is_empty();
        // Freed outside the lock.
        drop(retired);
        drop(free);
        none_left
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
        let current = self.current.load();
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
        Arc::clone(&self.current.load().verdicts)
    }

    /// Whether keys of a controller are in place.
    pub fn has_upper(&self) -> bool {
        self.current.load().upper.is_some()
    }

    /// The keys of a controller in place. For showing them: who only looks one up asks by its id.
    pub fn upper(&self) -> Option<Arc<Roster>> {
        self.current.load().upper.clone()
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
        let current = self.current.load();
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
        let current = self.current.load();
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

/// Why something was not put in place.
enum Missed {
    /// Nobody wants it any more.
    Unwanted,
    /// Others were put in place meanwhile, and it is to be compared with those.
    Overtaken,
}
