//! Failures that a directive asks for.

use llmleaf_model::{Failure, FailureKind};
use std::time::Duration;

/// The kinds a provider can fail with, and the status each usually comes with.
const KINDS: [(FailureKind, u16); 16] = [
    (FailureKind::InvalidRequest, 400),
    (FailureKind::ContextLength, 400),
    (FailureKind::ContentPolicy, 400),
    (FailureKind::Authentication, 401),
    (FailureKind::Credential, 401),
    (FailureKind::Quota, 402),
    (FailureKind::Permission, 403),
    (FailureKind::NotFound, 404),
    (FailureKind::MethodNotAllowed, 405),
    (FailureKind::Conflict, 409),
    (FailureKind::TooLarge, 413),
    (FailureKind::RateLimit, 429),
    (FailureKind::Server, 500),
    (FailureKind::Unsupported, 501),
    (FailureKind::Overloaded, 503),
    (FailureKind::Timeout, 504),
];

/// Longest wait that a failure may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A failure to play.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// What the consumer sees, if no other target answers.
    pub failure: Failure,
    /// Said before it: so many words. `None` fails before anything is said.
    pub after: Option<u64>,
}

/// Reads `[KIND] [STATUS] [retry-after=SECONDS] [after=WORDS]`.
pub(super) fn parse(arguments: &str) -> Option<Fault> {
    let (mut kind, mut status, mut retry_after, mut after) = (None, None, None, None);
    for word in arguments.split_whitespace() {
        if let Some(seconds) = word.strip_prefix("retry-after=") {
            let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
            retry_after = Some(seconds.min(MAX_RETRY_AFTER));
        } else if let Some(words) = word.strip_prefix("after=") {
            after = Some(words.parse().ok()?);
        } else if let Ok(number) = word.parse::<u16>() {
            status = Some(number).filter(|s| (400..600).contains(s));
            status?;
        } else {
            kind = Some(KINDS.iter().find(|(kind, _)| kind.as_str() == word)?.0);
        }
    }
    let kind = kind
        .or_else(|| status.map(of_status))
        .unwrap_or(FailureKind::Server);
    let usual = KINDS.iter().find(|(k, _)| *k == kind).map(|(_, s)| *s);
    let message = format!("echo: {}, as asked for", kind.as_str());
    let mut failure = Failure::new(kind.upstream_origin(), kind, message);
    failure.status = status.or(usual);
    failure.retry_after = retry_after;
    failure.possibly_billed = after.is_some();
    Some(Fault { failure, after })
}

fn of_status(status: u16) -> FailureKind {
    let listed = KINDS.iter().find(|(kind, s)| {
        // Of the kinds that share a status, the first is the plain one.
        *s == status && *kind != FailureKind::Credential
    });
    match (listed, status) {
        (Some((kind, _)), _) => *kind,
        (None, 529) => FailureKind::Overloaded,
        (None, 500..) => FailureKind::Server,
        (None, _) => FailureKind::InvalidRequest,
    }
}

/// The names of the kinds, for a hint.
pub(super) fn names() -> String {
    let names: Vec<&str> = KINDS.iter().map(|(kind, _)| kind.as_str()).collect();
    names.join(", ")
}
