//! What exchanges share: the snapshot of the node, and a worker's own pools.

use crate::begins::Begins;
use crate::drains::Drains;
use crate::ledger::Ledger;
use crate::upload::Room;
use crate::upstream::Upstream;
use llmleaf_dialects::Lifetime;
use llmleaf_model::Effort;
use llmleaf_prices::{Sheet, Tariff};
use llmleaf_route::choice::Price;
use llmleaf_route::{
    Candidate, Clocks, Fleet, Millis, Policy, ProviderSpec, Resolved, RouteTable, Strategy,
};
use llmleaf_transport::Pool;
use std::cell::Cell;
use std::rc::Rc;
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

/// Whether the beginnings of prompts shall be kept by the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptCache {
    /// Nothing is said about it beyond what the consumer said.
    Off,
    /// For so long.
    For(Lifetime),
}

/// By which models a realtime session over a model that only chats hears and speaks.
pub type SessionParts = llmleaf_dialects::realtime::bridge::Parts;

/// Settings of a route.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// Its name in records: the model, or the pattern, that it is for.
    pub name: Option<Arc<str>>,
    /// What to do about losses.
    pub loss_policy: LossPolicy,
    /// The five clocks, per upstream.
    pub clocks: Vec<Clocks>,
    /// How its exchanges walk along its chain.
    pub policy: Policy,
    /// Follow a prompt to where its beginning may be cached.
    pub affinity: bool,
    /// Keep the beginnings of prompts, where it differs from the provider's.
    pub prompt_cache: Option<PromptCache>,
    /// How much models reason where a request says nothing about it, where it differs from the provider's.
    pub reasoning_effort: Option<Effort>,
    /// The models beside its own in a realtime session that is held here.
    pub parts: Option<Arc<SessionParts>>,
    /// The share of each target, in the route's order.
    pub weights: Vec<u32>,
    /// What each target costs, in the route's order.
    pub prices: Vec<Option<Price>>,
}

/// Figures of the node that are no clocks of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How long reply headers wait for the first content.
    pub hold_headers: Duration,
    /// Gap after which a silent stream gets a keep-alive.
    pub keepalive: Duration,
    /// Every consumer is told what its answers cost, not only those who ask.
    pub tell_cost: bool,
}

/// What a snapshot is made from.
#[derive(Debug)]
pub struct Parts {
    /// Every provider, resolved.
    pub upstreams: Vec<Upstream>,
    /// The same providers as routing knows them, in the same order.
    pub specs: Vec<ProviderSpec>,
    /// What their models cost, in the same order.
    pub tariffs: Vec<Arc<Tariff>>,
    /// Model names to chains.
    pub routes: RouteTable,
    /// Settings per route, in the table's order.
    pub route_settings: Vec<RouteSettings>,
    /// Settings of exchanges that reach a provider by its prefix.
    pub prefix_settings: RouteSettings,
    /// Figures.
    pub tuning: Tuning,
}

/// The node as one immutable snapshot, shared by all workers. What was learnt of providers lives in the fleet, and outlives it.
#[derive(Debug)]
pub struct Shared {
    /// Every provider, resolved.
    pub upstreams: Vec<Upstream>,
    /// What is remembered of every provider, in the same order.
    pub fleet: Fleet,
    /// What their models cost, in the same order.
    pub tariffs: Vec<Arc<Tariff>>,
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
    /// Some limit counts tokens, so that they are worth an estimate.
    pub counts_tokens: bool,
    /// Some provider is told of traces.
    pub tells_traces: bool,
    epoch: Instant,
}

impl Shared {
    /// The first snapshot.
    pub fn new(parts: Parts, ledger: Arc<Ledger>) -> Self {
        let epoch = Instant::now();
        let fleet = Fleet::new(&parts.specs, chance(), Millis(0));
        Self::build(parts, fleet, ledger, epoch)
    }

    /// The next snapshot: providers that did not change keep health, limits and figures.
    #[must_use]
    pub fn renew(&self, parts: Parts) -> Self {
        let fleet = self.fleet.renew(&parts.specs, self.now());
        Self::build(parts, fleet, Arc::clone(&self.ledger), self.epoch)
    }

    fn build(parts: Parts, fleet: Fleet, ledger: Arc<Ledger>, epoch: Instant) -> Self {
        let counts = |spec: &ProviderSpec| {
            let models = spec.model_limits.iter().map(|(_, limits)| limits);
            std::iter::once(&spec.limits)
                .chain(models)
                .any(|limits| limits.tokens_per_min.is_some())
        };
        Self {
            counts_tokens: parts.specs.iter().any(counts),
            tells_traces: parts.upstreams.iter().any(|upstream| upstream.traces),
            upstreams: parts.upstreams,
            fleet,
            tariffs: parts.tariffs,
            routes: parts.routes,
            route_settings: parts.route_settings,
            prefix_settings: parts.prefix_settings,
            ledger,
            tuning: parts.tuning,
            epoch,
        }
    }

    /// Whether it matters for a chain which prompt it is: where there is a choice that a prompt's cache may decide.
    pub fn follows(&self, resolved: &Resolved, strategy: Strategy) -> bool {
        let spreads = |candidate: &Candidate| {
            let upstream = self.upstreams.get(candidate.provider);
            upstream.is_some_and(|upstream| upstream.spreads)
        };
        (resolved.chain.len() > 1 && strategy != Strategy::Ordered)
            || resolved.chain.iter().any(spreads)
    }

    /// Settings of a route, or of prefixes.
    pub fn settings(&self, route: Option<usize>) -> &RouteSettings {
        route
            .and_then(|i| self.route_settings.get(i))
            .unwrap_or(&self.prefix_settings)
    }

    /// What is known of a provider's model, its price above all.
    pub fn sheet(&self, provider: usize, model: &str) -> Option<&Arc<Sheet>> {
        self.tariffs.get(provider)?.get(model)
    }

    /// What the target at a place of a route costs: as the route says, else by the prices that are known here.
    pub fn price(&self, route: Option<usize>, place: usize, target: &Candidate) -> Option<Price> {
        let stated = self.settings(route).prices.get(place).copied().flatten();
        stated.or_else(|| {
            let rates = &self.sheet(target.provider, &target.model)?.rates;
            Some(Price {
                input: rates.tokens.input?,
                output: rates.tokens.output.unwrap_or_default(),
                request: rates.units.request.unwrap_or_default(),
            })
        })
    }

    /// Milliseconds since the node began.
    pub fn now(&self) -> Millis {
        Millis(u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// A moment of [`Self::now`] as the runtime's own.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        // A moment that does not come is as good as one in thirty years, which is as far as timers look.
        const FAR: Millis = Millis(30 * 365 * 24 * 3600 * 1000);
        self.epoch + Duration::from_millis(at.min(FAR).0)
    }
}

/// A number nobody can foresee: two nodes, and two starts of one, do not act as one.
fn chance() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}

/// Seeds for the chance in routing, one for each exchange of a worker.
#[derive(Debug)]
pub struct Seeds(Cell<u64>);

impl Default for Seeds {
    fn default() -> Self {
        Self(Cell::new(chance()))
    }
}

impl Node {
    /// A seed for one exchange.
    pub(crate) fn seed(&self) -> u64 {
        let next = self.seeds.0.get().wrapping_add(1);
        self.seeds.0.set(next);
        next
    }
}

/// A worker's view of the node.
pub struct Node {
    /// The snapshot.
    pub shared: Arc<Shared>,
    /// Chance of this worker.
    pub seeds: Seeds,
    /// Connections, per upstream; upstreams with the same trust share a pool.
    pub pools: Vec<Pool>,
    /// Upstreams that are read to their end for nobody.
    pub drains: Rc<Drains>,
    /// What has begun, on its way to be kept.
    pub begins: Begins,
    /// What is held of uploads.
    pub room: Room,
    /// The node's time to finish is over: exchanges end with an error when they are polled next.
    pub closing: Arc<AtomicBool>,
}
