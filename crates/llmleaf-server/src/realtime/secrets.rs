//! What a browser is given in place of a key: a secret of this gateway that opens sessions here for a short while.
//!
//! A provider has such secrets too. They are not handed out: with one, a browser would speak with the provider itself, past every limit, list
//! of models and record of this gateway. Ours opens this gateway's own `/v1/realtime`, for the models that it names
//! and with the settings that it was made with; the sessions that it opens are those of its key in everything.

use crate::reply::{self, Reply};
use crate::routing;
use crate::service::Call;
use bytes::Bytes;
use http::StatusCode;
use llmleaf_auth::Principal;
use llmleaf_dialects::object::{self, Object};
use llmleaf_dialects::realtime::consumer;
use llmleaf_dialects::{Dialect, Head};
use llmleaf_model::{Failure, FailureKind, Origin};
use serde_json::{Map, Value, json};

/// How long a secret is good, in seconds: least, usually, most, as the reference has it.
const SECONDS: std::ops::RangeInclusive<u64> = 10..=7200;
const USUALLY: u64 = 600;
/// Fields of a session that are its own, and not its settings.
const OWN: &[&str] = &["model", "id", "object", "expires_at", "client_secret"];

/// Makes a secret. The older form is `nested`: its request is the session, and its answer is that with the secret in it.
///
/// # Errors
/// The request is malformed, or its key may not do what the secret is to be for.
pub fn issue(
    call: &Call,
    principal: &Principal,
    body: &Bytes,
    nested: bool,
) -> Result<Reply, Failure> {
    let (session, expiry) = asked(body, nested)?;
    let models = models(&session)?;
    let model = models.first().ok_or_else(|| {
        invalid(
            "the session names no model; a secret opens sessions with one",
            "session.model",
        )
    })?;
    if principal.ends().is_some() {
        let why = "a secret stands for a key; it cannot be made with a token";
        return Err(Failure::new(Origin::Consumer, FailureKind::Permission, why));
    }
    let app = &call.worker.app;
    let head = Head::addressed(b"{}", model.clone(), false)?;
    routing::of(app, principal, Dialect::ChatCompletions, &head, b"{}")?;
    for other in models.iter().skip(1) {
        let granted = app.authenticator.authorise(principal, other);
        granted.map_err(|error| reply::unauthorised(&error))?;
    }
    let until = call.created.saturating_add(seconds(expiry.as_deref())?);
    let settings: Map<String, Value> = serde_json::from_str(&session)
        .map_err(|_| invalid("`session` must be an object", "session"))?;
    let mut told = settings.clone();
    let mut settings = settings;
    OWN.iter().for_each(|field| drop(settings.remove(*field)));
    let opening = json!({"type": "session.update", "session": settings}).to_string();
    let names: Vec<&str> = models.iter().map(String::as_str).collect();
    let value = app.passes.issue(principal, &names, &opening, until);
    let value = value.ok_or_else(|| {
        invalid(
            "the session is too long for a secret; send the rest with `session.update`",
            "session",
        )
    })?;
    let id = call.worker.ids.fresh(call.created.saturating_mul(1000));
    told.insert("object".to_owned(), "realtime.session".into());
    told.insert("id".to_owned(), format!("sess_{id}").into());
    told.insert("model".to_owned(), model.as_str().into());
    let secret = json!({"value": value, "expires_at": until});
    Ok(match nested {
        true => {
            told.insert("client_secret".to_owned(), secret);
            reply::json(StatusCode::OK, &told)
        }
        false => {
            told.entry("type").or_insert("realtime".into());
            let reply = json!({"value": value, "expires_at": until, "session": told});
            reply::json(StatusCode::OK, &reply)
        }
    })
}

fn invalid(why: &str, param: &str) -> Failure {
    Failure::invalid(why.to_owned(), Some(param))
}

/// The session that is asked for, and what is said of the secret's end.
fn asked(body: &Bytes, nested: bool) -> Result<(String, Option<String>), Failure> {
    let text = llmleaf_dialects::head::text(body)?;
    let top = Object::parse(text).map_err(|error| {
        Failure::invalid(format!("the body is not a JSON object: {error}"), None)
    })?;
    let given = |object: &Object<'_>, name: &str| {
        let raw = object.get(name).filter(|raw| raw.get() != "null");
        raw.map(|raw| raw.get().to_owned())
    };
    if nested {
        let secret = given(&top, "client_secret");
        let secret = secret.as_deref().and_then(|text| Object::parse(text).ok());
        let expiry = secret.and_then(|secret| given(&secret, "expires_after"));
        return Ok((text.to_owned(), expiry));
    }
    let session = given(&top, "session");
    let session = session.ok_or_else(|| invalid("`session` is missing", "session"))?;
    Ok((session, given(&top, "expires_after")))
}

/// The models that a session names, its own first.
fn models(session: &str) -> Result<Vec<String>, Failure> {
    let event = format!("{{\"type\":\"session.update\",\"session\":{session}}}");
    let said = consumer::read(&event)?;
    let (writers, own): (Vec<_>, Vec<_>) = said.models.into_iter().partition(|model| model.writes);
    let mut names: Vec<String> = Vec::new();
    for model in own.into_iter().chain(writers) {
        if !names.contains(&model.name) {
            names.push(model.name);
        }
    }
    Ok(names)
}

fn seconds(expiry: Option<&str>) -> Result<u64, Failure> {
    let Some(expiry) = expiry else {
        return Ok(USUALLY);
    };
    let expiry = Object::parse(expiry).unwrap_or_default();
    let Some(seconds) = expiry.get("seconds") else {
        return Ok(USUALLY);
    };
    let seconds = seconds.get().parse().ok();
    seconds
        .filter(|seconds| SECONDS.contains(seconds))
        .ok_or_else(|| {
            let why = "a secret is good for 10 to 7200 seconds";
            Failure::invalid(why, Some("expires_after.seconds"))
        })
}

/// Whether a session, as a pass has it, only writes down what it hears.
pub fn transcribes(opening: &str) -> bool {
    let top = Object::parse(opening).unwrap_or_default();
    let session = top
        .get("session")
        .and_then(Object::from_raw)
        .unwrap_or_default();
    session.get("type").and_then(object::string).as_deref() == Some("transcription")
}
