//! Items that are told whole: runs of the provider's own tools, and what only this dialect knows.

use crate::object::{Object, string};
use crate::responses::wire::{is_server_output, server_tool_name};
use llmleaf_model::{BlockKind, DialectName, Json, MediaKind, ServerToolResult, ServerToolUse};
use serde_json::value::RawValue;

/// The one run of a provider's tool whose result every wire knows: an image.
pub(super) const IMAGE: &str = "image_generation_call";

/// A run of the provider's own tool, as it was announced.
pub(super) fn server_call(kind: &str, begun: &Json) -> BlockKind {
    let item = Object::from_raw(begun.raw()).unwrap_or_default();
    let id = item.get("id").and_then(string).unwrap_or_default();
    BlockKind::ServerToolUse(ServerToolUse {
        dialect: DialectName::Responses,
        id: id.into_owned(),
        name: server_tool_name(kind).to_owned(),
        input: String::new(),
        json: Some(begun.clone()),
    })
}

/// An item of any other kind, with the data of an image.
pub(super) fn whole(kind: &str, raw: &RawValue, item: &Object<'_>) -> (BlockKind, Option<String>) {
    let text = |name: &str| {
        let text = item.get(name).and_then(string)?;
        Some(text.into_owned())
    };
    let result = text("result").filter(|data| !data.is_empty());
    if let (IMAGE, Some(data)) = (kind, result) {
        let format = text("output_format").unwrap_or_else(|| "png".to_owned());
        let image = BlockKind::Media {
            kind: MediaKind::Image,
            mime: Some(format!("image/{format}")),
            id: text("id"),
        };
        return (image, Some(data));
    }
    let (dialect, json) = (DialectName::Responses, Json::from(raw));
    let kind = kind.to_owned();
    if is_server_output(&kind) {
        let call_id = text("call_id").unwrap_or_default();
        let result = ServerToolResult {
            dialect,
            call_id,
            kind,
            json,
        };
        return (BlockKind::ServerToolResult(result), None);
    }
    let opaque = BlockKind::Opaque {
        dialect,
        kind,
        json,
    };
    (opaque, None)
}
