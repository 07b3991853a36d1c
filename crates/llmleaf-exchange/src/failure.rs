//! Failures that no wire reported: the way to the upstream, and clocks.

use crate::pulse::Alarm;
use llmleaf_framing::FramingError;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use llmleaf_route::{Clock, GiveUp, Millis, Reason, Watch};
use llmleaf_transport::TransportError;
use std::time::Duration;

/// A failure of the connection. `started` says that a good response head had come.
pub(crate) fn transport(error: &TransportError, started: bool) -> Failure {
    if let TransportError::Exhausted { reason } = error {
        // No provider's health pays for what this machine lacks.
        tracing::error!(reason, "no connection to an upstream can be made from here");
        let message = "this gateway cannot make more connections now";
        let mut failure = Failure::gateway(FailureKind::Overloaded, message);
        failure.status = Some(503);
        return failure;
    }
    let kind = match error {
        TransportError::Resolve { .. }
        | TransportError::Connect { .. }
        | TransportError::Tls(_) => FailureKind::Connect,
        TransportError::ConnectTimeout { .. } => FailureKind::Timeout,
        TransportError::Closed { .. } | TransportError::Reset { .. } if started => {
            FailureKind::Truncated
        }
        TransportError::Closed { .. } | TransportError::Reset { .. } => FailureKind::Connect,
        _ => FailureKind::InvalidResponse,
    };
    let mut failure = Failure::upstream(kind, format!("upstream: {error}"));
    failure.possibly_billed = started || error.possibly_billed();
    failure
}

/// The target does not do that; another may.
pub(crate) fn unoffered(why: impl Into<String>) -> Failure {
    let mut failure = Failure::new(Origin::Gateway, FailureKind::Unsupported, why);
    failure.retry = Retry::NextTarget;
    failure
}

/// The code of an exchange that the end of the drain time cut.
pub(crate) const SHUTDOWN: &str = "server_shutdown";

/// The node's time to finish is over.
pub(crate) fn shutdown() -> Failure {
    let message = "this gateway is shutting down; the request can be sent again";
    let mut failure = Failure::gateway(FailureKind::Overloaded, message);
    failure.code = Some(SHUTDOWN.to_owned());
    failure.possibly_billed = true;
    failure
}

/// The caller may call no more.
pub(crate) fn barred() -> Failure {
    let message = "this key may not be used any more";
    let mut failure = Failure::new(Origin::Consumer, FailureKind::Permission, message);
    failure.code = Some("key_blocked".to_owned());
    failure.possibly_billed = true;
    failure
}

/// What records call a failure: its kind, but for the end of the node itself, which is no kind of a failing target.
pub(crate) fn slug(failure: &Failure) -> &'static str {
    match failure.code.as_deref() {
        Some(SHUTDOWN) => SHUTDOWN,
        _ => failure.kind.as_str(),
    }
}

/// A wait was ended: a clock ran out, or the node is closing.
pub(crate) fn timeout(alarm: Alarm, watch: &Watch) -> Failure {
    let clock = match alarm {
        Alarm::Clock(clock) => clock,
        Alarm::Closing => return shutdown(),
        Alarm::Barred => return barred(),
    };
    let limit = watch.limit(clock).as_millis();
    let mut failure = if clock == Clock::Deadline {
        // The target had only what others had left it of the request's time: that is not held against it.
        let message = format!(
            "the time for this request was over; its last target had {limit} ms of it and no content yet"
        );
        Failure::gateway(FailureKind::Timeout, message)
    } else {
        let clock = clock.as_str();
        let message = format!("upstream timeout: {clock} took longer than {limit} ms");
        Failure::upstream(FailureKind::Timeout, message)
    };
    failure.code = Some(format!("{}_timeout", clock.as_str()));
    failure.possibly_billed = true;
    failure
}

/// Bytes that are no frames.
pub(crate) fn framing(error: &FramingError) -> Failure {
    Failure::upstream(
        FailureKind::InvalidResponse,
        format!("upstream sent an invalid stream: {error}"),
    )
}

/// A walk ended without an answer: its last failure says why, or, where nobody could be tried, what stood in the way. The wait is
/// until the first target can be tried again.
pub(crate) fn gave_up(why: GiveUp, last: Option<Failure>, now: Millis) -> Failure {
    let refused = |last: &Failure| last.kind == FailureKind::Credential;
    let exhausted = why.reason == Reason::Credentials && last.as_ref().is_none_or(refused);
    let (mut failure, ours) = match last {
        Some(last) if !exhausted => (last, false),
        _ => (not_tried(why.reason), true),
    };
    if ours || failure.origin == Origin::Upstream {
        let wait = why.retry_at.map(|at| Duration::from_millis(at.since(now)));
        // Where nobody keeps count of a target's waits, what it said last is still true.
        let stated = failure.retry_after.filter(|_| !ours);
        failure.retry_after = wait.filter(|wait| !wait.is_zero()).or(stated);
    }
    failure
}

fn not_tried(reason: Reason) -> Failure {
    let (kind, code, message) = match reason {
        Reason::Credentials => (
            FailureKind::Credential,
            "credentials_exhausted",
            "every credential that this gateway has for the model is refused or used up",
        ),
        Reason::Deadline => (
            FailureKind::Timeout,
            "deadline_timeout",
            "the time for this request was over before a target could be tried",
        ),
        Reason::RateLimited => (
            FailureKind::RateLimit,
            "targets_rate_limited",
            "every target of the model asked for a wait that is not over",
        ),
        Reason::LocalLimit => (
            FailureKind::RateLimit,
            "targets_at_limit",
            "every target of the model is at this gateway's own limit for it",
        ),
        Reason::Failed | Reason::Down => (
            FailureKind::Overloaded,
            "targets_down",
            "every target of the model is passed over after failures",
        ),
    };
    let mut failure = Failure::gateway(kind, message);
    failure.code = Some(code.to_owned());
    failure
}
