//! Whether a target meets a request's wishes, and where they place it.

use super::{Facts, Price};
use llmleaf_model::{Demands, MaxPrice, Preferences};
use std::sync::Arc;

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

/// What routing asks of [`Preferences`].
pub(crate) trait Wishes {
    /// Whether a provider with these names and facts may serve; the first wish that says no. What is not known of it does not
    /// qualify.
    fn permits(&self, names: &[Arc<str>], facts: &Facts) -> Result<(), Unmet>;
    /// A provider's place in `order`; behind all of it when it is not named.
    fn place(&self, names: &[Arc<str>]) -> usize;
    /// The request decides the order itself: neither strategy nor affinity may.
    fn orders(&self) -> bool;
}

impl Wishes for Preferences {
    fn permits(&self, names: &[Arc<str>], facts: &Facts) -> Result<(), Unmet> {
        let named = |list: &[String]| list.iter().any(|slug| is_named(slug, names));
        let only_order = self.no_fallbacks && !self.order.is_empty();
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
        if !allows(self.max_price, facts.price) {
            return Err(Unmet::Price);
        }
        Ok(())
    }

    fn place(&self, names: &[Arc<str>]) -> usize {
        let place = self.order.iter().position(|slug| is_named(slug, names));
        place.unwrap_or(self.order.len())
    }

    fn orders(&self) -> bool {
        !self.order.is_empty() || self.sort.is_some()
    }
}

fn allows(most: MaxPrice, price: Option<Price>) -> bool {
    if most == MaxPrice::default() {
        return true;
    }
    let within = |most: Option<u64>, own: u64| most.is_none_or(|most| own <= most);
    price.is_some_and(|price| {
        within(most.input, price.input)
            && within(most.output, price.output)
            && within(most.request, price.request)
    })
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
