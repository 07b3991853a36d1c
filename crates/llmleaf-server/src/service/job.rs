//! What every exchange is begun with, whatever it is about.

use super::Call;
use crate::traces;
use http::HeaderMap;
use llmleaf_auth::Principal;
use llmleaf_dialects::{Dialect, Head};
use llmleaf_exchange::{Job, Operation};
use llmleaf_route::Resolved;
use std::sync::Arc;

impl Call {
    /// An exchange without a body, for a caller: what there is to it beyond that is said over it.
    pub fn bare_job(
        &self,
        (operation, dialect, head): (Operation, Dialect, Head),
        (id, principal): (Arc<str>, &Principal),
        resolved: Resolved,
        headers: &HeaderMap,
    ) -> Job {
        Job {
            operation,
            dialect,
            heard: dialect,
            head,
            in_array: false,
            whole_calls: false,
            body: bytes::Bytes::new(),
            upload: None,
            id,
            request_id: Arc::clone(&self.id),
            key: Arc::clone(principal.display()),
            resolved,
            more: Vec::new(),
            preferences: None,
            prompt_cache: None,
            session: None,
            tokens: 0,
            allowance: None,
            owner: None,
            batch: None,
            names: None,
            headers: self.forwarded(headers),
            realtime: None,
            inspector: None,
            trace: traces::of(&self.worker, headers),
            created: self.created,
        }
    }
}
