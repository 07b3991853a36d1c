//! What the event streams of speech and of transcriptions share: objects that say in `type` what they are, and errors among them.

use crate::object::{Object, string};
use llmleaf_framing::Frame;
use llmleaf_model::{Failure, FailureKind};

/// The object of an event; `None` where the frame has none: a sign of life, the mark after the end.
pub fn object(frame: &Frame) -> Option<Result<Object<'_>, Failure>> {
    if !frame.has_data || &frame.data[..] == b"[DONE]" {
        return None;
    }
    let text = std::str::from_utf8(&frame.data).ok();
    let object = text.and_then(|text| Object::parse(text).ok());
    Some(object.ok_or_else(|| broken("an event of the stream is not a JSON object")))
}

/// An answer that cannot be used.
pub fn broken(why: impl Into<String>) -> Failure {
    Failure::upstream(FailureKind::InvalidResponse, why)
}

/// What an event that tells an error says of it: in its `error`, or itself.
pub fn failed(event: &Object<'_>) -> Failure {
    let inner = event.get("error").and_then(Object::from_raw);
    let inner = inner.as_ref().unwrap_or(event);
    let message = inner.get("message").and_then(string);
    let message = message.unwrap_or_else(|| "the stream tells an error".into());
    let mut failure = Failure::upstream(FailureKind::Server, message);
    failure.code = inner.get("code").and_then(string).map(Into::into);
    failure.wire_type = inner.get("type").and_then(string).map(Into::into);
    failure
}
