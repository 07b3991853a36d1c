//! The words of this wire, and the frames of its streams.

pub(super) use crate::writer::{ObjectWriter, array, dollars, json_object, one_line, string};

/// Block types that carry an id, a name and an input, and run at the provider.
pub(super) fn is_server_tool_use(kind: &str) -> bool {
    matches!(kind, "server_tool_use" | "mcp_tool_use")
}

/// Block types that carry what a provider's own tool returned.
pub(super) fn is_server_tool_result(kind: &str) -> bool {
    kind.ends_with("_tool_result")
}

/// Writes one named event of a stream.
pub(super) fn event(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = ObjectWriter::new(out);
    object.string("type", name);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}
