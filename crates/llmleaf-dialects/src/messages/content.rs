//! Content blocks of an answer, as they open in a stream or stand in a whole response.

use super::reasoning;
use super::wire::{is_server_tool_result, is_server_tool_use, json_object};
use crate::object::{Object, items, string};
use llmleaf_model::{
    ArtefactKind, BlockKind, Citation, Delta, DialectName, Json, Provenance, ReasoningForm,
    ServerToolResult, ServerToolUse, ToolFlavour,
};
use serde_json::value::RawValue;

/// A block that has opened.
#[derive(Debug)]
pub(super) struct Opening {
    /// What it is.
    pub kind: BlockKind,
    /// What grows in it.
    pub class: Class,
    /// What it already holds.
    pub deltas: Vec<Delta>,
    /// Input that it came with: counts only if none is streamed after it, since `{}` stands there as a placeholder.
    pub input: Option<String>,
}

/// Which deltas a block takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Text,
    Thinking,
    /// A call, at the consumer or at the provider.
    Input,
    /// Whole, or only its own dialect knows how it grows.
    Whole,
}

/// Reads a block. `made_up_id` serves where a call has no id of its own.
///
/// `None` where it is not an object with a `type`.
pub(super) fn open(
    raw: &RawValue,
    provenance: &Provenance,
    made_up_id: &dyn Fn() -> String,
) -> Option<Opening> {
    let mut object = Object::from_raw(raw)?;
    let kind = object.get("type").and_then(string)?.into_owned();
    Some(match kind.as_str() {
        "text" => text(&mut object),
        "thinking" => thinking(&mut object, provenance),
        "redacted_thinking" => redacted(&mut object, provenance),
        "tool_use" => tool_use(object, made_up_id),
        kind if is_server_tool_use(kind) => server_tool_use(raw, &mut object),
        kind if is_server_tool_result(kind) => {
            whole(BlockKind::ServerToolResult(ServerToolResult {
                dialect: DialectName::Messages,
                call_id: text_of(&mut object, "tool_use_id"),
                kind: kind.to_owned(),
                json: Json::from(raw),
            }))
        }
        _ => whole(BlockKind::Opaque {
            dialect: DialectName::Messages,
            kind,
            json: Json::from(raw),
        }),
    })
}

fn text_of(object: &mut Object<'_>, name: &str) -> String {
    object
        .take(name)
        .and_then(string)
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default()
}

fn whole(kind: BlockKind) -> Opening {
    Opening {
        kind,
        class: Class::Whole,
        deltas: Vec::new(),
        input: None,
    }
}

fn text(object: &mut Object<'_>) -> Opening {
    let mut deltas = Vec::new();
    let text = text_of(object, "text");
    if !text.is_empty() {
        deltas.push(Delta::Text(text));
    }
    for raw in object.take("citations").and_then(items).unwrap_or_default() {
        deltas.push(Delta::Citation(Box::new(citation(raw))));
    }
    Opening {
        kind: BlockKind::Text,
        class: Class::Text,
        deltas,
        input: None,
    }
}

fn thinking(object: &mut Object<'_>, provenance: &Provenance) -> Opening {
    let mut deltas = Vec::new();
    let text = text_of(object, "thinking");
    if !text.is_empty() {
        deltas.push(Delta::Text(text));
    }
    // An empty signature at the start of a block is a placeholder.
    let signature = text_of(object, "signature");
    if !signature.is_empty() {
        deltas.push(Delta::Artefact(reasoning::own(
            ArtefactKind::Signature,
            signature,
            provenance.clone(),
        )));
    }
    Opening {
        kind: BlockKind::Reasoning {
            id: None,
            form: ReasoningForm::Full,
        },
        class: Class::Thinking,
        deltas,
        input: None,
    }
}

fn redacted(object: &mut Object<'_>, provenance: &Provenance) -> Opening {
    let data = text_of(object, "data");
    let artefact = reasoning::own(ArtefactKind::Encrypted, data, provenance.clone());
    Opening {
        kind: BlockKind::Reasoning {
            id: None,
            form: ReasoningForm::Full,
        },
        class: Class::Whole,
        deltas: vec![Delta::Artefact(artefact)],
        input: None,
    }
}

fn tool_use(mut object: Object<'_>, made_up_id: &dyn Fn() -> String) -> Opening {
    let mut id = text_of(&mut object, "id");
    if id.is_empty() {
        id = made_up_id();
    }
    let name = text_of(&mut object, "name");
    let input = object.take("input").map(|raw| raw.get().to_owned());
    object.take("type");
    let mut deltas = Vec::new();
    let rest = object.into_rest();
    // A direct call is what every call is that says nothing.
    let idle = |name: &str, value: &Json| value.is_null() || name == "caller" && is_direct(value);
    if rest.iter().any(|(name, value)| !idle(name, value)) {
        let json = json_object(|object| {
            for (name, value) in rest.iter().filter(|(name, value)| !idle(name, value)) {
                object.raw(name, value.as_str());
            }
        });
        let dialect = DialectName::Messages;
        deltas.push(Delta::Opaque { dialect, json });
    }
    Opening {
        kind: BlockKind::ToolCall {
            id,
            name,
            flavour: ToolFlavour::Function,
        },
        class: Class::Input,
        deltas,
        input,
    }
}

fn is_direct(caller: &Json) -> bool {
    Object::from_raw(caller.raw())
        .and_then(|object| object.get("type").and_then(string))
        .is_some_and(|kind| kind == "direct")
}

fn server_tool_use(raw: &RawValue, object: &mut Object<'_>) -> Opening {
    // The model's `json` holds the block with its placeholder; the input comes as a delta in streams and
    // in whole responses alike.
    let json = json_object(|writer| {
        for (key, value) in &object.fields {
            writer.raw(key, if key == "input" { "{}" } else { value.get() });
        }
    });
    let input = object.take("input").map(|raw| raw.get().to_owned());
    debug_assert!(!json.is_null(), "{raw}");
    Opening {
        kind: BlockKind::ServerToolUse(ServerToolUse {
            dialect: DialectName::Messages,
            id: text_of(object, "id"),
            name: text_of(object, "name"),
            input: String::new(),
            json: Some(json),
        }),
        class: Class::Input,
        deltas: Vec::new(),
        input,
    }
}

/// Reads a citation of any of this wire's kinds.
pub(super) fn citation(raw: &RawValue) -> Citation {
    let mut object = Object::from_raw(raw).unwrap_or_default();
    let mut take = |name: &str| {
        object
            .take(name)
            .and_then(string)
            .map(std::borrow::Cow::into_owned)
    };
    // Search results name their source, which is an address more often than not.
    let source = take("source").filter(|s| s.starts_with("https://") || s.starts_with("http://"));
    Citation {
        dialect: DialectName::Messages,
        native: Json::from(raw),
        url: take("url").or(source),
        title: take("title").or_else(|| take("document_title")),
        cited_text: take("cited_text"),
        span: None,
    }
}
