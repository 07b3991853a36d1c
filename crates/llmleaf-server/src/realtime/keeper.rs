//! Who decides on a session while it lives, by the configuration in effect, which may be another one than it began with.
//!
//! Of a key, and of a token that is proven by its signature, everything is known here. About a token that an issuer was asked about
//! it is asked again whenever its word does not count any more, beside the session: revoked is revoked, also for who speaks on.

use crate::desk::Desk;
use crate::service::unix_now;
use crate::{authenticate, intercept, reply};
use http::HeaderMap;
use llmleaf_auth::{AuthError, Principal, TokenFault};
use llmleaf_exchange::realtime::Warden;
use llmleaf_model::{Failure, FailureKind, Origin};
use std::cell::{Ref, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use tokio::task::AbortHandle;

/// How long a session goes on whose issuer cannot be asked, in seconds.
const PATIENCE: u64 = 60;
/// Pause before an issuer that did not answer is asked again, in seconds.
const AGAIN: u64 = 5;

/// Decides on a session.
#[derive(Clone)]
pub struct Keeper {
    pub desk: Rc<Desk>,
    pub model: Arc<str>,
    /// It is a provider's own session, of which nobody can be shown anything.
    pub unseen: bool,
    standing: Rc<RefCell<Standing>>,
    /// What the session was opened with, where an issuer was asked about it.
    headers: Option<Rc<HeaderMap>>,
    /// The models that a pass names: it is good for no others.
    models: Option<Rc<[String]>>,
}

/// Who holds the session, and what is known of that.
struct Standing {
    principal: Principal,
    /// Why it may not go on, as an issuer has it.
    refused: Option<AuthError>,
    /// The question that is asked now. It ends with the session.
    asking: Option<AbortHandle>,
    /// When the next one may be asked, in unix seconds.
    next: u64,
    /// Since when it is not known whether the token is still good.
    doubtful: Option<u64>,
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

impl Keeper {
    pub fn new(
        desk: Rc<Desk>,
        (principal, headers): (Principal, &HeaderMap),
        model: Arc<str>,
        models: Option<Rc<[String]>>,
    ) -> Self {
        let asked = principal.answered_until().is_some();
        let standing = Standing {
            principal,
            refused: None,
            asking: None,
            next: 0,
            doubtful: None,
        };
        Self {
            desk,
            model,
            unseen: false,
            standing: Rc::new(RefCell::new(standing)),
            headers: asked.then(|| Rc::new(headers.clone())),
            models,
        }
    }

    /// Who holds the session.
    pub fn principal(&self) -> Ref<'_, Principal> {
        Ref::map(self.standing.borrow(), |standing| &standing.principal)
    }

    /// Whether an issuer still vouches for the caller. Asks it beside the session where that is not known any more.
    fn vouched(&self, now: u64) -> Result<(), AuthError> {
        let Some(headers) = &self.headers else {
            return Ok(());
        };
        let mut standing = self.standing.borrow_mut();
        if standing.is_due(now)? {
            let answer = {
                let (worker, headers) = (self.desk.worker(), Rc::clone(headers));
                async move { authenticate::session(&worker, &headers).await }
            };
            let asking = tokio::task::spawn_local(ask(Rc::downgrade(&self.standing), answer));
            standing.asking = Some(asking.abort_handle());
        }
        Ok(())
    }
}

async fn ask(
    standing: Weak<RefCell<Standing>>,
    answer: impl Future<Output = Result<Principal, AuthError>>,
) {
    let answer = answer.await;
    if let Some(standing) = standing.upgrade() {
        standing.borrow_mut().hear(answer, unix_now().as_secs());
    }
}

impl Standing {
    /// Whether the issuer is to be asked now.
    fn is_due(&mut self, now: u64) -> Result<bool, AuthError> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let until = self.principal.answered_until();
        if until.is_none_or(|until| now < until) {
            return Ok(false);
        }
        // A session does not live for ever on what nobody confirms.
        let since = *self.doubtful.get_or_insert(now);
        if now.saturating_sub(since) >= PATIENCE {
            return Err(AuthError::IssuerUnavailable);
        }
        Ok(self.asking.is_none() && now >= self.next)
    }

    fn hear(&mut self, answer: Result<Principal, AuthError>, now: u64) {
        self.asking = None;
        match answer {
            Ok(principal) if principal.key_id() == self.principal.key_id() => {
                self.principal = principal;
                self.doubtful = None;
                // An answer may be over as soon as it is there.
                self.next = now.saturating_add(1);
            }
            // The token is somebody else's by now, whatever that means.
            Ok(_) => self.refused = Some(AuthError::Token(TokenFault::Identity)),
            // Nothing was learnt.
            Err(
                AuthError::IssuerUnavailable
                | AuthError::Overloaded
                | AuthError::VerdictsUnavailable,
            ) => self.next = now.saturating_add(AGAIN),
            Err(error) => self.refused = Some(error),
        }
    }
}

impl Warden for Keeper {
    fn verdict(&self) -> Result<(), Failure> {
        let now = unix_now().as_secs();
        let ends = self.principal().ends();
        let in_time = match ends.is_some_and(|ends| ends <= now) {
            true => Err(AuthError::Token(TokenFault::Expired)),
            false => self.vouched(now),
        };
        in_time.map_err(|error| reply::unauthorised(&error))?;
        self.permits(&self.model)
    }

    fn permits(&self, model: &str) -> Result<(), Failure> {
        let named = |models: &Rc<[String]>| models.iter().any(|named| named == model);
        if !self.models.as_ref().is_none_or(named) {
            let model = model.to_owned();
            return Err(reply::unauthorised(&AuthError::ModelNotAllowed { model }));
        }
        let app = &self.desk.worker().app;
        let key = Arc::clone(self.principal().display());
        if self.unseen && intercept::is_of_interest(app, &key, [model]) {
            return Err(super::unseen());
        }
        let granted = app.authenticator.authorise(&self.principal(), model);
        granted
            .map(drop)
            .map_err(|error| reply::unauthorised(&error))
    }

    fn admits(&self) -> Result<(), Failure> {
        let app = &self.desk.worker().app;
        // As its limits are now: a controller's key may have been given others since the session began.
        let principal = app.authenticator.refresh(&self.principal());
        let principal = principal.map_err(|error| reply::unauthorised(&error))?;
        let Some(limiter) = app.allowances.of(&principal, app.shared.now()) else {
            return Ok(());
        };
        let figures = limiter.figures(app.shared.now());
        let Some(tokens) = figures.tokens.filter(|tokens| tokens.remaining == 0) else {
            return Ok(());
        };
        let why = "this key is at its limit of tokens per minute";
        let mut failure = Failure::new(Origin::Gateway, FailureKind::RateLimit, why);
        failure.code = Some("rate_limit_exceeded".to_owned());
        failure.retry_after = Some(tokens.reset);
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_auth::tokens::introspection::{Asked, ClientAuth};
    use llmleaf_auth::tokens::{
        ClaimPath, IdentityLimits, Introspection, Issuer, KeySource, Mapping, Rules,
    };
    use llmleaf_auth::{Issuers, Proof};
    use std::time::Duration;

    const NOW: u64 = 1_800_000_000;

    /// Whom an issuer vouches for at that time; its word counts for half a minute.
    fn principal(subject: &str, now: u64) -> Principal {
        let rules = Rules {
            issuer: "https://login.example".to_owned(),
            audience: vec!["llmleaf".to_owned()],
            algorithms: Vec::new(),
            types: Vec::new(),
            leeway: Duration::ZERO,
        };
        let mapping = Mapping {
            name: "corp".to_owned(),
            identity: ClaimPath("sub".to_owned()),
            display: None,
            roles: Vec::new(),
            grants: Default::default(),
            models: vec!["*".to_owned()],
            limits: IdentityLimits::default(),
            explains: false,
            scopes: Vec::new(),
        };
        let how = Introspection {
            asked: Asked::All,
            auth: ClientAuth::None,
            ttl: Duration::from_secs(30),
        };
        let source = Arc::new(KeySource::new(None, None));
        let issuer = Issuer::new(rules, mapping, source, Some(how));
        let issuers = Issuers::new(vec![issuer]).expect("chance");
        let Proof::NeedsAnswer(question) = issuers.prove("a token", false, now) else {
            panic!("it is asked");
        };
        let answer = format!(r#"{{"active":true,"sub":"{subject}"}}"#);
        let principal = issuers.answered(*question, answer.as_bytes(), now);
        principal.expect("it is good")
    }

    fn standing() -> Standing {
        Standing {
            principal: principal("alice", NOW),
            refused: None,
            asking: None,
            next: 0,
            doubtful: None,
        }
    }

    #[test]
    fn f12_a_session_is_asked_about_again_and_ends_with_its_token() {
        let mut standing = standing();
        assert_eq!(standing.is_due(NOW + 29), Ok(false));
        assert_eq!(standing.is_due(NOW + 30), Ok(true));
        standing.hear(Ok(principal("alice", NOW + 31)), NOW + 31);
        assert_eq!(standing.is_due(NOW + 60), Ok(false), "known anew");
        assert_eq!(standing.is_due(NOW + 61), Ok(true));
        let revoked = AuthError::Token(TokenFault::Inactive);
        standing.hear(Err(revoked.clone()), NOW + 62);
        assert_eq!(standing.is_due(NOW + 62), Err(revoked));
    }

    #[test]
    fn f12_a_session_whose_issuer_is_away_goes_on_for_a_while() {
        let mut standing = standing();
        for second in 30..30 + PATIENCE {
            let due = standing.is_due(NOW + second).expect("it goes on");
            assert_eq!(due, (second - 30) % AGAIN == 0, "{second}");
            if due {
                standing.hear(Err(AuthError::IssuerUnavailable), NOW + second);
            }
        }
        let late = standing.is_due(NOW + 30 + PATIENCE);
        assert_eq!(late, Err(AuthError::IssuerUnavailable));
    }

    #[test]
    fn a_token_that_is_somebody_elses_now_ends_its_session() {
        let mut standing = standing();
        standing.hear(Ok(principal("bob", NOW)), NOW);
        assert!(standing.is_due(NOW).is_err());
    }
}
