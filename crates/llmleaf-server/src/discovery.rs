//! What models there are.

use crate::app::App;
use crate::reply::{self, Reply};
use http::{HeaderMap, StatusCode};
use llmleaf_auth::Principal;
use llmleaf_dialects::Dialect;
use llmleaf_model::{Failure, FailureKind, Origin};
use serde_json::json;

/// The models that the caller may use.
pub fn models(
    app: &App,
    principal: &Principal,
    _query: Option<&str>,
    _dialect: Dialect,
) -> Result<Reply, Failure> {
    let data: Vec<_> = app
        .shared
        .routes
        .models()
        .filter(|m| principal.permits(m))
        .map(|m| entry(app, m))
        .collect();
    Ok(reply::json(
        StatusCode::OK,
        &json!({"object": "list", "data": data, "has_more": false}),
    ))
}

/// One model.
pub fn model(
    app: &App,
    principal: &Principal,
    id: &str,
    _headers: &HeaderMap,
) -> Result<Reply, Failure> {
    if principal.permits(id) && app.shared.routes.resolve(id).is_some() {
        return Ok(reply::json(StatusCode::OK, &entry(app, id)));
    }
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, "no such model");
    failure.code = Some("model_not_found".into());
    Err(failure)
}

fn entry(app: &App, id: &str) -> serde_json::Value {
    json!({"id": id, "object": "model", "created": app.started, "owned_by": "llmleaf"})
}
