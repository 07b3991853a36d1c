//! What a provider says went wrong.

use crate::chat_completions;
use crate::cohere::wire::text;
use crate::object::Object;
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};

/// Reads an error reply of a provider. Shapes and words are those that services of the chat wires use as well; the statuses
/// are this one's (reference).
pub fn parse_error(status: u16, header: &dyn Fn(&str) -> Option<String>, body: &Bytes) -> Failure {
    let quirks = chat_completions::Quirks::REFERENCE;
    let mut failure = chat_completions::errors::parse_error(status, header, body, &quirks);
    let kind = match status {
        // "The request or response contains a deny-listed token."
        498 => FailureKind::ContentPolicy,
        // "The requested feature is not implemented."
        501 => FailureKind::Unsupported,
        _ => return failure,
    };
    failure.kind = kind;
    failure.origin = kind.upstream_origin();
    failure.retry = match failure.origin {
        Origin::Upstream => Retry::NextTarget,
        _ => Retry::Never,
    };
    failure
}

/// The failure that a stream's event tells of in place of an answer.
pub(in crate::cohere) fn in_stream(event: &Object<'_>, name: Option<&str>) -> Option<Failure> {
    let typed = event.get("type").is_some() || event.get("event_type").is_some();
    if typed && text(event, "type").as_deref() != Some("error")
        || name.is_some_and(|n| n.contains('-'))
    {
        return None;
    }
    in_body(event)
}

/// The failure that a body tells of in spite of its good status.
pub(in crate::cohere) fn in_body(body: &Object<'_>) -> Option<Failure> {
    let told = text(body, "message").or_else(|| text(body, "error"));
    let nested =
        crate::cohere::wire::inner(body, "error").and_then(|error| text(&error, "message"));
    let message = told.or(nested)?;
    let mut failure = Failure::upstream(FailureKind::Server, message);
    failure.wire_type = text(body, "error_type");
    Some(failure)
}
