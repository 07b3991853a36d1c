//! Asking an issuer about a token. The request that brought it asks; others with the same token wait for the answer.

use super::{Line, Tokens, Unheard, fetch, pool};
use crate::service::{Worker, unix_now};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use llmleaf_auth::tokens::Introspection;
use llmleaf_auth::tokens::introspection::MAX_ANSWER_BYTES;
use llmleaf_auth::tokens::issuers::Question;
use llmleaf_auth::{AuthError, Principal, Proof};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// How many questions are asked at once, of all issuers.
const ASKING: usize = 64;

type Asking = Mutex<HashMap<[u8; 32], Arc<Notify>>>;

impl Tokens {
    pub(super) async fn ask(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        token: &str,
        signed: bool,
        question: Question,
    ) -> Result<Principal, AuthError> {
        let line = self.lines.get(question.issuer);
        let line = line.ok_or(AuthError::IssuerUnavailable)?;
        let turn = match turn(&self.asking, question.digest) {
            Some(Turn::Ask(turn)) => turn,
            Some(Turn::Wait(answered)) => {
                let patience = line.questions.as_ref().map_or(line.timeout, |q| q.timeout);
                let _ = tokio::time::timeout(patience, answered.0).await;
                return match self.prove(token, signed) {
                    Proof::Proven(principal) => Ok(principal),
                    Proof::Refused(error) => Err(error),
                    // Nothing was learnt, and asking once more at once would learn no more.
                    Proof::NeedsAnswer(_) | Proof::NeedsKeys(..) => {
                        Err(AuthError::IssuerUnavailable)
                    }
                };
            }
            // As many as may be asked at once.
            None => return Err(AuthError::IssuerUnavailable),
        };
        let how = self.issuers.all().get(question.issuer);
        let how = how.and_then(|issuer| issuer.introspection.as_ref());
        let how = how.ok_or(AuthError::IssuerUnavailable)?;
        let answer = answer(worker, question.issuer, line, how, token).await;
        let answer = answer.map_err(|why| {
            tracing::warn!(issuer = line.name, %why, "cannot ask an issuer about a token");
            AuthError::IssuerUnavailable
        })?;
        let result = (self.issuers).answered(question, &answer, unix_now().as_secs());
        if let Err(AuthError::IssuerUnavailable) = result {
            tracing::warn!(
                issuer = line.name,
                "an issuer's answer about a token is none"
            );
        }
        // Those who wait look for what was remembered just now.
        drop(turn);
        result
    }
}

async fn answer(
    worker: &Worker,
    issuer: usize,
    line: &Line,
    how: &Introspection,
    token: &str,
) -> Result<Bytes, Unheard> {
    let at = line.questions.as_ref().ok_or(Unheard::NoWay)?;
    let mut request = Request::post(&at.address.path)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(value) = how.authorization() {
        let value = HeaderValue::from_str(value.expose()).map_err(|_| Unheard::Request)?;
        let mut value = value;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let form = Bytes::copy_from_slice(how.form(token).expose().as_bytes());
    let request = request.body(form).map_err(|_| Unheard::Request)?;
    let pool = pool(worker, issuer)?;
    fetch(pool, &at.address, request, MAX_ANSWER_BYTES, at.timeout).await
}

enum Turn<'a> {
    /// The caller asks.
    Ask(Held<'a>),
    /// Somebody does.
    Wait(Answered),
}

/// Resolves when somebody else's question has ended.
struct Answered(std::pin::Pin<Box<dyn Future<Output = ()>>>);

/// The right to ask. However it ends, those who wait hear of it.
struct Held<'a> {
    asking: &'a Asking,
    digest: [u8; 32],
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let waiting = self.asking.lock().remove(&self.digest);
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
    }
}

fn turn(asking: &Asking, digest: [u8; 32]) -> Option<Turn<'_>> {
    let mut running = asking.lock();
    let count = running.len();
    match running.entry(digest) {
        Entry::Occupied(known) => {
            // Made under the lock, so that no end is missed.
            let answered = Arc::clone(known.get()).notified_owned();
            Some(Turn::Wait(Answered(Box::pin(answered))))
        }
        Entry::Vacant(_) if count >= ASKING => None,
        Entry::Vacant(place) => {
            place.insert(Arc::default());
            Some(Turn::Ask(Held { asking, digest }))
        }
    }
}
