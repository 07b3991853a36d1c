//! The configuration file: typed, validated, every mistake reported at once with a caret under it.
//!
//! This is the only crate that reads the process environment, and the only files it reads are the
//! configuration, the `file:` secrets that it names and key files of clouds. It knows no runtime, socket or HTTP: its result is
//! a [`Config`] of plain values, complete and consistent, or the [`Diagnostics`] that say why not.
//!
//! Reading order: `read.rs` (how one table is read without stopping at the first mistake), then one file
//! per table (`server.rs`, `providers.rs`, `credentials.rs`, `settings.rs`, `routes.rs`, `prices.rs`, `keys.rs`, `oauth.rs`, `control.rs`, `metrics.rs`, `traces.rs`, `access_log.rs`; and those that
//! several of them share: `timeouts.rs`, `retries.rs`, `limits.rs`),
//! then `load.rs` (the whole, and what must hold between tables), `layer.rs` (what a controller adds to it), `changes.rs` (what one configuration has
//! that another had not), `pending.rs` (what is accepted but not in
//! effect yet) and `diagnose.rs` (how mistakes are shown).

mod access_log;
mod changes;
mod control;
mod credentials;
mod diagnose;
pub mod environment;
mod keys;
mod layer;
mod limits;
mod load;
mod metrics;
mod nearest;
mod oauth;
mod pending;
mod prices;
mod providers;
mod proxy;
mod read;
mod retries;
mod routes;
mod secrets;
mod server;
mod settings;
mod timeouts;
mod traces;
mod url;

pub use access_log::{AccessLog, LogFormat, LogTo};
pub use changes::{Change, How};
pub use control::{
    Control, ControlAuth, ControlCall, ControlCredential, FileKeys, Identity, Intercept,
    InterceptPhase, LimitsPull, OnBlock, OnError, Topology, UsagePush,
};
pub use credentials::Credential;
pub use diagnose::{Diagnostic, Diagnostics, Severity};
pub use keys::Key;
pub use layer::{Added, Layer, LayerError};
pub use limits::Limits;
pub use metrics::Metrics;
pub use oauth::{Introspection, IntrospectionAuth, Oauth};
pub use prices::{PriceEntry, Prices};
pub use providers::{ClientCertificate, DataPolicy, OnCancel, Provider};
pub use proxy::{Proxy, ProxyKind};
pub use retries::{Retries, RetryOverrides};
pub use routes::{Price, RealtimeParts, Route, Target};
pub use secrets::Secret;
pub use server::{LossPolicy, Server, Tls};
pub use settings::{ChatApi, PromptCache, Settings, UpstreamStreaming, Voice};
pub use timeouts::{TimeoutOverrides, Timeouts};
pub use traces::Traces;

use std::path::PathBuf;

/// A whole, validated configuration.
#[derive(Debug)]
pub struct Config {
    /// The listener and the defaults for everything below.
    pub server: Server,
    /// One line for each request, where that is asked for.
    pub access_log: Option<AccessLog>,
    /// What is told to scrapers.
    pub metrics: Metrics,
    /// To whom spans of exchanges are told, where that is asked for.
    pub traces: Option<Traces>,
    /// The services that can be called, in file order; names are unique.
    pub providers: Vec<Provider>,
    /// Which model name goes where, in file order; models are unique and targets name real providers.
    pub routes: Vec<Route>,
    /// What models cost, beside what is known of them.
    pub prices: Prices,
    /// Who may call; ids and display names are unique.
    pub keys: Vec<Key>,
    /// Issuers whose tokens prove callers; names and issuers are unique.
    pub oauth: Vec<Oauth>,
    /// The controller that this node pulls from and pushes to.
    pub control: Option<Control>,
    /// What its author may not expect; not empty for a file that uses what is not in effect yet.
    pub warnings: Diagnostics,
    /// The files that it depends on, beside its own: secrets, certificates, keys.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|p| p.name == name)
    }

    /// The five clocks of an attempt: the route's word counts before the provider's, and that before the
    /// server's.
    pub fn timeouts(&self, route: Option<&Route>, provider: &Provider) -> Timeouts {
        let base = self.server.timeouts.with(&provider.timeouts);
        route.map_or(base, |route| base.with(&route.timeouts))
    }

    /// How often and how long exchanges of that route may try: the route's word counts before the server's.
    pub fn retries(&self, route: Option<&Route>) -> Retries {
        let base = self.server.retries;
        route.map_or(base, |route| base.with(&route.retries))
    }

    /// What to do about losses on that route.
    pub fn loss_policy(&self, route: Option<&Route>) -> LossPolicy {
        route
            .and_then(|route| route.loss_policy)
            .unwrap_or(self.server.loss_policy)
    }
}
