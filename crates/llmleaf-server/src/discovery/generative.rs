//! Models as Google's clients read them: `GET /v1beta/models` and `GET /v1beta/models/{id}`.
//!
//! The list comes whole, whatever `pageSize` says: without `nextPageToken` it is the last page. Limits that are not known are
//! left out, which is how their message says unknown (discovery document of generativelanguage v1beta, 2026-08).

use super::{absent, listed, query};
use crate::app::App;
use crate::reply::{self, Reply};
use http::StatusCode;
use llmleaf_auth::Principal;
use llmleaf_model::Failure;
use serde::Serialize;

#[derive(Serialize)]
struct List<'a> {
    models: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    name: String,
    base_model_id: &'a str,
    version: &'static str,
    display_name: &'a str,
    description: &'static str,
    supported_generation_methods: [&'static str; 3],
}

impl<'a> Entry<'a> {
    fn new(id: &'a str) -> Self {
        Self {
            name: format!("models/{id}"),
            base_model_id: id,
            version: "",
            display_name: id,
            description: "",
            supported_generation_methods: [
                "generateContent",
                "streamGenerateContent",
                "countTokens",
            ],
        }
    }
}

/// The models that the caller may use, or the one that the path names.
///
/// # Errors
/// No such model, or none for this key.
pub fn answer(app: &App, principal: &Principal, name: Option<&str>) -> Result<Reply, Failure> {
    if let Some(name) = name {
        let name = query::decode(name).ok_or_else(|| absent(name))?;
        if app.shared.routes.resolve(&name).is_none()
            || !app.authenticator.permits(principal, &name)
        {
            return Err(absent(&name));
        }
        return Ok(reply::json(StatusCode::OK, &Entry::new(&name)));
    }
    let models = listed(app, false);
    let models = models
        .iter()
        .filter(|model| app.authenticator.permits(principal, &model.id));
    let list = List {
        models: models.map(|model| Entry::new(&model.id)).collect(),
    };
    Ok(reply::json(StatusCode::OK, &list))
}
