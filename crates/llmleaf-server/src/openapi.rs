//! The description of the API, made from the registry.

use crate::registry::ENDPOINTS;
use serde_json::{Map, Value, json};

/// The document, as JSON text.
pub fn document() -> String {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let methods = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            let operation = json!({"summary": endpoint.summary, "responses": {"default": {"description": "see summary"}}});
            methods.insert(endpoint.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "llmleaf", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
    })
    .to_string()
}
