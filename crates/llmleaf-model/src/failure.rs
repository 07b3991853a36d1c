//! One closed taxonomy of what can go wrong with an attempt.

use bytes::Bytes;
use std::time::Duration;

/// A failed attempt, or a refused request, as routing and the consumer's dialect need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Whose fault it is.
    pub origin: Origin,
    /// What it is.
    pub kind: FailureKind,
    /// Where another try may go. The dialect decides, the router obeys.
    pub retry: Retry,
    /// The upstream's status, where one was received.
    pub status: Option<u16>,
    /// What happened, for the consumer; never holds a secret.
    pub message: String,
    /// The wire's stable code, where it had one (`context_length_exceeded`).
    pub code: Option<String>,
    /// The wire's error type, where it had one (`overloaded_error`).
    pub wire_type: Option<String>,
    /// The request field at fault.
    pub param: Option<String>,
    /// How long to wait, as the upstream or we ourselves say.
    pub retry_after: Option<Duration>,
    /// The upstream's body, untouched; the operator may see it, and a consumer of the same dialect.
    pub body: Option<Bytes>,
    /// The upstream may have done the work, and may bill for it.
    pub possibly_billed: bool,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The request itself: returned as it is, harms no health, tried once.
    Consumer,
    /// This gateway: its configuration, limits or a fault of its own.
    Gateway,
    /// The provider or the way to it: the next target is tried.
    Upstream,
}

/// Where another try may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Nowhere: the answer would be the same.
    Never,
    /// The next target of the chain.
    NextTarget,
}

/// What a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The body does not say what this operation needs.
    InvalidRequest,
    /// The prompt and the answer do not fit the model's window.
    ContextLength,
    /// The prompt or answer was stopped by a content policy, as an error.
    ContentPolicy,
    /// The body is larger than allowed.
    TooLarge,
    /// No credential, or one that proves nothing.
    Authentication,
    /// Known, but not allowed.
    Permission,
    /// Money or quota is used up.
    Quota,
    /// No such model, path or object.
    NotFound,
    /// The method does not exist on this path.
    MethodNotAllowed,
    /// In conflict with another request.
    Conflict,
    /// Too many requests or tokens.
    RateLimit,
    /// The provider (or this gateway) has no room.
    Overloaded,
    /// The provider failed.
    Server,
    /// The target does not offer what the request needs. Costs no health.
    Unsupported,
    /// No connection could be made.
    Connect,
    /// A clock ran out; the message names it.
    Timeout,
    /// The stream ended without its terminal.
    Truncated,
    /// The provider's bytes are not what its wire promises.
    InvalidResponse,
    /// The provider refused this gateway's own credential.
    Credential,
    /// The consumer went away.
    Cancelled,
    /// This gateway has a fault.
    Internal,
}

impl FailureKind {
    /// Stable lower-case slug, for logs, records and error codes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::ContextLength => "context_length_exceeded",
            Self::ContentPolicy => "content_policy",
            Self::TooLarge => "request_too_large",
            Self::Authentication => "authentication",
            Self::Permission => "permission_denied",
            Self::Quota => "insufficient_quota",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::RateLimit => "rate_limit_exceeded",
            Self::Overloaded => "overloaded",
            Self::Server => "upstream_error",
            Self::Unsupported => "unsupported",
            Self::Connect => "upstream_unreachable",
            Self::Timeout => "upstream_timeout",
            Self::Truncated => "upstream_truncated",
            Self::InvalidResponse => "upstream_invalid",
            Self::Credential => "upstream_credential",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal_error",
        }
    }

    /// Whose fault a failure of this kind is when an upstream reports it.
    pub fn upstream_origin(self) -> Origin {
        match self {
            Self::InvalidRequest
            | Self::ContextLength
            | Self::ContentPolicy
            | Self::TooLarge
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Conflict => Origin::Consumer,
            _ => Origin::Upstream,
        }
    }
}

impl Failure {
    /// A failure with the given parts; retry follows from the origin.
    pub fn new(origin: Origin, kind: FailureKind, message: impl Into<String>) -> Self {
        let retry = if origin == Origin::Upstream {
            Retry::NextTarget
        } else {
            Retry::Never
        };
        Self {
            origin,
            kind,
            retry,
            status: None,
            message: message.into(),
            code: None,
            wire_type: None,
            param: None,
            retry_after: None,
            body: None,
            possibly_billed: false,
        }
    }

    /// The consumer's request is at fault.
    pub fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        let mut failure = Self::new(Origin::Consumer, FailureKind::InvalidRequest, message);
        failure.param = param.map(str::to_owned);
        failure
    }

    /// The provider is at fault.
    pub fn upstream(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Origin::Upstream, kind, message)
    }

    /// This gateway is at fault.
    pub fn gateway(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::new(Origin::Gateway, kind, message)
    }
}
