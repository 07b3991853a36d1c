//! The read-only admin surface: what is configured, how targets do, which keys there are.
//!
//! Nothing here shows a secret, whatever the configuration holds: credentials, password hashes and the admin token are
//! not read at all, and an endpoint's URL cannot carry any (config and transport refuse user names and queries in it).

#[cfg(test)]
pub(crate) mod tests;
mod view;

use crate::app::App;
use crate::reply::{self, Reply};
use http::{HeaderMap, HeaderValue, StatusCode};
use llmleaf_dialects::Dialect;
use llmleaf_route::{Candidate, Health, Route};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Usage records shown with the health, the newest first.
const RECENT: usize = 50;

/// A name that no target has; its health is that of a provider's models that no route names.
const UNNAMED: &str = "";

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

/// How long a target is still passed over, in milliseconds; 0 where it is not.
pub fn cooling_ms(app: &App, provider: usize, model: Option<&str>) -> u64 {
    health_of(app, provider, model).map_or(0, |health| left_ms(app, health))
}

fn health_of<'a>(app: &'a App, provider: usize, model: Option<&str>) -> Option<&'a Health> {
    let model = model.unwrap_or(UNNAMED).into();
    app.shared.health(&Candidate { provider, model })
}

fn left_ms(app: &App, health: &Health) -> u64 {
    let left = health.cooling(app.shared.now()).unwrap_or_default();
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
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

/// Health of every target by provider, and the last usage records.
///
/// A provider is down while everything that leads to it is passed over. `model: null` stands for those of its models
/// that are reached through a wildcard or a prefix and share one health.
pub fn health(app: &App) -> Reply {
    let shared = &app.shared;
    let providers = shared
        .upstreams
        .iter()
        .enumerate()
        .map(|(index, upstream)| {
            let mut reached = reached(app, index);
            reached.sort_unstable();
            reached.dedup();
            let targets: Vec<(u64, Value)> = reached
                .into_iter()
                .filter_map(|model| {
                    let health = health_of(app, index, model)?;
                    let cooling_ms = left_ms(app, health);
                    let view = json!({
                        "model": model,
                        "failures": health.failures(),
                        "cooling_ms": cooling_ms,
                    });
                    Some((cooling_ms, view))
                })
                .collect();
            let down = !targets.is_empty() && targets.iter().all(|(cooling, _)| *cooling > 0);
            let targets: Vec<Value> = targets.into_iter().map(|(_, view)| view).collect();
            json!({"provider": &*upstream.name, "down": down, "targets": targets})
        });
    let records = shared.ledger.recent();
    let recent = records.iter().rev().take(RECENT).map(|r| view::record(r));
    let body = json!({
        "providers": providers.collect::<Vec<_>>(),
        "recent": recent.collect::<Vec<_>>(),
        "draining": app.draining.load(Ordering::Relaxed),
        "panics": llmleaf_exchange::panics::caught(),
        "started": app.started,
        "config": view::config(app),
    });
    reply::json(StatusCode::OK, &body)
}

/// Every name of a provider's models that routes and prefixes lead to.
fn reached(app: &App, provider: usize) -> Vec<Option<&str>> {
    let table = &app.shared.routes;
    let by_route = table.routes().iter().flat_map(targets);
    let by_prefix = table.prefixes().map(|(_, provider)| (provider, None));
    by_route
        .chain(by_prefix)
        .filter(|(leads_to, _)| *leads_to == provider)
        .map(|(_, model)| model)
        .collect()
}

/// Consumer keys, without secrets. A verdict is what a control plane says of a key; without one nobody is blocked.
pub fn keys(app: &App) -> Reply {
    let keys: Vec<Value> = app
        .keys
        .iter()
        .map(|key| {
            json!({
                "id": key.display,
                "key_id": key.id,
                "config_allowed": key.allowed,
                "verdict": {"blocked": false, "suspended_until": null, "allowed_models": null},
            })
        })
        .collect();
    reply::json(StatusCode::OK, &json!({"keys": keys}))
}
