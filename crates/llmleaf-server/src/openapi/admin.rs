//! What the description says of the admin surface.

use super::schemas::{count, flag, list, maybe_count, maybe_text, object, text};
use crate::admin::recent::{FIELDS, MOST, outcomes};
use serde_json::{Value, json};

/// What narrows the list of the last exchanges.
pub(super) fn parameters() -> Vec<Value> {
    let limit = json!({
        "name": "limit",
        "in": "query",
        "description": "Most exchanges; 50 where it is left out.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST},
    });
    let fields = FIELDS.iter().map(|(name, description)| {
        let schema = match *name {
            "outcome" => json!({"type": "string", "enum": outcomes().collect::<Vec<_>>()}),
            _ => text(),
        };
        json!({"name": name, "in": "query", "description": description, "schema": schema})
    });
    fields.chain([limit]).collect()
}

/// What asks how a request is decided.
pub(super) fn explain() -> Value {
    json!({
        "name": "x-llmleaf-explain",
        "in": "header",
        "description": "With `1`, and a key that may (`explain = true`), the reply tells how it was decided: in a header of this name, and as \
            `x_llmleaf_explain` in a body that is written here. For any other key it means nothing.",
        "schema": {"type": "string", "enum": ["1"]},
    })
}

pub(super) fn recent() -> Value {
    let attempt = json!({"type": "object", "description": "A usage record, named as in the log."});
    let exchange = object(
        &[
            "id",
            "request_id",
            "at_ms",
            "key",
            "model",
            "end",
            "attempts",
        ],
        json!({
            "id": text(),
            "request_id": text(),
            "trace_id": maybe_text(),
            "at_ms": count(),
            "key": text(),
            "dialect": text(),
            "operation": text(),
            "model": text(),
            "route": maybe_text(),
            "stream": flag(),
            "provider": maybe_text(),
            "upstream_model": maybe_text(),
            "end": text(),
            "failure": maybe_text(),
            "status": maybe_count(),
            "grade": maybe_text(),
            "cost_nano_usd": maybe_count(),
            "attempts": list(&attempt),
            "trail": {
                "type": ["object", "null"],
                "description": "How the targets were chosen: `strategy`, `affinity`, and `candidates`, each with a `verdict` and \
                    `why`. No candidates where the first served at once; null where it did not come to a choice.",
            },
            "queue_ms": count(),
            "first_content_ms": maybe_count(),
            "total_ms": count(),
            "own_us": count(),
        }),
    );
    object(
        &["exchanges", "matching", "kept"],
        json!({
            "exchanges": {
                "type": "array",
                "items": exchange,
                "description": "The newest first.",
            },
            "matching": {"type": "integer", "minimum": 0, "description": "How many of those that are kept fit the query."},
            "kept": count(),
        }),
    )
}

pub(super) fn routes() -> Value {
    let clock = |name: &str| (name.to_owned(), count());
    let clocks = [
        "connect_ms",
        "headers_ms",
        "first_content_ms",
        "idle_ms",
        "total_ms",
    ];
    let clocks: serde_json::Map<String, Value> = clocks.into_iter().map(clock).collect();
    let target = object(
        &["provider", "model", "url"],
        json!({
            "provider": text(),
            "model": maybe_text(),
            "url": maybe_text(),
            "timeouts": {"type": "object", "properties": clocks},
        }),
    );
    let model = object(
        &["model", "targets"],
        json!({
            "model": text(),
            "loss_policy": {"enum": ["report", "error", "reroute"]},
            "targets": list(&target),
        }),
    );
    let prefix = object(
        &["prefix", "provider"],
        json!({"prefix": text(), "provider": text()}),
    );
    object(
        &["models", "prefixes"],
        json!({"models": list(&model), "prefixes": list(&prefix)}),
    )
}

pub(super) fn health() -> Value {
    let credential = object(
        &["index"],
        json!({"index": count(), "refused_ms": count(), "cooling_ms": count(), "cause": maybe_text()}),
    );
    let limits = json!({"type": "object", "description": "What is left of each limit; null where there is none."});
    let target = object(
        &["model", "state", "failures", "cooling_ms"],
        json!({
            "model": text(),
            "state": {"type": "string", "enum": ["closed", "open", "half_open"]},
            "failures": count(),
            "cooling_ms": count(),
            "credentials": list(&credential),
            "pending": count(),
            "latency_ms": {"type": ["number", "null"]},
            "p95_ms": maybe_count(),
            "tokens_per_s": {"type": ["number", "null"]},
            "limits": &limits,
        }),
    );
    let provider = object(
        &["provider", "down", "targets"],
        json!({
            "provider": text(),
            "down": flag(),
            "credentials": list(&credential),
            "limits": &limits,
            "targets": list(&target),
        }),
    );
    object(
        &["providers", "recent"],
        json!({
            "providers": list(&provider),
            "recent": {
                "type": "array",
                "items": {"type": "object"},
                "description": "The last usage records, the newest first, named as in the log.",
            },
            "issuers": {
                "type": "array",
                "items": {"type": "object"},
                "description": "Issuers of tokens: how many keys each has, and how old they are.",
            },
            "exchanges": {
                "type": "array",
                "items": {"type": "object"},
                "description": "The last exchanges, the newest first; `/admin/recent` has them with their attempts.",
            },
            "load": {"type": "object", "description": "Connections, and what was turned away."},
            "usage": {"type": ["object", "null"], "description": "Usage records that wait to be pushed: how many, bytes, the oldest's age."},
            "control": {"type": "object", "description": "For each pull from a controller: its version, when it was confirmed, and what went wrong."},
            "config": {"type": "object", "description": "The generation in effect, since when, and how the last reload went."},
            "panics": count(),
            "draining": flag(),
            "started": {"type": "integer", "description": "Unix seconds."},
        }),
    )
}

pub(super) fn keys() -> Value {
    let models = json!({"type": ["array", "null"], "items": text()});
    let verdict = object(
        &["blocked", "suspended_until", "allowed_models"],
        json!({"blocked": flag(), "suspended_until": maybe_text(), "allowed_models": models}),
    );
    let key = object(
        &["id", "key_id", "config_allowed", "verdict"],
        json!({
            "id": text(),
            "key_id": text(),
            "config_allowed": models,
            "source": {"enum": ["file", "controller"]},
            "explain": {"type": "boolean", "description": "It may ask how its requests are decided (`x-llmleaf-explain: 1`)."},
            "limits": {"type": ["object", "null"], "description": "What is left of the limits of a key of the file."},
            "verdict": verdict,
        }),
    );
    object(&["keys"], json!({"keys": list(&key)}))
}
