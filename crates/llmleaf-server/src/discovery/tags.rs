//! Models as clients of `/api/chat` read them: `GET /api/tags`, `POST /api/show`, `GET /api/ps`, `GET /api/version`.
//!
//! Files, sizes and digests belong to a service that holds its models; here they are empty, in the forms that its Go client
//! reads. What a model can do is not known, and some clients offer a model for tools or thinking only if it says so, so
//! each says that it can: a provider that cannot refuses by itself.

use super::{absent, listed};
use crate::app::App;
use crate::reply::{self, Reply};
use http::StatusCode;
use llmleaf_auth::Principal;
use llmleaf_dialects::Head;
use llmleaf_model::Failure;
use serde::Serialize;
use serde_json::json;

/// The version of that service whose wire this is: clients ask for a least one before they use tools and thinking.
const SERVED: &str = "0.13.0";

/// A time for what has none. Clients in Go fail at an empty one.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// What every model says that it can.
const CAPABILITIES: [&str; 4] = ["completion", "tools", "thinking", "vision"];

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    model: &'a str,
    modified_at: &'static str,
    size: u64,
    digest: &'static str,
    details: Details,
}

#[derive(Default, Serialize)]
struct Details {
    parent_model: &'static str,
    format: &'static str,
    family: &'static str,
    families: [&'static str; 0],
    parameter_size: &'static str,
    quantization_level: &'static str,
}

/// The models that the caller may use.
pub fn list(app: &App, principal: &Principal) -> Reply {
    let models = listed(app, false);
    let models = models
        .iter()
        .filter(|model| app.authenticator.permits(principal, &model.id));
    let models: Vec<Entry<'_>> = models
        .map(|model| Entry {
            name: &model.id,
            model: &model.id,
            modified_at: EPOCH,
            size: 0,
            digest: "",
            details: Details::default(),
        })
        .collect();
    reply::json(StatusCode::OK, &json!({ "models": models }))
}

/// The model that a body names.
///
/// # Errors
/// No such model, or none for this key; a body that names none.
pub fn show(app: &App, principal: &Principal, body: &[u8]) -> Result<Reply, Failure> {
    let name = named(body)?;
    if app.shared.routes.resolve(&name).is_none() || !app.authenticator.permits(principal, &name) {
        return Err(absent(&name));
    }
    let shown = json!({
        "license": "",
        "modelfile": "",
        "parameters": "",
        "template": "",
        "modified_at": EPOCH,
        "details": Details::default(),
        "model_info": {"general.architecture": "llmleaf", "general.basename": name},
        "capabilities": CAPABILITIES,
    });
    Ok(reply::json(StatusCode::OK, &shown))
}

/// The name in a body: `model`, or `name` as older clients write it.
fn named(body: &[u8]) -> Result<String, Failure> {
    let older = || {
        let text = llmleaf_dialects::head::text(body).ok()?;
        let body: serde_json::Value = serde_json::from_str(text).ok()?;
        let name = body.get("name")?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    match Head::read(body) {
        Ok(head) => Ok(head.model),
        Err(failure) => older().ok_or(failure),
    }
}

/// The models that are loaded: none, since they run elsewhere.
pub fn loaded() -> Reply {
    reply::json(StatusCode::OK, &json!({"models": []}))
}

/// The version that clients ask for.
pub fn version() -> Reply {
    reply::json(StatusCode::OK, &json!({ "version": SERVED }))
}
