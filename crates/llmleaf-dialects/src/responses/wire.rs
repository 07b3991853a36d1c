//! The words of this wire.

pub(super) use crate::writer::{ObjectWriter, array, json_object, one_line, string};

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One event of a stream, first level. Of each event only some fields are there.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireEvent<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub response: Option<&'a RawValue>,
    #[serde(borrow)]
    pub item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub part: Option<&'a RawValue>,
    #[serde(borrow)]
    pub delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub item_id: Option<Cow<'a, str>>,
    pub output_index: Option<u64>,
    pub content_index: Option<u64>,
    pub summary_index: Option<u64>,
    pub annotation_index: Option<u64>,
}

/// Items that the provider runs, or that its consumer runs by a protocol of its own: a call and what came of it in one.
pub(super) fn is_server_call(kind: &str) -> bool {
    kind.ends_with("_call") && !matches!(kind, "function_call" | "custom_tool_call")
}

/// Items with what came of a provider's own tool, or of one that its consumer runs by a protocol of its own.
pub(super) fn is_server_output(kind: &str) -> bool {
    kind.ends_with("_output") && !matches!(kind, "function_call_output" | "custom_tool_call_output")
}

/// The name of a server tool by the type of its items.
pub(super) fn server_tool_name(kind: &str) -> &str {
    kind.strip_suffix("_call").unwrap_or(kind)
}

/// Writes one named event of a stream, with its number.
pub(super) fn event(
    out: &mut Vec<u8>,
    name: &str,
    sequence: u64,
    fill: impl FnOnce(&mut ObjectWriter<'_>),
) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = ObjectWriter::new(out);
    object
        .string("type", name)
        .number("sequence_number", sequence);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}
