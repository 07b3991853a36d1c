//! The read-only admin surface: what is configured, how targets do, which keys there are, and ([`recent`]) what became of the last exchanges.
//!
//! Nothing here shows a secret, whatever the configuration holds: credentials, password hashes and the admin token are
//! not read at all, and an endpoint's URL cannot carry any (config and transport refuse user names and queries in it).

pub mod recent;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use crate::app::{App, KeyView};
use crate::reply::{self, Reply};
use http::{HeaderMap, HeaderValue, StatusCode};
use llmleaf_dialects::Dialect;
use llmleaf_route::fleet::{Provider, TargetView};
use llmleaf_route::health::BreakerState;
use llmleaf_route::{Millis, Route};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Records shown with the health, the newest first.
const RECENT: usize = 50;

/// Whether a request carries the admin token. Never true where none is configured.
pub fn admitted(app: &App, headers: &HeaderMap) -> bool {
    let given = headers.get("x-admin-token").map(HeaderValue::as_bytes);
    match (&app.admin_token, given) {
        (Some(token), Some(given)) => token.ct_eq(given),
        _ => false,
    }
}

/// Targets of a route: the provider, and the model's name there. `None` is whatever name was asked for.
pub fn targets(route: &Route) -> impl Iterator<Item = (usize, Option<&str>)> {
    let own = Some(route.model.as_str()).filter(|model| !model.contains('*'));
    route
        .targets
        .iter()
        .map(move |(provider, model)| (*provider, model.as_deref().or(own)))
}

/// How long a target is still passed over, in milliseconds; 0 where it is not, or where nobody asked for it yet.
pub fn cooling_ms(app: &App, provider: usize, model: Option<&str>) -> u64 {
    let (fleet, now) = (&app.shared.fleet, app.shared.now());
    let Some((provider, model)) = fleet.providers().get(provider).zip(model) else {
        return 0;
    };
    let targets = provider.targets();
    let target = targets.iter().find(|target| &**target.model() == model);
    target.map_or(0, |target| left_ms(provider, &target.view(now), now))
}

/// Until its breaker lets somebody through, and one of its credentials may be used.
pub fn left_ms(provider: &Provider, target: &TargetView, now: Millis) -> u64 {
    let breaker = match target.state {
        BreakerState::Open(until) => until.since(now),
        BreakerState::Closed | BreakerState::HalfOpen => 0,
    };
    let each = target.lanes.iter().enumerate().map(|(index, lane)| {
        let lane = lane.map_or(0, |(until, _)| until.since(now));
        let refused = provider.refused(index, now).map_or(0, |u| u.since(now));
        lane.max(refused)
    });
    breaker.max(each.min().unwrap_or_default())
}

/// Configured routes and prefixes.
pub fn routes(app: &App) -> Reply {
    let shared = &app.shared;
    let models: Vec<Value> = shared
        .routes
        .routes()
        .iter()
        .enumerate()
        .map(|(index, route)| {
            let settings = shared.settings(Some(index));
            let targets = targets(route).filter_map(|(provider, model)| {
                let upstream = shared.upstreams.get(provider)?;
                // A pattern stands for the names it takes.
                let named = model.unwrap_or(&route.model);
                Some(json!({
                    "provider": &*upstream.name,
                    "model": model,
                    "url": upstream.chat_url(Dialect::ChatCompletions, named),
                    "timeouts": settings.clocks.get(provider).map(view::clocks),
                }))
            });
            json!({
                "model": route.model,
                "loss_policy": view::loss_policy(settings.loss_policy),
                "targets": targets.collect::<Vec<_>>(),
            })
        })
        .collect();
    let prefixes: Vec<Value> = shared
        .routes
        .prefixes()
        .filter_map(|(prefix, provider)| {
            let provider = &*shared.upstreams.get(provider)?.name;
            Some(json!({"prefix": prefix, "provider": provider}))
        })
        .collect();
    let body = json!({"models": models, "prefixes": prefixes});
    reply::json(StatusCode::OK, &body)
}

/// Health of every target by provider, and the last records of attempts and exchanges. Credentials are told by their place in the configuration.
///
/// A provider is down while everything that was asked of it is passed over. Models behind a wildcard or a prefix are there once
/// somebody asked for them.
pub fn health(app: &App) -> Reply {
    let shared = &app.shared;
    let now = shared.now();
    let providers = shared.fleet.providers().iter().map(|provider| {
        let targets: Vec<TargetView> = (provider.targets().iter())
            .map(|target| target.view(now))
            .collect();
        let left = |target: &TargetView| left_ms(provider, target, now);
        let down = !targets.is_empty() && targets.iter().all(|target| left(target) > 0);
        let credentials = (0..provider.credentials()).map(|index| {
            let refused = provider.refused(index, now);
            json!({"index": index, "refused_ms": refused.map_or(0, |until| until.since(now))})
        });
        json!({
            "provider": &**provider.name(),
            "down": down,
            "credentials": credentials.collect::<Vec<_>>(),
            "limits": view::figures(&provider.limiter().figures(now)),
            "targets": targets.iter().map(|t| view::target(t, left(t), now)).collect::<Vec<_>>(),
        })
    });
    let records = shared.ledger.recent();
    let ended = records.iter().rev().take(RECENT);
    let recent = ended.clone().flat_map(|ended| ended.attempts.iter().rev());
    let recent = recent.take(RECENT).map(view::record);
    let exchanges = ended.map(|ended| view::exchange(ended));
    let body = json!({
        "providers": providers.collect::<Vec<_>>(),
        "recent": recent.collect::<Vec<_>>(),
        "issuers": app.tokens.as_ref().map_or_else(Vec::new, |tokens| view::issuers(tokens, now)),
        "exchanges": exchanges.collect::<Vec<_>>(),
        "load": view::load(&app.load),
        "draining": app.draining.load(Ordering::Relaxed),
        "started": app.started,
        "panics": llmleaf_exchange::panics::caught(),
        "usage": app.usage.as_ref().map(view::usage),
        "config": view::config(app),
        "control": view::control(app),
    });
    reply::json(StatusCode::OK, &body)
}

/// Most keys of a controller that are listed.
const LISTED: usize = 10_000;

/// Consumer keys, without secrets: the file's with what is left of their limits, then a controller's, and what the controller says of each.
pub fn keys(app: &App) -> Reply {
    let verdicts = app.authenticator.verdicts();
    let upper = app.authenticator.upper();
    let now = app.shared.now();
    let one = |id: &str, display: &str, allowed: Value, file: Option<&KeyView>| {
        let limits = file.and_then(|_| app.allowances.figures(id, now));
        json!({
            "id": display,
            "key_id": id,
            "config_allowed": allowed,
            "source": if file.is_some() { "file" } else { "controller" },
            "explain": file.is_some_and(|key| key.explains),
            "limits": limits.as_ref().map(view::figures),
            "verdict": view::verdict(verdicts.get(id)),
        })
    };
    let own = app.keys.iter();
    let mut keys: Vec<Value> = own
        .map(|key| one(&key.id, &key.display, json!(key.allowed), Some(key)))
        .collect();
    let pulled = upper.iter().flat_map(|roster| roster.keys()).take(LISTED);
    keys.extend(pulled.map(|(id, display, allowed)| {
        let allowed = allowed.map(|models| models.iter().collect::<Vec<_>>());
        one(id, display, json!(allowed), None)
    }));
    let more = upper.map_or(0, |roster| roster.len().saturating_sub(LISTED));
    reply::json(StatusCode::OK, &json!({"keys": keys, "not_listed": more}))
}
