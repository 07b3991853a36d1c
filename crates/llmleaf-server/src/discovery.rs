//! What models there are: `GET /v1/models` and `GET /v1/models/{id}`.
//!
//! One answer serves every family of clients. Each reads its own fields and ignores the rest:
//!
//! - OpenAI: `object: "list"`, entries with `id`, `object`, `created`, `owned_by`;
//! - Anthropic: `has_more`, `first_id`, `last_id`, entries with `type`, `display_name`, `created_at`, `capabilities`,
//!   `max_input_tokens`, `max_tokens`; pages by `limit`, `after_id`, `before_id`;
//! - OpenRouter: `total_count`, `links.next`, entries with `name`, `canonical_slug`, `architecture`, `pricing`,
//!   `top_provider`, …; pages by `limit` and `offset`.
//!
//! What is not known is said to be unknown in the way its reader expects (see [`entry`]), never made up. Without `limit`
//! the list is whole: only one of the three families asks for further pages by itself.
//!
//! The list holds routed names that the key may use, sorted, so that a cursor stays good when routes come and go.
//! Names behind a wildcard (`claude-*`) or a provider's prefix are usable and not listed: this version asks no
//! provider for its catalogue, and nothing on this path touches the network. With a right `x-admin-token` beside the
//! consumer's credential, entries also say where they lead, and wildcards and prefixes stand in the list as
//! `claude-*` and `prefix/*`. The token adds to what is said of a model, not to what the key may see.
//!
//! Clients that know only their own error shape get it: a request with `anthropic-version`, or below `/anthropic`, is
//! refused in the Anthropic dialect, any other in OpenAI's.
//!
//! Verified by hand, 2026-11-25, with each client's own `models.list()`, `models.retrieve()`, paging and error classes
//! against a running node: openai 3.57 (entries also pass its types in strict mode), anthropic 0.125, 1.17 and 2.14,
//! openrouter 1.3.84 (list and paging; it validates every field), all from PyPI; and the list against OpenRouter's and Anthropic's
//! published schemas.
//!
//! Google's clients read a form of their own; see [`generative`].
//!
//! Not served: Codex's own `{"models": […]}`. Its entries want prompts and tool settings that nobody told us, and
//! Codex falls back on its built-in list.

mod entry;
pub mod generative;
pub mod query;
pub mod tags;
#[cfg(test)]
mod tests;

use crate::admin;
use crate::app::App;
use crate::reply::{self, Reply};
use entry::{Endpoint, Entry, Pricing};
use http::{HeaderMap, StatusCode};
use llmleaf_auth::Principal;
use llmleaf_dialects::Dialect;
use llmleaf_model::{Failure, FailureKind, Origin, percent};
use query::{KINDS, Kind, Query};
use serde::Serialize;
use std::borrow::Cow;

/// Most characters of a model's name that a message repeats.
const ECHOED: usize = 128;

/// The dialect of a request's errors, given what its path alone says.
pub fn dialect(path: &str, by_path: Dialect, headers: &HeaderMap) -> Dialect {
    let models = path
        .strip_prefix("/v1/models")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if models && headers.contains_key("anthropic-version") {
        return Dialect::Messages;
    }
    by_path
}

/// The models that the caller may use.
///
/// # Errors
/// The query cannot be meant.
pub fn models(
    app: &App,
    principal: &Principal,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, Failure> {
    let query = Query::parse(query.unwrap_or_default())?;
    let admin = admin::admitted(app, headers);
    let found = listed(app, admin)
        .into_iter()
        .filter(|model| app.authenticator.permits(principal, &model.id))
        .filter(|model| query.kind.is_none_or(|kind| model.does(app, kind)))
        .filter(|model| match &query.search {
            None => true,
            Some(part) => model.id.to_lowercase().contains(part),
        });
    let found: Vec<Model<'_>> = found.collect();
    let total_count = found.len();
    let (page, has_more) = page(found, &query);
    let data: Vec<Entry<'_>> = page.iter().map(|model| model.entry(app, admin)).collect();
    let (first_id, last_id) = (data.first().map(|e| e.id), data.last().map(|e| e.id));
    let next = last_id.filter(|_| has_more && query.before.is_none());
    let list = List {
        object: "list",
        has_more,
        first_id,
        last_id,
        total_count,
        links: Links {
            next: next.map(|last| next_page(last, &query)),
        },
        data,
    };
    Ok(reply::json(StatusCode::OK, &list))
}

/// One model. The name is taken as it stands in the path, percent-encoded or not.
///
/// # Errors
/// No such model, or none for this key: the two are not told apart.
pub fn model(
    app: &App,
    principal: &Principal,
    name: &str,
    headers: &HeaderMap,
) -> Result<Reply, Failure> {
    let name = query::decode(name).ok_or_else(|| absent(name))?;
    let resolved = app.shared.routes.resolve(&name);
    let Some(resolved) = resolved.filter(|_| app.authenticator.permits(principal, &name)) else {
        return Err(absent(&name));
    };
    let targets = resolved.chain.iter();
    let model = Model {
        id: Cow::Borrowed(&name),
        targets: targets
            .map(|candidate| (candidate.provider, Some(&*candidate.model)))
            .collect(),
        source: if resolved.route.is_some() {
            ROUTE
        } else {
            PREFIX
        },
    };
    let entry = model.entry(app, admin::admitted(app, headers));
    Ok(reply::json(StatusCode::OK, &entry))
}

fn absent(name: &str) -> Failure {
    let shown = name.chars().filter(|c| !c.is_control()).take(ECHOED);
    let shown: String = shown.collect();
    let message = format!(
        "the model \"{shown}\" does not exist or is not for this key; GET /v1/models lists what is"
    );
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, message);
    failure.code = Some("model_not_found".into());
    failure.param = Some("model".into());
    failure
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    total_count: usize,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    next: Option<String>,
}

const ROUTE: &str = "route";
const PREFIX: &str = "prefix";

/// A name that leads somewhere.
struct Model<'a> {
    id: Cow<'a, str>,
    /// Provider, and the name there; `None` for whatever was asked for.
    targets: Vec<(usize, Option<&'a str>)>,
    source: &'static str,
}

impl<'a> Model<'a> {
    fn entry<'s>(&'s self, app: &'s App, admin: bool) -> Entry<'s> {
        let upstreams = self.targets.iter().filter_map(|(provider, model)| {
            let upstream = app.shared.upstreams.get(*provider)?;
            Some((upstream, model.unwrap_or(&self.id)))
        });
        let mut entry = Entry::new(&self.id, upstreams);
        // What is told of the model is what is known of its first target; an admin sees each.
        let sheet = |(provider, model): &(usize, Option<&str>)| {
            app.shared.sheet(*provider, model.unwrap_or(&self.id))
        };
        if let Some(sheet) = self.targets.first().and_then(sheet) {
            entry.tell(sheet);
        }
        let targets = self.targets.iter().filter(|_| admin);
        let endpoints = targets.filter_map(|(provider, model)| {
            Some(Endpoint {
                provider: &app.shared.upstreams.get(*provider)?.name,
                model: *model,
                pricing: sheet(&(*provider, *model)).map(|sheet| Pricing::of(&sheet.rates)),
                down: admin::cooling_ms(app, *provider, *model) > 0,
                source: self.source,
            })
        });
        entry.endpoints = admin.then(|| endpoints.collect());
        entry
    }

    /// Whether one of its providers has the operation.
    fn does(&self, app: &App, kind: Kind) -> bool {
        let mut upstreams = self
            .targets
            .iter()
            .filter_map(|(provider, _)| app.shared.upstreams.get(*provider));
        match kind {
            Kind::Llm => upstreams.any(|upstream| !upstream.row.speaks.chat.is_empty()),
            // No provider row of this version names one of these.
            Kind::Tts | Kind::Stt | Kind::Embedding | Kind::Rerank => false,
        }
    }
}

/// Every name, sorted; wildcards and prefixes only for the admin view. A route hides a prefix of the same spelling.
fn listed(app: &App, admin: bool) -> Vec<Model<'_>> {
    let routes = &app.shared.routes;
    let mut models: Vec<Model<'_>> = routes
        .routes()
        .iter()
        .filter(|route| admin || !route.model.contains('*'))
        .map(|route| Model {
            id: Cow::Borrowed(route.model.as_str()),
            targets: admin::targets(route).collect(),
            source: ROUTE,
        })
        .collect();
    if admin {
        models.extend(routes.prefixes().map(|(prefix, provider)| Model {
            id: Cow::Owned(format!("{prefix}/*")),
            targets: vec![(provider, None)],
            source: PREFIX,
        }));
    }
    models.sort_by(|a, b| a.id.cmp(&b.id));
    models.dedup_by(|later, kept| later.id == kept.id);
    models
}

/// The part of a sorted list that is asked for, and whether there is more in that direction.
fn page<'a>(mut models: Vec<Model<'a>>, query: &Query) -> (Vec<Model<'a>>, bool) {
    if let Some(after) = &query.after {
        models.retain(|model| *model.id > **after);
    }
    if let Some(before) = &query.before {
        models.retain(|model| *model.id < **before);
    }
    models.drain(..query.offset.min(models.len()));
    let more = query
        .limit
        .map_or(0, |limit| models.len().saturating_sub(limit));
    if query.before.is_some() {
        models.drain(..more);
    } else {
        models.truncate(models.len() - more);
    }
    (models, more > 0)
}

fn next_page(last: &str, query: &Query) -> String {
    let mut url = format!("/v1/models?after_id={}", percent::encode(last));
    if let Some(limit) = query.limit {
        url.push_str(&format!("&limit={limit}"));
    }
    if let Some((name, _)) = KINDS.iter().find(|(_, kind)| *kind == query.kind)
        && query.kind.is_some()
    {
        url.push_str(&format!("&type={name}"));
    }
    if let Some(search) = &query.search {
        url.push_str(&format!("&search={}", percent::encode(search)));
    }
    url
}
