//! What a request may ask of routing, in the words of OpenRouter's `provider` object (its documentation, read 2026-11).

use super::{Facts, Price};
use std::sync::Arc;

/// A request's wishes. The default asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// Providers to try first, in this order.
    pub order: Vec<String>,
    /// No others than these; empty is any.
    pub only: Vec<String>,
    /// None of these.
    pub ignore: Vec<String>,
    /// Whether others than the first choice may serve: with `order`, others than the named; without, others than the first.
    pub allow_fallbacks: bool,
    /// Sort by this, instead of the route's strategy.
    pub sort: Option<Sort>,
    /// Sort across the models of a `models` list, and not within each.
    pub across_models: bool,
    /// No dearer than this. A target whose price is not known does not qualify.
    pub max_price: MaxPrice,
    /// What a target must be.
    pub demands: Demands,
    /// Quantisations that are accepted; empty is any.
    pub quantizations: Vec<String>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            only: Vec::new(),
            ignore: Vec::new(),
            allow_fallbacks: true,
            sort: None,
            across_models: false,
            max_price: MaxPrice::default(),
            demands: Demands::default(),
            quantizations: Vec::new(),
        }
    }
}

/// What a target must be; see [`Facts`]. What is not known does not qualify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// It can express every parameter (`require_parameters`).
    pub all_parameters: bool,
    /// It does not collect data (`data_collection: "deny"`).
    pub no_collection: bool,
    /// It keeps nothing (`zdr`).
    pub zero_retention: bool,
}

/// Highest prices, in nano-dollars per million tokens and per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// A million input tokens.
    pub input: Option<u64>,
    /// A million output tokens.
    pub output: Option<u64>,
    /// A request.
    pub request: Option<u64>,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The cheapest first.
    Price,
    /// The most tokens a second first.
    Throughput,
    /// The soonest first content first.
    Latency,
}

impl Sort {
    /// The sort that a model's suffix stands for (`:nitro`, `:floor`), and the name without it. Other suffixes are part of the name.
    pub fn of_suffix(model: &str) -> (&str, Option<Self>) {
        match model.rsplit_once(':') {
            Some((base, "nitro")) if !base.is_empty() => (base, Some(Self::Throughput)),
            Some((base, "floor")) if !base.is_empty() => (base, Some(Self::Price)),
            _ => (model, None),
        }
    }
}

/// Which wish left nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unmet {
    /// The chain was empty to begin with.
    Chain,
    /// `order`, `only` or `ignore`.
    Providers,
    /// `max_price`.
    Price,
    /// `require_parameters`.
    Parameters,
    /// `data_collection` or `zdr`.
    Data,
    /// `quantizations`.
    Quantization,
}

impl Unmet {
    /// The request's field.
    pub fn field(self) -> &'static str {
        match self {
            Self::Chain => "model",
            Self::Providers => "provider.only",
            Self::Price => "provider.max_price",
            Self::Parameters => "provider.require_parameters",
            Self::Data => "provider.data_collection",
            Self::Quantization => "provider.quantizations",
        }
    }
}

impl Preferences {
    /// Whether a provider with these names and facts may serve; the first wish that says no.
    pub(crate) fn permits(&self, names: &[Arc<str>], facts: &Facts) -> Result<(), Unmet> {
        let named = |list: &[String]| list.iter().any(|slug| is_named(slug, names));
        let only_order = !self.allow_fallbacks && !self.order.is_empty();
        if (!self.only.is_empty() && !named(&self.only))
            || named(&self.ignore)
            || (only_order && !named(&self.order))
        {
            return Err(Unmet::Providers);
        }
        let quantization = facts.quantization.as_deref();
        let listed = |list: &[String]| {
            quantization.is_some_and(|own| list.iter().any(|q| q.eq_ignore_ascii_case(own)))
        };
        if !self.quantizations.is_empty() && !listed(&self.quantizations) {
            return Err(Unmet::Quantization);
        }
        let Demands {
            all_parameters,
            no_collection,
            zero_retention,
        } = self.demands;
        if all_parameters && facts.expresses_all != Some(true) {
            return Err(Unmet::Parameters);
        }
        if (no_collection && facts.collects_data != Some(false))
            || (zero_retention && facts.zero_retention != Some(true))
        {
            return Err(Unmet::Data);
        }
        if !self.max_price.allows(facts.price) {
            return Err(Unmet::Price);
        }
        Ok(())
    }

    /// A provider's place in `order`; behind all of it when it is not named.
    pub(crate) fn place(&self, names: &[Arc<str>]) -> usize {
        let place = self.order.iter().position(|slug| is_named(slug, names));
        place.unwrap_or(self.order.len())
    }

    /// The request decides the order itself: neither strategy nor affinity may.
    pub(crate) fn orders(&self) -> bool {
        !self.order.is_empty() || self.sort.is_some()
    }
}

impl MaxPrice {
    fn allows(self, price: Option<Price>) -> bool {
        if self == Self::default() {
            return true;
        }
        let within = |most: Option<u64>, own: u64| most.is_none_or(|most| own <= most);
        price.is_some_and(|price| {
            within(self.input, price.input)
                && within(self.output, price.output)
                && within(self.request, price.request)
        })
    }
}

/// Whether a slug names a provider: as one of its names whatever case, blanks and hyphens, or as the part before a slash of one.
fn is_named(slug: &str, names: &[Arc<str>]) -> bool {
    names.iter().any(|name| {
        same(slug, name)
            || name
                .split_once('/')
                .is_some_and(|(base, _)| same(slug, base))
    })
}

fn same(a: &str, b: &str) -> bool {
    let letters = |s: &str| {
        s.chars()
            .filter(|c| !matches!(c, ' ' | '-' | '_'))
            .map(|c| c.to_ascii_lowercase())
            .collect::<Vec<char>>()
    };
    a == b || letters(a) == letters(b)
}
