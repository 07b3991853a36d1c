//! What each provider's models cost: what the program knows of its kind, then what the operator's table says, then the
//! configuration's own words. What is said later counts.

use crate::service::unix_now;
use llmleaf_config::Config;
use llmleaf_prices::{Tariff, shipped};
use std::sync::Arc;

/// A tariff for each provider, in the configuration's order.
pub fn tariffs(config: &Config) -> Vec<Arc<Tariff>> {
    let shipped = shipped::book(&shipped::day(unix_now().as_secs()));
    let each = config.providers.iter().map(|provider| {
        let mut tariff = Tariff::default();
        for book in [&shipped, &config.prices.table] {
            if let Some(known) = book.get(provider.row.name) {
                tariff.extend(known);
            }
        }
        for entry in &config.prices.entries {
            if entry
                .provider
                .as_ref()
                .is_none_or(|name| *name == provider.name)
            {
                tariff.set(&entry.model, entry.sheet.clone());
            }
        }
        Arc::new(tariff)
    });
    each.collect()
}
