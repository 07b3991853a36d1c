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
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, timeout_at};

/// How many questions one issuer is asked at once. Each has a bound of its own: one that is slow keeps nobody from asking another.
const ASKING: usize = 64;

/// The tokens that an issuer is being asked about, and who waits for what it says.
pub(super) type Asking = Mutex<HashMap<[u8; 32], Arc<Heard>>>;

/// What came of a question, for those who have the same.
#[derive(Default)]
pub(super) struct Heard {
    /// `None` while it is asked, and where whoever asked has gone away meanwhile.
    outcome: Mutex<Option<Result<Principal, AuthError>>>,
    ended: Arc<Notify>,
}

impl Tokens {
    pub(super) async fn ask(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        token: &str,
        signed: bool,
        mut question: Question,
    ) -> Result<Principal, AuthError> {
        let line = self.lines.get(question.issuer);
        let line = line.ok_or(AuthError::IssuerUnavailable)?;
        let patience = line.questions.as_ref().map_or(line.timeout, |q| q.timeout);
        let until = Instant::now() + patience;
        loop {
            let heard = match turn(&line.asking, question.digest) {
                Some(Turn::Ask(turn)) => {
                    let result = self.asked(worker, line, token, question).await;
                    turn.tell(&result);
                    return result;
                }
                Some(Turn::Wait(heard, ended)) => {
                    if timeout_at(until, ended).await.is_err() {
                        return Err(AuthError::IssuerUnavailable);
                    }
                    heard
                }
                // As many as may be asked at once.
                None => return Err(AuthError::IssuerUnavailable),
            };
            if let Some(outcome) = heard.outcome.lock().clone() {
                return outcome;
            }
            // Whoever asked has gone away, and with them the question: one of those who waited asks.
            question = match self.prove(token, signed) {
                Proof::Proven(principal) => return Ok(principal),
                Proof::Refused(error) => return Err(error),
                Proof::NeedsAnswer(question) => *question,
                Proof::NeedsKeys(..) => return Err(AuthError::IssuerUnavailable),
            };
        }
    }

    async fn asked(
        &self,
        worker: &Worker,
        line: &Line,
        token: &str,
        question: Question,
    ) -> Result<Principal, AuthError> {
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
    /// Somebody does: what they will have heard, and when.
    Wait(Arc<Heard>, OwnedNotified),
}

/// The right to ask. However it ends, those who wait hear of it.
struct Held<'a> {
    asking: &'a Asking,
    digest: [u8; 32],
    heard: Arc<Heard>,
}

impl Held<'_> {
    /// Tells those who wait what came of it.
    fn tell(self, result: &Result<Principal, AuthError>) {
        *self.heard.outcome.lock() = Some(result.clone());
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.asking.lock().remove(&self.digest);
        self.heard.ended.notify_waiters();
    }
}

fn turn(asking: &Asking, digest: [u8; 32]) -> Option<Turn<'_>> {
    let mut running = asking.lock();
    let count = running.len();
    match running.entry(digest) {
        Entry::Occupied(known) => {
            let heard = Arc::clone(known.get());
            // Made under the lock, so that no end is missed.
            let ended = Arc::clone(&heard.ended).notified_owned();
            Some(Turn::Wait(heard, ended))
        }
        Entry::Vacant(_) if count >= ASKING => None,
        Entry::Vacant(place) => {
            let heard = Arc::clone(place.insert(Arc::default()));
            Some(Turn::Ask(Held {
                asking,
                digest,
                heard,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(asking: &Asking, digest: [u8; 32]) -> (Arc<Heard>, OwnedNotified) {
        match turn(asking, digest) {
            Some(Turn::Wait(heard, ended)) => (heard, ended),
            _ => panic!("nobody asks"),
        }
    }

    fn ask(asking: &Asking, digest: [u8; 32]) -> Held<'_> {
        match turn(asking, digest) {
            Some(Turn::Ask(held)) => held,
            _ => panic!("somebody asks"),
        }
    }

    /// Also what is not remembered: an answer that counts for no time at all, or that the issuer could not be asked.
    #[tokio::test]
    async fn who_waits_hears_what_was_heard() {
        let asking = Asking::default();
        let needed = "llm".to_owned();
        for outcome in [
            AuthError::InsufficientScope { needed },
            AuthError::IssuerUnavailable,
        ] {
            let held = ask(&asking, [1; 32]);
            let waiting = [wait(&asking, [1; 32]), wait(&asking, [1; 32])];
            held.tell(&Err(outcome.clone()));
            for (heard, ended) in waiting {
                ended.await;
                let told = heard.outcome.lock().clone().expect("it was told");
                assert_eq!(told.map(drop), Err(outcome.clone()));
            }
        }
        assert!(asking.lock().is_empty());
    }

    /// Who asked may hang up; then one of the others asks.
    #[tokio::test]
    async fn who_goes_away_leaves_the_turn_to_who_waits() {
        let asking = Asking::default();
        let held = ask(&asking, [1; 32]);
        let (heard, ended) = wait(&asking, [1; 32]);
        drop(held);
        ended.await;
        assert!(heard.outcome.lock().is_none());
        drop(ask(&asking, [1; 32]));
    }

    #[test]
    fn a_slow_issuer_has_a_bound_of_its_own() {
        let digest = |n: usize| [u8::try_from(n).expect("small"); 32];
        let (slow, other) = (Asking::default(), Asking::default());
        let held: Vec<Held<'_>> = (0..ASKING).map(|n| ask(&slow, digest(n))).collect();
        assert!(turn(&slow, digest(ASKING)).is_none());
        drop(wait(&slow, digest(0)));
        ask(&other, digest(ASKING));
        drop(held);
        ask(&slow, digest(ASKING));
    }
}
