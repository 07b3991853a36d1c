//! Tools and the choice among them, both ways.

use super::render::Rendering;
use crate::level::Level;
use crate::object::{Object, items, string};
use crate::responses::wire::{ObjectWriter, array, one_line};
use llmleaf_model::{
    DialectName, Failure, Json, Loss, Rest, Tool, ToolChoice, ToolFlavour, ToolKind,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads a tool.
pub(super) fn parse(raw: &RawValue, path: String) -> Result<Tool, Failure> {
    let mut level = Level::of(raw, path)?;
    let kind = level.required("type")?;
    let kind = match kind.as_str() {
        "function" => ToolKind::Function {
            name: level.required("name")?,
            description: level.string("description")?,
            parameters: parameters(&mut level)?,
            strict: level.bool("strict")?,
        },
        "custom" => ToolKind::Custom {
            name: level.required("name")?,
            description: level.string("description")?,
            format: level.raw("format").map(Json::from),
        },
        "namespace" => ToolKind::Namespace {
            name: level.required("name")?,
            description: level.string("description")?,
            tools: group(&mut level)?,
        },
        _ => {
            return Ok(Tool {
                kind: ToolKind::Server {
                    dialect: DialectName::Responses,
                    kind,
                    json: Json::from(raw),
                },
                cache: None,
                rest: Rest::default(),
            });
        }
    };
    Ok(Tool {
        kind,
        cache: None,
        rest: level.into_rest(),
    })
}

fn parameters(level: &mut Level<'_>) -> Result<Option<Json>, Failure> {
    let schema = level.raw("parameters");
    // Its names are the consumer's: only the shape is looked at.
    if schema.is_some_and(|raw| !raw.get().starts_with('{')) {
        return Err(crate::level::wrong(&level.at("parameters"), "an object"));
    }
    Ok(schema.map(Json::from))
}

fn group(level: &mut Level<'_>) -> Result<Vec<Tool>, Failure> {
    let path = level.at("tools");
    level
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(at, raw)| parse(raw, format!("{path}[{at}]")))
        .collect()
}

/// Reads `tool_choice`.
pub(super) fn parse_choice(raw: &RawValue) -> ToolChoice {
    let opaque = || ToolChoice::Opaque {
        dialect: DialectName::Responses,
        json: Json::from(raw),
    };
    match string(raw).as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Required,
        Some(_) => opaque(),
        None => object_choice(raw).unwrap_or_else(opaque),
    }
}

fn object_choice(raw: &RawValue) -> Option<ToolChoice> {
    let mut level = Level::of(raw, String::new()).ok()?;
    let kind = level.string("type").ok()??;
    let choice = match kind.as_str() {
        "function" | "custom" => ToolChoice::Named {
            name: level.string("name").ok()??,
            flavour: if kind == "custom" {
                ToolFlavour::Custom
            } else {
                ToolFlavour::Function
            },
        },
        "allowed_tools" => ToolChoice::Allowed {
            required: level.string("mode").ok()??.as_str() == "required",
            tools: Json::from(level.raw("tools").filter(|raw| items(raw).is_some())?),
        },
        _ => return None,
    };
    level.is_empty().then_some(choice)
}

/// The types of tools that a request names, groups looked into.
pub(in crate::responses) fn types(list: &RawValue) -> Vec<Cow<'_, str>> {
    let mut found = Vec::new();
    for tool in items(list).unwrap_or_default() {
        let Some(object) = Object::from_raw(tool) else {
            continue;
        };
        if let Some(inner) = object.get("tools") {
            found.extend(types(inner));
        }
        found.extend(object.get("type").and_then(string));
    }
    found
}

/// Writes `tools`, where there are any. False where none is left of some.
pub(super) fn render(
    body: &mut ObjectWriter<'_>,
    tools: &[Tool],
    rendering: &mut Rendering<'_>,
) -> bool {
    let mut written = Vec::new();
    for (at, tool) in tools.iter().enumerate() {
        written.extend(render_tool(tool, &format!("tools[{at}]"), rendering));
    }
    if written.is_empty() {
        return false;
    }
    array(body.key("tools"), written, |out, tool| {
        out.extend_from_slice(&tool);
    });
    true
}

fn render_tool(tool: &Tool, path: &str, rendering: &mut Rendering<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if let ToolKind::Server {
        dialect,
        kind,
        json,
    } = &tool.kind
    {
        if *dialect != DialectName::Responses || rendering.refuses_tool(kind) {
            rendering.lose(Loss::dropped(
                path,
                format!("`{kind}` runs at another provider"),
            ));
            return None;
        }
        one_line(&mut out, json.as_str());
        return Some(out);
    }
    let mut object = ObjectWriter::new(&mut out);
    write_tool(&mut object, &tool.kind, path, rendering);
    if tool.cache.is_some() {
        rendering.lose(Loss::dropped(
            format!("{path}.cache_control"),
            "tools take no cache hints on this wire",
        ));
    }
    rendering.rest(&mut object, &tool.rest, path);
    object.end();
    Some(out)
}

/// Writes type, name and what the model must know of a tool that runs at the consumer.
fn write_tool(
    object: &mut ObjectWriter<'_>,
    kind: &ToolKind,
    path: &str,
    rendering: &mut Rendering<'_>,
) {
    let mut head = |kind: &str, name: &str, description: Option<&str>| {
        object
            .string("type", kind)
            .string("name", name)
            .string_if("description", description);
    };
    match kind {
        ToolKind::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            head("function", name, description.as_deref());
            match parameters {
                Some(schema) => object.raw("parameters", schema.as_str()),
                None if rendering.own => object,
                None => object.raw("parameters", r#"{"type":"object","properties":{}}"#),
            };
            // Unsaid means strict here and means the opposite on every other wire.
            let unsaid = (!rendering.own).then_some(false);
            object.bool_if("strict", strict.or(unsaid));
        }
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            head("custom", name, description.as_deref());
            if let Some(format) = format {
                object.raw("format", &flat_format(format));
            }
        }
        ToolKind::Namespace {
            name,
            description,
            tools,
        } => {
            head("namespace", name, description.as_deref());
            let mut inner = Vec::new();
            for (at, tool) in tools.iter().enumerate() {
                inner.extend(render_tool(tool, &format!("{path}.tools[{at}]"), rendering));
            }
            array(object.key("tools"), inner, |out, tool| {
                out.extend_from_slice(&tool);
            });
        }
        ToolKind::Server { .. } => {}
    }
}

/// The chat wire nests a grammar under its type; this one has it flat.
fn flat_format(format: &Json) -> String {
    let flat = || {
        let object = Object::from_raw(format.raw())?;
        let inner = Object::from_raw(object.get("grammar")?)?;
        let json = crate::writer::json_object(|out| {
            out.string("type", "grammar");
            for (name, value) in &inner.fields {
                out.raw(name, value.get());
            }
        });
        Some(json.as_str().to_owned())
    };
    flat().unwrap_or_else(|| format.as_str().to_owned())
}

/// Writes `tool_choice`.
pub(super) fn render_choice(
    body: &mut ObjectWriter<'_>,
    choice: &ToolChoice,
    rendering: &mut Rendering<'_>,
) {
    const FIELD: &str = "tool_choice";
    match choice {
        ToolChoice::Auto => body.string(FIELD, "auto"),
        ToolChoice::None => body.string(FIELD, "none"),
        ToolChoice::Required => body.string(FIELD, "required"),
        ToolChoice::Named { name, flavour } => body.object(FIELD, |object| {
            object
                .string("type", flavour_name(*flavour))
                .string("name", name);
        }),
        ToolChoice::Allowed { required, tools } => body.object(FIELD, |object| {
            object
                .string("type", "allowed_tools")
                .string("mode", if *required { "required" } else { "auto" });
            flat_tools(tools, object.key("tools"));
        }),
        ToolChoice::Opaque {
            dialect: DialectName::Responses,
            json,
        } => body.raw(FIELD, json.as_str()),
        ToolChoice::Opaque { .. } => {
            rendering.lose(Loss::dropped(FIELD, "a choice of another dialect"));
            body
        }
    };
}

/// The word for a flavour, which is also the type of its tools.
pub(super) fn flavour_name(flavour: ToolFlavour) -> &'static str {
    match flavour {
        ToolFlavour::Function => "function",
        ToolFlavour::Custom => "custom",
    }
}

/// The chat wire nests an allowed tool's name under its type; this one has it flat.
fn flat_tools(tools: &Json, out: &mut Vec<u8>) {
    array(out, items(tools.raw()).unwrap_or_default(), |out, item| {
        let nested = || {
            let object = Object::from_raw(item)?;
            let kind = string(object.get("type")?)?;
            let name = Object::from_raw(object.get(&kind)?)?
                .get("name")
                .and_then(string)?;
            Some((kind, name))
        };
        match nested() {
            Some((kind, name)) => {
                let mut object = ObjectWriter::new(out);
                object.string("type", &kind).string("name", &name);
                object.end();
            }
            None => one_line(out, item.get()),
        }
    });
}
