//! Tools and choices, written.

use super::super::json::{ObjectWriter, push_list};
use super::super::rendering::{Rendering, join};
use llmleaf_model::{DialectName, Json, Tool, ToolChoice, ToolFlavour, ToolKind};

/// The schema of a tool without arguments, for requests of dialects that leave it out.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Writes the list of tools as a value; `None` where none of them can be expressed.
pub(in super::super) fn write_all(
    rendering: &mut Rendering<'_>,
    tools: &[Tool],
) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    for (at, tool) in tools.iter().enumerate() {
        write_tool(rendering, tool, &format!("tools[{at}]"), &mut written);
    }
    if written.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    push_list(&mut out, written, |out, one| out.extend_from_slice(&one));
    Some(out)
}

fn write_tool(rendering: &mut Rendering<'_>, tool: &Tool, path: &str, written: &mut Vec<Vec<u8>>) {
    let mut out = Vec::new();
    match &tool.kind {
        ToolKind::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            let mut object = ObjectWriter::begin(&mut out);
            object.string("type", "function");
            let mut inner = ObjectWriter::begin(object.key("function"));
            inner.string("name", name);
            inner.string_if("description", description.as_deref());
            match parameters {
                Some(schema) => inner.raw("parameters", schema.as_str()),
                None if rendering.own() => {}
                None => inner.raw("parameters", NO_ARGUMENTS),
            }
            if let Some(strict) = strict {
                inner.boolean("strict", *strict);
            }
            rendering.inner_rest(&mut inner, &tool.rest, "function");
            inner.end();
            finish_tool(rendering, object, tool, "function", path);
        }
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            let mut object = ObjectWriter::begin(&mut out);
            object.string("type", "custom");
            let mut inner = ObjectWriter::begin(object.key("custom"));
            inner.string("name", name);
            inner.string_if("description", description.as_deref());
            if let Some(format) = format {
                inner.raw("format", format.as_str());
            }
            rendering.inner_rest(&mut inner, &tool.rest, "custom");
            inner.end();
            finish_tool(rendering, object, tool, "custom", path);
        }
        ToolKind::Namespace { tools, .. } => {
            rendering.approximated(path, "the wire has no groups of tools");
            for (at, tool) in tools.iter().enumerate() {
                // A group inside a group does not exist on any wire; it would only be flattened further.
                let path = format!("{path}.tools[{at}]");
                write_tool(rendering, tool, &path, written);
            }
            return;
        }
        ToolKind::Server { dialect, json, .. } => {
            if *dialect != DialectName::ChatCompletions {
                return rendering.dropped(path, "a tool that only another dialect's provider runs");
            }
            out.extend_from_slice(json.as_str().as_bytes());
        }
    }
    written.push(out);
}

fn finish_tool(
    rendering: &mut Rendering<'_>,
    mut object: ObjectWriter<'_>,
    tool: &Tool,
    inner_key: &str,
    path: &str,
) {
    rendering.cache(&mut object, tool.cache.as_ref(), path);
    rendering.rest(&mut object, &tool.rest, Some(inner_key), path);
    object.end();
}

/// Writes the choice as a value; `None` where the wire cannot express it.
pub(in super::super) fn write_choice(
    rendering: &mut Rendering<'_>,
    choice: &ToolChoice,
) -> Option<Vec<u8>> {
    const PATH: &str = "tool_choice";
    let mut out = Vec::new();
    match choice {
        ToolChoice::Auto => out.extend_from_slice(b"\"auto\""),
        ToolChoice::None => out.extend_from_slice(b"\"none\""),
        ToolChoice::Required => {
            let word = &rendering.quirks.request.tool_choice_required;
            super::super::json::push_string(&mut out, word);
        }
        ToolChoice::Named { name, flavour } => {
            let kind = match flavour {
                ToolFlavour::Function => "function",
                ToolFlavour::Custom => "custom",
            };
            let mut object = ObjectWriter::begin(&mut out);
            object.string("type", kind);
            let mut inner = ObjectWriter::begin(object.key(kind));
            inner.string("name", name);
            inner.end();
            object.end();
        }
        ToolChoice::Allowed { required, tools } => {
            let mut object = ObjectWriter::begin(&mut out);
            object.string("type", "allowed_tools");
            let mut inner = ObjectWriter::begin(object.key("allowed_tools"));
            inner.string("mode", if *required { "required" } else { "auto" });
            let list = inner.key("tools");
            if rendering.own() {
                list.extend_from_slice(tools.as_str().as_bytes());
            } else {
                write_allowed(tools, list);
            }
            inner.end();
            object.end();
        }
        ToolChoice::Opaque { dialect, json } => {
            if *dialect != DialectName::ChatCompletions {
                rendering.dropped(&join("", PATH), "a choice that only another dialect has");
                return None;
            }
            out.extend_from_slice(json.as_str().as_bytes());
        }
    }
    Some(out)
}

/// Other wires name an allowed tool flat (`{type, name}`); this one nests the name under the type.
fn write_allowed(tools: &Json, out: &mut Vec<u8>) {
    let items = crate::object::items(tools.raw()).unwrap_or_default();
    push_list(out, items, |out, item| {
        let object = crate::object::Object::from_raw(item).unwrap_or_default();
        let text = |key: &str| object.get(key).and_then(crate::object::string);
        match (text("type"), text("name")) {
            (Some(kind), Some(name)) => {
                let mut object = ObjectWriter::begin(out);
                object.string("type", &kind);
                let mut inner = ObjectWriter::begin(object.key(&kind));
                inner.string("name", &name);
                inner.end();
                object.end();
            }
            _ => out.extend_from_slice(item.get().as_bytes()),
        }
    });
}
