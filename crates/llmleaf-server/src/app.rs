//! The node, built from its configuration.

mod callers;
mod error;
pub mod plan;

pub use callers::KeyView;
use callers::{cuts, is_alone, key_limits, keys, leases, passes, roster};
pub use error::BuildError;

use crate::allowance::Allowances;
use crate::authenticate::Hashing;
use crate::batches::ids::BatchIds;
use crate::batches::shelf::Quota;
use crate::batches::store::Store;
use crate::intercept::Interceptor;
use crate::kept::ResponseIds;
use crate::load::Load;
use crate::reload::LastReload;
use crate::telemetry::Telemetry;
use crate::tls;
use crate::tokens::Tokens;
use crate::traces::Collector;
use crate::usage::Usage;
use crate::ways::{self, Way};
use http::HeaderName;
use llmleaf_auth::{Authenticator, Passes, Roster, Secret};
use llmleaf_config::{Config, Timeouts};
use llmleaf_control::{Board, Budget};
use llmleaf_dialects::embeddings::EmbeddingDefaults;
use llmleaf_dialects::speech::Voice;
use llmleaf_dialects::{Dialect, Lifetime};
use llmleaf_exchange::{
    ChatApi, Credential, Ledger, LossPolicy, Minter, Parts, PromptCache, RouteSettings,
    SessionParts, Shared, Tuning, Upstream, UpstreamError, UpstreamSpec, UpstreamStreaming,
};
use llmleaf_route::choice::Price;
use llmleaf_route::random::hash;
use llmleaf_route::{Clocks, Limits, Policy, ProviderSpec, Route, RouteTable};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What all workers share: one configuration, as one immutable snapshot. What outlives a configuration stands behind an
/// `Arc` that every snapshot has.
pub struct App {
    /// Which configuration this is, from 1.
    pub generation: u64,
    /// Unix seconds at which it took effect.
    pub loaded: u64,
    /// How the last reload went.
    pub last_reload: Arc<Mutex<LastReload>>,
    /// The exchanges' snapshot.
    pub shared: Arc<Shared>,
    /// Usage records that wait to be pushed.
    pub usage: Option<Usage>,
    /// What is counted while serving.
    pub telemetry: Arc<Telemetry>,
    /// Consumer keys.
    pub authenticator: Arc<Authenticator>,
    /// Issuers whose tokens prove callers.
    pub tokens: Option<Arc<Tokens>>,
    /// The way of each issuer.
    pub token_ways: Vec<usize>,
    /// What keys may ask for.
    pub allowances: Allowances,
    /// Names of answers that providers keep; `None` leaves the providers' own.
    pub response_ids: Option<Arc<ResponseIds>>,
    /// Names of batches; `None` where none are served.
    pub batch_ids: Option<Arc<BatchIds>>,
    /// Batches that are run here; `None` where none are.
    pub batch_store: Option<Arc<Store>>,
    /// Key ids, display names and allow-lists, for the admin surface.
    pub keys: Vec<KeyView>,
    /// What runs ends when its caller may call no more.
    pub cuts: bool,
    /// Nobody but the file's one key may come, as far as the configuration says.
    pub(crate) alone: bool,
    /// How things are with a controller.
    pub board: Arc<Board>,
    /// Who is asked about requests and answers.
    pub interceptor: Option<Arc<Interceptor>>,
    /// Who collects traces.
    pub collector: Option<Arc<Collector>>,
    /// Slices of budgets that a controller grants.
    pub budget: Arc<Budget>,
    /// Whether it is asked for any.
    pub leases: bool,
    /// Where slow hashes run.
    pub hashing: Arc<Hashing>,
    /// Opens the admin surface.
    pub admin_token: Option<Secret>,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// How much may be kept here of a key's files.
    pub file_quota: Quota,
    /// Makes and opens what browsers are given in place of keys.
    pub passes: Passes,
    /// Sites whose pages may open realtime sessions with a key.
    pub realtime_origins: Vec<String>,
    /// Largest body that is sent on while it comes, in bytes.
    pub max_upload_bytes: u64,
    /// How much is taken on.
    pub load: Arc<Load>,
    /// The node takes no more work.
    pub draining: Arc<AtomicBool>,
    /// Its time to finish is over.
    pub closing: Arc<AtomicBool>,
    /// Consumer headers that some upstream lets through.
    pub forwarded: Vec<HeaderName>,
    /// The way of each pool.
    pub ways: Vec<Way>,
    /// What consumers' TLS handshakes are answered with.
    pub tls: Option<tls::Listener>,
    /// Unix seconds of the start.
    pub started: u64,
}

impl App {
    /// Builds the node.
    ///
    /// # Errors
    /// The configuration cannot be served.
    pub fn build(config: &Config) -> Result<Self, BuildError> {
        let authenticator = Arc::new(Authenticator::new(roster(config)?)?);
        let (upstreams, mut ways) = upstreams(config, None)?;
        let token_ways = Tokens::ways(config, &mut ways, &[])?;
        let interceptor = Interceptor::build(config, &mut ways, &[])?;
        let tls = config.server.tls.as_ref();
        let started = crate::service::unix_now().as_secs();
        let usage = Usage::of(config)?;
        let telemetry = Arc::new(Telemetry::new(config).map_err(BuildError::AccessLog)?);
        let sinks = usage.iter().map(Usage::sink).chain(telemetry.sinks());
        let ledger = Arc::new(Ledger::new(sinks.collect()));
        let collector = Collector::of(config, &upstreams)?;
        telemetry.trace(collector.clone())?;
        Ok(Self {
            generation: 1,
            loaded: started,
            last_reload: Arc::default(),
            keys: keys(config),
            cuts: cuts(config),
            alone: is_alone(config),
            response_ids: ResponseIds::new(config),
            batch_ids: BatchIds::new(config),
            batch_store: Store::configured(config)?,
            tokens: Tokens::build(config, None)?,
            token_ways,
            allowances: Allowances::new(key_limits(config)),
            forwarded: forwarded(&upstreams),
            shared: Arc::new(Shared::new(parts(config, upstreams, &ways)?, ledger)),
            usage,
            telemetry,
            passes: passes(config, &authenticator),
            authenticator,
            board: Arc::default(),
            interceptor,
            collector,
            budget: Arc::default(),
            leases: leases(config),
            hashing: Arc::new(Hashing::new(
                std::thread::available_parallelism().map_or(1, usize::from),
            )),
            max_body_bytes: config.server.max_body_bytes,
            file_quota: Quota::new(config),
            realtime_origins: config.server.realtime_origins.clone(),
            max_upload_bytes: config.server.max_upload_bytes,
            load: Arc::new(Load::new(
                config.server.max_connections,
                config.server.workers,
                config.server.memory_limit,
            )?),
            draining: Arc::default(),
            closing: Arc::default(),
            ways,
            tls: tls.map(|tls| tls::listener(tls, None)).transpose()?,
            started,
            admin_token: admin_token(config),
        })
    }

    /// Builds the next snapshot. What the process has beside its configuration is taken over from the one before: the
    /// health of services that are still the same, connections, records, what was proven of keys. The roster of keys is to
    /// be installed when the snapshot takes effect.
    ///
    /// # Errors
    /// The configuration cannot be served.
    pub fn rebuild(config: &Config, before: &Self) -> Result<(Self, Roster), BuildError> {
        let roster = roster(config)?;
        let (upstreams, mut ways) = upstreams(config, Some(before))?;
        let token_ways = Tokens::ways(config, &mut ways, &before.ways)?;
        let interceptor = Interceptor::build(config, &mut ways, &before.ways)?;
        let tokens = Tokens::build(config, before.tokens.as_ref())?;
        let forwarded = forwarded(&upstreams);
        let collector = Collector::of(config, &upstreams)?;
        let tls = config.server.tls.as_ref();
        let tls = tls.map(|tls| tls::listener(tls, before.tls.as_ref()));
        let tls = tls.transpose()?;
        let parts = parts(config, upstreams, &ways)?;
        // Whatever can fail has happened. A provider that is another service now is known to nobody; `ProviderSpec::identity` says so.
        let shared = before.shared.renew(parts);
        let now = shared.now();
        let app = Self {
            generation: before.generation + 1,
            loaded: crate::service::unix_now().as_secs(),
            last_reload: Arc::clone(&before.last_reload),
            keys: keys(config),
            cuts: cuts(config),
            alone: is_alone(config),
            response_ids: ResponseIds::new(config),
            batch_ids: BatchIds::new(config),
            batch_store: before.batch_store.clone(),
            tokens,
            token_ways,
            allowances: before.allowances.renew(key_limits(config), now),
            shared: Arc::new(shared),
            usage: before.usage.clone(),
            telemetry: Arc::clone(&before.telemetry),
            authenticator: Arc::clone(&before.authenticator),
            board: Arc::clone(&before.board),
            interceptor,
            collector,
            budget: Arc::clone(&before.budget),
            leases: leases(config),
            hashing: Arc::clone(&before.hashing),
            max_body_bytes: config.server.max_body_bytes,
            file_quota: Quota::new(config),
            passes: passes(config, &before.authenticator),
            realtime_origins: config.server.realtime_origins.clone(),
            max_upload_bytes: config.server.max_upload_bytes,
            load: Arc::clone(&before.load),
            draining: Arc::clone(&before.draining),
            closing: Arc::clone(&before.closing),
            forwarded,
            ways,
            tls,
            started: before.started,
            admin_token: admin_token(config),
        };
        Ok((app, roster))
    }

    /// What is new in the contents of files, which the configuration only names.
    pub fn renewed(&self, before: &Self) -> impl Iterator<Item = &'static str> {
        let certificate = match (&self.tls, &before.tls) {
            (Some(now), Some(then)) => !now.same_as(then),
            _ => false,
        };
        let known = |way: &Way| before.ways.iter().any(|known| known.same_as(way));
        let ways = !self.ways.iter().all(known);
        [
            (certificate, "the listener's certificate is another one"),
            (ways, "connections to some providers are made another way"),
        ]
        .into_iter()
        .filter_map(|(new, words)| new.then_some(words))
    }
}

fn admin_token(config: &Config) -> Option<Secret> {
    let token = config.server.admin_token.as_ref();
    token.map(|token| Secret::new(token.expose().to_owned()))
}

fn forwarded(upstreams: &[Upstream]) -> Vec<HeaderName> {
    let names: HashSet<&str> = upstreams
        .iter()
        .flat_map(|u| u.row.forwards.iter().copied())
        .collect();
    names.into_iter().map(HeaderName::from_static).collect()
}

/// A provider's credentials. What mints outlives a configuration, with the token that it has.
fn credentials<'c>(
    provider: &'c llmleaf_config::Provider,
    before: Option<&App>,
) -> Result<Vec<Credential<'c>>, BuildError> {
    let known = |mark: [u8; 32]| {
        let upstreams = before
            .into_iter()
            .flat_map(|app| app.shared.upstreams.iter());
        let mut minters = upstreams.flat_map(Upstream::minters);
        minters.find(|minter| minter.mark() == mark).cloned()
    };
    let each = provider.credentials.iter().map(|credential| {
        Ok(match credential {
            llmleaf_config::Credential::Plain(secret) => Credential::Plain(secret.expose()),
            llmleaf_config::Credential::InHeader(name, secret) => {
                Credential::InHeader(name, secret.expose())
            }
            llmleaf_config::Credential::Minted(source) => match known(source.mark()) {
                Some(minter) => Credential::Minted(minter),
                None => {
                    let minter = Minter::new(Arc::clone(source)).map_err(|error| {
                        UpstreamError::Endpoint(format!("{} (tokens)", provider.name), error)
                    })?;
                    Credential::Minted(Arc::new(minter))
                }
            },
        })
    });
    each.collect()
}

fn voices(settings: &llmleaf_config::Settings) -> Vec<(String, Vec<Voice>)> {
    let of = |list: &[llmleaf_config::Voice]| {
        let each = list.iter().map(|voice| Voice {
            id: voice.id.clone(),
            name: voice.name.clone(),
            languages: voice.languages.clone(),
        });
        each.collect()
    };
    let by_model = settings.voices.iter();
    by_model
        .map(|(model, list)| (model.clone(), of(list)))
        .collect()
}

fn upstreams(
    config: &Config,
    before: Option<&App>,
) -> Result<(Vec<Upstream>, Vec<Way>), BuildError> {
    let (ways, of) = ways::ways(config, before.map_or(&[], |app| &app.ways))?;
    let mut upstreams = Vec::new();
    for (provider, (pool, mint_pool)) in config.providers.iter().zip(of) {
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
            credentials: credentials(provider, before)?,
            spreads: provider.spread_credentials,
            drains: provider.on_cancel == llmleaf_config::OnCancel::Drain,
            collects_data: provider.data.collects,
            zero_retention: provider.data.zero_retention,
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
                llmleaf_config::ChatApi::Messages => ChatApi::Only(Dialect::Messages),
                llmleaf_config::ChatApi::GenerateContent => ChatApi::Only(Dialect::GenerateContent),
            },
            prompt_cache: provider.settings.prompt_cache.map(prompt_cache),
            reasoning_effort: provider.settings.reasoning_effort,
            maker: provider.settings.publisher.as_deref(),
            embedding: EmbeddingDefaults {
                task: (provider.settings.task_type.clone())
                    .or_else(|| provider.settings.input_type.clone()),
                truncate: provider.settings.auto_truncate,
            },
            voices: voices(&provider.settings),
            pool,
            mint_pool,
            traces: provider.settings.trace_context,
        })?);
    }
    Ok((upstreams, ways))
}

fn prompt_cache(asked: llmleaf_config::PromptCache) -> PromptCache {
    match asked {
        llmleaf_config::PromptCache::Off => PromptCache::Off,
        llmleaf_config::PromptCache::FiveMinutes => PromptCache::For(Lifetime::FiveMinutes),
        llmleaf_config::PromptCache::OneHour => PromptCache::For(Lifetime::OneHour),
    }
}

/// What the exchanges' snapshot is made from.
fn parts(config: &Config, upstreams: Vec<Upstream>, ways: &[Way]) -> Result<Parts, BuildError> {
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
    let per_route = config.routes.iter();
    let specs = config.providers.iter().zip(&upstreams);
    let specs = specs.map(|(p, upstream)| spec(config, p, ways.get(upstream.pool)));
    Ok(Parts {
        specs: specs.collect(),
        tariffs: crate::prices::tariffs(config),
        upstreams,
        routes: table,
        route_settings: per_route.map(|r| settings(config, Some(r))).collect(),
        prefix_settings: settings(config, None),
        tuning: Tuning {
            hold_headers: config.server.hold_headers,
            keepalive: config.server.keepalive,
            tell_cost: config.server.tell_cost,
        },
    })
}

/// A provider as routing knows it.
fn spec(config: &Config, provider: &llmleaf_config::Provider, way: Option<&Way>) -> ProviderSpec {
    let targets = config.routes.iter().flat_map(|route| {
        let exact = Some(route.model.as_str()).filter(|model| !model.contains('*'));
        (route.targets.iter()).filter_map(move |target| {
            let model = target.model.as_deref().or(exact)?;
            (target.provider == provider.name).then(|| model.into())
        })
    });
    // The longest that it is told to keep prompts, for whatever route.
    let told = config.routes.iter().filter(|route| {
        let mut targets = route.targets.iter();
        targets.any(|target| target.provider == provider.name)
    });
    let long = |asked| asked == Some(llmleaf_config::PromptCache::OneHour);
    let mut told = told.map(|route| route.prompt_cache);
    let cached = match long(provider.settings.prompt_cache) || told.any(long) {
        true => Duration::from_secs(3600),
        false => PROMPT_CACHE,
    };
    // Another address, or another way there, is another service. A file may hold another certificate under the same name. Another first
    // credential may mend what the service was held back for, so it is tried anew.
    let address = (
        provider.row.name,
        provider.base_url(),
        way.map(Way::fingerprint),
        (provider.credentials.first()).map(|credential| hash(&credential.identity())),
    );
    let address = format!("{address:?}");
    ProviderSpec {
        name: provider.name.as_str().into(),
        aliases: vec![provider.row.name.into()],
        identity: hash(address.as_bytes()),
        credentials: (provider.credentials.iter())
            .map(|credential| hash(&credential.identity()))
            .collect(),
        spread: provider.spread_credentials,
        limits: limits(&provider.limits),
        model_limits: (provider.model_limits.iter())
            .map(|(model, own)| (model.as_str().into(), limits(own)))
            .collect(),
        models: targets.collect(),
        cooldown: config.server.fallback_cooldown,
        cache_for: cached,
        unwatched: !provider.health,
    }
}

/// How long services keep a prompt's beginning, where nothing says otherwise: five minutes, the shortest that they promise.
const PROMPT_CACHE: Duration = Duration::from_secs(300);

fn limits(limits: &llmleaf_config::Limits) -> Limits {
    Limits {
        requests_per_min: limits.requests_per_min,
        tokens_per_min: limits.tokens_per_min,
        max_concurrent: limits.max_concurrent,
    }
}

fn settings(config: &Config, route: Option<&llmleaf_config::Route>) -> RouteSettings {
    let retries = config.retries(route);
    let targets = || route.into_iter().flat_map(|route| route.targets.iter());
    RouteSettings {
        name: route.map(|route| route.model.as_str().into()),
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
        policy: Policy {
            strategy: route.map(|route| route.strategy).unwrap_or_default(),
            attempts: retries.attempts,
            tries_per_target: retries.tries_per_target,
            deadline: retries.deadline,
            max_wait: config.server.rate_limit_max_wait,
            hedge: route.is_some_and(|route| route.hedge),
        },
        affinity: route.is_none_or(|route| route.affinity),
        prompt_cache: route.and_then(|route| route.prompt_cache).map(prompt_cache),
        reasoning_effort: route.and_then(|route| route.reasoning_effort),
        parts: route.and_then(session_parts),
        weights: targets().map(|target| target.weight).collect(),
        prices: targets()
            .map(|target| {
                target.price.map(|price| Price {
                    input: price.input,
                    output: price.output,
                    request: 0,
                })
            })
            .collect(),
    }
}

fn session_parts(route: &llmleaf_config::Route) -> Option<Arc<SessionParts>> {
    let parts = &route.realtime;
    let named = parts.transcription.is_some() || parts.speech.is_some();
    named.then(|| {
        Arc::new(SessionParts {
            transcription: parts.transcription.clone(),
            speech: parts.speech.clone(),
            voice: parts.voice.clone(),
        })
    })
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

/// Per target of each route: the route's model, the provider, and the URL that a chat request would go to.
///
/// # Errors
/// A provider cannot be called as configured.
pub fn check_urls(config: &Config) -> Result<Vec<(String, String, String)>, BuildError> {
    let (upstreams, mut ways) = upstreams(config, None)?;
    Tokens::ways(config, &mut ways, &[])?;
    Tokens::build(config, None)?;
    Interceptor::build(config, &mut ways, &[])?;
    if let Some(tls) = &config.server.tls {
        tls::listener(tls, None)?;
    }
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

#[cfg(test)]
mod tests;
