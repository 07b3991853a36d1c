//! One provider: its credentials, its limits, and its targets.

use super::target::Target;
use crate::Millis;
use crate::choice::Served;
use crate::health::{Cause, Cooldown};
use crate::limits::{Limiter, Limits};
use crate::random::{hash, pair};
use crate::walk::Ratio;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Upstream models that have a memory of their own, per provider. Consumers choose names behind prefixes and wildcards: beyond this many,
/// the rest share one.
pub const MODELS: usize = 512;

/// What configuration says of a provider, as far as routing is concerned.
#[derive(Clone, Debug, Default)]
pub struct ProviderSpec {
    /// Its configured name.
    pub name: Arc<str>,
    /// What else requests may call it (its kind).
    pub aliases: Vec<Arc<str>>,
    /// Hash of what makes it another service when it changes (its address): nothing is remembered across that.
    pub identity: u64,
    /// A fingerprint per credential, in the order of use. Empty: it needs none.
    pub credentials: Vec<u64>,
    /// Spread requests over the credentials. Else the first serves until it is held back.
    pub spread: bool,
    /// Limits on all of it.
    pub limits: Limits,
    /// Limits by upstream model, on top.
    pub model_limits: Vec<(Arc<str>, Limits)>,
    /// Upstream models that routes name: they always have a memory of their own.
    pub models: Vec<Arc<str>>,
    /// How long a failing target is passed over at first.
    pub cooldown: Duration,
    /// How long it keeps a prompt in its cache; nothing for never.
    pub cache_for: Duration,
    /// Failures hold nothing back: every exchange comes as if there had been none before it.
    pub unwatched: bool,
}

/// A credential, as far as its acceptance is concerned.
#[derive(Debug)]
pub struct Credential {
    pub(super) fingerprint: u64,
    /// Passed over for all models.
    pub(crate) refused: Cooldown,
}

/// One provider and what is remembered of it.
#[derive(Debug)]
pub struct Provider {
    names: Vec<Arc<str>>,
    identity: u64,
    pub(crate) credentials: Vec<Arc<Credential>>,
    spread: bool,
    turn: AtomicUsize,
    pub(crate) limiter: Arc<Limiter>,
    model_limits: Vec<(Arc<str>, Limits)>,
    cooldown: Duration,
    pub(crate) cache_for: Duration,
    pub(crate) unwatched: bool,
    /// Tries that repeat, as a share of all.
    pub(crate) retries: Arc<Ratio>,
    /// Targets that routes name.
    named: HashMap<Arc<str>, Arc<Target>>,
    /// Targets that requests name.
    asked: RwLock<HashMap<Arc<str>, Arc<Target>>>,
    /// All others.
    other: Arc<Target>,
    seed: u64,
}

impl Provider {
    pub(super) fn new(
        spec: &ProviderSpec,
        seed: u64,
        old: Option<&Arc<Self>>,
        now: Millis,
    ) -> Self {
        let fingerprints: &[u64] = if spec.credentials.is_empty() {
            &[0]
        } else {
            &spec.credentials
        };
        let credential = |fingerprint: &u64| {
            let known = old.and_then(|old| {
                let same = |c: &&Arc<Credential>| c.fingerprint == *fingerprint;
                old.credentials.iter().find(same)
            });
            known.map_or_else(
                || {
                    Arc::new(Credential {
                        fingerprint: *fingerprint,
                        refused: Cooldown::new(pair(seed, *fingerprint)),
                    })
                },
                Arc::clone,
            )
        };
        let limiter = match old {
            Some(old) => {
                old.limiter.set(spec.limits, now);
                Arc::clone(&old.limiter)
            }
            None => Arc::new(Limiter::new(spec.limits, now)),
        };
        let mut provider = Self {
            names: std::iter::once(&spec.name)
                .chain(&spec.aliases)
                .map(Arc::clone)
                .collect(),
            identity: spec.identity,
            credentials: fingerprints.iter().map(credential).collect(),
            spread: spec.spread,
            turn: AtomicUsize::new(0),
            limiter,
            model_limits: spec.model_limits.clone(),
            cooldown: spec.cooldown,
            cache_for: spec.cache_for,
            unwatched: spec.unwatched,
            retries: old.map_or_else(
                || Arc::new(Ratio::retries()),
                |old| Arc::clone(&old.retries),
            ),
            named: HashMap::new(),
            asked: RwLock::default(),
            other: Arc::new(Target::placeholder()),
            seed,
        };
        provider.adopt(spec, old, now);
        provider
    }

    /// Makes the targets that are known beforehand, with what the old provider remembers of them.
    fn adopt(&mut self, spec: &ProviderSpec, old: Option<&Arc<Self>>, now: Millis) {
        let known = |model: &Arc<str>| {
            let old = old?;
            old.named.get(model).map(Arc::clone).or_else(|| {
                let asked = old.asked.read().unwrap_or_else(PoisonError::into_inner);
                asked.get(model).map(Arc::clone)
            })
        };
        let limited = spec.model_limits.iter().map(|(model, _)| model);
        let named = limited
            .chain(&spec.models)
            .map(|model| (Arc::clone(model), self.make(model, known(model), now)))
            .collect();
        self.named = named;
        if let Some(old) = old {
            let asked: Vec<(Arc<str>, Arc<Target>)> = {
                let asked = old.asked.read().unwrap_or_else(PoisonError::into_inner);
                asked
                    .iter()
                    .filter(|(model, _)| !self.named.contains_key(*model))
                    .map(|(model, target)| (Arc::clone(model), Arc::clone(target)))
                    .collect()
            };
            let asked = asked
                .into_iter()
                .map(|(model, target)| {
                    let made = self.make(&model, Some(target), now);
                    (model, made)
                })
                .collect();
            self.asked = RwLock::new(asked);
        }
        let other: Arc<str> = "*".into();
        self.other = self.make(&other, old.map(|old| Arc::clone(&old.other)), now);
    }

    fn make(&self, model: &Arc<str>, known: Option<Arc<Target>>, now: Millis) -> Arc<Target> {
        let limits = self
            .model_limits
            .iter()
            .find(|(name, _)| name == model)
            .map(|(_, limits)| *limits);
        let target = Target::new(
            Arc::clone(model),
            self.name(),
            self.cooldown,
            limits.unwrap_or_default(),
            &self.credentials,
            known.as_deref(),
            pair(self.seed, hash(model.as_bytes())),
            now,
        );
        Arc::new(target)
    }

    /// Its configured name.
    pub fn name(&self) -> &Arc<str> {
        static NONE: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "".into());
        self.names.first().unwrap_or(&NONE)
    }

    /// Its configured name and what else it is called.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// See [`ProviderSpec::identity`].
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Limits on all of it.
    pub fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// What is remembered of an upstream model.
    pub fn target(&self, model: &Arc<str>, now: Millis) -> Arc<Target> {
        if let Some(target) = self.named.get(model) {
            return Arc::clone(target);
        }
        {
            let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(target) = asked.get(model) {
                return Arc::clone(target);
            }
        }
        let mut asked = self.asked.write().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MODELS {
            // What nobody uses and nothing bad is known of can be learnt again.
            asked.retain(|_, target| Arc::strong_count(target) > 1 || !target.is_quiet(now));
        }
        if asked.len() >= MODELS {
            return Arc::clone(&self.other);
        }
        let target = self.make(model, None, now);
        let entry = asked.entry(Arc::clone(model)).or_insert(target);
        Arc::clone(entry)
    }

    /// Every target with a memory of its own.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Target>> = self
            .named
            .values()
            .chain(asked.values())
            .map(Arc::clone)
            .collect();
        all.sort_by(|a, b| a.model().cmp(b.model()));
        all
    }

    /// How many credentials there are; one, nameless, where none is needed.
    pub fn credentials(&self) -> usize {
        self.credentials.len()
    }

    /// Until when a credential is passed over for all models.
    pub fn refused(&self, credential: usize, now: Millis) -> Option<Millis> {
        let credential = self.credentials.get(credential)?;
        credential.refused.blocked(now).map(|(until, _)| until)
    }

    /// The credential to use for a target, or why there is none. Those in `spent` are not looked at.
    pub(crate) fn pick(
        &self,
        target: &Target,
        key: Option<u64>,
        served: Option<Served>,
        spent: &[usize],
        now: Millis,
    ) -> Result<usize, (Millis, Cause)> {
        let count = self.credentials.len();
        let start = if self.spread && count > 1 {
            self.start(target, key, served)
        } else {
            0
        };
        let mut soonest: Option<(Millis, Cause)> = None;
        for step in 0..count {
            let index = start.wrapping_add(step) % count.max(1);
            if spent.contains(&index) {
                continue;
            }
            match self.fit(target, index, now) {
                Ok(()) => return Ok(index),
                Err(block) if soonest.is_none_or(|s| block.0 < s.0) => soonest = Some(block),
                Err(_) => {}
            }
        }
        Err(soonest.unwrap_or((Millis::NEVER, Cause::Refused)))
    }

    /// This credential, or why it will not do now.
    pub(crate) fn only(
        &self,
        target: &Target,
        index: usize,
        now: Millis,
    ) -> Result<usize, (Millis, Cause)> {
        self.fit(target, index, now).map(|()| index)
    }

    /// Which credential to ask first: the one that served the key, else the one every node would take for it, else the next in turn.
    fn start(&self, target: &Target, key: Option<u64>, served: Option<Served>) -> usize {
        if let Some(served) = served.filter(|s| s.target == target.id()) {
            return served.credential;
        }
        match key {
            Some(key) => {
                let hashes = self.credentials.iter().map(|c| pair(key, c.fingerprint));
                let highest = hashes.enumerate().max_by_key(|(_, hash)| *hash);
                highest.map_or(0, |(index, _)| index)
            }
            None => self.turn.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Takes the right to use a credential that was refused before; see [`Cooldown::claim`].
    pub(crate) fn claim(&self, credential: usize, now: Millis) -> Result<bool, (Millis, Cause)> {
        let Some(credential) = self.credentials.get(credential) else {
            return Ok(false);
        };
        let refused = &credential.refused;
        refused.claim(now).ok_or_else(|| {
            let block = refused.blocked(now);
            block.unwrap_or((now.plus(1), Cause::Refused))
        })
    }

    /// Why no credential can be used for a target, and until when.
    pub(crate) fn blocked(&self, target: &Target, now: Millis) -> Option<(Millis, Cause)> {
        let each = (0..self.credentials.len()).map(|index| self.fit(target, index, now).err());
        let mut soonest = None;
        for block in each {
            let block = block?;
            if soonest.is_none_or(|(until, _)| block.0 < until) {
                soonest = Some(block);
            }
        }
        soonest
    }

    fn fit(&self, target: &Target, index: usize, now: Millis) -> Result<(), (Millis, Cause)> {
        let credential = self.credentials.get(index);
        let refused = credential.and_then(|c| c.refused.blocked(now));
        let lane = target.lane(index).and_then(|lane| lane.blocked(now));
        match (refused, lane) {
            (Some(a), Some(b)) => Err(if a.0 > b.0 { a } else { b }),
            (Some(block), None) | (None, Some(block)) => Err(block),
            (None, None) => Ok(()),
        }
    }
}
