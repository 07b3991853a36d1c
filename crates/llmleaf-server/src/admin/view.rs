//! Values of other crates as the admin surface shows them. Units stand last in names.

use crate::app::App;
use crate::load::Load;
use crate::tokens::Tokens;
use crate::usage::Usage;
use llmleaf_auth::KeyVerdict;
use llmleaf_exchange::{EndRecord, LossPolicy, UsageRecord};
use llmleaf_route::fleet::TargetView;
use llmleaf_route::health::BreakerState;
use llmleaf_route::limits::{Figure, Figures};
use llmleaf_route::{Clocks, Millis};
use serde_json::{Value, json};
use std::time::Duration;

/// The five clocks, as config keys name them.
pub fn clocks(clocks: &Clocks) -> Value {
    json!({
        "connect_ms": millis(clocks.connect),
        "headers_ms": millis(clocks.headers),
        "first_content_ms": millis(clocks.first_content),
        "idle_ms": millis(clocks.idle),
        "total_ms": millis(clocks.total),
    })
}

/// Which configuration is in effect, and how the last reload went.
pub fn config(app: &App) -> Value {
    let last = app.last_reload.lock();
    let reload = (last.at > 0).then(|| {
        json!({
            "at": last.at,
            "refused": last.refused,
            "told": last.told,
            "wants_restart": last.wants_restart,
        })
    });
    json!({"generation": app.generation, "loaded": app.loaded, "last_reload": reload})
}

/// What a controller says of a key.
pub fn verdict(verdict: Option<&KeyVerdict>) -> Value {
    let models = verdict.and_then(|verdict| verdict.models.as_ref());
    json!({
        "blocked": verdict.is_some_and(|verdict| verdict.blocked),
        "suspended_until": verdict.and_then(|verdict| verdict.suspended_until),
        "allowed_models": models.map(|models| models.iter().collect::<Vec<_>>()),
        "leased": verdict.is_some_and(|verdict| verdict.leased),
    })
}

/// How things are with a controller: for each thing that is pulled, what is in effect, since when, and what went wrong.
pub fn control(app: &App) -> Value {
    let views = app.board.views();
    let each = views.into_iter().map(|(what, pulled)| {
        let last = pulled.last_trouble().map(|(trouble, ago)| {
            json!({"kind": trouble.kind(), "message": trouble.to_string(), "ago_ms": millis(ago)})
        });
        let told = json!({
            "cold": pulled.cold,
            "entries": pulled.entries,
            "version": pulled.version.map(|version| version.to_string()),
            "confirmed_ago_ms": pulled.age().map(millis),
            "troubles": pulled.troubles,
            "last_trouble": last,
        });
        (what.as_str().to_owned(), told)
    });
    Value::Object(each.collect())
}

/// A target's health, pace and limits.
pub fn target(target: &TargetView, cooling_ms: u64, now: Millis) -> Value {
    let state = match target.state {
        BreakerState::Closed => "closed",
        BreakerState::Open(_) => "open",
        BreakerState::HalfOpen => "half_open",
    };
    let lanes = target.lanes.iter().enumerate().map(|(index, lane)| {
        json!({
            "index": index,
            "cooling_ms": lane.map_or(0, |(until, _)| until.since(now)),
            "cause": lane.map(|(_, cause)| cause.as_str()),
        })
    });
    json!({
        "model": &*target.model,
        "state": state,
        "failures": target.score,
        "cooling_ms": cooling_ms,
        "credentials": lanes.collect::<Vec<_>>(),
        "pending": target.pending,
        "latency_ms": target.latency_ms,
        "p95_ms": target.p95_ms,
        "tokens_per_s": target.tokens_per_s,
        "limits": figures(&target.limits),
    })
}

/// What is left of limits; what is not limited is not shown.
pub fn figures(figures: &Figures) -> Value {
    let rate = |figure: Option<Figure>| {
        figure.map(
            |f| json!({"limit": f.limit, "remaining": f.remaining, "reset_ms": millis(f.reset)}),
        )
    };
    let concurrent = figures.concurrent;
    json!({
        "requests_per_min": rate(figures.requests),
        "tokens_per_min": rate(figures.tokens),
        "max_concurrent": concurrent.map(|(running, most)| json!({"limit": most, "running": running})),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A loss policy, as config writes it.
pub fn loss_policy(policy: LossPolicy) -> &'static str {
    match policy {
        LossPolicy::Report => "report",
        LossPolicy::Error => "error",
        LossPolicy::Reroute => "reroute",
    }
}

/// What of usage records waits to be pushed, and what was lost.
pub fn usage(usage: &Usage) -> Value {
    let (gauges, unwritten) = usage.gauges();
    json!({
        "waiting": gauges.waiting,
        "bytes": gauges.bytes,
        "age_ms": gauges.age_ms,
        "lost": gauges.lost.saturating_add(unwritten),
        "dead": gauges.dead,
        "damaged": gauges.damaged,
        "failing": gauges.failing,
    })
}

/// How much is taken on, and what was turned away.
pub fn load(load: &Load) -> Value {
    let (connections, most) = load.connections();
    let (requests, refused) = load.turned_away();
    json!({
        "connections": connections,
        "max_connections": most,
        "memory_ceiling_bytes": load.memory_ceiling(),
        "shedding": load.is_shedding(),
        "turned_away": {"requests": requests, "connections": refused},
    })
}

/// A usage record, named as in the log.
pub fn record(record: &UsageRecord) -> Value {
    let usage = &record.usage;
    json!({
        "request_id": &*record.request_id,
        "attempt": record.attempt,
        "key": &*record.key,
        "dialect": record.dialect,
        "model": &*record.model,
        "provider": &*record.provider,
        "upstream_model": &*record.upstream_model,
        "credential": record.credential,
        "stream": record.stream,
        "outcome": record.outcome.as_str(),
        "failure": record.failure,
        "status": record.status,
        "grade": record.grade.as_str(),
        "usage": {
            "input": usage.input,
            "input_cache_read": usage.input_cache_read,
            "input_cache_write": usage.input_cache_write,
            "input_cache_write_1h": usage.input_cache_write_1h,
            "input_audio": usage.input_audio,
            "input_image": usage.input_image,
            "output": usage.output,
            "output_reasoning": usage.output_reasoning,
            "output_audio": usage.output_audio,
            "output_image": usage.output_image,
            "server_tool_calls": usage.server_tool_calls,
            "audio_ms": usage.units.audio_ms,
            "characters": usage.units.characters,
            "images": usage.units.images,
            "searches": usage.units.searches,
        },
        "cost_nano_usd": record.cost.nano_usd(),
        "cost_source": record.cost.source(),
        "possibly_billed": record.possibly_billed,
        "losses": record.losses,
        "began_ms": record.began_ms,
        "connect_ms": record.connect_ms,
        "first_content_ms": record.first_content_ms,
        "total_ms": record.total_ms,
    })
}

/// The record of an exchange's end; its attempts are shown by themselves.
pub fn exchange(record: &EndRecord) -> Value {
    let began = &record.began;
    let (cost, complete) = record.cost();
    json!({
        "id": &*began.id,
        "request_id": &*began.request_id,
        "trace_id": began.trace.as_ref().map(|trace| trace.to_string()),
        "at_ms": began.at_ms,
        "key": &*began.key,
        "dialect": began.dialect,
        "operation": began.operation,
        "model": &*began.model,
        "route": record.route.as_deref(),
        "stream": began.stream,
        "provider": record.decided().map(|attempt| &*attempt.provider),
        "upstream_model": record.decided().map(|attempt| &*attempt.upstream_model),
        "end": record.end.as_str(),
        "failure": record.failure,
        "status": record.status,
        "grade": record.decided().map(|attempt| attempt.grade.as_str()),
        "cost_nano_usd": complete.then_some(cost),
        "attempts": record.attempts.len(),
        "queue_ms": record.queue_ms,
        "first_content_ms": record.first_content_ms,
        "total_ms": record.total_ms,
        "own_us": record.own_us,
    })
}

/// Issuers of tokens: how many keys each has, how old they are, and how often fetching them has failed since.
pub fn issuers(tokens: &Tokens, now: Millis) -> Vec<Value> {
    let each = tokens.view(now.0);
    each.map(|issuer| {
        json!({
            "issuer": issuer.name,
            "keys": issuer.keys,
            "age_ms": issuer.age_ms,
            "failures": issuer.failures,
        })
    })
    .collect()
}
