//! Errors: those of chat, but for the chunk that ends a stream.

use super::events::Identity;
use crate::ReplyContext;
use crate::chat_completions::errors;
use crate::writer::ObjectWriter;
use llmleaf_model::{Failure, ResponseStart};

pub use errors::{parse_error, render_error};

/// Renders a failure inside a stream. One chunk serves SDKs that raise on a top-level `error`, and clients that look for
/// `finish_reason: "error"`.
pub fn render_stream_error(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(320);
    let context = ReplyContext {
        fallback_id: request_id.to_owned(),
        ..ReplyContext::default()
    };
    let identity = Identity::new(&ResponseStart::default(), &context);
    write_stream_error(&mut out, failure, &identity);
    out
}

/// Appends the frame of an error. No `[DONE]` follows it.
pub(super) fn write_stream_error(out: &mut Vec<u8>, failure: &Failure, identity: &Identity) {
    out.extend_from_slice(b"data: ");
    let mut object = ObjectWriter::new(out);
    identity.write(&mut object, &mut Vec::new());
    object.raw(
        "choices",
        r#"[{"index":0,"text":"","logprobs":null,"finish_reason":"error"}]"#,
    );
    errors::write_error(object.key("error"), failure);
    object.end();
    out.extend_from_slice(b"\n\n");
}
