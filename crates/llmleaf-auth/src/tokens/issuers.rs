//! All issuers together: what is known of a token, and what has to be fetched first.

use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

use super::fault::TokenFault;
use super::form;
use super::identity::{Identity, Warrant};
use super::introspection::{self, Answer, Asked, Introspection, MAX_REFUSED_SECS};
use super::keys::{Found, KeySet, VerifyingKey};
use super::mapping::Mapping;
use super::proven::Table;
use super::rules::Rules;
use super::schedule::Schedule;
use crate::error::{AuthError, MintError};
use crate::grant::Principal;

/// How many proven tokens are remembered, in some 60 bytes each, beside the identities that they prove.
pub const MAX_PROVEN: usize = 16 * 1024;
/// How many tokens are remembered that their issuer said are not good.
pub const MAX_REFUSED: usize = 2 * 1024;

/// The keys of an issuer, and when they are fetched. They outlive a configuration that leaves their source as it was.
pub struct KeySource {
    keys: ArcSwap<KeySet>,
    /// When keys are fetched; `None` where they stand in the configuration.
    pub schedule: Option<Mutex<Schedule>>,
}

impl KeySource {
    /// Keys that are there already, and how others are fetched.
    pub fn new(keys: Option<KeySet>, schedule: Option<Schedule>) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys.unwrap_or_default()),
            schedule: schedule.map(Mutex::new),
        }
    }

    /// Puts other keys in place. What was proven by one that is gone is proven no more.
    pub fn install(&self, keys: KeySet) {
        let before = self.keys.load_full();
        self.keys.store(Arc::new(keys.succeed(&before)));
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.load().len()
    }

    /// Whether there are none, so that nobody is let in by a signed token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({} keys)", self.len())
    }
}

/// An issuer of tokens.
#[derive(Debug)]
pub struct Issuer {
    /// What is asked of its tokens.
    pub rules: Rules,
    /// What they tell.
    pub mapping: Mapping,
    /// What signatures are checked with.
    pub source: Arc<KeySource>,
    /// How it is asked.
    pub introspection: Option<Introspection>,
    /// Stands as long as the configuration does.
    warrant: Arc<Warrant>,
}

impl Issuer {
    /// An issuer whose tokens are believed from now on.
    pub fn new(
        rules: Rules,
        mapping: Mapping,
        source: Arc<KeySource>,
        introspection: Option<Introspection>,
    ) -> Self {
        Self {
            rules,
            mapping,
            source,
            introspection,
            warrant: Arc::default(),
        }
    }

    fn asks(&self, signed: bool) -> bool {
        let asked = self.introspection.as_ref().map(|how| how.asked);
        match asked {
            None => false,
            Some(Asked::All) => true,
            Some(Asked::Opaque) => !signed,
            Some(Asked::Signed) => signed,
        }
    }
}

/// All issuers, and what was proven of their tokens. Share it behind an `Arc`.
pub struct Issuers {
    issuers: Vec<Arc<Issuer>>,
    mac: Hmac<Sha256>,
    /// Each proof rests on warrants of its own, so that it outlives a configuration that leaves its issuer as it was.
    proven: Arc<Table<Arc<Identity>>>,
    refused: Table<AuthError>,
}

/// What is known of a token.
#[derive(Debug)]
pub enum Proof {
    /// It is good.
    Proven(Principal),
    /// It is not.
    Refused(AuthError),
    /// It may be: fetch keys of that issuer, and ask again.
    NeedsKeys(usize, Missing),
    /// It may be: ask its issuer, and hand over what that answers.
    NeedsAnswer(Box<Question>),
}

/// Which keys are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// All: nothing is known of the token.
    All,
    /// The one that the token names: it is no good, unless there are new keys.
    One,
}

/// What an issuer has to be asked.
pub struct Question {
    /// Which issuer.
    pub issuer: usize,
    /// Stands for the token.
    pub digest: [u8; 32],
    /// Who it is, where the signature says so already.
    signed: Option<(Identity, u64)>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({})", self.issuer)
    }
}

impl Issuers {
    /// With a random key for digests.
    ///
    /// # Errors
    ///
    /// [`MintError::Entropy`] when the system gives no random bytes.
    pub fn new<I: Into<Arc<Issuer>>>(issuers: Vec<I>) -> Result<Self, MintError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| MintError::Entropy)?;
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mac = Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of every length");
        Ok(Self {
            issuers: issuers.into_iter().map(Into::into).collect(),
            mac,
            proven: Arc::new(Table::new(MAX_PROVEN)),
            refused: Table::new(MAX_REFUSED),
        })
    }

    /// Those of another configuration. What was proven by an issuer that is still among them stays so; [`Self::close`] ends the rest.
    pub fn succeeded_by(&self, issuers: Vec<Arc<Issuer>>) -> Self {
        Self {
            issuers,
            mac: self.mac.clone(),
            proven: Arc::clone(&self.proven),
            refused: Table::new(MAX_REFUSED),
        }
    }

    /// All of them, in the order of the configuration.
    pub fn all(&self) -> &[Arc<Issuer>] {
        &self.issuers
    }

    /// Whether one of them is asked about opaque tokens.
    pub fn takes_opaque(&self) -> bool {
        self.issuers.iter().any(|issuer| issuer.asks(false))
    }

    /// Another configuration is in effect: nothing counts any more that was proven by an issuer that is not in it as it was.
    pub fn close(&self, next: Option<&Self>) {
        let stays = |issuer: &Arc<Issuer>| {
            let mut kept = next.into_iter().flat_map(|next| &next.issuers);
            kept.any(|kept| Arc::ptr_eq(kept, issuer))
        };
        let gone = self.issuers.iter().filter(|issuer| !stays(issuer));
        gone.for_each(|issuer| issuer.warrant.withdraw());
    }

    /// What is known of a token; `signed` is whether it is one. `now` is the unix second.
    pub fn prove(&self, token: &str, signed: bool, now: u64) -> Proof {
        let digest = self.digest(token);
        if let Some(identity) = self.proven.get(&digest, now)
            && identity.stands(now)
        {
            return Proof::Proven(Principal::of_token(identity));
        }
        if let Some(error) = self.refused.get(&digest, now) {
            return Proof::Refused(error);
        }
        if signed {
            return self.prove_signed(token, digest, now);
        }
        match self.issuers.iter().position(|issuer| issuer.asks(false)) {
            Some(issuer) => Proof::NeedsAnswer(Box::new(Question {
                issuer,
                digest,
                signed: None,
            })),
            None => Proof::Refused(AuthError::Invalid),
        }
    }

    fn prove_signed(&self, token: &str, digest: [u8; 32], now: u64) -> Proof {
        match self.check(token, now) {
            Err(Unproven::Refused(error)) => Proof::Refused(error),
            Err(Unproven::Needs(issuer, missing)) => Proof::NeedsKeys(issuer, missing),
            Ok((index, issuer, identity)) => {
                // Not for longer than it says of itself, however far clocks may be apart.
                let until = identity.ends.saturating_sub(issuer.rules.leeway.as_secs());
                if issuer.asks(true) {
                    return Proof::NeedsAnswer(Box::new(Question {
                        issuer: index,
                        digest,
                        signed: Some((identity, until)),
                    }));
                }
                Proof::Proven(self.remember(digest, identity, until, now))
            }
        }
    }

    /// A signed token, from its form to who it names. What costs nothing comes first, so that only a token that could be good makes
    /// us compute or fetch anything.
    fn check(&self, token: &str, now: u64) -> Result<(usize, &Issuer, Identity), Unproven> {
        let parts = form::read(token)?;
        let issued_by = parts.claims.get("iss").and_then(Value::as_str);
        let mut issuers = self.issuers.iter().enumerate();
        let found = issuers.find(|(_, issuer)| issued_by == Some(issuer.rules.issuer.as_str()));
        let (index, issuer) = found.ok_or(TokenFault::Issuer)?;
        issuer.rules.check_type(parts.typ.as_deref())?;
        if !issuer.rules.algorithms.contains(&parts.algorithm) {
            return Err(TokenFault::Algorithm.into());
        }
        let ends = issuer.rules.check(&parts.claims, now)?;
        let keys = issuer.source.keys.load();
        if keys.is_empty() {
            return Err(Unproven::Needs(index, Missing::All));
        }
        let candidates = match keys.find(parts.kid.as_deref(), parts.algorithm) {
            Found::Candidates(candidates) => candidates,
            Found::Unfit => return Err(TokenFault::Key.into()),
            Found::Unknown if issuer.source.schedule.is_none() => {
                return Err(TokenFault::Key.into());
            }
            Found::Unknown => return Err(Unproven::Needs(index, Missing::One)),
        };
        let verifies = |key: &&&Arc<VerifyingKey>| {
            key.verifies(parts.algorithm, parts.signed, parts.signature)
        };
        let Some(key) = candidates.iter().find(verifies) else {
            // Of a key without a name nothing else tells that there is another by now.
            let fetched = parts.kid.is_none() && issuer.source.schedule.is_some();
            return Err(match fetched {
                true => Unproven::Needs(index, Missing::One),
                false => TokenFault::Signature.into(),
            });
        };
        if issuer.mapping.lacks(&parts.claims) {
            return Err(Unproven::Refused(issuer.insufficient()));
        }
        let warrants = [Arc::clone(&issuer.warrant), Arc::clone(&key.warrant)];
        let identity = issuer.mapping.identity(&parts.claims, ends, warrants)?;
        Ok((index, issuer, identity))
    }

    /// What an issuer's answer says of a token.
    ///
    /// # Errors
    ///
    /// The token is not good; or it is not known whether it is, which is [`AuthError::IssuerUnavailable`].
    pub fn answered(
        &self,
        mut question: Question,
        answer: &[u8],
        now: u64,
    ) -> Result<Principal, AuthError> {
        let unknown = || AuthError::IssuerUnavailable;
        let issuer = self.issuers.get(question.issuer).ok_or_else(unknown)?;
        let how = issuer.introspection.as_ref().ok_or_else(unknown)?;
        let ttl = how.ttl.as_secs();
        let Answer { claims, ends } = match introspection::read(&issuer.rules, answer, now) {
            Ok(answer) => answer,
            Err(None) => return Err(unknown()),
            Err(Some(fault)) => {
                return Err(self.refuse(&question, AuthError::Token(fault), ttl, now));
            }
        };
        let leeway = issuer.rules.leeway.as_secs();
        let mut until = now.saturating_add(ttl);
        if let Some(ends) = ends {
            until = until.min(ends.saturating_sub(leeway));
        }
        let mut identity = match question.signed.take() {
            Some((identity, ends)) => {
                until = until.min(ends);
                identity
            }
            None if issuer.mapping.lacks(&claims) => {
                return Err(self.refuse(&question, issuer.insufficient(), ttl, now));
            }
            None => {
                let warrants = [Arc::clone(&issuer.warrant), Arc::default()];
                let ends = ends.unwrap_or(u64::MAX);
                match issuer.mapping.identity(&claims, ends, warrants) {
                    Ok(identity) => identity,
                    Err(fault) => {
                        return Err(self.refuse(&question, AuthError::Token(fault), ttl, now));
                    }
                }
            }
        };
        identity.answered_until = Some(until);
        Ok(self.remember(question.digest, identity, until, now))
    }

    fn remember(&self, digest: [u8; 32], identity: Identity, until: u64, now: u64) -> Principal {
        let identity = Arc::new(identity);
        self.proven.put(digest, Arc::clone(&identity), until, now);
        Principal::of_token(identity)
    }

    /// Remembers for a moment that an issuer's answer lets nobody in: who comes again and again is not asked about each time.
    fn refuse(&self, question: &Question, why: AuthError, ttl: u64, now: u64) -> AuthError {
        let until = now.saturating_add(ttl.min(MAX_REFUSED_SECS));
        self.refused.put(question.digest, why.clone(), until, now);
        why
    }

    fn digest(&self, token: &str) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl Issuer {
    fn insufficient(&self) -> AuthError {
        AuthError::InsufficientScope {
            needed: self.mapping.scopes.join(" "),
        }
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issuers({})", self.issuers.len())
    }
}

enum Unproven {
    Refused(AuthError),
    Needs(usize, Missing),
}

impl From<TokenFault> for Unproven {
    fn from(fault: TokenFault) -> Self {
        Self::Refused(AuthError::Token(fault))
    }
}

#[cfg(test)]
mod tests;
