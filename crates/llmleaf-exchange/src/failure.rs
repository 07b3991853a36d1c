//! Failures that no wire reported: the way to the upstream, and clocks.

use llmleaf_framing::FramingError;
use llmleaf_model::{Failure, FailureKind};
use llmleaf_route::{Clock, Clocks};
use llmleaf_transport::TransportError;

/// A failure of the connection. `started` says that a good response head had come.
pub(crate) fn transport(error: &TransportError, started: bool) -> Failure {
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

/// A clock ran out.
pub(crate) fn timeout(clock: Clock, clocks: &Clocks) -> Failure {
    let limit = match clock {
        Clock::Connect => clocks.connect,
        Clock::Headers => clocks.headers,
        Clock::FirstContent => clocks.first_content,
        Clock::Idle => clocks.idle,
        Clock::Total => clocks.total,
    };
    let message = format!(
        "upstream timeout: {} took longer than {} ms",
        clock.as_str(),
        limit.as_millis()
    );
    let mut failure = Failure::upstream(FailureKind::Timeout, message);
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
