//! Where a request for a model would go, from the configuration alone: nobody is called, and nothing is known of anybody's health.

use super::{BuildError, parts, upstreams};
use crate::routing;
use llmleaf_config::Config;
use llmleaf_dialects::{ChatWire, Dialect};
use llmleaf_exchange::{Ledger, LossPolicy, Shared, Upstream};
use llmleaf_model::Preferences;
use llmleaf_prices::Sheet;
use llmleaf_route::choice::{Order, Price};
use llmleaf_route::{Ask, Candidate, Limits, Policy, Strategy, Walk};
use std::sync::Arc;

/// What would be tried for a model.
#[derive(Debug)]
pub struct Plan {
    /// The route that leads on; none where the model is reached by a provider's prefix.
    pub route: Option<String>,
    /// By what the order is made.
    pub strategy: Strategy,
    /// The model's name has a suffix that asks for that order.
    pub by_suffix: bool,
    /// How an exchange walks along the chain.
    pub policy: Policy,
    /// A prompt is followed to where its beginning may be cached.
    pub affinity: bool,
    /// What becomes of losses.
    pub loss_policy: LossPolicy,
    /// In the order of trying, as far as the configuration decides it.
    pub targets: Vec<Planned>,
    shared: Shared,
}

/// A target of a plan.
#[derive(Debug)]
pub struct Planned {
    /// Index of the provider.
    provider: usize,
    /// The model's name there.
    pub model: Arc<str>,
    /// Its share, where shares count.
    pub weight: u32,
    /// What it costs.
    pub price: Option<Price>,
    /// Limits that are kept here: of the provider, and of the model there.
    pub limits: [Limits; 2],
    /// The field of the request that leaves it out.
    pub left_out: Option<&'static str>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The configuration cannot be served.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No route and no prefix leads anywhere.
    #[error("the model \"{model}\" is not routed{}", hint(.near))]
    Unrouted {
        /// What was asked for.
        model: String,
        /// Names that are like it.
        near: Vec<String>,
    },
}

fn hint(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; did you mean \"{}\"?", names.join("\", \"")),
    }
}

impl Plan {
    /// What would be tried for a model.
    ///
    /// # Errors
    /// The configuration cannot be served, or the model leads nowhere.
    pub fn of(config: &Config, model: &str) -> Result<Self, PlanError> {
        let (upstreams, ways) = upstreams(config, None)?;
        let parts = parts(config, upstreams, &ways)?;
        let shared = Shared::new(parts, Arc::new(Ledger::new(Vec::new())));
        let wish = routing::wish(&shared.routes, model);
        let name = wish.map_or(model, |(name, _)| name);
        let Some(resolved) = shared.routes.resolve(name) else {
            let near = shared.routes.nearest(name, 3);
            return Err(PlanError::Unrouted {
                model: model.to_owned(),
                near: near.into_iter().map(str::to_owned).collect(),
            });
        };
        let settings = shared.settings(resolved.route);
        let mut preferences = Preferences::default();
        if let Some((_, suffix)) = wish {
            suffix.apply(&mut preferences);
        }
        let each = resolved.chain.iter().enumerate();
        let planned: Vec<Planned> = each
            .map(|(place, candidate)| Planned {
                provider: candidate.provider,
                model: Arc::clone(&candidate.model),
                weight: settings.weights.get(place).copied().unwrap_or(1),
                price: shared.price(resolved.route, place, candidate),
                limits: limits(config, candidate),
                left_out: None,
            })
            .collect();
        let asked = wish.is_some().then_some(&preferences);
        let (targets, order) = arranged(&shared, settings.policy, planned, asked);
        let own = settings.policy.strategy;
        // A suffix that asks for nothing but a price leaves the order as the route has it. Where it asks for one, a prompt is followed to no
        // target, but still to one of a target's credentials.
        let (strategy, follows) = match order.asked {
            true => (order.strategy, Strategy::Ordered),
            false => (own, own),
        };
        Ok(Self {
            route: settings.name.as_deref().map(str::to_owned),
            strategy,
            by_suffix: order.asked,
            policy: settings.policy,
            affinity: settings.affinity && shared.follows(&resolved, follows),
            loss_policy: settings.loss_policy,
            targets,
            shared,
        })
    }

    /// The provider of a target.
    pub fn upstream(&self, target: &Planned) -> Option<&Upstream> {
        self.shared.upstreams.get(target.provider)
    }

    /// How many credentials there are for a target.
    pub fn credentials(&self, target: &Planned) -> usize {
        let provider = self.shared.fleet.providers().get(target.provider);
        provider.map_or(0, |provider| provider.credentials())
    }

    /// What is known of a target's model.
    pub fn sheet(&self, target: &Planned) -> Option<&Sheet> {
        let sheet = self.shared.sheet(target.provider, &target.model);
        sheet.map(AsRef::as_ref)
    }

    /// Where a chat request of a consumer's dialect goes.
    pub fn url(&self, target: &Planned, dialect: Dialect) -> Option<String> {
        self.upstream(target)?.chat_url(dialect, &target.model)
    }

    /// The wire in which a target is asked for a consumer of this dialect, and the model's name in it.
    pub fn wire<'p>(
        &self,
        target: &'p Planned,
        dialect: Dialect,
    ) -> Option<(&'static ChatWire, &'p str)> {
        let upstream = self.upstream(target)?;
        let (wire, _) = upstream.wire(dialect, &target.model)?;
        Some((wire, upstream.named(&target.model)))
    }
}

fn limits(config: &Config, candidate: &Candidate) -> [Limits; 2] {
    let provider = config.providers.get(candidate.provider);
    let own = provider.map(|provider| super::limits(&provider.limits));
    let of_model = provider.and_then(|provider| {
        let mut all = provider.model_limits.iter();
        let (_, limits) = all.find(|(model, _)| **model == *candidate.model)?;
        Some(super::limits(limits))
    });
    [own, of_model].map(Option::unwrap_or_default)
}

/// The order of a walk that begins now. Where chance or measured figures decide it, nobody can say, and it is as configured.
fn arranged(
    shared: &Shared,
    policy: Policy,
    planned: Vec<Planned>,
    preferences: Option<&Preferences>,
) -> (Vec<Planned>, Order) {
    let strategy = match policy.strategy {
        Strategy::Price => Strategy::Price,
        _ => Strategy::Ordered,
    };
    let now = shared.now();
    let members = planned.iter().filter_map(|planned| {
        let candidate = Candidate {
            provider: planned.provider,
            model: Arc::clone(&planned.model),
        };
        let mut member = shared.fleet.member(&candidate, planned.weight, now)?;
        member.facts.price = planned.price;
        Some(member)
    });
    let ask = Ask {
        preferences,
        ..Ask::default()
    };
    let known = Policy { strategy, ..policy };
    let walk = Walk::new(&shared.fleet, known, members.collect(), &ask, now);
    let trail = walk.map_or_else(|refused| refused.trail, |walk| walk.trail());
    let mut left: Vec<Option<Planned>> = planned.into_iter().map(Some).collect();
    let targets = trail.stops.iter().filter_map(|stop| {
        let same = |planned: &Planned| {
            let provider = shared.fleet.providers().get(planned.provider);
            planned.model == stop.model && provider.is_some_and(|p| *p.name() == stop.provider)
        };
        let place = left
            .iter_mut()
            .find(|left| left.as_ref().is_some_and(same))?;
        let mut planned = place.take()?;
        planned.left_out = stop.left_out.map(|why| why.field());
        Some(planned)
    });
    (targets.collect(), trail.order)
}

#[cfg(test)]
mod tests;
