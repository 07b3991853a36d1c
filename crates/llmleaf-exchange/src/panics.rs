//! Panics: a fault of this program ends one exchange, and no other notices.
//!
//! Lints keep panics out of the code, and what still unwinds is caught where an exchange is polled. Nothing that outlives an
//! exchange is left half-changed by it: the snapshot is immutable, health is made of atomics, and the ledger's lock does not
//! poison.

use crate::outlet::{Outlet, ReplyHead};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use llmleaf_dialects::Dialect;
use llmleaf_model::{Failure, FailureKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Panics that were caught since the start.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Something panicked, and was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Runs `work`; a panic in it is caught and counted. What `work` was about must not be used again.
///
/// # Errors
/// It panicked.
pub fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
        Panicked
    })
}

/// How many panics were caught since the start.
pub fn caught() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}

/// What a consumer is told of a panic; where and why is the operator's.
pub fn failure() -> Failure {
    let message = "this gateway has a fault, which ended the request";
    Failure::gateway(FailureKind::Internal, message)
}

/// Tells the consumer, before or inside a stream, and ends the transport without a clean end in the second case.
pub(crate) async fn told(outlet: Outlet, dialect: Dialect, request_id: Arc<str>) {
    let failure = failure();
    // What was kept back is nobody's any more, and nothing would let go what is said of it.
    outlet.give_up();
    if outlet.head_sent() {
        outlet.write(&dialect.render_stream_error(&failure, &request_id));
        // The connection cuts when it has left.
        outlet.taken().await;
        outlet.abort();
        return;
    }
    let reply = dialect.render_error(&failure, &request_id);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    outlet.head(ReplyHead {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers,
        whole: Some(Bytes::from(reply.body)),
    });
}

/// Panics where a test wants it: for requests whose id is `inject-panic-` and the name of the place. Only builds with debug
/// assertions have it.
pub fn inject(place: &str, request_id: &str) {
    if cfg!(debug_assertions) && request_id.strip_prefix("inject-panic-") == Some(place) {
        #[expect(clippy::panic, reason = "this is what it is for")]
        {
            panic!("a test asked for it");
        }
    }
}
