//! The description of the API: OpenAPI 3.1, made from the registry.
//!
//! A new row of the registry is described without a word here; a new [`Operation`] has to say what it takes and gives.
//! Bodies of the vendors' own operations are described as open objects with what this gateway needs of them and a link
//! to the vendor's reference: the rest goes through, so a copy of the vendor's schema would forbid more than we do.
//!
//! OpenAPI has no path parameter that spans slashes. A model's name with slashes can be given percent-encoded, as
//! generated clients do, or as it is.

mod admin;
mod audio;
mod batches;
mod schemas;
#[cfg(test)]
mod tests;
mod vendor;

use crate::discovery::query::KINDS;
use crate::registry::{Addressing, AuthClass, BatchCall, ENDPOINTS, Endpoint, Operation};
use bytes::Bytes;
use llmleaf_dialects::Dialect;
use llmleaf_exchange::Operation::Kept;
use llmleaf_exchange::Verb;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use vendor::{request_body, vendor};

/// The document, as JSON text. It is written when it is first asked for, which takes some ten milliseconds: nine parts of ten of what
/// the program did at its start.
pub fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().into());
    TEXT.clone()
}

fn document() -> String {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        let methods = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            let method = endpoint.method.as_str().to_ascii_lowercase();
            methods.insert(method, operation(endpoint));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "llmleaf",
            "summary": "One endpoint in front of every LLM provider.",
            "description": "Vendor-shaped prefixes (/openai, /anthropic, /api, /genai, /cohere, /ollama) reach the same paths, and \
                paths below /v1 are also found without it. A request body is read as JSON whatever its Content-Type.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "LGPL-3.0-or-later", "identifier": "LGPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "chat", "description": "Operations that a provider serves."},
            {"name": "batches", "description": "Many requests at once, answered later."},
            {"name": "models", "description": "What can be asked for."},
            {"name": "service", "description": "The gateway itself."},
            {"name": "admin", "description": "Read-only; 404 where no admin token is configured."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": security_schemes(),
            "headers": {
                "RequestId": {
                    "description": "Names the request in logs and usage records.",
                    "schema": {"type": "string"},
                },
            },
        },
    })
    .to_string()
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [tag(endpoint.operation)],
        "security": security(endpoint),
        "responses": responses(endpoint),
    });
    let mut parameters = parameters(endpoint);
    if let Operation::Exchange(_) = endpoint.operation {
        parameters.push(admin::explain());
    }
    if let Value::Object(fields) = &mut operation {
        if !parameters.is_empty() {
            fields.insert("parameters".into(), parameters.into());
        }
        if let Some(vendor) = vendor(endpoint) {
            let page = json!({"url": vendor.reference});
            fields.insert("externalDocs".into(), page);
            fields.insert("requestBody".into(), request_body(&vendor));
        }
        if endpoint.operation == Operation::Batch(BatchCall::Upload) {
            fields.insert("requestBody".into(), batches::file());
        }
        if let Operation::RealtimeSecret { .. } = endpoint.operation {
            let schema = json!({"type": "object"});
            let body =
                json!({"required": true, "content": {"application/json": {"schema": schema}}});
            fields.insert("requestBody".into(), body);
        }
        if endpoint.operation == Operation::Show {
            let model = json!({"type": "string", "minLength": 1});
            let schema =
                json!({"type": "object", "required": ["model"], "properties": {"model": model}});
            let body =
                json!({"required": true, "content": {"application/json": {"schema": schema}}});
            fields.insert("requestBody".into(), body);
        }
    }
    operation
}

/// `getV1Models` for `GET /v1/models`: unique because method and path are.
fn operation_id(endpoint: &Endpoint) -> String {
    let mut id = endpoint.method.as_str().to_ascii_lowercase();
    let words = endpoint
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    for word in words {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    id
}

fn tag(operation: Operation) -> &'static str {
    match operation {
        Operation::Exchange(llmleaf_exchange::Operation::Embed(_)) => "embeddings",
        Operation::Exchange(llmleaf_exchange::Operation::Rerank(_)) => "rerank",
        Operation::Exchange(llmleaf_exchange::Operation::Moderate(_)) => "moderations",
        Operation::Exchange(llmleaf_exchange::Operation::Draw(_)) => "images",
        Operation::Exchange(llmleaf_exchange::Operation::Audio(_)) => "audio",
        Operation::Exchange(_) | Operation::Socket => "chat",
        Operation::Batch(_) => "batches",
        Operation::Realtime | Operation::RealtimeSecret { .. } => "realtime",
        Operation::Models | Operation::Model | Operation::Show | Operation::Loaded => "models",
        Operation::Version
        | Operation::OpenApi
        | Operation::Alive
        | Operation::Ready
        | Operation::Probe => "service",
        Operation::AdminRoutes
        | Operation::AdminHealth
        | Operation::AdminRecent
        | Operation::AdminKeys
        | Operation::Metrics => "admin",
    }
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let text = || json!({"type": "string"});
    let kinds: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    let admin = json!({
        "name": "x-admin-token",
        "in": "header",
        "description": "With the right token, entries also say where they lead (`endpoints`), and wildcards and \
            prefixes are listed. A wrong one changes nothing.",
        "schema": {"type": "string"},
    });
    let named = json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The model's name; slashes may be percent-encoded.",
        "schema": {"type": "string", "minLength": 1},
    });
    match endpoint.operation {
        Operation::Models => vec![
            query(
                "limit",
                "Entries per page; without it the list is whole.",
                json!({"type": "integer", "minimum": 1, "maximum": 1000}),
            ),
            query(
                "after_id",
                "Only names behind this one. Not with before_id.",
                text(),
            ),
            query(
                "before_id",
                "The last names before this one. Not with after_id.",
                text(),
            ),
            query(
                "offset",
                "Entries to pass over.",
                json!({"type": "integer", "minimum": 0}),
            ),
            query(
                "type",
                "What the model does.",
                json!({"type": "string", "enum": kinds}),
            ),
            query("search", "Part of the name, in any case.", text()),
            admin,
        ],
        Operation::Model => vec![named, admin],
        Operation::AdminRecent => admin::parameters(),
        Operation::Batch(call) => batch_parameters(endpoint, call),
        Operation::Realtime => session_parameters(),
        Operation::Exchange(Kept(verb)) => kept_parameters(verb),
        Operation::Exchange(llmleaf_exchange::Operation::Audio(
            llmleaf_exchange::Audio::Voices,
        )) => vec![query(
            "model",
            "The model whose voices are asked for.",
            text(),
        )],
        Operation::Exchange(_) if endpoint.addressing != Addressing::Body => vec![named],
        _ => Vec::new(),
    }
}

fn kept_parameters(verb: Verb) -> Vec<Value> {
    let id = json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The response's id, as this gateway told it.",
        "schema": {"type": "string", "minLength": 1},
    });
    let query = |(name, description): &(&str, &str)| json!({"name": name, "in": "query", "description": description, "schema": {"type": "string"}});
    std::iter::once(id)
        .chain(kept_fields(verb).iter().map(query))
        .collect()
}

fn batch_parameters(endpoint: &Endpoint, call: BatchCall) -> Vec<Value> {
    if call == BatchCall::List {
        let after = match endpoint.dialect {
            Dialect::Messages => "after_id",
            _ => "after",
        };
        return vec![
            json!({
                "name": "limit",
                "in": "query",
                "description": "Batches per page.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 100},
            }),
            json!({
                "name": after,
                "in": "query",
                "description": "The batches behind this one.",
                "schema": {"type": "string"},
            }),
        ];
    }
    if !endpoint.path.contains("{id}") {
        return Vec::new();
    }
    vec![json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The id of the batch or file, as this gateway told it.",
        "schema": {"type": "string", "minLength": 1},
    })]
}

/// What a session is asked for with.
fn session_parameters() -> Vec<Value> {
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let text = || json!({"type": "string"});
    vec![
        query("model", "The model; needed.", text()),
        query(
            "intent",
            "What for; with `transcription` the model writes down what is heard.",
            json!({"type": "string", "enum": ["realtime", "transcription"]}),
        ),
    ]
}

/// What may be asked further about a kept response.
fn kept_fields(verb: Verb) -> &'static [(&'static str, &'static str)] {
    match verb {
        Verb::Retrieve => &[
            ("include", "What to add; may be repeated."),
            ("stream", "`true` for its events."),
            ("starting_after", "Number of the event to go on behind."),
            ("include_obfuscation", "`false` for events without padding."),
        ],
        Verb::Inputs => &[
            ("include", "What to add; may be repeated."),
            ("limit", "Items per page."),
            ("order", "`asc` or `desc`."),
            ("after", "The items behind this one."),
        ],
        Verb::Delete | Verb::Cancel => &[],
    }
}

/// Statuses that a consumer endpoint may answer beside its success.
const FAILURES: &[(&str, &str)] = &[
    (
        "400",
        "The request cannot be meant, or a provider refused it.",
    ),
    ("401", "No credential, or one that is not accepted."),
    ("404", "No such model, or nothing of that id."),
];

/// Statuses that come only with a body or from a provider.
const EXCHANGE_FAILURES: &[(&str, &str)] = &[
    ("402", "The provider's account has no credit left."),
    ("403", "The key may not use this model."),
    ("413", "The body is larger than `server.max_body_bytes`."),
    ("415", "The body's Content-Encoding is not supported."),
    ("429", "Too many requests; see Retry-After."),
    ("500", "A fault of the gateway."),
    ("502", "The provider failed, or could not be reached."),
    ("503", "The gateway or the provider is overloaded."),
    ("504", "The provider took too long."),
];

fn responses(endpoint: &Endpoint) -> Value {
    let mut all = Map::new();
    let status = success_status(endpoint.operation);
    all.insert(status.into(), with_request_id(success(endpoint)));
    let failure = |description: &str| {
        let schema = error_schema(endpoint);
        with_request_id(json!({
            "description": description,
            "content": {"application/json": {"schema": schema}},
        }))
    };
    let mut add = |list: &[(&str, &str)]| {
        for (status, description) in list {
            all.insert((*status).into(), failure(description));
        }
    };
    match endpoint.auth {
        AuthClass::Consumer => add(FAILURES),
        AuthClass::Admin => add(&[
            ("401", "No admin token, or a wrong one."),
            ("404", "No admin token is configured."),
        ]),
        AuthClass::Public => {}
    }
    if let Operation::Exchange(_) | Operation::Batch(_) = endpoint.operation {
        add(EXCHANGE_FAILURES);
    }
    if endpoint.operation == Operation::AdminRecent {
        let description = "The query names what is not known.";
        all.insert("400".into(), failure(description));
    }
    if endpoint.operation == Operation::Ready {
        let draining = json!({"description": "The node drains.", "content": plain()});
        all.insert("503".into(), with_request_id(draining));
    }
    all.insert("default".into(), failure("Any other failure."));
    all.into()
}

fn success_status(operation: Operation) -> &'static str {
    match operation {
        Operation::Socket | Operation::Realtime => "101",
        _ => "200",
    }
}

fn with_request_id(mut response: Value) -> Value {
    if let Value::Object(fields) = &mut response {
        let headers = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
        fields.insert("headers".into(), headers);
    }
    response
}

/// The schema of a count of tokens.
fn count(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::GenerateContent => "GeminiTokenCount",
        Dialect::Responses => "ResponseTokenCount",
        _ => "TokenCount",
    }
}

fn success(endpoint: &Endpoint) -> Value {
    use llmleaf_exchange::Operation as Asked;
    let of = |name: &str| json!({"application/json": {"schema": schemas::reference(name)}});
    let open = || json!({"application/json": {"schema": {"type": "object"}}});
    let (description, content) = match endpoint.operation {
        Operation::Exchange(Asked::Audio(audio)) => audio::answer(audio),
        Operation::Exchange(Asked::Embed(_)) => {
            ("The vectors, as the vendor documents them.", open())
        }
        Operation::Exchange(_) if endpoint.dialect.streams_lines() => (
            "The answer, as the vendor documents it; lines unless `stream` is false.",
            json!({
                "application/json": {"schema": {"type": "object"}},
                "application/x-ndjson": {"schema": {"type": "string"}},
            }),
        ),
        Operation::Exchange(Asked::Chat) => (
            "The answer, as the vendor documents it; events where `stream` is true.",
            events(),
        ),
        Operation::Exchange(Asked::Rerank(_)) => ("The order, as the vendor documents it.", open()),
        Operation::Exchange(Asked::Draw(_)) => (
            "The images, as the vendor documents them; events where `stream` is true.",
            events(),
        ),
        Operation::Exchange(Asked::Moderate(_)) => {
            ("The verdicts, as the vendor documents them.", open())
        }
        Operation::Exchange(Asked::CountTokens) => ("The count.", of(count(endpoint.dialect))),
        Operation::Exchange(Kept(Verb::Retrieve)) => {
            ("The response, or with `stream=true` its events.", events())
        }
        Operation::Exchange(Kept(_) | Asked::Realtime) => ("As the vendor documents it.", open()),
        Operation::Exchange(Asked::Batch(_)) => ("It is told.", open()),
        Operation::Batch(BatchCall::Results | BatchCall::Content) => (
            "Lines of JSON, as the vendor documents them.",
            json!({
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/x-jsonl": {"schema": {"type": "string"}},
            }),
        ),
        Operation::Batch(_) => ("As the vendor documents it.", open()),
        Operation::Socket | Operation::Realtime => (
            "The connection is a WebSocket from here on; events are JSON texts.",
            json!({}),
        ),
        // That wire's own forms, which its clients read.
        _ if endpoint.dialect.streams_lines() && endpoint.operation != Operation::Probe => {
            ("As Ollama describes it.", open())
        }
        // Google's own forms, which their clients read.
        Operation::Models | Operation::Model if endpoint.path.starts_with("/v1beta/") => {
            ("As Gemini describes models.", open())
        }
        Operation::RealtimeSecret { .. } => ("The secret and its session.", open()),
        Operation::Models => ("The models.", of("ModelList")),
        Operation::Model => ("The model.", of("Model")),
        Operation::OpenApi => ("This document.", open()),
        Operation::Alive | Operation::Ready => ("It does.", plain()),
        Operation::Probe if endpoint.dialect.streams_lines() => ("It runs.", plain()),
        Operation::Probe => ("Somebody is there.", json!({})),
        Operation::Show | Operation::Loaded | Operation::Version => ("It is told.", open()),
        Operation::AdminRoutes => ("Routes and prefixes.", of("AdminRoutes")),
        Operation::AdminHealth => ("Health and usage records.", of("AdminHealth")),
        Operation::AdminRecent => ("The exchanges.", of("AdminRecent")),
        Operation::AdminKeys => ("The keys.", of("AdminKeys")),
        Operation::Metrics => ("The numbers.", numbers()),
    };
    json!({"description": description, "content": content})
}

/// What may be one object or a stream.
fn events() -> Value {
    json!({
        "application/json": {"schema": {"type": "object"}},
        "text/event-stream": {"schema": {"type": "string"}},
    })
}

/// In the form that the scraper asks for.
fn numbers() -> Value {
    json!({
        "application/openmetrics-text": {"schema": {"type": "string"}},
        "text/plain": {"schema": {"type": "string"}},
    })
}

fn plain() -> Value {
    json!({"text/plain": {"schema": {"type": "string"}}})
}

/// Errors of discovery come in the caller's dialect, those of all else in the endpoint's.
fn error_schema(endpoint: &Endpoint) -> Value {
    let (openai, anthropic, google) = (
        schemas::reference("OpenAiError"),
        schemas::reference("AnthropicError"),
        schemas::reference("GoogleError"),
    );
    match (endpoint.operation, endpoint.dialect) {
        _ if endpoint.path.starts_with("/v1beta/") => google,
        _ if endpoint.dialect.streams_lines() => schemas::reference("OllamaError"),
        (Operation::Models | Operation::Model, _) => json!({"anyOf": [openai, anthropic]}),
        (_, Dialect::ChatCompletions | Dialect::TextCompletions | Dialect::Responses) => openai,
        (_, Dialect::Messages) => anthropic,
        (_, Dialect::GenerateContent | Dialect::Ollama(_)) => google,
        (_, Dialect::CohereChat) => schemas::reference("FlatError"),
    }
}

fn security(endpoint: &Endpoint) -> Value {
    match endpoint.auth {
        AuthClass::Admin if endpoint.operation == Operation::Metrics => {
            json!([{"adminToken": []}, {"metricsToken": []}])
        }
        AuthClass::Public => json!([]),
        AuthClass::Consumer => json!([
            {"bearer": []}, {"basic": []}, {"xApiKey": []}, {"apiKey": []}, {"xGoogApiKey": []},
        ]),
        AuthClass::Admin => json!([{"adminToken": []}]),
    }
}

fn security_schemes() -> Value {
    let header = |name: &str, description: &str| json!({"type": "apiKey", "in": "header", "name": name, "description": description});
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key as `llmleaf key new` prints it, base64 of `id:password`, or a token of an issuer that the operator trusts.",
        },
        "basic": {"type": "http", "scheme": "basic", "description": "The key's id and password."},
        "xApiKey": header("x-api-key", "The bearer's value, as Anthropic's clients send it."),
        "apiKey": header("api-key", "The bearer's value, as Azure's clients send it."),
        "xGoogApiKey": header("x-goog-api-key", "The bearer's value, as Google's clients send it."),
        "metricsToken": {"type": "http", "scheme": "bearer", "description": "`metrics.token`."},
        "adminToken": header("x-admin-token", "`server.admin_token`."),
    })
}
