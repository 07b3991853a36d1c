//! The shapes that are our own: errors, discovery.

use super::admin;
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
        "ResponseTokenCount": object(&["object", "input_tokens"], json!({"object": {"const": "response.input_tokens"}, "input_tokens": count()})),
        "TokenCount": object(&["input_tokens"], json!({"input_tokens": count()})),
        "ModelList": model_list(),
        "Model": model(),
        "AdminRoutes": admin::routes(),
        "AdminHealth": admin::health(),
        "AdminRecent": admin::recent(),
        "AdminKeys": admin::keys(),
    })
}

pub(super) fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

pub(super) fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn maybe_text() -> Value {
    json!({"type": ["string", "null"]})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

pub(super) fn maybe_count() -> Value {
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
