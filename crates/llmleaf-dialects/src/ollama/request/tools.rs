//! Tools, both ways.

use super::turns::object_of;
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use crate::ollama::wire::{FREE_TEXT, ObjectWriter, array, one_line};
use llmleaf_model::{ChatRequest, DialectName, Failure, Json, Loss, Tool, ToolChoice, ToolKind};
use serde_json::value::RawValue;

/// Reads `tools`.
pub(super) fn parse(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    for (at, raw) in top
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        request.tools.push(tool(raw, format!("tools[{at}]"))?);
    }
    Ok(())
}

fn tool(raw: &RawValue, path: String) -> Result<Tool, Failure> {
    let mut tool = Level::of(raw, path)?;
    let kind = tool.peek("type").and_then(string);
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        return Ok(Tool {
            kind: ToolKind::Server {
                dialect: DialectName::OllamaChat,
                kind: kind.into_owned(),
                json: Json::from(raw),
            },
            cache: None,
            rest: llmleaf_model::Rest::default(),
        });
    }
    tool.string("type")?;
    let mut function = tool
        .object("function")?
        .ok_or_else(|| tool.missing("function"))?;
    let name = function.required("name")?;
    let description = function.string("description")?;
    let parameters = function.raw("parameters");
    if parameters.is_some_and(|raw| !raw.get().starts_with('{')) {
        return Err(wrong(&function.at("parameters"), "an object"));
    }
    let inner = function.into_rest();
    let mut found = Tool::function(name, description, parameters.map(Json::from));
    found.rest = tool.into_rest();
    if !inner.is_empty() {
        found.rest.push("function", object_of(&inner));
    }
    Ok(found)
}

/// Writes `tools`, where there are any and any may be called.
pub(super) fn write(body: &mut ObjectWriter<'_>, request: &ChatRequest, losses: &mut Vec<Loss>) {
    let own = request.dialect == DialectName::OllamaChat;
    if !own && chosen(request, losses) {
        return;
    }
    let mut writer = Writer {
        own,
        losses,
        written: Vec::new(),
    };
    for (at, tool) in request.tools.iter().enumerate() {
        writer.tool(tool, &format!("tools[{at}]"));
    }
    if !writer.written.is_empty() {
        array(body.key("tools"), writer.written, |out, tool| {
            out.extend_from_slice(&tool)
        });
    }
}

/// Names what the wire cannot say of the choice among tools. True where none may be called: then none is offered.
fn chosen(request: &ChatRequest, losses: &mut Vec<Loss>) -> bool {
    if request.parallel_tool_calls == Some(false) {
        losses.push(Loss::dropped("parallel_tool_calls", "not on this wire"));
    }
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) => false,
        Some(ToolChoice::None) => {
            if !request.tools.is_empty() {
                let why = "tools that may not be called are not offered";
                losses.push(Loss::approximated("tool_choice", why));
            }
            true
        }
        Some(_) => {
            let why = "on this wire the model decides";
            losses.push(Loss::dropped("tool_choice", why));
            false
        }
    }
}

struct Writer<'a> {
    own: bool,
    losses: &'a mut Vec<Loss>,
    written: Vec<Vec<u8>>,
}

impl Writer<'_> {
    fn tool(&mut self, tool: &Tool, path: &str) {
        match &tool.kind {
            ToolKind::Function {
                name,
                description,
                parameters,
                strict,
            } => {
                if *strict == Some(true) {
                    let why = "the target holds no call to its schema";
                    self.losses
                        .push(Loss::dropped(format!("{path}.strict"), why));
                }
                let schema = parameters.as_ref().map(Json::as_str);
                self.function(tool, name, description.as_deref(), schema, path);
            }
            ToolKind::Custom {
                name,
                description,
                format,
            } => {
                let why = "free text becomes the one field of a JSON input";
                self.losses.push(Loss::approximated(path, why));
                if format.is_some() {
                    let field = format!("{path}.format");
                    self.losses.push(Loss::dropped(field, "not on this wire"));
                }
                let schema = format!(
                    r#"{{"type":"object","properties":{{"{FREE_TEXT}":{{"type":"string"}}}},"required":["{FREE_TEXT}"]}}"#
                );
                self.function(tool, name, description.as_deref(), Some(&schema), path);
            }
            ToolKind::Namespace { tools, .. } => {
                let why = "this wire has no groups of tools";
                self.losses.push(Loss::approximated(path, why));
                for (at, tool) in tools.iter().enumerate() {
                    self.tool(tool, &format!("{path}.tools[{at}]"));
                }
            }
            ToolKind::Server {
                dialect: DialectName::OllamaChat,
                json,
                ..
            } => {
                let mut out = Vec::new();
                one_line(&mut out, json.as_str());
                self.written.push(out);
            }
            ToolKind::Server { kind, .. } => {
                let why = format!("`{kind}` runs at another provider");
                self.losses.push(Loss::dropped(path, why));
            }
        }
    }

    fn function(
        &mut self,
        tool: &Tool,
        name: &str,
        description: Option<&str>,
        schema: Option<&str>,
        path: &str,
    ) {
        // The service's templates want the schema of an object, also where nothing is taken.
        let schema = schema.or((!self.own).then_some(r#"{"type":"object","properties":{}}"#));
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object.string("type", "function");
        object.object("function", |function| {
            function
                .string("name", name)
                .string_if("description", description);
            if let Some(schema) = schema {
                function.raw("parameters", schema);
            }
            if self.own
                && let Some(json) = tool.rest.get("function")
                && let Some(inner) = Object::from_raw(json.raw())
            {
                function.rest(&inner.into_rest());
            }
        });
        for (field, value) in tool.rest.iter() {
            if !self.own {
                let field = format!("{path}.{field}");
                self.losses
                    .push(Loss::dropped(field, "a field of another dialect"));
            } else if field != "function" {
                object.raw(field, value.as_str());
            }
        }
        if tool.cache.is_some() {
            let field = format!("{path}.cache_control");
            self.losses
                .push(Loss::approximated(field, "the target caches by itself"));
        }
        object.end();
        self.written.push(out);
    }
}
