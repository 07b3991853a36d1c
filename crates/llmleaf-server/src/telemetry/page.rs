//! What is looked up when somebody asks: how the node is now.

use super::exchanges::Exchanges;
use super::names;
use crate::app::App;
use llmleaf_metrics::Text;
use llmleaf_route::Millis;
use llmleaf_route::fleet::{Provider, TargetView};
use llmleaf_route::health::BreakerState;
use llmleaf_route::limits::{Figure, Figures};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// States of a breaker.
const STATES: [&str; 3] = ["closed", "half_open", "open"];

/// Tells it.
pub fn tell(app: &App, exchanges: &Exchanges, text: &mut Text) {
    of_targets(app, exchanges, text);
    of_load(app, text);
    of_usage(app, text);
    of_control(app, text);
    of_issuers(app, text);
    of_node(app, text);
    super::process::tell(app, text);
}

/// A provider, and those of its targets that have labels of their own.
type Seen<'a> = (&'a Arc<Provider>, Vec<TargetView>);

fn of_targets(app: &App, exchanges: &Exchanges, text: &mut Text) {
    let (shared, now) = (&app.shared, app.shared.now());
    let fleet = shared.fleet.providers().iter();
    let all: Vec<Seen<'_>> = fleet
        .map(|provider| {
            let targets = provider.targets().into_iter();
            let named = targets.filter(|t| exchanges.names(provider.name(), t.model()));
            (provider, named.map(|target| target.view(now)).collect())
        })
        .collect();
    let each = || {
        let targets = all.iter();
        targets.flat_map(|(provider, targets)| targets.iter().map(move |t| (*provider, t)))
    };
    let mut states = text.family(&names::BREAKER);
    for (provider, target) in each() {
        let is = match target.state {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half_open",
            BreakerState::Open(_) => "open",
        };
        for state in STATES {
            let labels = [provider.name(), &*target.model, state];
            states.whole(&labels, u64::from(state == is));
        }
    }
    let mut cooling = text.family(&names::COOLING);
    for (provider, target) in each() {
        let left = crate::admin::left_ms(provider, target, now);
        cooling.parts(&[provider.name(), &target.model], left, 1000);
    }
    let mut pending = text.family(&names::PENDING);
    for (provider, target) in each() {
        let labels = [&**provider.name(), &*target.model];
        pending.whole(&labels, u64::from(target.pending));
    }
    let mut refused = text.family(&names::CREDENTIAL_REFUSED);
    for (provider, _) in &all {
        for index in 0..provider.credentials() {
            let is = u64::from(provider.refused(index, now).is_some());
            refused.whole(&[provider.name(), &index.to_string()], is);
        }
    }
    of_limits(&all, now, text);
}

/// What is limited, and what is left of it. A provider's own limits have no model.
fn of_limits(all: &[Seen<'_>], now: Millis, text: &mut Text) {
    let mut rows: Vec<([String; 3], u64, u64)> = Vec::new();
    let mut add = |provider: &Provider, model: &str, figures: &Figures| {
        let rate = |figure: Option<Figure>| figure.map(|f| (f.limit, f.remaining));
        let running = figures.concurrent.map(|(running, most)| {
            let (running, most) = (u64::from(running), u64::from(most));
            (most, most.saturating_sub(running))
        });
        for (name, figure) in [
            ("requests_per_min", rate(figures.requests)),
            ("tokens_per_min", rate(figures.tokens)),
            ("max_concurrent", running),
        ] {
            if let Some((limit, left)) = figure {
                let labels = [&**provider.name(), model, name].map(str::to_owned);
                rows.push((labels, limit, left));
            }
        }
    };
    for (provider, targets) in all {
        add(provider, "", &provider.limiter().figures(now));
        for target in targets {
            add(provider, &target.model, &target.limits);
        }
    }
    let mut limits = text.family(&names::LIMIT);
    for ([provider, model, name], limit, _) in &rows {
        limits.whole(&[provider, model, name], *limit);
    }
    let mut left = text.family(&names::LIMIT_REMAINING);
    for ([provider, model, name], _, remaining) in &rows {
        left.whole(&[provider, model, name], *remaining);
    }
}

fn of_load(app: &App, text: &mut Text) {
    let load = &app.load;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let (connections, most) = load.connections();
    text.family(&names::CONNECTIONS)
        .whole(&[], count(connections));
    text.family(&names::CONNECTIONS_MAX).whole(&[], count(most));
    let mut shed = text.family(&names::SHED);
    let (turned, refused) = load.turned_away();
    shed.whole(&["connection"], refused);
    shed.whole(&["request"], turned);
    let mut ceiling = text.family(&names::MEMORY_CEILING);
    if let Some(bytes) = load.memory_ceiling() {
        ceiling.whole(&[], bytes);
    }
}

fn of_usage(app: &App, text: &mut Text) {
    let gauges = app.usage.as_ref().map(|usage| usage.gauges());
    let mut whole = |family, value: Option<u64>| {
        let mut samples = text.family(family);
        if let Some(value) = value {
            samples.whole(&[], value);
        }
    };
    let of = gauges.as_ref();
    whole(&names::SPOOL_RECORDS, of.map(|(g, _)| g.waiting));
    whole(&names::SPOOL_BYTES, of.map(|(g, _)| g.bytes));
    whole(&names::SPOOL_FAILING, of.map(|(g, _)| g.failing.into()));
    let lost = of.map(|(g, unwritten)| g.lost.saturating_add(*unwritten));
    whole(&names::SPOOL_LOST, lost);
    whole(&names::SPOOL_DEAD, of.map(|(g, _)| g.dead));
    whole(&names::SPOOL_DAMAGED, of.map(|(g, _)| g.damaged));
    let mut age = text.family(&names::SPOOL_AGE);
    if let Some((gauges, _)) = of {
        age.parts(&[], gauges.age_ms, 1000);
    }
}

fn of_control(app: &App, text: &mut Text) {
    let views = app.board.views();
    let mut cold = text.family(&names::CONTROL_COLD);
    for (what, view) in &views {
        cold.whole(&[what.as_str()], u64::from(view.cold));
    }
    let mut age = text.family(&names::CONTROL_AGE);
    for (what, view) in &views {
        if let Some(confirmed) = view.age() {
            age.parts(&[what.as_str()], millis(confirmed), 1000);
        }
    }
    let mut entries = text.family(&names::CONTROL_ENTRIES);
    for (what, view) in &views {
        let count = u64::try_from(view.entries).unwrap_or(u64::MAX);
        entries.whole(&[what.as_str()], count);
    }
    let mut troubles = text.family(&names::CONTROL_TROUBLES);
    for (what, view) in &views {
        for (kind, count) in &view.troubles {
            troubles.whole(&[what.as_str(), kind], *count);
        }
    }
}

fn of_issuers(app: &App, text: &mut Text) {
    let now = app.shared.now().0;
    let tokens = app.tokens.as_ref();
    let issuers: Vec<_> = tokens.into_iter().flat_map(|t| t.view(now)).collect();
    let mut keys = text.family(&names::ISSUER_KEYS);
    for issuer in &issuers {
        let count = u64::try_from(issuer.keys).unwrap_or(u64::MAX);
        keys.whole(&[issuer.name], count);
    }
    let mut age = text.family(&names::ISSUER_AGE);
    for issuer in &issuers {
        if let Some(millis) = issuer.age_ms {
            age.parts(&[issuer.name], millis, 1000);
        }
    }
}

fn of_node(app: &App, text: &mut Text) {
    text.family(&names::BUILD)
        .whole(&[env!("CARGO_PKG_VERSION")], 1);
    text.family(&names::PANICS)
        .whole(&[], llmleaf_exchange::panics::caught());
    let draining = app.draining.load(Ordering::Relaxed);
    text.family(&names::DRAINING).whole(&[], draining.into());
    let cold = app.authenticator.is_cold();
    text.family(&names::READY)
        .whole(&[], u64::from(!draining && !cold));
    text.family(&names::CONFIG_GENERATION)
        .whole(&[], app.generation);
    text.family(&names::CONFIG_LOADED).whole(&[], app.loaded);
    let (at, refused) = {
        let last = app.last_reload.lock();
        (last.at, last.refused)
    };
    text.family(&names::CONFIG_REFUSED)
        .whole(&[], u64::from(refused));
    let mut reloaded = text.family(&names::CONFIG_RELOAD);
    if at > 0 {
        reloaded.whole(&[], at);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
