//! `[[providers]]`: the services that can be called.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{Secret, Settings, TimeoutOverrides};

/// One `[[providers]]` table.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The name that targets use; unique.
    pub name: String,
    /// The roster's row for its `kind`.
    pub row: &'static llmleaf_providers::Provider,
    /// Base URL, without a trailing slash, where it is not the row's own.
    pub endpoint: Option<String>,
    /// What to send as credential.
    pub credential: Option<Secret>,
    /// Models named `<prefix>/<model>` go here without a route.
    pub prefix: Option<String>,
    /// Details of this provider.
    pub settings: Settings,
    /// Local limits on all its models together.
    pub limits: Limits,
    /// Local limits by upstream model, on top of [`Self::limits`].
    pub model_limits: BTreeMap<String, Limits>,
    /// Clocks that differ from the server's.
    pub timeouts: TimeoutOverrides,
    /// PEM file with the authorities that sign this endpoint, instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl Provider {
    /// The base URL to call: the configured one, else the row's.
    pub fn base_url(&self) -> Option<&str> {
        self.endpoint.as_deref().or(self.row.base_url)
    }
}

/// A `limits` table; absent means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests_per_min: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_min: Option<u64>,
    /// Requests running at the same time.
    pub max_concurrent: Option<u64>,
}
