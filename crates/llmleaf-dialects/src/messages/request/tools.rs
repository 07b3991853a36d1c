//! Tools and the choice among them, both ways.

use super::blocks;
use super::parts::{write_cache, write_rest};
use crate::level::Level;
use crate::messages::answer::FREE_TEXT;
use crate::messages::wire::{ObjectWriter, array, one_line};
use llmleaf_model::{
    CacheHint, ChatRequest, DialectName, Failure, Json, Loss, Tool, ToolChoice, ToolFlavour,
    ToolKind,
};
use serde_json::value::RawValue;

/// Reads a tool.
pub(super) fn parse(raw: &RawValue, path: String) -> Result<Tool, Failure> {
    let mut level = Level::of(raw, path)?;
    let kind = level.string("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "custom") {
        return Ok(Tool {
            kind: ToolKind::Server {
                dialect: DialectName::Messages,
                kind,
                json: Json::from(raw),
            },
            cache: None,
            rest: llmleaf_model::Rest::default(),
        });
    }
    let name = level.required("name")?;
    let description = level.string("description")?;
    let schema = level.raw("input_schema");
    // Its names are the consumer's: only the shape is looked at.
    if schema.is_some_and(|raw| !raw.get().starts_with('{')) {
        let path = level.at("input_schema");
        let why = format!("`{path}` must be an object");
        return Err(Failure::invalid(why, Some(&path)));
    }
    let parameters = schema.map(Json::from);
    let strict = level.bool("strict")?;
    let cache = blocks::cache(&mut level)?;
    Ok(Tool {
        kind: ToolKind::Function {
            name,
            description,
            parameters,
            strict,
        },
        cache,
        rest: level.into_rest(),
    })
}

/// Reads `tool_choice` with its parallel flag.
pub(super) fn parse_choice(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let Some(raw) = top.raw("tool_choice") else {
        return Ok(());
    };
    let mut level = Level::of(raw, "tool_choice".to_owned())?;
    let kind = level.required("type")?;
    let parallel = match level.peek("disable_parallel_tool_use") {
        Some(_) if kind != "none" => level.bool("disable_parallel_tool_use")?,
        _ => None,
    };
    let choice = match kind.as_str() {
        "auto" => Some(ToolChoice::Auto),
        "any" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        "tool" => Some(ToolChoice::Named {
            name: level.required("name")?,
            flavour: ToolFlavour::Function,
        }),
        _ => None,
    };
    match choice.filter(|_| level.is_empty()) {
        Some(choice) => {
            request.tool_choice = Some(choice);
            request.parallel_tool_calls = parallel.map(|disabled| !disabled);
        }
        None => {
            request.tool_choice = Some(ToolChoice::Opaque {
                dialect: DialectName::Messages,
                json: Json::from(raw),
            });
        }
    }
    Ok(())
}

/// Writes `tools`, where there are any.
pub(super) fn render(body: &mut ObjectWriter<'_>, request: &ChatRequest, losses: &mut Vec<Loss>) {
    let own = request.dialect == DialectName::Messages;
    let mut written = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        render_tool(tool, &format!("tools[{at}]"), own, losses, &mut written);
    }
    if !written.is_empty() {
        array(body.key("tools"), written, |out, tool| {
            out.extend_from_slice(&tool)
        });
    }
}

fn render_tool(
    tool: &Tool,
    path: &str,
    own: bool,
    losses: &mut Vec<Loss>,
    written: &mut Vec<Vec<u8>>,
) {
    let mut out = Vec::new();
    match &tool.kind {
        ToolKind::Function {
            name,
            description,
            parameters,
            strict,
        } => {
            let mut object = ObjectWriter::new(&mut out);
            object
                .string("name", name)
                .string_if("description", description.as_deref());
            match parameters {
                Some(schema) => object.raw("input_schema", schema.as_str()),
                // The wire demands a schema; of this dialect's own tools what is missing is the consumer's affair.
                None if own => &mut object,
                None => object.raw("input_schema", r#"{"type":"object","properties":{}}"#),
            };
            object.bool_if("strict", *strict);
            close(object, tool.cache.as_ref(), tool, path, own, losses);
        }
        ToolKind::Custom {
            name,
            description,
            format,
        } => {
            losses.push(Loss::approximated(
                path,
                "free text becomes the one field of a JSON input",
            ));
            if format.is_some() {
                losses.push(Loss::dropped(format!("{path}.format"), "not on this wire"));
            }
            let mut object = ObjectWriter::new(&mut out);
            object
                .string("name", name)
                .string_if("description", description.as_deref())
                .object("input_schema", free_text_schema);
            close(object, tool.cache.as_ref(), tool, path, own, losses);
        }
        ToolKind::Namespace { tools, .. } => {
            losses.push(Loss::approximated(path, "this wire has no groups of tools"));
            for (at, tool) in tools.iter().enumerate() {
                render_tool(tool, &format!("{path}.tools[{at}]"), own, losses, written);
            }
            return;
        }
        ToolKind::Server {
            dialect: DialectName::Messages,
            json,
            ..
        } => one_line(&mut out, json.as_str()),
        ToolKind::Server { kind, .. } => {
            losses.push(Loss::dropped(
                path,
                format!("`{kind}` runs at another provider"),
            ));
            return;
        }
    }
    written.push(out);
}

fn free_text_schema(schema: &mut ObjectWriter<'_>) {
    schema
        .string("type", "object")
        .object("properties", |properties| {
            properties.object(FREE_TEXT, |field| {
                field.string("type", "string");
            });
        })
        .raw("required", &format!("[\"{FREE_TEXT}\"]"));
}

fn close(
    mut object: ObjectWriter<'_>,
    cache: Option<&CacheHint>,
    tool: &Tool,
    path: &str,
    own: bool,
    losses: &mut Vec<Loss>,
) {
    write_cache(&mut object, cache, path, own, losses);
    write_rest(&mut object, &tool.rest, path, own, losses);
    object.end();
}

/// True where the request demands a call.
pub(super) fn is_forced(request: &ChatRequest) -> bool {
    matches!(
        request.tool_choice,
        Some(
            ToolChoice::Required
                | ToolChoice::Named { .. }
                | ToolChoice::Allowed { required: true, .. }
        )
    )
}

/// Writes `tool_choice`, where it says more than the default.
pub(super) fn render_choice(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    losses: &mut Vec<Loss>,
) {
    let serial = request.parallel_tool_calls == Some(false);
    let own = request.dialect == DialectName::Messages;
    if request.tools.is_empty() && !own {
        // The wire refuses a choice among no tools.
        if is_forced(request) {
            losses.push(Loss::dropped("tool_choice", "there are no tools"));
        }
        return;
    }
    let (kind, name) = match &request.tool_choice {
        None if serial => ("auto", None),
        None => return,
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named { name, .. }) => ("tool", Some(name.as_str())),
        Some(ToolChoice::Allowed { required, .. }) => {
            losses.push(Loss::approximated(
                "tool_choice",
                "this wire cannot narrow the choice to some tools",
            ));
            (if *required { "any" } else { "auto" }, None)
        }
        Some(ToolChoice::Opaque {
            dialect: DialectName::Messages,
            json,
        }) => {
            body.raw("tool_choice", json.as_str());
            return;
        }
        Some(ToolChoice::Opaque { .. }) => {
            losses.push(Loss::dropped("tool_choice", "a choice of another dialect"));
            return;
        }
    };
    body.object("tool_choice", |object| {
        object.string("type", kind).string_if("name", name);
        if kind != "none" && (serial || own) {
            object.bool_if(
                "disable_parallel_tool_use",
                request.parallel_tool_calls.map(|parallel| !parallel),
            );
        }
    });
}
