//! Which names become labels. A label's every value costs memory here and in whatever scrapes it, so nobody who merely sends a request may
//! make one up.

use llmleaf_config::Config;
use std::collections::{HashMap, HashSet};

/// What stands for all that have no label of their own.
pub const OTHER: &str = "other";

/// What the configuration in effect says about names.
#[derive(Debug, Default)]
pub struct Known {
    /// Models at each provider that the configuration names.
    models: HashMap<String, HashSet<String>>,
    /// What OpenTelemetry calls each provider.
    semantic: HashMap<String, &'static str>,
    /// Most models beside them: those behind patterns and prefixes.
    pub more_models: usize,
    /// Most keys; none is not to tell of keys at all.
    pub keys: usize,
    /// Whether OpenTelemetry's families are told as well.
    pub gen_ai: bool,
}

impl Known {
    /// What this configuration says.
    pub fn of(config: &Config) -> Self {
        let mut models: HashMap<String, HashSet<String>> = HashMap::new();
        for route in &config.routes {
            // A pattern is no name.
            let own = Some(&route.model).filter(|model| !model.contains('*'));
            for target in &route.targets {
                if let Some(model) = target.model.as_ref().or(own) {
                    let at = models.entry(target.provider.clone()).or_default();
                    at.insert(model.clone());
                }
            }
        }
        let semantic = config.providers.iter();
        Self {
            models,
            semantic: semantic
                .map(|provider| (provider.name.clone(), provider.row.semantic_name()))
                .collect(),
            more_models: config.metrics.models,
            keys: config.metrics.keys,
            gen_ai: config.metrics.gen_ai,
        }
    }

    /// Whether the configuration names this model of that provider.
    pub fn has(&self, provider: &str, model: &str) -> bool {
        let models = self.models.get(provider);
        models.is_some_and(|models| models.contains(model))
    }

    /// What OpenTelemetry calls a provider.
    pub fn semantic<'n>(&'n self, provider: &'n str) -> &'n str {
        self.semantic.get(provider).copied().unwrap_or(provider)
    }
}
