//! From claims to an identity: who it is, and what its roles may use.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::TokenFault;
use super::identity::{Identity, IdentityLimits, Warrant, names_somebody};
use crate::models::ModelPatterns;

/// Most roles of a caller that are looked at; more are a fault of the issuer, and those beyond count for nothing.
const MAX_ROLES: usize = 1024;
/// Deepest path to a claim.
const MAX_PATH: usize = 8;

/// Where a claim stands: its name, or names from the outside in, with dots between them.
///
/// A claim whose whole name has dots, as those that are URLs do, counts before what the dots may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(pub String);

impl ClaimPath {
    fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        if let Some(whole) = claims.get(&self.0) {
            return Some(whole);
        }
        let mut names = self.0.split('.').take(MAX_PATH);
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.as_object()?.get(name))
    }
}

/// What a role stands for.
#[derive(Clone, Debug, Default)]
pub struct RoleGrant {
    /// Models that it may use: exact, or with `*`.
    pub models: Vec<String>,
    /// What it may ask for; `None` says nothing of it.
    pub limits: Option<IdentityLimits>,
    /// It may ask how its requests are decided.
    pub explains: bool,
}

/// How claims are read.
#[derive(Debug)]
pub struct Mapping {
    /// What the issuer is called here: the first part of its callers' ids.
    pub name: String,
    /// Who it is.
    pub identity: ClaimPath,
    /// What logs and bills call them, after the issuer's name; else the id.
    pub display: Option<ClaimPath>,
    /// Where roles are listed. All of these count.
    pub roles: Vec<ClaimPath>,
    /// What each role stands for; others stand for nothing.
    pub grants: BTreeMap<String, RoleGrant>,
    /// What everybody may use.
    pub models: Vec<String>,
    /// What everybody may ask for whose roles say nothing of it.
    pub limits: IdentityLimits,
    /// Everybody may ask how their requests are decided.
    pub explains: bool,
    /// Scopes without which nobody is let in.
    pub scopes: Vec<String>,
}

impl Mapping {
    /// The scopes that are asked for and that the token does not have.
    pub(crate) fn lacks(&self, claims: &Map<String, Value>) -> bool {
        if self.scopes.is_empty() {
            return false;
        }
        // `scope` is RFC 8693's and RFC 9068's name, `scp` what some issuers have instead.
        let mut has = Vec::new();
        for name in ["scope", "scp"] {
            collect(claims.get(name), &mut has);
        }
        !(self.scopes.iter()).all(|wanted| has.iter().any(|scope| scope == wanted))
    }

    /// The identity that these claims tell of.
    pub(crate) fn identity(
        &self,
        claims: &Map<String, Value>,
        ends: u64,
        warrants: [Arc<Warrant>; 2],
    ) -> Result<Identity, TokenFault> {
        let text = |path: &ClaimPath| path.find(claims).and_then(Value::as_str);
        let named = |text: &&str| names_somebody(text);
        let subject = text(&self.identity).filter(named);
        let subject = subject.ok_or(TokenFault::Identity)?;
        let id: Arc<str> = format!("{}:{subject}", self.name).into();
        let display = self.display.as_ref().and_then(text).filter(named);
        let display = display.map(|text| format!("{}:{text}", self.name).into());
        let mut roles = Vec::new();
        for path in &self.roles {
            collect(path.find(claims), &mut roles);
        }
        let grants = roles.iter().filter_map(|role| self.grants.get(*role));
        let mut models: Vec<&str> = self.models.iter().map(String::as_str).collect();
        let mut limits: Option<IdentityLimits> = None;
        let mut explains = self.explains;
        for grant in grants {
            models.extend(grant.models.iter().map(String::as_str));
            explains |= grant.explains;
            if let Some(theirs) = grant.limits {
                limits = Some(limits.map_or(theirs, |ours| wider(ours, theirs)));
            }
        }
        models.sort_unstable();
        models.dedup();
        Ok(Identity {
            display: display.unwrap_or_else(|| Arc::clone(&id)),
            id,
            models: ModelPatterns::new(models),
            limits: limits.unwrap_or(self.limits),
            explains,
            ends,
            answered_until: None,
            warrants,
        })
    }
}

/// Of two limits the one that allows more: who has two roles may do what either may.
fn wider(one: IdentityLimits, other: IdentityLimits) -> IdentityLimits {
    fn most<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
        Some(one?.max(other?))
    }
    IdentityLimits {
        requests_per_min: most(one.requests_per_min, other.requests_per_min),
        tokens_per_min: most(one.tokens_per_min, other.tokens_per_min),
        max_concurrent: most(one.max_concurrent, other.max_concurrent),
    }
}

/// The words of a claim: a list of them, one text with spaces between them, or the names in an object.
fn collect<'c>(claim: Option<&'c Value>, out: &mut Vec<&'c str>) {
    let left = MAX_ROLES.saturating_sub(out.len());
    match claim {
        Some(Value::String(text)) => out.extend(text.split_ascii_whitespace().take(left)),
        Some(Value::Array(all)) => out.extend(all.iter().filter_map(Value::as_str).take(left)),
        Some(Value::Object(all)) => out.extend(all.keys().map(String::as_str).take(left)),
        _ => {}
    }
}
