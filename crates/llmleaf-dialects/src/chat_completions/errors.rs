//! Errors, both ends.
//!
//! Reading goes in three steps: the many shapes of an error body become one [`shape::Said`], its words and the
//! status become a kind ([`kind`]), and the headers say how long to wait ([`wait`]). Whose fault it is and where another
//! try may go follow from the kind, with two exceptions made here:
//!
//! - *Not found* is returned to the consumer as it is, and harms no health, but the next target is tried first: the
//!   model name that failed is this gateway's routing, not the consumer's word.
//! - *Conflict* and *too early* are the provider's: a chat request has nothing of the consumer's to be in conflict with.

mod kind;
mod shape;
mod wait;

use super::Quirks;
use super::json::ObjectWriter;
use super::wire::Chunk;
use crate::Reply;
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Origin, Retry};
use shape::Said;

/// Most characters of a provider's words that go on to the consumer.
const MAX_MESSAGE_CHARS: usize = 2000;

/// Reads an error reply of a provider.
pub fn parse_error(
    status: u16,
    header: &dyn Fn(&str) -> Option<String>,
    body: &Bytes,
    _quirks: &Quirks,
) -> Failure {
    let text = String::from_utf8_lossy(body);
    let said = Said::read(&text);
    let mut failure = failure(&said, Some(status), &text);
    failure.retry_after = wait::retry_after(failure.kind, header).or(failure.retry_after);
    failure.body = Some(body.clone());
    failure
}

/// The error in a chunk, if it holds one. `text` is the chunk as written.
pub(super) fn in_chunk(chunk: &Chunk<'_>, text: &str) -> Option<Failure> {
    let stated = [chunk.error, super::wire::Raw(None)]
        .into_iter()
        .chain(chunk.choices.0.iter().map(|c| c.error))
        .find_map(|raw| raw.0)
        .filter(|raw| !matches!(raw.get(), "false" | "\"\"" | "{}" | "[]"));
    if stated.is_some() {
        return Some(in_band(text));
    }
    if let Some(envelope) = &chunk.base_resp.0
        && let Some(code) = envelope.status_code.0.filter(|code| *code != 0)
    {
        let said = Said {
            message: envelope.status_msg.get().to_owned(),
            code: Some(code.to_string()),
            ..Said::default()
        };
        return Some(failure(&said, Some(kind::envelope_status(code)), text));
    }
    let flat = chunk.choices.0.is_empty() && chunk.object.get() == "error";
    let marked = chunk
        .choices
        .0
        .iter()
        .any(|c| c.finish_reason.get() == "error");
    (flat || marked).then(|| in_band(text))
}

/// Reads an error that came inside a stream, or inside a body of good status.
pub(crate) fn in_band(text: &str) -> Failure {
    let said = Said::read(text);
    let mut failure = failure(&said, said.status, text);
    failure.body = Some(Bytes::copy_from_slice(text.as_bytes()));
    failure
}

fn failure(said: &Said, status: Option<u16>, text: &str) -> Failure {
    let kind = kind::classify(said, status, text);
    let mut failure = Failure::new(kind.upstream_origin(), kind, message(said, status, kind));
    match kind {
        FailureKind::NotFound => failure.retry = Retry::NextTarget,
        FailureKind::Conflict => {
            failure.origin = Origin::Upstream;
            failure.retry = Retry::NextTarget;
        }
        _ => {}
    }
    failure.status = status;
    failure.code.clone_from(&said.code);
    failure.wire_type.clone_from(&said.wire_type);
    failure.param.clone_from(&said.param);
    failure.retry_after = said.retry_after;
    failure.possibly_billed = kind == FailureKind::Timeout;
    failure
}

fn message(said: &Said, status: Option<u16>, kind: FailureKind) -> String {
    if kind == FailureKind::Credential {
        // The provider's words may quote the key.
        return match status {
            Some(status) => {
                format!("the provider refused this gateway's credential (status {status})")
            }
            None => "the provider refused this gateway's credential".to_owned(),
        };
    }
    if kind == FailureKind::Quota && matches!(status, Some(401 | 403)) {
        // Said of this gateway's account, by the name of the account at times.
        return "the provider says that this gateway's account is used up".to_owned();
    }
    let message = said.message.trim();
    if !message.is_empty() {
        return message.chars().take(MAX_MESSAGE_CHARS).collect();
    }
    match status {
        Some(status) => format!("the provider answered with status {status}"),
        None => "the provider reported an error".to_owned(),
    }
}

/// How one kind looks on this wire.
struct Look {
    status: u16,
    wire_type: &'static str,
    code: Option<&'static str>,
}

/// The one table from kinds to this wire.
fn look(kind: FailureKind) -> Look {
    let (status, wire_type, code) = match kind {
        FailureKind::InvalidRequest => (400, "invalid_request_error", None),
        FailureKind::ContextLength => (
            400,
            "invalid_request_error",
            Some("context_length_exceeded"),
        ),
        FailureKind::ContentPolicy => (
            400,
            "invalid_request_error",
            Some("content_policy_violation"),
        ),
        FailureKind::Unsupported => (400, "invalid_request_error", Some("unsupported")),
        FailureKind::TooLarge => (413, "invalid_request_error", Some("request_too_large")),
        FailureKind::Authentication => (401, "invalid_request_error", Some("invalid_api_key")),
        FailureKind::Permission => (403, "permission_denied", Some("permission_denied")),
        FailureKind::NotFound => (404, "invalid_request_error", Some("not_found")),
        FailureKind::MethodNotAllowed => (405, "invalid_request_error", Some("method_not_allowed")),
        FailureKind::Conflict => (409, "conflict", Some("conflict")),
        FailureKind::Quota => (429, "insufficient_quota", Some("insufficient_quota")),
        FailureKind::RateLimit => (429, "rate_limit_exceeded", Some("rate_limit_exceeded")),
        FailureKind::Overloaded => (503, "server_error", Some("server_overloaded")),
        FailureKind::Server => (502, "server_error", Some("upstream_error")),
        FailureKind::Connect => (502, "server_error", Some("upstream_unreachable")),
        FailureKind::Truncated => (502, "server_error", Some("upstream_truncated")),
        FailureKind::InvalidResponse => (502, "server_error", Some("upstream_invalid")),
        FailureKind::Credential => (502, "server_error", Some("upstream_credential")),
        FailureKind::Timeout => (504, "server_error", Some("upstream_timeout")),
        FailureKind::Cancelled => (499, "server_error", Some("cancelled")),
        FailureKind::Internal => (500, "server_error", Some("internal_error")),
    };
    Look {
        status,
        wire_type,
        code,
    }
}

/// Renders a failure as a whole reply.
pub fn render_error(failure: &Failure, _request_id: &str) -> Reply {
    let kept = failure.status.filter(|status| {
        failure.origin == Origin::Consumer
            && (400..500).contains(status)
            && !matches!(status, 401..=403)
    });
    let mut body = Vec::with_capacity(256);
    let mut object = ObjectWriter::begin(&mut body);
    write_error(object.key("error"), failure);
    object.end();
    Reply {
        status: kept.unwrap_or(look(failure.kind).status),
        body,
        losses: Vec::new(),
    }
}

/// Renders a failure inside a stream. One chunk serves both conventions: SDKs that raise on a top-level
/// `error`, and clients that look for `finish_reason: "error"`.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    let id = ["chatcmpl-", request_id].concat();
    write_stream_error(&mut out, failure, &id, "", 0);
    out
}

/// Appends the frame of an error. No `[DONE]` follows it.
pub(super) fn write_stream_error(
    out: &mut Vec<u8>,
    failure: &Failure,
    id: &str,
    model: &str,
    created: u64,
) {
    out.extend_from_slice(b"data: ");
    let mut object = ObjectWriter::begin(out);
    object.string("id", id);
    object.string("object", "chat.completion.chunk");
    object.integer("created", created);
    object.string("model", model);
    object.raw(
        "choices",
        r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"error"}]"#,
    );
    write_error(object.key("error"), failure);
    object.end();
    out.extend_from_slice(b"\n\n");
}

pub(crate) fn write_error(out: &mut Vec<u8>, failure: &Failure) {
    let look = look(failure.kind);
    // A provider's own code says more, where the fault is the consumer's; else only ours is stable.
    let own = failure.code.as_deref().filter(|code| {
        failure.origin != Origin::Upstream
            && !code.is_empty()
            && failure.kind != FailureKind::ContextLength
            && (failure.kind != FailureKind::Credential || failure.origin == Origin::Gateway)
    });
    let mut object = ObjectWriter::begin(out);
    object.string("message", shown(failure));
    object.string("type", look.wire_type);
    match &failure.param {
        Some(param) => object.string("param", param),
        None => object.raw("param", "null"),
    }
    let not_model =
        failure.kind == FailureKind::NotFound && failure.param.as_deref() == Some("model");
    match own.or(not_model.then_some("model_not_found")).or(look.code) {
        Some(code) => object.string("code", code),
        None => object.raw("code", "null"),
    }
    object.end();
}

/// The words for the consumer. A refused credential is this gateway's affair: nothing of the provider's is told.
fn shown(failure: &Failure) -> &str {
    if failure.kind == FailureKind::Credential && failure.origin != Origin::Gateway {
        "the provider refused this gateway's credential"
    } else {
        &failure.message
    }
}
