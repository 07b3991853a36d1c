//! Any status, headers and bytes, read as an error of a provider, and what was read, told to consumers.

use crate::streams::Framed;
use crate::{json, wires};
use bytes::Bytes;
use llmleaf_dialects::Dialect;
use llmleaf_model::{Event, Failure, FailureKind, Origin};
use std::time::Duration;

/// Longest wait that a provider may ask of anyone.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// All laws of an error reply. `header` is the value of whatever header is asked for.
pub fn hold(dialect: Dialect, choice: u8, status: u16, header: Option<&str>, body: &[u8]) {
    let wire = wires::pick(dialect, choice);
    let body = Bytes::copy_from_slice(body);
    let failure = wire.parse_error(status, &|_| header.map(str::to_owned), &body);
    assert_eq!(failure.status, Some(status));
    assert_eq!(failure.body.as_ref(), Some(&body), "the body is not kept");
    assert!(!failure.message.is_empty());
    assert!(
        failure.retry_after.is_none_or(|wait| wait <= MAX_WAIT),
        "{failure:?}"
    );
    if matches!(status, 401 | 403) {
        // The gateway's own credential is never the consumer's fault.
        assert_ne!(failure.kind, FailureKind::Authentication);
    }
    for to in wires::DIALECTS {
        shown(to, &failure);
    }
}

fn shown(to: Dialect, failure: &Failure) {
    let reply = to.render_error(failure, "r");
    assert!((400..600).contains(&reply.status), "{}", reply.status);
    let doubles = failure.body.as_deref().is_some_and(json::has_doubles);
    if doubles {
        json::fields(&reply.body);
    } else {
        json::assert_strict(&reply.body, &[]);
    }
    if failure.origin != Origin::Consumer {
        assert_ne!(reply.status, 401, "a consumer would believe its key is bad");
    }
    let again = wires::reference(to).parse_error(reply.status, &|_| None, &reply.body.into());
    assert!(!again.message.is_empty());

    let stream = Framed::cut(to, &to.render_stream_error(failure, "r"), &[]);
    // One wire tells of an error and then of the response that failed.
    let told = if to == Dialect::Responses { 2 } else { 1 };
    assert!(stream.whole && stream.frames.len() == told);
    let events = stream.decode(&wires::reference(to));
    assert!(
        matches!(events.last(), Some(Event::Error(_))),
        "{failure:?} became {events:?}"
    );
}
