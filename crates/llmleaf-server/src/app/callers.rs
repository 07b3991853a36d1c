//! Who may call, as the configuration has it.

use super::{App, BuildError, limits};
use llmleaf_auth::{
    Authenticator, KeyEntry, ModelPatterns, Passes, PasswordHash, Principal, Roster, Secret,
};
use llmleaf_config::Config;
use llmleaf_exchange::Bar;
use llmleaf_route::Limits;
use std::cell::Cell;
use std::sync::Arc;

/// A key as the admin surface shows it.
#[derive(Debug)]
pub struct KeyView {
    /// The id in its credential.
    pub id: String,
    /// What logs and records show.
    pub display: String,
    /// Models it may use; `None` is all.
    pub allowed: Option<Vec<String>>,
    /// It may ask how its requests are decided.
    pub explains: bool,
}

impl App {
    /// Whether there is one caller at most, so that what providers have without saying whose it is can only be that one's.
    pub fn is_alone(&self) -> bool {
        // A controller's keys count for a moment longer than it stands in the configuration.
        self.alone && !self.authenticator.has_upper()
    }

    /// Whether a caller may ask how its requests are decided. A key of a controller has the id of none of the file that counts.
    pub fn explains(&self, principal: &Principal) -> bool {
        let of_file = principal.limits().is_none();
        let allows = |key: &KeyView| key.explains && *key.id == **principal.key_id();
        principal.explains() || of_file && self.keys.iter().any(allows)
    }

    /// Says whether a caller may call no more, where what runs is to end with that.
    pub fn bar(&self, principal: &Principal) -> Option<Bar> {
        if !self.cuts {
            return None;
        }
        let (authenticator, principal) = (Arc::clone(&self.authenticator), principal.clone());
        // What was asked about last, and what came of it. Nothing was, yet.
        let (asked, barred) = (Cell::new(None), Cell::new(false));
        let bar = move || {
            let now = Some(authenticator.rulings());
            if asked.replace(now) != now {
                barred.set(authenticator.goes_on(&principal).is_err());
            }
            barred.get()
        };
        Some(Box::new(bar))
    }
}

pub(super) fn keys(config: &Config) -> Vec<KeyView> {
    let keys = config.keys.iter().map(|key| KeyView {
        id: key.id.clone(),
        display: key.display_name().to_owned(),
        allowed: key.allowed_models.clone(),
        explains: key.explain,
    });
    keys.collect()
}

pub(super) fn cuts(config: &Config) -> bool {
    let control = config.control.as_ref();
    let limits = control.and_then(|control| control.limits.as_ref());
    limits.is_some_and(|limits| limits.on_block == llmleaf_config::OnBlock::Cut)
}

/// Whom an issuer or a controller vouches for are as many as they like.
pub(super) fn is_alone(config: &Config) -> bool {
    let control = config.control.as_ref();
    config.keys.len() <= 1
        && config.oauth.is_empty()
        && control.is_none_or(|control| control.identity.is_none())
}

pub(super) fn leases(config: &Config) -> bool {
    let control = config.control.as_ref();
    control.is_some_and(|control| control.leases.is_some())
}

/// By the secret that nodes share, where there is one.
pub(super) fn passes(config: &Config, authenticator: &Authenticator) -> Passes {
    let secret = config.server.batch_id_secret.as_ref();
    let secret = secret.map(|secret| Secret::new(secret.expose().to_owned()));
    Passes::new(secret.as_ref(), authenticator)
}

/// What keys may ask for.
pub(super) fn key_limits(config: &Config) -> impl Iterator<Item = (String, Limits)> {
    let keys = config.keys.iter();
    keys.map(|key| (key.id.clone(), limits(&key.limits)))
}

pub(super) fn roster(config: &Config) -> Result<Roster, BuildError> {
    let entries = config.keys.iter().map(|key| {
        let hash = PasswordHash::parse(key.pw_hash.expose()).map_err(|error| BuildError::Hash {
            id: key.id.clone(),
            error,
        })?;
        let allowed_models = key
            .allowed_models
            .as_ref()
            .map(|list| ModelPatterns::new(list.iter().cloned()));
        Ok(KeyEntry {
            id: key.id.clone(),
            name: key.name.clone(),
            hash,
            allowed_models,
        })
    });
    let entries: Result<Vec<KeyEntry>, BuildError> = entries.collect();
    Ok(Roster::new(entries?)?)
}
