//! Answers that providers keep: ids by which any node finds the owner of one, and only for whom it was made.
//!
//! With `server.batch_id_secret` every id of a kept response is sealed for the key that asked: which provider and which of its
//! accounts has it, the model that was asked for, and the provider's own id. Without it ids stay as they came, and one can be
//! asked for only where there is no doubt whose it is: one provider keeps responses, and no second caller could own it.

use crate::app::App;
use crate::holders::Holders;
use crate::reply;
use crate::routing::Routing;
use bytes::Bytes;
use llmleaf_auth::sealed_id::TAG;
use llmleaf_auth::{Grant, IdSeal, Principal, Secret};
use llmleaf_config::Config;
use llmleaf_dialects::splice::{Splices, quote};
use llmleaf_dialects::{Dialect, Head};
use llmleaf_exchange::{Names, Owner, kept};
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_route::{Candidate, Resolved};
use std::sync::Arc;

/// The form of a sealed payload: of an answer as it came, and of one that somebody is to look at.
const FORM: u8 = 1;
const LOOKED_AT: u8 = 2;
/// What the ids of this wire begin with.
const PREFIX: &str = "resp_";
/// Longest id of a provider that is taken.
const LONGEST: usize = 512;
/// The target's name where the model is not known: health and records are kept by one.
const NAMELESS: &str = "responses";

/// Seals and opens the ids of kept responses.
#[derive(Debug)]
pub struct ResponseIds {
    seal: IdSeal,
    providers: Holders,
    /// With the secret before, of which ids are still about.
    before: Option<Box<ResponseIds>>,
}

/// An opened id.
struct Found {
    provider: usize,
    credential: Option<usize>,
    made: Made,
    id: String,
}

/// What a kept answer was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The model that was asked for, where it is known.
    pub model: String,
    /// Whoever looks at answers looked at this one: it may have been asked of another model first.
    pub in_scope: bool,
}

impl ResponseIds {
    /// With the secret that all nodes share.
    pub fn new(config: &Config) -> Option<Arc<Self>> {
        let secret = config.server.batch_id_secret.as_ref()?;
        let before = config.server.batch_id_secret_previous.as_ref();
        let before = before.map(|secret| Box::new(Self::of(config, secret, None)));
        Some(Arc::new(Self::of(config, secret, before)))
    }

    fn of(config: &Config, secret: &Secret, before: Option<Box<Self>>) -> Self {
        let seal = IdSeal::new(&Secret::new(secret.expose().to_owned()), "responses");
        Self {
            providers: Holders::of(&seal, config),
            seal,
            before,
        }
    }

    /// The id to tell, for the provider's own.
    fn told(
        &self,
        key: &str,
        (model, in_scope): (&str, bool),
        (provider, credential): (usize, usize),
        id: &str,
    ) -> String {
        let told = self.providers.told(provider, Some(credential));
        let Some([name, account]) = told.filter(|_| is_id(id)) else {
            return id.to_owned();
        };
        // A name that is too long for its place is one that is not known later.
        let model = Some(model).filter(|model| model.len() <= usize::from(u8::MAX));
        let model = model.unwrap_or_default();
        let mut payload = vec![if in_scope { LOOKED_AT } else { FORM }];
        payload.extend_from_slice(&name);
        payload.extend_from_slice(&account);
        payload.push(u8::try_from(model.len()).unwrap_or_default());
        payload.extend_from_slice(model.as_bytes());
        payload.extend_from_slice(id.as_bytes());
        [PREFIX, &self.seal.seal(key, &payload)].concat()
    }

    fn open(&self, key: &str, told: &str) -> Option<Found> {
        let before = || self.before.as_ref()?.open(key, told);
        self.opened(key, told).or_else(before)
    }

    fn opened(&self, key: &str, told: &str) -> Option<Found> {
        let payload = self.seal.open(key, told.strip_prefix(PREFIX)?)?;
        let (form, rest) = payload.split_first()?;
        let in_scope = match *form {
            FORM => false,
            LOOKED_AT => true,
            _ => return None,
        };
        let (name, rest) = rest.split_first_chunk::<TAG>()?;
        let (account, rest) = rest.split_first_chunk::<TAG>()?;
        let (length, rest) = rest.split_first()?;
        let (model, id) = rest.split_at_checked(usize::from(*length))?;
        let (provider, credential) = self.providers.find(name, account)?;
        Some(Found {
            provider,
            credential,
            made: Made {
                model: String::from_utf8(model.to_vec()).ok()?,
                in_scope,
            },
            id: String::from_utf8(id.to_vec()).ok()?,
        })
    }
}

/// Whether this can be an id, and a segment of a path.
fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain) && !id.bytes().all(|b| b == b'.')
}

/// Who keeps the answer with this id, for this caller.
///
/// # Errors
/// Nobody does, as far as the caller may know.
pub fn owner(app: &App, principal: &Principal, told: &str) -> Result<(Owner, Made), Failure> {
    let found = match &app.response_ids {
        Some(ids) => ids.open(principal.key_id(), told),
        None => undoubted(app, told),
    };
    let found = found.filter(|found| is_id(&found.id));
    let found = found.ok_or_else(|| unknown(app, told))?;
    let owner = Owner {
        provider: found.provider,
        credential: found.credential,
        id: found.id,
        told: told.to_owned(),
        query: String::new(),
    };
    Ok((owner, found.made))
}

/// The one that keeps answers, where there is one, and one caller at most.
fn undoubted(app: &App, told: &str) -> Option<Found> {
    let mut keepers = (app.shared.upstreams.iter().enumerate()).filter(|(_, upstream)| {
        upstream
            .wire(Dialect::Responses, "")
            .is_some_and(|(wire, _)| wire.keeps())
    });
    let (provider, _) = keepers.next()?;
    let alone = keepers.next().is_none() && app.is_alone();
    alone.then(|| Found {
        provider,
        credential: None,
        made: Made::default(),
        id: told.to_owned(),
    })
}

fn unknown(app: &App, told: &str) -> Failure {
    let mut failure = kept::unknown(told);
    if app.response_ids.is_none() {
        failure.message.push_str(
            "; with several providers or callers, responses can be found again only if \
             `batch_id_secret` is set in the gateway's configuration",
        );
    }
    failure
}

/// Leave to ask about an answer, and where to.
///
/// # Errors
/// The caller may not use the model any more.
pub fn way(
    app: &App,
    principal: &Principal,
    owner: &Owner,
    model: &str,
) -> Result<(String, Resolved), Failure> {
    let nameless = || Candidate {
        provider: owner.provider,
        model: NAMELESS.into(),
    };
    if model.is_empty() {
        let resolved = Resolved {
            chain: vec![nameless()],
            route: None,
        };
        return Ok((NAMELESS.to_owned(), resolved));
    }
    let grant = app.authenticator.authorise(principal, model);
    let grant = grant.map_err(|error| reply::unauthorised(&error))?;
    let routed = app.shared.routes.resolve(grant.model());
    let route = routed.as_ref().and_then(|resolved| resolved.route);
    let chain = routed.map(|resolved| resolved.chain).unwrap_or_default();
    let target = chain.into_iter().find(|c| c.provider == owner.provider);
    let resolved = Resolved {
        chain: vec![target.unwrap_or_else(nameless)],
        route,
    };
    Ok((model.to_owned(), resolved))
}

/// A request that may go on from a kept answer, with the provider's own name of that.
#[derive(Debug)]
pub struct Turn {
    pub body: Bytes,
    pub head: Head,
    pub owner: Option<Box<Owner>>,
}

/// Finds the answer that a request goes on from.
///
/// # Errors
/// Nobody keeps it, as far as the caller may know.
pub fn turn(
    app: &App,
    principal: &Principal,
    dialect: Dialect,
    body: Bytes,
    head: Head,
) -> Result<Turn, Failure> {
    const FIELD: &str = "previous_response_id";
    let turn = Turn {
        body,
        head,
        owner: None,
    };
    if dialect != Dialect::Responses || app.response_ids.is_none() {
        return Ok(turn);
    }
    let text = llmleaf_dialects::head::checked(&turn.body)?;
    let Some(field) = turn.head.field(text, FIELD) else {
        return Ok(turn);
    };
    let value = text.get(field.value.clone()).unwrap_or_default();
    let Ok(told) = serde_json::from_str::<String>(value) else {
        // Nothing, or no name; the provider says what it thinks of that.
        return Ok(turn);
    };
    let (owner, _) = owner(app, principal, &told).map_err(|mut failure| {
        // As the service itself says it: code and status of OpenAI, read 2026-11.
        failure.kind = FailureKind::InvalidRequest;
        failure.param = Some(FIELD.to_owned());
        failure.code = Some("previous_response_not_found".to_owned());
        failure
    })?;
    let mut splices = Splices::new();
    splices.replace(field.value.clone(), quote(&owner.id));
    let body = Bytes::from(splices.apply(text));
    let head = Head::read_as(dialect, &body)?;
    Ok(Turn {
        body,
        head,
        owner: Some(Box::new(owner)),
    })
}

/// Leaves the owner alone of the targets: nobody else can go on from its answer.
///
/// # Errors
/// The model has no target there.
pub fn narrow(routing: &mut Routing, owner: &Owner) -> Result<(), Failure> {
    let own = |resolved: &mut Resolved| {
        resolved.chain.retain(|c| c.provider == owner.provider);
        !resolved.chain.is_empty()
    };
    routing.more.retain_mut(own);
    if own(&mut routing.resolved) {
        return Ok(());
    }
    if routing.more.is_empty() {
        let message = "`previous_response_id` names a response of a provider that does not serve this model here";
        let mut failure = Failure::new(Origin::Consumer, FailureKind::InvalidRequest, message);
        failure.param = Some("previous_response_id".to_owned());
        return Err(failure);
    }
    routing.resolved = routing.more.remove(0);
    Ok(())
}

/// Under which names the caller is told of the answer that it asks for; `None` where it is not to be kept.
pub fn names(
    app: &App,
    grant: &Grant,
    (dialect, in_scope): (Dialect, bool),
    turn: (&Head, &[u8], Option<&Owner>),
) -> Option<Names> {
    let (head, body, owner) = turn;
    if dialect != Dialect::Responses {
        return None;
    }
    let ids = app.response_ids.as_ref()?;
    let text = llmleaf_dialects::head::checked(body).unwrap_or_default();
    let is = |field: &str, word: &str| head.value(text, field) == Some(word);
    if is("store", "false") && owner.is_none() {
        return None;
    }
    let about = (&**grant.model(), in_scope);
    Some(naming(ids, grant.principal(), about, owner))
}

/// The names by which a caller knows the answers that were made for it. The one that it speaks of has the name that it used.
pub fn naming(
    ids: &Arc<ResponseIds>,
    principal: &Principal,
    (model, in_scope): (&str, bool),
    owner: Option<&Owner>,
) -> Names {
    let (ids, key, model) = (
        Arc::clone(ids),
        Arc::clone(principal.key_id()),
        model.to_owned(),
    );
    let spoken = owner.map(|owner| (owner.id.clone(), owner.told.clone()));
    Names::new(move |provider, credential, id| match &spoken {
        Some((own, told)) if own == id => told.clone(),
        _ => ids.told(&key, (&model, in_scope), (provider, credential), id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> ResponseIds {
        ids_of(&["a", "b"])
    }

    fn ids_of(providers: &[&str]) -> ResponseIds {
        let seal = IdSeal::new(
            &Secret::new("a secret of the nodes".to_owned()),
            "responses",
        );
        let accounts = vec![b"one".to_vec(), b"two".to_vec()];
        let all = providers.iter().map(|name| (*name, accounts.clone()));
        ResponseIds {
            providers: Holders::new(&seal, all),
            seal,
            before: None,
        }
    }

    #[test]
    fn an_id_says_all_that_is_needed_and_only_to_its_key() {
        let told = ids().told("me", ("vendor/model-1", true), (1, 1), "resp_0123");
        let found = ids().open("me", &told).expect("it is mine");
        assert_eq!((found.provider, found.credential), (1, Some(1)));
        assert_eq!(
            (&*found.made.model, &*found.id),
            ("vendor/model-1", "resp_0123")
        );
        assert!(found.made.in_scope);
        let plain = ids().told("me", ("m", false), (1, 1), "resp_0123");
        let plain = ids().open("me", &plain).expect("it is mine");
        assert!(!plain.made.in_scope);
        assert!(ids().open("you", &told).is_none());
        assert!(ids().open("me", "resp_0123").is_none());
        let moved = ids_of(&["b"]).open("me", &told);
        assert_eq!(moved.map(|found| found.provider), Some(0));
        let gone = ids_of(&["a"]).open("me", &told);
        assert!(gone.is_none(), "its provider is gone");
    }

    #[test]
    fn what_cannot_be_part_of_a_path_stays_as_it_is() {
        for id in ["", "..", "a/b", "a?b", "a b", "ä", &"x".repeat(513)] {
            assert_eq!(ids().told("me", ("m", false), (0, 0), id), id);
        }
        let told = ids().told("me", (&"m".repeat(300), false), (0, 0), "resp_1");
        assert_eq!(
            ids().open("me", &told).map(|found| found.made.model),
            Some(String::new())
        );
    }
}
