//! What exchanges share: the snapshot of the node, and a worker's own pools.

use crate::ledger::Ledger;
use crate::upstream::Upstream;
use llmleaf_route::{Candidate, Clocks, Health, Millis, RouteTable};
use llmleaf_transport::Pool;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::time::Instant;

/// What to do when a target cannot express all of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LossPolicy {
    /// Send what can be expressed and name the rest in a response header.
    #[default]
    Report,
    /// Refuse with 400 before anything is sent.
    Error,
    /// Try the next target that can express it.
    Reroute,
}

/// Settings of a route.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// What to do about losses.
    pub loss_policy: LossPolicy,
    /// The five clocks, per upstream.
    pub clocks: Vec<Clocks>,
}

/// Figures of the node that are no clocks of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How long reply headers wait for the first content.
    pub hold_headers: Duration,
    /// Gap after which a silent stream gets a keep-alive.
    pub keepalive: Duration,
    /// Most attempts per exchange.
    pub attempts: u32,
    /// How long a failing target is passed over.
    pub cooldown: Duration,
}

/// The node as one immutable snapshot, shared by all workers.
#[derive(Debug)]
pub struct Shared {
    /// Every provider, resolved.
    pub upstreams: Vec<Upstream>,
    /// Model names to chains.
    pub routes: RouteTable,
    /// Settings per route, in the table's order.
    pub route_settings: Vec<RouteSettings>,
    /// Settings of exchanges that reach a provider by its prefix.
    pub prefix_settings: RouteSettings,
    /// Where usage records go.
    pub ledger: Arc<Ledger>,
    /// Figures.
    pub tuning: Tuning,
    targets: HashMap<Candidate, Arc<Health>>,
    by_prefix: Vec<Arc<Health>>,
    epoch: Instant,
}

impl Shared {
    /// Builds the snapshot.
    pub fn new(
        upstreams: Vec<Upstream>,
        routes: RouteTable,
        route_settings: Vec<RouteSettings>,
        prefix_settings: RouteSettings,
        ledger: Arc<Ledger>,
        tuning: Tuning,
    ) -> Self {
        let mut targets = HashMap::new();
        for route in routes.routes() {
            for (provider, model) in &route.targets {
                // A target that sends on the name it was asked for has no name of its own.
                let model = model.clone().unwrap_or_else(|| route.model.as_str().into());
                targets
                    .entry(Candidate {
                        provider: *provider,
                        model,
                    })
                    .or_default();
            }
        }
        let by_prefix = upstreams.iter().map(|_| Arc::default()).collect();
        let epoch = Instant::now();
        Self {
            upstreams,
            routes,
            route_settings,
            prefix_settings,
            ledger,
            tuning,
            targets,
            by_prefix,
            epoch,
        }
    }

    /// Takes over what was seen of targets under the snapshot before this, so that a change elsewhere makes no sick
    /// target look well. `index_before` is where a provider stood there, if it is the same service still.
    #[must_use]
    pub fn inheriting(
        mut self,
        before: &Self,
        index_before: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        // Times in what is taken over count from there.
        self.epoch = before.epoch;
        for (candidate, health) in &mut self.targets {
            let Some(provider) = index_before(candidate.provider) else {
                continue;
            };
            let model = Arc::clone(&candidate.model);
            if let Some(known) = before.targets.get(&Candidate { provider, model }) {
                *health = Arc::clone(known);
            }
        }
        for (index, health) in self.by_prefix.iter_mut().enumerate() {
            let known = index_before(index).and_then(|provider| before.by_prefix.get(provider));
            if let Some(known) = known {
                *health = Arc::clone(known);
            }
        }
        self
    }

    /// Health of a target: its own where it is configured by name, else its provider's for all other models.
    pub fn health(&self, candidate: &Candidate) -> Option<&Health> {
        self.targets
            .get(candidate)
            .or_else(|| self.by_prefix.get(candidate.provider))
            .map(Arc::as_ref)
    }

    /// Health of every configured target.
    pub fn all_health(&self) -> impl Iterator<Item = (&Candidate, &Health)> {
        self.targets
            .iter()
            .map(|(candidate, health)| (candidate, &**health))
    }

    /// Settings of a route, or of prefixes.
    pub fn settings(&self, route: Option<usize>) -> &RouteSettings {
        route
            .and_then(|i| self.route_settings.get(i))
            .unwrap_or(&self.prefix_settings)
    }

    /// Milliseconds since the node began.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A moment of [`Self::now`] as the runtime's own.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.epoch + Duration::from_millis(at.0)
    }
}

/// A worker's view of the node.
pub struct Node {
    /// The snapshot.
    pub shared: Arc<Shared>,
    /// Connections, per upstream; upstreams with the same trust share a pool.
    pub pools: Vec<Pool>,
    /// The node's time to finish is over: exchanges end with an error when they are polled next.
    pub closing: Arc<AtomicBool>,
}
