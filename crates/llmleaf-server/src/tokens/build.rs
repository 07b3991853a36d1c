//! Issuers from the configuration. What it leaves as it was is taken over from the one before.

use super::{Address, Asking, KeysAt, Line, Pulls, QuestionsAt, Tokens};
use crate::app::BuildError;
use crate::ways::{self, Way};
use llmleaf_auth::tokens::{
    ClaimPath, ClientAuth, IdentityLimits, Introspection, Issuer, KeySource, Mapping, RoleGrant,
    Rules, Schedule, discovery,
};
use llmleaf_auth::{Issuers, KeySet, Secret};
use llmleaf_config::{Config, IntrospectionAuth, Limits, Oauth};
use llmleaf_transport::{Origin, OriginError};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

impl Tokens {
    /// The issuers of a configuration; `None` where it has none.
    ///
    /// # Errors
    /// An address is none, or the system gives no random bytes.
    pub fn build(
        config: &Config,
        before: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, BuildError> {
        if config.oauth.is_empty() {
            return Ok(None);
        }
        let marks: Vec<[u8; 32]> = config.oauth.iter().map(mark).collect();
        if let Some(same) = before
            && same
                .lines
                .iter()
                .map(|line| line.mark)
                .eq(marks.iter().copied())
        {
            return Ok(Some(Arc::clone(same)));
        }
        let mut issuers = Vec::new();
        let mut lines = Vec::new();
        for (oauth, mark) in config.oauth.iter().zip(marks) {
            let refused = |error| BuildError::Issuer {
                name: oauth.name.clone(),
                error,
            };
            // One that is as it was keeps what it has proven, whatever becomes of the others.
            let (issuer, pulls) = match before.and_then(|before| before.known(mark)) {
                Some(known) => known,
                None => {
                    let pulls = pulls(oauth, before.map(Arc::as_ref));
                    let issuer = issuer(oauth, Arc::clone(&pulls.source));
                    (Arc::new(issuer), pulls)
                }
            };
            issuers.push(issuer);
            lines.push(line(oauth, pulls, mark).map_err(refused)?);
        }
        let issuers = match before {
            Some(before) => before.issuers.succeeded_by(issuers),
            None => Issuers::new(issuers)?,
        };
        Ok(Some(Arc::new(Self { issuers, lines })))
    }

    /// The issuer that was made from that, and its keys.
    fn known(&self, mark: [u8; 32]) -> Option<(Arc<Issuer>, Arc<Pulls>)> {
        let place = self.lines.iter().position(|line| line.mark == mark)?;
        let issuer = self.issuers.all().get(place)?;
        let line = self.lines.get(place)?;
        Some((Arc::clone(issuer), Arc::clone(&line.pulls)))
    }

    /// The index of each issuer's way among all of them.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub fn ways(
        config: &Config,
        all: &mut Vec<Way>,
        before: &[Way],
    ) -> Result<Vec<usize>, BuildError> {
        let each = config.oauth.iter();
        each.map(|oauth| ways::beside(all, before, &oauth.name, (oauth.ca_file.as_deref(), None)))
            .collect()
    }
}

impl Address {
    /// From an address with a path and perhaps a query.
    pub(super) fn parse(url: &str) -> Result<Self, OriginError> {
        let (plain, query) = match url.split_once('?') {
            Some((plain, query)) => (plain, Some(query)),
            None => (url, None),
        };
        let (origin, path) = Origin::parse(plain)?;
        // The path as it is written: a slash at its end may matter there.
        let slash = if plain.ends_with('/') || path.is_empty() {
            "/"
        } else {
            ""
        };
        let query = query.map(|query| ["?", query].concat()).unwrap_or_default();
        Ok(Self {
            origin: Arc::new(origin),
            path: [&path, slash, &query].concat(),
        })
    }
}

/// Stands for everything that an issuer is made from.
fn mark(oauth: &Oauth) -> [u8; 32] {
    let mut mark = Sha256::new();
    let secret = match oauth.introspection.as_ref().map(|how| &how.auth) {
        None | Some(IntrospectionAuth::None) => "",
        Some(
            IntrospectionAuth::Bearer(secret)
            | IntrospectionAuth::Basic(_, secret)
            | IntrospectionAuth::Post(_, secret),
        ) => secret.expose(),
    };
    mark.update((secret.len() as u64).to_le_bytes());
    mark.update(secret);
    mark.update(format!("{oauth:?}"));
    mark.finalize().into()
}

/// The keys of an issuer: those of the configuration before, where they come from the same place.
fn pulls(oauth: &Oauth, before: Option<&Tokens>) -> Arc<Pulls> {
    let mut mark = Sha256::new();
    for part in [
        Some(&oauth.issuer),
        oauth.jwks_uri.as_ref(),
        oauth.jwks.as_ref(),
    ] {
        mark.update(
            part.map_or(u64::MAX, |part| part.len() as u64)
                .to_le_bytes(),
        );
        mark.update(part.map(String::as_str).unwrap_or_default());
    }
    let mark: [u8; 32] = mark.finalize().into();
    let (refresh, floor) = (millis(oauth.jwks_refresh), millis(oauth.jwks_floor));
    let mut lines = before.into_iter().flat_map(|tokens| tokens.lines.iter());
    if let Some(known) = lines.find(|line| line.pulls.mark == mark) {
        if let Some(schedule) = &known.pulls.source.schedule {
            schedule.lock().set(refresh, floor);
        }
        return Arc::clone(&known.pulls);
    }
    // The configuration's readers have parsed it before.
    let here = oauth.jwks.as_ref();
    let here = here.and_then(|text| KeySet::parse(text.as_bytes()).ok());
    let fetched = oauth.jwks_uri.is_some() || here.is_none();
    let schedule = fetched.then(|| Schedule::new(refresh, floor));
    Arc::new(Pulls {
        source: Arc::new(KeySource::new(here, schedule)),
        landed: Notify::new(),
        mark,
    })
}

fn line(oauth: &Oauth, pulls: Arc<Pulls>, mark: [u8; 32]) -> Result<Line, OriginError> {
    let keys = match (&oauth.jwks_uri, &pulls.source.schedule) {
        (Some(uri), _) => KeysAt::At(Address::parse(uri)?),
        (None, Some(_)) => KeysAt::Found(Address::parse(&discovery::address(&oauth.issuer))?),
        (None, None) => KeysAt::Here,
    };
    let questions = match &oauth.introspection {
        None => None,
        Some(how) => Some(QuestionsAt {
            address: Address::parse(&how.url)?,
            timeout: how.timeout,
        }),
    };
    Ok(Line {
        name: oauth.name.clone(),
        issuer: oauth.issuer.clone(),
        keys,
        pulls,
        timeout: oauth.timeout,
        questions,
        asking: Asking::default(),
        mark,
    })
}

fn issuer(oauth: &Oauth, source: Arc<KeySource>) -> Issuer {
    let rules = Rules {
        issuer: oauth.issuer.clone(),
        audience: oauth.audience.clone(),
        algorithms: oauth.algorithms.clone(),
        types: oauth.token_types.clone(),
        leeway: oauth.leeway,
    };
    let roles: BTreeSet<&String> = (oauth.role_models.keys())
        .chain(oauth.role_limits.keys())
        .chain(&oauth.explain_roles)
        .collect();
    let grant = |role: &String| RoleGrant {
        models: oauth.role_models.get(role).cloned().unwrap_or_default(),
        limits: oauth.role_limits.get(role).map(limits),
        explains: oauth.explain_roles.contains(role),
    };
    let grants: BTreeMap<String, RoleGrant> = roles
        .into_iter()
        .map(|role| (role.clone(), grant(role)))
        .collect();
    let mapping = Mapping {
        name: oauth.name.clone(),
        identity: ClaimPath(oauth.identity_claim.clone()),
        display: oauth.display_claim.clone().map(ClaimPath),
        roles: oauth.roles_claim.iter().cloned().map(ClaimPath).collect(),
        grants,
        models: oauth.allowed_models.clone(),
        limits: limits(&oauth.limits),
        explains: oauth.explain,
        scopes: oauth.required_scopes.clone(),
    };
    let introspection = oauth.introspection.as_ref().map(|how| Introspection {
        asked: how.asked,
        auth: auth(&how.auth),
        ttl: how.cache_ttl,
    });
    Issuer::new(rules, mapping, source, introspection)
}

fn limits(limits: &Limits) -> IdentityLimits {
    IdentityLimits {
        requests_per_min: limits.requests_per_min,
        tokens_per_min: limits.tokens_per_min,
        max_concurrent: limits.max_concurrent,
    }
}

fn auth(auth: &IntrospectionAuth) -> ClientAuth {
    let copy = |secret: &Secret| Secret::new(secret.expose().to_owned());
    match auth {
        IntrospectionAuth::None => ClientAuth::None,
        IntrospectionAuth::Bearer(token) => ClientAuth::Bearer(copy(token)),
        IntrospectionAuth::Basic(id, secret) => ClientAuth::Basic(id.clone(), copy(secret)),
        IntrospectionAuth::Post(id, secret) => ClientAuth::Post(id.clone(), copy(secret)),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
