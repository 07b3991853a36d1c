//! From request headers to a principal. Slow hashing never runs on a worker's own thread.

use crate::realtime;
use crate::service::Worker;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use llmleaf_auth::{
    AuthError, Check, Credential, CredentialHeaders, CredentialSource, Principal, Recall,
};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::Semaphore;

/// How many unproven credentials may wait to be hashed; more are shed.
const WAITING: usize = 32;

/// Where a credential may stand. Names that are made once: to look for a text costs its parsing each time.
static PLACES: [(HeaderName, CredentialSource); 4] = [
    (AUTHORIZATION, CredentialSource::Authorization),
    (
        HeaderName::from_static("x-api-key"),
        CredentialSource::XApiKey,
    ),
    (HeaderName::from_static("api-key"), CredentialSource::ApiKey),
    (
        HeaderName::from_static("x-goog-api-key"),
        CredentialSource::XGoogApiKey,
    ),
];

/// The bounded place where slow hashes run.
#[derive(Debug)]
pub struct Hashing {
    running: Semaphore,
    waiting: Semaphore,
}

impl Hashing {
    /// Room for as many hashes at a time as there are cores, less one that serves.
    pub fn new(cores: usize) -> Self {
        Self {
            running: Semaphore::new(cores.saturating_sub(1).max(1)),
            waiting: Semaphore::new(WAITING),
        }
    }
}

/// Proves who is calling.
///
/// # Errors
/// No credential, a malformed one, or one that proves nothing; a key that may not be used now; or too many are waiting.
pub async fn principal(worker: &Rc<Worker>, headers: &HeaderMap) -> Result<Principal, AuthError> {
    admitted(worker, prove(worker, &found(headers)).await)
}

/// The same on a connection that remembers whom it has proven: most callers show the same credential with every request.
///
/// # Errors
/// As above.
pub async fn again(
    worker: &Rc<Worker>,
    headers: &HeaderMap,
    known: &RefCell<Recall>,
) -> Result<Principal, AuthError> {
    let (authenticator, found) = (&worker.app.authenticator, found(headers));
    let mark = authenticator.mark(&found);
    let own = mark.and_then(|mark| authenticator.recall(&mut known.borrow_mut(), &mark));
    if let Some(principal) = own {
        return admitted(worker, Ok(principal));
    }
    let proven = prove(worker, &found).await;
    if let (Some(mark), Ok(principal)) = (mark, &proven) {
        known.borrow_mut().keep(mark, principal);
    }
    admitted(worker, proven)
}

/// The same for a session, which browsers open with a key among their sub-protocols.
///
/// # Errors
/// As above.
pub async fn session(worker: &Rc<Worker>, headers: &HeaderMap) -> Result<Principal, AuthError> {
    let mut found = found(headers);
    for key in realtime::credentials(headers) {
        found.push(CredentialSource::WebSocketProtocol, key.as_bytes());
    }
    admitted(worker, prove(worker, &found).await)
}

fn admitted(worker: &Worker, proven: Result<Principal, AuthError>) -> Result<Principal, AuthError> {
    let authenticator = &worker.app.authenticator;
    match proven {
        Ok(principal) => {
            authenticator.admit(&principal)?;
            Ok(principal)
        }
        // The same work was done and the same time passed as for a wrong one: only the answer is another.
        Err(AuthError::Invalid) if authenticator.is_cold() => Err(AuthError::IdentityUnavailable),
        Err(error) => Err(error),
    }
}

async fn prove(worker: &Rc<Worker>, found: &CredentialHeaders<'_>) -> Result<Principal, AuthError> {
    let (authenticator, hashing) = (&worker.app.authenticator, &worker.app.hashing);
    let tokens = worker.app.tokens.as_ref();
    let taken = tokens.map(|tokens| tokens.taken()).unwrap_or_default();
    let credential = Credential::read(found, taken)?;
    if let (Some(tokens), Some((token, signed))) = (tokens, credential.token()) {
        return tokens.principal(worker, token, signed).await;
    }
    let work = match authenticator.check(&credential) {
        Check::Granted(principal) => return Ok(principal),
        Check::Denied(error) => return Err(error),
        Check::NeedsWork(work) => work,
    };
    let _place = hashing
        .waiting
        .try_acquire()
        .map_err(|_| AuthError::Overloaded)?;
    let _turn = hashing
        .running
        .acquire()
        .await
        .map_err(|_| AuthError::Overloaded)?;
    let verdict = tokio::task::spawn_blocking(|| work.run())
        .await
        .map_err(|_| AuthError::Overloaded)?;
    authenticator.settle(verdict)
}

/// Every value that may be a credential.
fn found(headers: &HeaderMap) -> CredentialHeaders<'_> {
    let mut found = CredentialHeaders::new();
    for (name, source) in &PLACES {
        for value in headers.get_all(name) {
            found.push(*source, value.as_bytes());
        }
    }
    found
}
