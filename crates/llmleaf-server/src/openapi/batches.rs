//! A file of a batch, as it is described.

use serde_json::{Value, json};

/// The form that sends a file of requests.
pub fn file() -> Value {
    let schema = json!({
        "type": "object",
        "required": ["purpose", "file"],
        "properties": {
            "purpose": {"const": "batch"},
            "file": {"type": "string", "format": "binary", "description": "A request a line, as JSON."},
        },
    });
    json!({"required": true, "content": {"multipart/form-data": {"schema": schema}}})
}
