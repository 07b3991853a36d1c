//! Where a request may go: what its key may use, what its models lead to, and what it asks of routing itself.

use crate::app::App;
use crate::reply;
use http::{HeaderMap, HeaderName};
use llmleaf_auth::{Grant, Principal};
use llmleaf_dialects::headers::SESSIONS;
use llmleaf_dialects::preferences::{self, Suffix};
use llmleaf_dialects::{Dialect, Head, Lifetime};
use llmleaf_exchange::{PromptCache, explain};
use llmleaf_model::{Failure, FailureKind, Origin, Preferences};
use llmleaf_route::random::hash;
use llmleaf_route::{Resolved, RouteTable};

/// Where a request may go.
#[derive(Debug)]
pub struct Routing {
    /// Who asks, and for which model.
    pub grant: Grant,
    /// The targets of that model.
    pub resolved: Resolved,
    /// The targets of the further models that the request names.
    pub more: Vec<Resolved>,
    /// What it asks of routing, beside that.
    pub preferences: Option<Box<Preferences>>,
}

/// Finds where a request may go.
///
/// # Errors
/// A model that the key may not use, or none that leads anywhere.
pub fn of(
    app: &App,
    principal: &Principal,
    dialect: Dialect,
    head: &Head,
    body: &[u8],
) -> Result<Routing, Failure> {
    let mut preferences = preferences::read(head, body)?;
    let first = one(app, principal, dialect, &head.model);
    let mut more = Vec::new();
    if let Some(wishes) = &mut preferences {
        for model in &wishes.models {
            match one(app, principal, dialect, model) {
                Ok(found) => more.push(found),
                // One of several that nothing serves here is left out, and told.
                Err(failure) if failure.kind == FailureKind::NotFound => {
                    let place = place(head, body, model);
                    wishes.unheeded.push(format!("models[{place}]"));
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    let mut found = more.into_iter();
    let first = match first {
        Ok(first) => first,
        Err(failure) if failure.kind == FailureKind::NotFound => found.next().ok_or(failure)?,
        Err(failure) => return Err(failure),
    };
    if let Some(suffix) = first.suffix {
        suffix.apply(preferences.get_or_insert_default());
    }
    Ok(Routing {
        grant: first.grant,
        resolved: first.resolved,
        more: found.map(|found| found.resolved).collect(),
        preferences,
    })
}

/// Finds where a request may go that a session makes of one of the models beside its own: who may hold the session may use them, as with a
/// route's targets, for as long as its route names them.
///
/// # Errors
/// The key may not hold the session any more, or its route does not name the model.
pub fn part(
    app: &App,
    principal: &Principal,
    session: &str,
    model: &str,
) -> Result<Routing, Failure> {
    let grant = app.authenticator.authorise(principal, session);
    let grant = grant.map_err(|error| reply::unauthorised(&error))?;
    let routes = &app.shared.routes;
    let route = routes.resolve(session).and_then(|resolved| resolved.route);
    let named = app.shared.settings(route).parts.as_deref();
    let named = named.is_some_and(|parts| {
        let mut parts = parts.transcription.iter().chain(&parts.speech);
        parts.any(|named| named == model)
    });
    let resolved = routes.resolve(model).filter(|_| named);
    Ok(Routing {
        grant,
        resolved: resolved.ok_or_else(|| unrouted(app, principal, model))?,
        more: Vec::new(),
        preferences: None,
    })
}

/// Where a model stands in the list that the request has, which may begin with the model that it asks for.
fn place(head: &Head, body: &[u8], model: &str) -> usize {
    let text = llmleaf_dialects::head::checked(body).unwrap_or_default();
    let list = head.value(text, "models").unwrap_or_default();
    let list: Vec<String> = serde_json::from_str(list).unwrap_or_default();
    let place = list.iter().position(|listed| listed == model);
    place.unwrap_or_default()
}

/// One model's grant, targets, and what its suffix asks for.
struct Found {
    grant: Grant,
    resolved: Resolved,
    suffix: Option<Suffix>,
}

/// A model's name without its suffix, and what that asks of routing.
pub fn wish<'m>(routes: &RouteTable, model: &'m str) -> Option<(&'m str, Suffix)> {
    // A routed name counts as it is, whatever it ends in, and so does the name of a model at a provider: there is nobody to choose.
    let literal = || {
        let prefixed = |found: Resolved| found.route.is_none();
        routes.models().any(|routed| routed == model) || routes.resolve(model).is_some_and(prefixed)
    };
    preferences::suffix(model).filter(|_| !literal())
}

fn one(app: &App, principal: &Principal, dialect: Dialect, model: &str) -> Result<Found, Failure> {
    let authorise = |name: &str| app.authenticator.authorise(principal, name);
    let Some((name, suffix)) = wish(&app.shared.routes, model) else {
        let grant = authorise(model).map_err(|error| reply::unauthorised(&error))?;
        let resolved = app.shared.routes.resolve(grant.model());
        let resolved = resolved.ok_or_else(|| unrouted(app, principal, model))?;
        return Ok(Found {
            grant,
            resolved,
            suffix: None,
        });
    };
    let grant = authorise(model)
        .or_else(|error| authorise(name).map_err(|_| error))
        .map_err(|error| reply::unauthorised(&error))?;
    let resolved = app.shared.routes.resolve(name);
    let mut resolved = resolved.ok_or_else(|| unrouted(app, principal, model))?;
    let ending = model.strip_prefix(name).unwrap_or_default();
    for candidate in &mut resolved.chain {
        let upstream = app.shared.upstreams.get(candidate.provider);
        let wire = upstream.and_then(|u| u.wire(dialect, &candidate.model));
        // A service that knows the suffixes gets the name with its own.
        if wire.is_some_and(|(wire, _)| wire.routes()) && name.ends_with(&*candidate.model) {
            candidate.model = [&candidate.model, ending].concat().into();
        }
    }
    Ok(Found {
        grant,
        resolved,
        suffix: Some(suffix),
    })
}

/// Hash of the session that a client names.
pub fn session(headers: &HeaderMap) -> Option<u64> {
    let named = SESSIONS.iter().find_map(|name| headers.get(*name))?;
    Some(hash(named.as_bytes()))
}

/// The header by which a request says whether the beginning of its prompt shall be kept by the service.
static PROMPT_CACHE: HeaderName = HeaderName::from_static("x-llmleaf-prompt-cache");

/// Whether a request wants the beginning of its prompt kept: `true`, `false`, `5m` or `1h`.
pub fn prompt_cache(headers: &HeaderMap) -> Result<Option<PromptCache>, Failure> {
    let Some(value) = headers.get(&PROMPT_CACHE) else {
        return Ok(None);
    };
    match value.as_bytes() {
        b"true" | b"5m" => Ok(Some(PromptCache::For(Lifetime::FiveMinutes))),
        b"1h" => Ok(Some(PromptCache::For(Lifetime::OneHour))),
        b"false" => Ok(Some(PromptCache::Off)),
        _ => {
            let why = format!("the header `{PROMPT_CACHE}` must be true, false, 5m or 1h");
            Err(Failure::invalid(why, Some(PROMPT_CACHE.as_str())))
        }
    }
}

/// Whether a request asks how it is decided. Whoever may not is not told that either: the header means nothing then.
pub fn explain(headers: &HeaderMap) -> bool {
    let value = headers.get(&explain::HEADER);
    value.is_some_and(|value| matches!(value.as_bytes(), b"1" | b"true"))
}

/// Most characters of a model's name that a message repeats.
const ECHOED: usize = 128;

fn unrouted(app: &App, principal: &Principal, model: &str) -> Failure {
    let shown: String = model
        .chars()
        .filter(|c| !c.is_control())
        .take(ECHOED)
        .collect();
    // Names that the key may not use are no hint for it.
    let near: Vec<&str> = app
        .shared
        .routes
        .nearest(model, 8)
        .into_iter()
        .filter(|name| app.authenticator.permits(principal, name))
        .take(3)
        .collect();
    let hint = match near.as_slice() {
        [] => "GET /v1/models lists what is".to_owned(),
        names => format!("did you mean \"{}\"?", names.join("\", \"")),
    };
    let message = format!("the model \"{shown}\" is not routed here; {hint}");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, message);
    failure.param = Some("model".into());
    failure.code = Some("model_not_found".into());
    failure
}
