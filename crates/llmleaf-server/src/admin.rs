//! The read-only admin surface.

use crate::app::App;
use crate::reply::{self, Reply};
use http::StatusCode;
use serde_json::json;

/// Configured routes and prefixes.
pub fn routes(app: &App) -> Reply {
    let models: Vec<&str> = app.shared.routes.models().collect();
    reply::json(StatusCode::OK, &json!({"models": models}))
}

/// Health of the targets.
pub fn health(_app: &App) -> Reply {
    reply::json(StatusCode::OK, &json!({"providers": []}))
}

/// Consumer keys, without secrets.
pub fn keys(app: &App) -> Reply {
    let keys: Vec<_> = app
        .keys
        .iter()
        .map(|k| json!({"id": k.display, "key_id": k.id}))
        .collect();
    reply::json(StatusCode::OK, &json!({"keys": keys}))
}
