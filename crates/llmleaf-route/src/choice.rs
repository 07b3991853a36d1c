//! Which of the permitted targets first: what the request asks, what the route's strategy says, where the prompt may be cached.
//!
//! Health has no say here: the walk passes over whoever is not fit, whatever the order.
//!
//! Reading order: [`preferences`] (the request's own wishes), [`strategy`], [`affinity`], and `arrange`, which joins them.

pub mod affinity;
mod arrange;
mod order;
pub mod preferences;
pub mod strategy;

pub use affinity::{Affinity, Served};
pub(crate) use arrange::{Arranging, arrange};
pub use order::{Followed, Order};
pub use preferences::Unmet;
pub(crate) use preferences::Wishes;
pub use strategy::Strategy;

use std::sync::Arc;

/// What is known of a member of a chain beyond its health, for [`Preferences`](llmleaf_model::Preferences) and prices. The caller fills in what it knows, and only
/// when a request or strategy asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it costs.
    pub price: Option<Price>,
    /// It can express every parameter of this request; `None` is not known, and does not count as yes.
    pub expresses_all: Option<bool>,
    /// It may keep prompts, to train on or otherwise; `None` is not known, and counts as yes.
    pub collects_data: Option<bool>,
    /// It keeps nothing; `None` is not known, and does not count as yes.
    pub zero_retention: Option<bool>,
    /// How its weights are quantised (`fp8`).
    pub quantization: Option<Arc<str>>,
}

/// Prices in nano-dollars: per million tokens, and per request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// A million input tokens.
    pub input: u64,
    /// A million output tokens.
    pub output: u64,
    /// A request.
    pub request: u64,
}

impl Price {
    /// One figure to sort by: three parts input, one part output, as most traffic has it.
    pub fn blended(self) -> u64 {
        self.input.saturating_mul(3).saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests;
