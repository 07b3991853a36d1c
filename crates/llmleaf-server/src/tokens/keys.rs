//! Fetching the keys of an issuer.

use super::{Address, KeysAt, Line, Tokens, Unheard, fetch, pool};
use crate::service::Worker;
use bytes::Bytes;
use http::Request;
use http::header::ACCEPT;
use llmleaf_auth::KeySet;
use llmleaf_auth::tokens::Wanted;
use llmleaf_auth::tokens::discovery::{self, MAX_DOCUMENT_BYTES};
use llmleaf_auth::tokens::keys::MAX_KEY_SET_BYTES;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

impl Tokens {
    /// Has keys fetched, if they may be, and waits for them, if they are.
    pub(super) async fn wait_for_keys(self: &Arc<Self>, worker: &Rc<Worker>, issuer: usize) {
        let Some(line) = self.lines.get(issuer) else {
            return;
        };
        let Some(schedule) = &line.pulls.source.schedule else {
            return;
        };
        let mut landed = pin!(line.pulls.landed.notified());
        // From here on no landing is missed.
        landed.as_mut().enable();
        let wanted = schedule.lock().wanted(worker.app.shared.now().0);
        match wanted {
            Wanted::Fly => self.fly(worker, issuer),
            Wanted::Wait => {}
            Wanted::No => return,
        }
        // A flight has at most two fetches, each bounded by itself.
        let _ = tokio::time::timeout(line.timeout * 2, landed).await;
    }

    /// Begins to fetch keys: a landing is owed for the schedule already.
    pub(super) fn fly(self: &Arc<Self>, worker: &Rc<Worker>, issuer: usize) {
        let flight = Flight {
            tokens: Arc::clone(self),
            worker: Rc::clone(worker),
            issuer,
            fetched: false,
        };
        tokio::task::spawn_local(flight.run());
    }
}

/// Whatever becomes of it, the schedule and those who wait are told.
struct Flight {
    tokens: Arc<Tokens>,
    worker: Rc<Worker>,
    issuer: usize,
    fetched: bool,
}

impl Flight {
    async fn run(mut self) {
        let tokens = Arc::clone(&self.tokens);
        let Some(line) = tokens.lines.get(self.issuer) else {
            return;
        };
        match keys(&self.worker, self.issuer, line).await {
            Ok(keys) => {
                let (count, skipped) = (keys.len(), keys.skipped());
                tracing::debug!(
                    issuer = line.name,
                    count,
                    skipped,
                    "fetched an issuer's keys"
                );
                line.pulls.source.install(keys);
                self.fetched = true;
            }
            Err(why) => {
                let kept = line.pulls.source.len();
                tracing::warn!(issuer = line.name, kept, %why, "cannot fetch an issuer's keys");
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let Some(line) = self.tokens.lines.get(self.issuer) else {
            return;
        };
        if let Some(schedule) = &line.pulls.source.schedule {
            let mut spread = [0; 8];
            // Without it, nodes that began together come back together.
            let _ = getrandom::fill(&mut spread);
            let now = self.worker.app.shared.now().0;
            let spread = u64::from_le_bytes(spread);
            schedule.lock().land(self.fetched, spread, now);
        }
        line.pulls.landed.notify_waiters();
    }
}

async fn keys(worker: &Worker, issuer: usize, line: &Line) -> Result<KeySet, Unheard> {
    let pool = pool(worker, issuer)?;
    let get = |address: &Address| {
        let request = Request::builder().uri(&address.path);
        let request = request.header(ACCEPT, "application/json");
        request.body(Bytes::new()).map_err(|_| Unheard::Request)
    };
    let found;
    let address = match &line.keys {
        KeysAt::Here => return Err(Unheard::NoWay),
        KeysAt::At(address) => address,
        KeysAt::Found(at) => {
            let document = fetch(pool, at, get(at)?, MAX_DOCUMENT_BYTES, line.timeout).await?;
            let address = discovery::key_set_address(&document, &line.issuer);
            let address = address.ok_or(Unheard::Document)?;
            found = Address::parse(&address).map_err(|_| Unheard::Document)?;
            &found
        }
    };
    let set = fetch(
        pool,
        address,
        get(address)?,
        MAX_KEY_SET_BYTES,
        line.timeout,
    )
    .await?;
    Ok(KeySet::parse(&set)?)
}
