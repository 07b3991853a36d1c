//! What an exchange is to do.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llmleaf_dialects::{Dialect, Head};
use llmleaf_model::Preferences;
use llmleaf_route::{Millis, Permit, Resolved};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Chat,
    /// The number of input tokens.
    CountTokens,
}

/// One authorised, routed request.
#[derive(Debug)]
pub struct Job {
    /// What is asked.
    pub operation: Operation,
    /// The consumer's dialect.
    pub dialect: Dialect,
    /// The first reading of the body.
    pub head: Head,
    /// A streamed answer is to be one JSON array of its events (only where the dialect knows such).
    pub in_array: bool,
    /// The body as the consumer sent it, inflated.
    pub body: Bytes,
    /// Id of the exchange, made here and unique whatever the consumer calls its request. Records are known by it.
    pub id: Arc<str>,
    /// Id of the request, in replies, logs and records.
    pub request_id: Arc<str>,
    /// Who asks: display name of the key.
    pub key: Arc<str>,
    /// Where to.
    pub resolved: Resolved,
    /// Where to for the further models that the request names, in its order.
    pub more: Vec<Resolved>,
    /// What the request asks of routing, beside that.
    pub preferences: Option<Box<Preferences>>,
    /// Hash of the session that the client names in a header.
    pub session: Option<u64>,
    /// What the exchange holds of its key's limits.
    pub allowance: Option<Allowance>,
    /// Consumer headers that some provider's row lets through. Everything else stayed behind.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Unix seconds at which the request came.
    pub created: u64,
}

/// What an exchange holds of its key's limits: a place until it ends, and the tokens that it is thought to use. What its attempts
/// used takes the place of the thought.
#[derive(Clone, Debug)]
pub struct Allowance(Rc<RefCell<Held>>);

#[derive(Debug)]
struct Held {
    permit: Permit,
    spent: u64,
}

impl Allowance {
    /// From an admission.
    pub fn new(permit: Permit) -> Self {
        Self(Rc::new(RefCell::new(Held { permit, spent: 0 })))
    }

    /// So many tokens more were used.
    pub(crate) fn spend(&self, tokens: u64, now: Millis) {
        let mut held = self.0.borrow_mut();
        held.spent = held.spent.saturating_add(tokens);
        let spent = held.spent;
        held.permit.settle(spent, now);
    }
}
