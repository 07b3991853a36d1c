//! The node, built from its configuration.

use crate::authenticate::Hashing;
use crate::load::{Load, TooFewFiles};
use http::HeaderName;
use llmleaf_auth::{
    Authenticator, KeyEntry, ModelPatterns, PasswordHash, Roster, RosterError, Secret,
};
use llmleaf_config::{Config, Timeouts};
use llmleaf_dialects::Dialect;
use llmleaf_exchange::{
    ChatApi, Ledger, LossPolicy, RouteSettings, Shared, Tuning, Upstream, UpstreamError,
    UpstreamSpec, UpstreamStreaming,
};
use llmleaf_route::{Clocks, Route, RouteTable, TableError};
use llmleaf_transport::{TlsConfig, TlsError};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// Attempts per exchange; a chain is seldom longer.
const ATTEMPTS: u32 = 8;

/// What all workers share.
pub struct App {
    /// The exchanges' snapshot.
    pub shared: Arc<Shared>,
    /// Consumer keys.
    pub authenticator: Arc<Authenticator>,
    /// Key ids, display names and allow-lists, for the admin surface.
    pub keys: Vec<KeyView>,
    /// Where slow hashes run.
    pub hashing: Hashing,
    /// Opens the admin surface.
    pub admin_token: Option<Secret>,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How much is taken on.
    pub load: Arc<Load>,
    /// The node takes no more work.
    pub draining: AtomicBool,
    /// Its time to finish is over.
    pub closing: Arc<AtomicBool>,
    /// Consumer headers that some upstream lets through.
    pub forwarded: Vec<HeaderName>,
    /// The description of the API.
    pub openapi: bytes::Bytes,
    /// What each pool trusts.
    pub trusts: Vec<TlsConfig>,
    /// Unix seconds of the start.
    pub started: u64,
}

/// A key as the admin surface shows it.
#[derive(Debug)]
pub struct KeyView {
    /// The id in its credential.
    pub id: String,
    /// What logs and records show.
    pub display: String,
    /// Models it may use; `None` is all.
    pub allowed: Option<Vec<String>>,
}

/// A configuration that cannot be served.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The system allows too few open files.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// A provider cannot be called.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Routes do not stand.
    #[error(transparent)]
    Routes(#[from] TableError),
    /// Keys do not stand.
    #[error(transparent)]
    Keys(#[from] RosterError),
    /// A key's hash does not parse.
    #[error("key `{id}`: {error}")]
    Hash {
        id: String,
        error: llmleaf_auth::HashError,
    },
    /// The authenticator's own key could not be made.
    #[error(transparent)]
    Mint(#[from] llmleaf_auth::MintError),
    /// Trust could not be set up.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// A certificate file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        path: PathBuf,
        error: std::io::Error,
    },
}

impl App {
    /// Builds the node.
    ///
    /// # Errors
    /// The configuration cannot be served.
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let (upstreams, trusts) = upstreams(&config)?;
        let forwarded: HashSet<&str> = upstreams
            .iter()
            .flat_map(|u| u.row.forwards.iter().copied())
            .collect();
        let forwarded = forwarded.into_iter().map(HeaderName::from_static).collect();
        let keys = config.keys.iter().map(|key| KeyView {
            id: key.id.clone(),
            display: key.display_name().to_owned(),
            allowed: key.allowed_models.clone(),
        });
        Ok(Self {
            keys: keys.collect(),
            shared: Arc::new(shared(&config, upstreams)?),
            authenticator: Arc::new(Authenticator::new(roster(&config)?)?),
            hashing: Hashing::new(std::thread::available_parallelism().map_or(1, usize::from)),
            max_body_bytes: config.server.max_body_bytes,
            load: Arc::new(Load::new(
                config.server.max_connections,
                config.server.workers,
                config.server.memory_limit,
            )?),
            draining: AtomicBool::new(false),
            closing: Arc::new(AtomicBool::new(false)),
            forwarded,
            openapi: crate::openapi::document().into(),
            trusts,
            started: crate::service::unix_now().as_secs(),
            admin_token: config.server.admin_token,
        })
    }
}

fn upstreams(config: &Config) -> Result<(Vec<Upstream>, Vec<TlsConfig>), BuildError> {
    let mut trusts = vec![TlsConfig::new()?];
    let mut upstreams = Vec::new();
    for provider in &config.providers {
        let pool = match &provider.ca_file {
            None => 0,
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| BuildError::File {
                    path: path.clone(),
                    error,
                })?;
                trusts.push(TlsConfig::with_extra_ca(&pem)?);
                trusts.len() - 1
            }
        };
        let settings: Vec<(&'static str, &str)> = provider
            .row
            .setting_headers
            .iter()
            .filter_map(|(setting, _)| Some((*setting, provider.settings.text(setting)?)))
            .collect();
        upstreams.push(Upstream::new(&UpstreamSpec {
            name: &provider.name,
            row: provider.row,
            base_url: provider.base_url(),
            credential: provider.credential.as_ref().map(|c| c.expose()),
            settings: &settings,
            api_version: provider.settings.api_version.as_deref(),
            responses_api_version: provider.settings.responses_api_version.as_deref(),
            streaming: match provider.settings.upstream_streaming {
                llmleaf_config::UpstreamStreaming::WhenRequested => {
                    UpstreamStreaming::WhenRequested
                }
                llmleaf_config::UpstreamStreaming::Always => UpstreamStreaming::Always,
                llmleaf_config::UpstreamStreaming::Never => UpstreamStreaming::Never,
            },
            chat_api: match provider.settings.chat_api {
                llmleaf_config::ChatApi::Auto => ChatApi::Auto,
                llmleaf_config::ChatApi::ChatCompletions => ChatApi::Only(Dialect::ChatCompletions),
                llmleaf_config::ChatApi::Responses => ChatApi::Only(Dialect::Responses),
            },
            pool,
        })?);
    }
    Ok((upstreams, trusts))
}

fn shared(config: &Config, upstreams: Vec<Upstream>) -> Result<Shared, BuildError> {
    let index = |name: &str| config.providers.iter().position(|p| p.name == name);
    let routes = config.routes.iter().map(|route| Route {
        model: route.model.clone(),
        targets: route
            .targets
            .iter()
            .filter_map(|t| Some((index(&t.provider)?, t.model.as_deref().map(Into::into))))
            .collect(),
    });
    let prefixes = config
        .providers
        .iter()
        .enumerate()
        .filter_map(|(i, p)| Some((p.prefix.clone()?, i)))
        .collect();
    let table = RouteTable::new(routes.collect(), prefixes)?;
    let settings = |route: Option<&llmleaf_config::Route>| RouteSettings {
        loss_policy: match config.loss_policy(route) {
            llmleaf_config::LossPolicy::Report => LossPolicy::Report,
            llmleaf_config::LossPolicy::Error => LossPolicy::Error,
            llmleaf_config::LossPolicy::Reroute => LossPolicy::Reroute,
        },
        clocks: config
            .providers
            .iter()
            .map(|p| clocks(config.timeouts(route, p)))
            .collect(),
    };
    let tuning = Tuning {
        hold_headers: config.server.hold_headers,
        keepalive: config.server.keepalive,
        attempts: ATTEMPTS,
        cooldown: config.server.fallback_cooldown,
    };
    let per_route = config.routes.iter().map(|r| settings(Some(r))).collect();
    Ok(Shared::new(
        upstreams,
        table,
        per_route,
        settings(None),
        Arc::new(Ledger::new()),
        tuning,
    ))
}

fn clocks(timeouts: Timeouts) -> Clocks {
    Clocks {
        connect: timeouts.connect,
        headers: timeouts.headers,
        first_content: timeouts.first_content,
        idle: timeouts.idle,
        total: timeouts.total,
    }
}

fn roster(config: &Config) -> Result<Roster, BuildError> {
    let entries = config.keys.iter().map(|key| {
        let hash = PasswordHash::parse(key.pw_hash.expose()).map_err(|error| BuildError::Hash {
            id: key.id.clone(),
            error,
        })?;
        let allowed_models = key
            .allowed_models
            .as_ref()
            .map(|list| ModelPatterns::new(list.iter().cloned()));
        Ok(KeyEntry {
            id: key.id.clone(),
            name: key.name.clone(),
            hash,
            allowed_models,
        })
    });
    let entries: Result<Vec<KeyEntry>, BuildError> = entries.collect();
    Ok(Roster::new(entries?)?)
}

/// Per target of each route: the route's model, the provider, and the URL that a chat request would go to.
///
/// # Errors
/// A provider cannot be called as configured.
pub fn check_urls(config: &Config) -> Result<Vec<(String, String, String)>, BuildError> {
    let (upstreams, _) = upstreams(config)?;
    let mut urls = Vec::new();
    for route in &config.routes {
        for target in &route.targets {
            let model = target.model.as_deref().unwrap_or(&route.model);
            let url = upstreams
                .iter()
                .find(|u| *u.name == *target.provider)
                .and_then(|u| u.chat_url(Dialect::ChatCompletions, model));
            urls.push((
                route.model.clone(),
                target.provider.clone(),
                url.unwrap_or_default(),
            ));
        }
    }
    Ok(urls)
}
