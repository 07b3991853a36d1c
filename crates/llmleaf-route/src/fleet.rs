//! Every provider of a node with all that is remembered of it. Snapshots of the configuration come and go; what was learnt of a provider
//! that did not change stays, see [`Fleet::renew`].
//!
//! Reading order: [`provider`] (credentials, limits, targets), [`target`] (one upstream model), [`pace`] (how fast it is).

pub mod pace;
pub mod provider;
pub mod target;

pub use pace::Pace;
pub use provider::{Credential, Provider, ProviderSpec};
pub use target::{Target, TargetView};

use crate::choice::{Affinity, Facts};
use crate::random::{hash, pair};
use crate::walk::Ratio;
use crate::walk::trail::LeftOut;
use crate::{Candidate, Millis};
use std::sync::Arc;

/// The providers of a node.
#[derive(Debug)]
pub struct Fleet {
    providers: Vec<Arc<Provider>>,
    affinity: Arc<Affinity>,
    pub(crate) hedges: Arc<Ratio>,
    seed: u64,
}

/// One member of a chain: a target, and what the route and the caller know of it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who serves it.
    pub provider: Arc<Provider>,
    /// The model's name there. What is remembered of it may be what is remembered of others too, and have no name.
    pub model: Arc<str>,
    /// What is remembered of it.
    pub target: Arc<Target>,
    /// Index of the provider in the fleet.
    pub index: usize,
    /// Its share under [`crate::choice::Strategy::Weighted`]; 0 is only when no other is left.
    pub weight: u32,
    /// Its place in the request's list of models: a group is tried before the next begins.
    pub group: u16,
    /// What preferences and prices ask for; empty unless needed.
    pub facts: Facts,
    /// Why it is no candidate, where the request's wishes leave it out.
    pub(crate) left_out: Option<LeftOut>,
}

impl Fleet {
    /// A new one. The seed moves guesses and cool-downs a little, so that the nodes of a site do not act as one.
    pub fn new(specs: &[ProviderSpec], seed: u64, now: Millis) -> Self {
        let kept = (Arc::default(), Arc::new(Ratio::hedges()));
        Self::build(specs, seed, now, kept, |_| None)
    }

    /// The fleet of the next snapshot. Providers of the same name and identity keep health, limits and figures; credentials are
    /// known by their fingerprints.
    pub fn renew(&self, specs: &[ProviderSpec], now: Millis) -> Self {
        let kept = (Arc::clone(&self.affinity), Arc::clone(&self.hedges));
        Self::build(specs, self.seed, now, kept, |spec| {
            let same = |p: &&Arc<Provider>| p.name() == &spec.name && p.identity() == spec.identity;
            self.providers.iter().find(same)
        })
    }

    fn build<'a>(
        specs: &[ProviderSpec],
        seed: u64,
        now: Millis,
        (affinity, hedges): (Arc<Affinity>, Arc<Ratio>),
        old: impl Fn(&ProviderSpec) -> Option<&'a Arc<Provider>>,
    ) -> Self {
        let build = |spec: &ProviderSpec| {
            let own = pair(seed, hash(spec.name.as_bytes()));
            Arc::new(Provider::new(spec, own, old(spec), now))
        };
        Self {
            providers: specs.iter().map(build).collect(),
            affinity,
            hedges,
            seed,
        }
    }

    /// Every provider, in configured order.
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// A candidate as a member of a chain; `None` if its provider does not exist.
    pub fn member(&self, candidate: &Candidate, weight: u32, now: Millis) -> Option<Member> {
        let provider = self.providers.get(candidate.provider)?;
        Some(Member {
            provider: Arc::clone(provider),
            model: Arc::clone(&candidate.model),
            target: provider.target(&candidate.model, now),
            index: candidate.provider,
            weight,
            group: 0,
            facts: Facts::default(),
            left_out: None,
        })
    }

    /// Where prompts were served last.
    pub fn affinity(&self) -> &Arc<Affinity> {
        &self.affinity
    }
}

#[cfg(test)]
mod tests;
