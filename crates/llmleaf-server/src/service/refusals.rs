//! What is refused before any target is asked.

use super::allowed::Limited;
use super::{Worker, unix_now};
use crate::http1::Refused;
use crate::registry::Endpoint;
use crate::reply::{self, Reply, ReplyBody};
use crate::{discovery, path};
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method};
use llmleaf_dialects::Dialect;
use llmleaf_exchange::explain;
use llmleaf_model::{Failure, FailureKind, Origin};
use std::sync::Arc;

/// The path exists, with other methods.
pub(super) fn other_methods(dialect: Dialect, methods: &[&'static Method], id: &str) -> Reply {
    let list: Vec<&str> = methods.iter().map(|m| m.as_str()).collect();
    let list = list.join(", ");
    let message = format!("this path takes {list}");
    let failure = Failure::new(Origin::Consumer, FailureKind::MethodNotAllowed, message);
    let mut reply = reply::failed(dialect, &failure, id);
    if let Ok(value) = HeaderValue::from_str(&list) {
        reply.headers_mut().insert(ALLOW, value);
    }
    reply
}

/// What is told to a request that was not accepted; it is noted, too.
pub(super) fn refused(
    worker: &Worker,
    dialect: Dialect,
    endpoint: Option<&'static Endpoint>,
    failure: &Failure,
    id: &Arc<str>,
) -> Reply {
    let reply = reply::failed(dialect, failure, id);
    let telemetry = &worker.app.telemetry;
    telemetry.refused(id, endpoint, failure, reply.status());
    reply
}

/// What a caller is told who asks how requests are decided, and may: whatever came of serving it.
pub(super) fn told(
    worker: &Worker,
    (endpoint, dialect): (&'static Endpoint, Dialect),
    served: Result<Reply, Failure>,
    id: &Arc<str>,
) -> Reply {
    match served {
        Ok(reply) => explained(reply, None),
        Err(failure) => {
            let reply = refused(worker, dialect, Some(endpoint), &failure, id);
            explained(reply, Some(failure.kind))
        }
    }
}

/// The same to a caller who asks how requests are decided, and may: that nobody was asked, and why. A reply that was not refused by a failure
/// is one of an exchange, which explains itself where it can, or says that the key is at its limits.
pub(super) fn explained(mut reply: Reply, failure: Option<FailureKind>) -> Reply {
    let limited = reply.extensions().get::<Limited>().map(|Limited| "limits");
    let Some(why) = failure.map(FailureKind::as_str).or(limited) else {
        return reply;
    };
    let ReplyBody::Whole(body) = reply.body_mut() else {
        return reply;
    };
    let (header, told) = explain::refused(body.as_deref().unwrap_or_default(), why);
    *body = body.is_some().then(|| told.into());
    if let Some(header) = header {
        reply.headers_mut().insert(&explain::HEADER, header);
    }
    reply
}

/// There is no room.
pub(super) fn overloaded() -> Failure {
    let message = "this gateway has no room for more work now; try again shortly";
    let mut failure = Failure::gateway(FailureKind::Overloaded, message);
    failure.code = Some("server_overloaded".to_owned());
    failure
}

/// There is no such path.
pub fn unknown(path: &str) -> Failure {
    let message = format!("no such endpoint; {}", path::hint(path));
    Failure::new(Origin::Consumer, FailureKind::NotFound, message)
}

/// The answer to what is no request that is read.
pub fn unread(worker: &Worker, told: &Refused) -> Reply {
    let millis = u64::try_from(unix_now().as_millis()).unwrap_or_default();
    let id = worker.ids.fresh(millis);
    let canonical = path::canonical(&told.path);
    let dialect = discovery::dialect(&canonical.path, canonical.dialect, &HeaderMap::new());
    let reply = refused(worker, dialect, None, &told.failure, &id);
    reply::finish(reply, dialect, &id)
}
