//! The shapes that are our own: errors, discovery, admin.

use serde_json::{Value, json};

/// A reference to one of [`all`].
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Every named schema.
pub fn all() -> Value {
    json!({
        "OpenAiError": openai_error(),
        "AnthropicError": anthropic_error(),
        "GoogleError": google_error(),
        "OllamaError": object(&["error"], json!({"error": text(), "code": text(), "param": text(), "request_id": text()})),
        "FlatError": flat_error(),
        "GeminiTokenCount": object(&["totalTokens"], json!({"totalTokens": count()})),
        "TokenCount": object(&["input_tokens"], json!({"input_tokens": count()})),
        "ModelList": model_list(),
        "Model": model(),
        "AdminRoutes": admin_routes(),
        "AdminHealth": admin_health(),
        "AdminKeys": admin_keys(),
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn maybe_text() -> Value {
    json!({"type": ["string", "null"]})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn maybe_count() -> Value {
    json!({"type": ["integer", "null"], "minimum": 0})
}

fn openai_error() -> Value {
    let error = object(
        &["message", "type", "param", "code"],
        json!({"message": text(), "type": text(), "param": maybe_text(), "code": maybe_text()}),
    );
    object(&["error"], json!({"error": error}))
}

fn anthropic_error() -> Value {
    let error = object(
        &["type", "message"],
        json!({"type": text(), "message": text()}),
    );
    let properties = json!({"type": {"const": "error"}, "error": error, "request_id": text()});
    object(&["type", "error", "request_id"], properties)
}

fn google_error() -> Value {
    let error = object(
        &["code", "message", "status"],
        json!({"code": count(), "message": text(), "status": text(), "details": {"type": "array"}}),
    );
    object(&["error"], json!({"error": error}))
}

fn flat_error() -> Value {
    object(
        &["id", "message"],
        json!({
            "id": text(), "message": text(), "error_type": text(), "code": text(), "param": text(),
        }),
    )
}

fn model_list() -> Value {
    let links = object(&["next"], json!({"next": maybe_text()}));
    object(
        &["object", "data", "has_more", "first_id", "last_id"],
        json!({
            "object": {"const": "list"},
            "data": list(&reference("Model")),
            "has_more": flag(),
            "first_id": maybe_text(),
            "last_id": maybe_text(),
            "total_count": count(),
            "links": links,
        }),
    )
}

fn model() -> Value {
    let modalities = list(&text());
    let architecture = object(
        &["input_modalities", "output_modalities", "modality"],
        json!({
            "input_modalities": modalities,
            "output_modalities": modalities,
            "modality": maybe_text(),
            "tokenizer": text(),
            "instruct_type": maybe_text(),
        }),
    );
    let price = "US dollars per token as a decimal string; \"-1\" where it is not known.";
    let price = json!({"type": "string", "description": price});
    let top_provider = json!({
        "context_length": maybe_count(),
        "max_completion_tokens": maybe_count(),
        "is_moderated": flag(),
    });
    object(
        &[
            "id",
            "object",
            "type",
            "created",
            "created_at",
            "owned_by",
            "display_name",
            "name",
        ],
        json!({
            "id": text(),
            "object": {"const": "model"},
            "type": {"const": "model"},
            "created": {"type": "integer", "description": "Unix seconds; 0 where it is not known."},
            "created_at": {"type": "string", "format": "date-time"},
            "owned_by": text(),
            "display_name": text(),
            "name": text(),
            "canonical_slug": text(),
            "description": text(),
            "lifecycle": text(),
            "deprecated_at": maybe_text(),
            "retires_at": maybe_text(),
            "line": maybe_text(),
            "capabilities": {"type": ["object", "null"]},
            "max_input_tokens": maybe_count(),
            "max_tokens": maybe_count(),
            "context_length": maybe_count(),
            "architecture": architecture,
            "pricing": object(&["prompt", "completion"], json!({"prompt": price, "completion": price})),
            "top_provider": object(&["is_moderated"], top_provider),
            "per_request_limits": {"type": ["object", "null"]},
            "supported_parameters": list(&text()),
            "default_parameters": {"type": ["object", "null"]},
            "supported_voices": {"type": ["array", "null"], "items": text()},
            "links": object(&["details"], json!({"details": text()})),
            "endpoints": list(&endpoint()),
        }),
    )
}

fn endpoint() -> Value {
    object(
        &["provider", "model", "down", "source"],
        json!({
            "provider": text(),
            "model": maybe_text(),
            "down": flag(),
            "source": {"enum": ["route", "prefix"]},
        }),
    )
}

fn admin_routes() -> Value {
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

fn admin_health() -> Value {
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
            "draining": flag(),
            "started": {"type": "integer", "description": "Unix seconds."},
        }),
    )
}

fn admin_keys() -> Value {
    let models = json!({"type": ["array", "null"], "items": text()});
    let verdict = object(
        &["blocked", "suspended_until", "allowed_models"],
        json!({"blocked": flag(), "suspended_until": maybe_text(), "allowed_models": models}),
    );
    let key = object(
        &["id", "key_id", "config_allowed", "verdict"],
        json!({"id": text(), "key_id": text(), "config_allowed": models, "verdict": verdict}),
    );
    object(&["keys"], json!({"keys": list(&key)}))
}
