//! Where a batch may go: one provider has all of it, so every model in it must lead there.

use crate::app::App;
use crate::intercept;
use crate::reply;
use llmleaf_auth::Principal;
use llmleaf_dialects::batches::{Item, Task};
use llmleaf_exchange::Destined;
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_route::{Candidate, Resolved};

/// Where a batch may go.
#[derive(Debug)]
pub struct Destination {
    /// Its models, the first one first.
    pub models: Vec<Destined>,
    /// The targets of the first one whose providers take all of it.
    pub resolved: Resolved,
}

/// Finds out which models the requests ask, each once, and whether the caller may.
///
/// # Errors
/// One of them is not the caller's to use, or leads nowhere; by line.
pub fn models(
    app: &App,
    principal: &Principal,
    items: &[Item],
    place: &str,
) -> Result<Vec<Destined>, Failure> {
    let mut found: Vec<Destined> = Vec::new();
    for item in items {
        if found.iter().any(|known| known.name == item.head.model) {
            continue;
        }
        let destined = one(app, principal, &item.head.model).map_err(|mut failure| {
            failure.message = format!("{place} {}: {}", item.line, failure.message);
            failure
        })?;
        found.push(destined);
    }
    Ok(found)
}

/// One model: whether the caller may ask it, and where it leads.
///
/// # Errors
/// As for [`models`].
pub fn one(app: &App, principal: &Principal, model: &str) -> Result<Destined, Failure> {
    let grant = app.authenticator.authorise(principal, model);
    let grant = grant.map_err(|error| reply::unauthorised(&error))?;
    let resolved = app.shared.routes.resolve(grant.model());
    let resolved = resolved.ok_or_else(|| unrouted(model))?;
    Ok(Destined {
        name: model.to_owned(),
        chain: resolved.chain,
    })
}

/// The providers that take a batch of these models, in the order of the first one's route.
///
/// # Errors
/// There is none, or none may have it: what is shown to somebody before it goes on is shown request by request, here.
pub fn of(
    app: &App,
    key: &str,
    task: Task,
    models: Vec<Destined>,
) -> Result<Destination, Vec<Destined>> {
    let names = models.iter().map(|model| &*model.name);
    if intercept::is_of_interest(app, key, names) {
        return Err(models);
    }
    let upstreams = &app.shared.upstreams;
    let takes = |candidate: &Candidate| {
        let Some(upstream) = upstreams.get(candidate.provider) else {
            return false;
        };
        let all = models.iter().all(|model| {
            let there = model.at(candidate.provider);
            there.is_some_and(|there| upstream.takes_batches(task, there))
        });
        all && (models.len() == 1 || !upstream.batches_one_model())
    };
    let first = models.first();
    let chain = first.map(|first| first.chain.clone()).unwrap_or_default();
    let chain: Vec<Candidate> = chain.into_iter().filter(takes).collect();
    if chain.is_empty() {
        return Err(models);
    }
    let route = first.and_then(|first| app.shared.routes.resolve(&first.name));
    let resolved = Resolved {
        chain,
        route: route.and_then(|route| route.route),
    };
    Ok(Destination { models, resolved })
}

const HERE: &str = "this gateway runs none itself: that needs `state_dir` in its configuration";

/// Nobody takes it, since somebody here is to look at its requests.
pub fn unseen() -> Failure {
    refused(format!(
        "requests of this key are looked at before they go on, which no provider does, and {HERE}"
    ))
}

/// Nobody takes it.
pub fn nobody(app: &App, key: &str, models: &[Destined]) -> Failure {
    if intercept::is_of_interest(app, key, models.iter().map(|model| &*model.name)) {
        return unseen();
    }
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    let what = match names.as_slice() {
        [name] => format!("no target of the model \"{name}\" takes such batches"),
        names => format!(
            "no provider takes all of these models in one batch: \"{}\"",
            names
                .iter()
                .take(8)
                .copied()
                .collect::<Vec<_>>()
                .join("\", \"")
        ),
    };
    refused(format!("{what}, and {HERE}"))
}

fn refused(message: String) -> Failure {
    let mut failure = Failure::new(Origin::Consumer, FailureKind::InvalidRequest, message);
    failure.code = Some("batches_not_offered".to_owned());
    failure
}

fn unrouted(model: &str) -> Failure {
    let shown: String = model
        .chars()
        .filter(|c| !c.is_control())
        .take(128)
        .collect();
    let message = format!("the model \"{shown}\" is not routed here; GET /v1/models lists what is");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, message);
    failure.param = Some("model".to_owned());
    failure.code = Some("model_not_found".to_owned());
    failure
}
