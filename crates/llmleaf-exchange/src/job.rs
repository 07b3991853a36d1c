//! What an exchange is to do.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use llmleaf_dialects::{Dialect, Head};
use llmleaf_route::Resolved;
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
    /// Consumer headers that some provider's row lets through. Everything else stayed behind.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Unix seconds at which the request came.
    pub created: u64,
}
