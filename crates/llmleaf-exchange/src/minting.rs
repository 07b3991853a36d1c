//! Credentials that do not last: who asks for the next token, and how everybody else waits.
//!
//! A token that is good costs an exchange a look. The request for the next one is a task of its own, because it is nobody's: whoever
//! began it may go away, and all others want what it brings. It is bounded in time, and one at a time for each credential.

use crate::drive::Run;
use crate::failure;
use crate::node::Node;
use crate::waits;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue};
use llmleaf_mint::{Fresh, Purse, Source, Take, Token};
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::Watch;
use llmleaf_transport::{Origin, OriginError};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a connection to where tokens come from may take, and all of it.
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(15);
/// Largest answer that holds a token, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// What mints one credential. It outlives configurations, with the token that it has.
#[derive(Debug)]
pub struct Minter {
    source: Arc<Source>,
    mark: [u8; 32],
    origin: Arc<Origin>,
    path: String,
    purse: Purse,
    landed: Notify,
}

impl Minter {
    /// For a source. Nothing is asked yet.
    ///
    /// # Errors
    /// Its address is none.
    pub fn new(source: Arc<Source>) -> Result<Self, OriginError> {
        let (origin, path) = Origin::parse(source.url())?;
        Ok(Self {
            mark: source.mark(),
            origin: Arc::new(origin),
            path,
            source,
            purse: Purse::default(),
            landed: Notify::new(),
        })
    }

    /// Stands for its source.
    pub fn mark(&self) -> [u8; 32] {
        self.mark
    }

    /// The token it has.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        self.purse.value()
    }
}

/// The token for an attempt.
pub(crate) async fn token(
    run: &mut Run,
    minter: &Arc<Minter>,
    pool: usize,
    watch: &Watch,
) -> Result<Token, Failure> {
    loop {
        let mut landed = pin!(minter.landed.notified());
        // From here on no landing is missed.
        landed.as_mut().enable();
        match minter.purse.take(run.node.shared.now().0) {
            Take::Token(token) => return Ok(token),
            Take::TokenAndFly(token) => {
                fly(run, minter, pool);
                return Ok(token);
            }
            Take::Failed(failure) => return Err(*failure),
            Take::Fly => fly(run, minter, pool),
            Take::Wait => {}
        }
        if let Err(alarm) = run.wait(watch, landed).await {
            return Err(failure::timeout(alarm, watch));
        }
    }
}

/// The service refused a token: another one, if one is to be had.
pub(crate) async fn another(
    run: &mut Run,
    minter: &Arc<Minter>,
    refused: &Token,
    pool: usize,
    watch: &Watch,
) -> Option<Result<Token, Failure>> {
    let now = run.node.shared.now().0;
    if !minter.purse.refused(refused, now) {
        return None;
    }
    Some(token(run, minter, pool, watch).await)
}

/// Begins to ask for a token.
fn fly(run: &Run, minter: &Arc<Minter>, pool: usize) {
    let flight = Flight {
        minter: Arc::clone(minter),
        ended: false,
    };
    let (node, unix_now) = (Rc::clone(&run.node), run.unix_now());
    tokio::task::spawn_local(flight.run(node, pool, unix_now));
}

/// Whatever becomes of it, those who wait are told.
struct Flight {
    minter: Arc<Minter>,
    ended: bool,
}

impl Flight {
    async fn run(mut self, node: Rc<Node>, pool: usize, unix_now: u64) {
        let asked = node.shared.now();
        let asking = ask(&self.minter, &node, pool, unix_now);
        let result = match tokio::time::timeout(TOTAL, asking).await {
            Ok(result) => result,
            Err(_) => Err(Failure::upstream(
                FailureKind::Timeout,
                "the token endpoint did not answer in time",
            )),
        };
        let host = &self.minter.origin;
        match &result {
            Ok(fresh) => {
                tracing::debug!(%host, lifetime_secs = fresh.lifetime.as_secs(), "a new token")
            }
            Err(failure) => {
                tracing::warn!(%host, failure = failure.kind.as_str(), message = failure.message, "no new token");
            }
        }
        let now = node.shared.now().0;
        self.minter.purse.land(result, asked.0, now);
        self.ended = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.ended {
            self.minter.purse.abandon();
        }
        self.minter.landed.notify_waiters();
    }
}

async fn ask(minter: &Minter, node: &Node, pool: usize, unix_now: u64) -> Result<Fresh, Failure> {
    let pool = node.pools.get(pool).ok_or_else(|| {
        Failure::gateway(
            FailureKind::Internal,
            "there is no way to the token endpoint",
        )
    })?;
    let told = |error: &llmleaf_transport::TransportError| {
        let mut failure = failure::transport(error, false);
        failure.message = format!("the token endpoint: {error}");
        failure.possibly_billed = false;
        failure
    };
    let request = minter.source.request(&minter.path, unix_now)?;
    let call = pool.call(&minter.origin, request, CONNECT);
    let response = call.await.map_err(|error| told(&error))?;
    let wait = wait(&response.headers, unix_now);
    let status = response.status.as_u16();
    let body = response.body.collect(ANSWER_BYTES);
    let body = body.await.map_err(|error| told(&error))?;
    minter.source.answer(status, wait, &body)
}

/// When to come back, in seconds or as a moment.
fn wait(headers: &HeaderMap, unix_now: u64) -> Option<Duration> {
    let plain = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let seconds = plain.and_then(|text| text.trim().parse().ok());
    seconds
        .map(Duration::from_secs)
        .or_else(|| waits::stated(headers, FailureKind::RateLimit, unix_now))
}
