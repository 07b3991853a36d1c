//! One upstream model at one provider, and what is remembered of it.

use super::pace::Pace;
use super::provider::Credential;
use crate::Millis;
use crate::health::{Breaker, BreakerState, Cause, Cooldown};
use crate::limits::{Figures, Limiter, Limits};
use crate::random::{hash, pair};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One upstream model at one provider. All of it is shared by every exchange of the node.
#[derive(Debug)]
pub struct Target {
    id: u64,
    model: Arc<str>,
    breaker: Arc<Breaker>,
    /// One per credential, in the provider's order: what concerns this model with that credential only.
    lanes: Vec<Arc<Lane>>,
    pub(crate) limiter: Arc<Limiter>,
    pace: Arc<Pace>,
    pending: Arc<AtomicU32>,
}

#[derive(Debug)]
struct Lane {
    fingerprint: u64,
    cooldown: Cooldown,
}

/// What a target looks like from outside.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// Its breaker.
    pub state: BreakerState,
    /// Weight of the failures in a row.
    pub score: u32,
    /// Per credential: until when it is passed over here, and why.
    pub lanes: Vec<Option<(Millis, Cause)>>,
    /// Requests that run.
    pub pending: u32,
    /// Time to first content in milliseconds, as it was lately.
    pub latency_ms: Option<f64>,
    /// That which one in twenty exceeds; none until enough is known.
    pub p95_ms: Option<u64>,
    /// Output tokens a second, as it was lately.
    pub tokens_per_s: Option<f64>,
    /// What is left of its limits.
    pub limits: Figures,
}

impl Target {
    #[expect(
        clippy::too_many_arguments,
        reason = "one caller, and each argument is one field"
    )]
    pub(super) fn new(
        model: Arc<str>,
        provider: &str,
        cooldown: Duration,
        limits: Limits,
        credentials: &[Arc<Credential>],
        known: Option<&Self>,
        seed: u64,
        now: Millis,
    ) -> Self {
        let lane = |credential: &Arc<Credential>| {
            let fingerprint = credential.fingerprint;
            let same = |lane: &&Arc<Lane>| lane.fingerprint == fingerprint;
            let kept = known.and_then(|known| known.lanes.iter().find(same));
            kept.map_or_else(
                || {
                    Arc::new(Lane {
                        fingerprint,
                        cooldown: Cooldown::new(pair(seed, fingerprint)),
                    })
                },
                Arc::clone,
            )
        };
        let limiter = match known {
            Some(known) => {
                known.limiter.set(limits, now);
                Arc::clone(&known.limiter)
            }
            None => Arc::new(Limiter::new(limits, now)),
        };
        Self {
            id: pair(hash(provider.as_bytes()), hash(model.as_bytes())),
            breaker: known.map_or_else(
                || Arc::new(Breaker::new(cooldown, seed)),
                |known| {
                    known.breaker.set_cooldown(cooldown);
                    Arc::clone(&known.breaker)
                },
            ),
            lanes: credentials.iter().map(lane).collect(),
            limiter,
            pace: known.map_or_else(Arc::default, |known| Arc::clone(&known.pace)),
            pending: known.map_or_else(Arc::default, |known| Arc::clone(&known.pending)),
            model,
        }
    }

    /// Stands where a provider under construction has none yet.
    pub(super) fn placeholder() -> Self {
        let limits = Limits::default();
        Self::new(
            "".into(),
            "",
            Duration::ZERO,
            limits,
            &[],
            None,
            0,
            Millis(0),
        )
    }

    /// The same on every node and after every restart: a hash of the provider's and the model's name.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The model's name at the provider.
    pub fn model(&self) -> &Arc<str> {
        &self.model
    }

    /// Its breaker.
    pub fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    /// How fast it is.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Requests that run.
    pub fn pending(&self) -> u32 {
        self.pending.load(Ordering::Relaxed)
    }

    pub(crate) fn pend(&self) -> Pending {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending(Arc::clone(&self.pending))
    }

    pub(crate) fn lane(&self, credential: usize) -> Option<&Cooldown> {
        self.lanes.get(credential).map(|lane| &lane.cooldown)
    }

    /// Nothing would be lost by forgetting it.
    pub(super) fn is_quiet(&self, now: Millis) -> bool {
        self.breaker.state(now) == BreakerState::Closed
            && self.breaker.score() == 0
            && self.pending() == 0
            && self.lanes.iter().all(|lane| lane.cooldown.is_quiet(now))
    }

    /// What it looks like now.
    pub fn view(&self, now: Millis) -> TargetView {
        TargetView {
            model: Arc::clone(&self.model),
            state: self.breaker.state(now),
            score: self.breaker.score(),
            lanes: self
                .lanes
                .iter()
                .map(|lane| lane.cooldown.blocked(now))
                .collect(),
            pending: self.pending(),
            latency_ms: self.pace.latency_ms(now),
            p95_ms: (self.pace.p95()).map(|p95| u64::try_from(p95.as_millis()).unwrap_or(u64::MAX)),
            tokens_per_s: self.pace.tokens_per_s(now),
            limits: self.limiter.figures(now),
        }
    }
}

/// Counts as a running request until dropped.
#[derive(Debug)]
pub(crate) struct Pending(Arc<AtomicU32>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
