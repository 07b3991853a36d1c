//! Callers that identity providers vouch for: what `llmleaf-auth` wants to know of them is fetched here.
//!
//! A token that was proven before costs a look. Keys are fetched by tasks of their own, one at a time for each issuer, since nobody
//! who waits for them owns them; questions about a token belong to the request that brought it.
//!
//! Reading order: [`Tokens`], `tokens/build.rs` (from the configuration), `tokens/keys.rs` (keys), `tokens/questions.rs` (questions).

mod build;
mod keys;
mod questions;

use crate::service::{Worker, unix_now};
use bytes::Bytes;
use http::Request;
use llmleaf_auth::tokens::{KeySource, Missing};
use llmleaf_auth::{AuthError, Issuers, Principal, Proof, TokenFault};
use llmleaf_transport::{Origin, Pool};
use questions::Asking;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The issuers of a configuration. It outlives one that leaves them as they were.
pub struct Tokens {
    issuers: Issuers,
    /// How each of them is reached, in the same order.
    lines: Vec<Line>,
}

/// How an issuer is reached.
struct Line {
    name: String,
    issuer: String,
    keys: KeysAt,
    pulls: Arc<Pulls>,
    timeout: Duration,
    questions: Option<QuestionsAt>,
    /// Tokens that it is being asked about.
    asking: Asking,
    /// Stands for all that the issuer was made from.
    mark: [u8; 32],
}

/// Where keys are.
enum KeysAt {
    /// In the configuration.
    Here,
    /// There.
    At(Address),
    /// Where that says.
    Found(Address),
}

/// Where questions go.
struct QuestionsAt {
    address: Address,
    timeout: Duration,
}

/// An issuer's keys, and who waits for them. It outlives configurations that leave their source as it was.
struct Pulls {
    source: Arc<KeySource>,
    landed: Notify,
    /// Stands for where they come from.
    mark: [u8; 32],
}

/// A server, and a path with its query.
struct Address {
    origin: Arc<Origin>,
    path: String,
}

/// What the admin surface shows of an issuer.
pub struct IssuerView<'t> {
    /// Its name here.
    pub name: &'t str,
    /// How many keys it has.
    pub keys: usize,
    /// How long ago they were fetched, in milliseconds; `None` where they were not.
    pub age_ms: Option<u64>,
    /// How often fetching them has failed since.
    pub failures: u32,
}

impl Tokens {
    /// Which tokens are taken.
    pub fn taken(&self) -> llmleaf_auth::Tokens {
        llmleaf_auth::Tokens {
            signed: true,
            opaque: self.issuers.takes_opaque(),
        }
    }

    /// Others are in effect: what was proven by an issuer that is not among them as it was counts no more.
    pub fn close(&self, next: Option<&Self>) {
        self.issuers.close(next.map(|next| &next.issuers));
    }

    /// Proves who a token was issued to.
    ///
    /// # Errors
    /// The token is not good, or it cannot be found out whether it is.
    pub async fn principal(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        token: &str,
        signed: bool,
    ) -> Result<Principal, AuthError> {
        match self.prove(token, signed) {
            Proof::Proven(principal) => Ok(principal),
            Proof::Refused(error) => Err(error),
            // Boxed: every request would carry its size about.
            more => Box::pin(self.found_out(worker, token, signed, more)).await,
        }
    }

    fn prove(&self, token: &str, signed: bool) -> Proof {
        self.issuers.prove(token, signed, unix_now().as_secs())
    }

    async fn found_out(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        token: &str,
        signed: bool,
        mut proof: Proof,
    ) -> Result<Principal, AuthError> {
        if let Proof::NeedsKeys(issuer, _) = proof {
            self.wait_for_keys(worker, issuer).await;
            proof = self.prove(token, signed);
        }
        match proof {
            Proof::Proven(principal) => Ok(principal),
            Proof::Refused(error) => Err(error),
            Proof::NeedsKeys(_, Missing::All) => Err(AuthError::IssuerUnavailable),
            Proof::NeedsKeys(_, Missing::One) => Err(AuthError::Token(TokenFault::Key)),
            Proof::NeedsAnswer(question) => self.ask(worker, token, signed, *question).await,
        }
    }

    /// Looks after the age of keys; asked every few seconds.
    pub fn tick(self: &Arc<Self>, worker: &Rc<Worker>) {
        let now = worker.app.shared.now().0;
        for (index, line) in self.lines.iter().enumerate() {
            let schedule = line.pulls.source.schedule.as_ref();
            if schedule.is_some_and(|schedule| schedule.lock().tick(now)) {
                self.fly(worker, index);
            }
        }
    }

    /// The issuers, for the admin surface.
    pub fn view(&self, now: u64) -> impl Iterator<Item = IssuerView<'_>> {
        self.lines.iter().map(move |line| {
            let schedule = line.pulls.source.schedule.as_ref();
            let (landed, failures) = schedule.map_or((None, 0), |schedule| {
                let schedule = schedule.lock();
                (schedule.landed(), schedule.failures())
            });
            IssuerView {
                name: &line.name,
                keys: line.pulls.source.len(),
                age_ms: landed.map(|landed| now.saturating_sub(landed)),
                failures,
            }
        })
    }
}

/// Why nothing was learnt of an issuer. For the operator; holds nothing of what was answered.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("there is no way to it")]
    NoWay,
    #[error("no answer in time")]
    Late,
    #[error("{0}")]
    Transport(#[from] llmleaf_transport::TransportError),
    #[error("it answered {0}")]
    Status(u16),
    #[error("its discovery document is not its own, or names no usable `jwks_uri`")]
    Document,
    #[error("{0}")]
    Keys(#[from] llmleaf_auth::tokens::KeySetError),
    #[error("the request cannot be made")]
    Request,
}

/// Sends a request and takes its answer, which is a plain 200: no redirect is followed.
async fn fetch(
    pool: &Pool,
    address: &Address,
    request: Request<Bytes>,
    most: usize,
    timeout: Duration,
) -> Result<Bytes, Unheard> {
    let exchange = async {
        let response = pool.call(&address.origin, request, timeout).await?;
        if response.status != http::StatusCode::OK {
            return Err(Unheard::Status(response.status.as_u16()));
        }
        Ok(response.body.collect(most).await?)
    };
    match tokio::time::timeout(timeout, exchange).await {
        Ok(result) => result,
        Err(_) => Err(Unheard::Late),
    }
}

/// This worker's connections to an issuer.
fn pool(worker: &Worker, issuer: usize) -> Result<&Pool, Unheard> {
    let way = worker.app.token_ways.get(issuer);
    let pool = way.and_then(|way| worker.node.pools.get(*way));
    pool.ok_or(Unheard::NoWay)
}
