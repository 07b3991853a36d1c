//! What can go wrong between us and an upstream, told by what the caller has to decide.

use std::io;

use rustix::io::Errno;

/// Why a call failed.
///
/// `sent` says whether the whole request had been handed to the kernel: less than that cannot
/// have been executed. `response_started` says whether any byte of a response had come.
///
/// A failure never says whose fault it is beyond the connection: that is the dialect's reading of
/// a response, and these are the cases without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The host name has no address, or the resolver failed.
    #[error("cannot resolve {host}: {reason}")]
    Resolve { host: String, reason: String },
    /// No address accepted a TCP connection.
    #[error("cannot connect: {reason}")]
    Connect { refused: bool, reason: String },
    /// This machine has no descriptor, port or memory left for a connection: not the upstream's fault.
    #[error("no connection can be made from here: {reason}")]
    Exhausted { reason: String },
    /// Resolving, connecting and the TLS handshake took longer than allowed.
    #[error("not connected within {limit_ms} ms")]
    ConnectTimeout { limit_ms: u64 },
    /// The TLS handshake failed; the certificate is among the usual reasons.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The upstream ended the connection before the response was complete.
    #[error("connection closed before the response was complete")]
    Closed { sent: bool, response_started: bool },
    /// The upstream reset the connection before the response was complete.
    #[error("connection reset before the response was complete")]
    Reset { sent: bool, response_started: bool },
    /// The response head, with the interim responses before it, is larger than allowed.
    #[error("response head too large")]
    HeadTooLarge,
    /// A response that is read as a whole is larger than the caller allows, in bytes.
    #[error("response body larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    /// What the upstream sent is not HTTP/1.1 as we may trust it.
    #[error("invalid response: {0}")]
    Protocol(String),
    /// The request's body could not be completed by whoever sends it.
    #[error("the request's body was not completed")]
    Fed,
    /// The request cannot be written; nothing was sent.
    #[error("invalid request: {0}")]
    Request(String),
}

impl TransportError {
    /// Whether the upstream may have executed, and charged for, the request.
    pub fn possibly_billed(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Exhausted { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls(_)
            | Self::Fed
            | Self::Request(_) => false,
            Self::Closed { sent, .. } | Self::Reset { sent, .. } => *sent,
            Self::HeadTooLarge | Self::BodyTooLarge { .. } | Self::Protocol(_) => true,
        }
    }

    /// Whether repeating the request cannot execute it twice. A retry elsewhere may be right even
    /// where this is false; then it may be paid for twice.
    pub fn retry_is_safe(&self) -> bool {
        !self.possibly_billed()
    }

    /// Whether any byte of a response had arrived.
    pub fn response_started(&self) -> bool {
        match self {
            Self::Closed {
                response_started, ..
            }
            | Self::Reset {
                response_started, ..
            } => *response_started,
            Self::HeadTooLarge | Self::BodyTooLarge { .. } | Self::Protocol(_) => true,
            _ => false,
        }
    }

    /// A stable word for records and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Connect { refused: true, .. } => "refused",
            Self::Connect { .. } => "connect",
            Self::Exhausted { .. } => "exhausted",
            Self::ConnectTimeout { .. } => "connect_timeout",
            Self::Tls(_) => "tls",
            Self::Closed { .. } => "closed",
            Self::Reset { .. } => "reset",
            Self::HeadTooLarge => "head_too_large",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::Protocol(_) => "protocol",
            Self::Fed => "fed",
            Self::Request(_) => "request",
        }
    }

    /// Whether a reused connection that fails like this, soon, was simply stale, so that the request
    /// may be sent once more on a fresh one.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(
            self,
            Self::Closed {
                response_started: false,
                ..
            } | Self::Reset {
                response_started: false,
                ..
            }
        )
    }
}

/// Reads why no address accepted a connection.
pub(crate) fn from_connecting(error: &io::Error) -> TransportError {
    // `connect(2)`, `socket(2)`: ours are descriptors, local ports and the kernel's memory.
    let ours = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::ADDRNOTAVAIL,
        Errno::NOBUFS,
        Errno::NOMEM,
    ];
    let reason = error.to_string();
    match Errno::from_io_error(error) {
        Some(errno) if ours.contains(&errno) => TransportError::Exhausted { reason },
        _ => TransportError::Connect {
            refused: error.kind() == io::ErrorKind::ConnectionRefused,
            reason,
        },
    }
}

/// How far an exchange had come when it failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub sent: bool,
    pub response_started: bool,
    pub write_failed: bool,
}

impl Progress {
    /// The upstream ended the connection; a write that failed before says it was a reset.
    pub fn ended(self) -> TransportError {
        let Progress {
            sent,
            response_started,
            write_failed,
        } = self;
        if write_failed {
            TransportError::Reset {
                sent,
                response_started,
            }
        } else {
            TransportError::Closed {
                sent,
                response_started,
            }
        }
    }

    fn reset(mut self) -> TransportError {
        self.write_failed = true;
        self.ended()
    }
}

/// Reads an error of the socket together with what was seen on it.
pub(crate) fn from_io(error: &io::Error, progress: Progress) -> TransportError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => progress.ended(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => progress.reset(),
        _ => TransportError::Protocol(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{TransportError, from_connecting};
    use rustix::io::Errno;

    #[test]
    fn i3_i4_a_lack_of_descriptors_or_ports_is_ours_and_a_refusal_is_theirs() {
        let read = |errno: Errno| from_connecting(&errno.into());
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::ADDRNOTAVAIL,
            Errno::NOBUFS,
        ] {
            let error = read(errno);
            assert!(matches!(error, TransportError::Exhausted { .. }), "{error}");
            assert!(!error.possibly_billed());
        }
        for errno in [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::HOSTUNREACH] {
            let error = read(errno);
            assert!(matches!(error, TransportError::Connect { .. }), "{error}");
        }
    }

    #[test]
    fn i4_a_lack_of_ports_is_ours() {
        let error = from_connecting(&Errno::ADDRNOTAVAIL.into());
        assert_eq!(error.kind(), "exhausted");
    }
}
