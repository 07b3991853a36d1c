//! Tools and the choice among them, both ways.

use super::config::object_of;
use crate::gemini::schema::json_schema;
use crate::gemini::wire::{
    FREE_TEXT, ObjectWriter, array, inner, json_object, level, list, write_string,
};
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use llmleaf_model::{
    ChatRequest, DialectName, Failure, Json, Loss, Rest, Tool, ToolChoice, ToolFlavour, ToolKind,
};
use serde_json::value::RawValue;

/// Reads `tools`. An object of this wire holds several; each becomes a tool of its own.
pub(super) fn parse(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let path = top.at("tools");
    let Some(raw) = top.raw("tools") else {
        return Ok(());
    };
    for (at, raw) in list(raw, &path)?.into_iter().enumerate() {
        let mut tool = level(raw, format!("{path}[{at}]"))?;
        let functions = tool.at("functionDeclarations");
        if let Some(raw) = tool.raw("functionDeclarations") {
            for (at, raw) in list(raw, &functions)?.into_iter().enumerate() {
                request
                    .tools
                    .push(function(raw, format!("{functions}[{at}]"))?);
            }
        }
        for (name, value) in tool.into_rest().0 {
            let json = json_object(|object| {
                object.raw(&name, value.as_str());
            });
            request.tools.push(Tool {
                kind: ToolKind::Server {
                    dialect: DialectName::GenerateContent,
                    kind: name,
                    json,
                },
                cache: None,
                rest: Rest::default(),
            });
        }
    }
    Ok(())
}

fn function(raw: &RawValue, path: String) -> Result<Tool, Failure> {
    let mut function = level(raw, path)?;
    let name = function.required("name")?;
    let description = function.string("description")?;
    let own = function.raw("parameters");
    let json = function.raw("parametersJsonSchema");
    for (name, schema) in [("parameters", own), ("parametersJsonSchema", json)] {
        if schema.is_some_and(|raw| !raw.get().starts_with('{')) {
            return Err(wrong(&function.at(name), "an object"));
        }
    }
    Ok(Tool {
        kind: ToolKind::Function {
            name,
            description,
            parameters: json.map(Json::from).or_else(|| own.map(json_schema)),
            strict: None,
        },
        cache: None,
        rest: function.into_rest(),
    })
}

/// Reads `toolConfig`; what it does not know stays in the request's rest.
pub(super) fn parse_config(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let Some(mut config) = inner(top, "toolConfig")? else {
        return Ok(());
    };
    let path = config.at("functionCallingConfig");
    if let Some(raw) = config.raw("functionCallingConfig") {
        let mut calling = level(raw, path)?;
        let mode = calling.string("mode")?;
        let mode = mode.map(|mode| mode.to_ascii_uppercase());
        let names = calling.list("allowedFunctionNames")?.unwrap_or_default();
        let names: Vec<_> = names.into_iter().filter_map(string).collect();
        let choice = match (mode.as_deref(), names.as_slice()) {
            (Some("NONE"), []) => Some(ToolChoice::None),
            (Some("AUTO"), []) => Some(ToolChoice::Auto),
            (Some("ANY"), []) => Some(ToolChoice::Required),
            (Some("ANY"), [name]) => Some(ToolChoice::Named {
                name: name.clone().into_owned(),
                flavour: ToolFlavour::Function,
            }),
            (Some("ANY"), names) => Some(ToolChoice::Allowed {
                required: true,
                tools: allowed(names),
            }),
            _ => None,
        };
        request.tool_choice = match choice.filter(|_| calling.is_empty()) {
            Some(choice) => Some(choice),
            None => Some(ToolChoice::Opaque {
                dialect: DialectName::GenerateContent,
                json: Json::from(raw),
            }),
        };
    }
    let rest = config.into_rest();
    if !rest.is_empty() {
        request.rest.push("toolConfig", object_of(&rest));
    }
    Ok(())
}

/// Names in the form that the model has of a list of tools.
fn allowed(names: &[std::borrow::Cow<'_, str>]) -> Json {
    let mut out = Vec::new();
    array(&mut out, names, |out, name| {
        let mut one = ObjectWriter::new(out);
        one.string("type", "function").object("function", |inner| {
            inner.string("name", name);
        });
        one.end();
    });
    std::str::from_utf8(&out)
        .ok()
        .and_then(|text| Json::parse(text).ok())
        .unwrap_or_else(|| Json::from_value::<[(); 0]>(&[]))
}

/// The names in a list of tools of any dialect.
fn names(tools: &Json) -> Vec<String> {
    let name = |raw: &RawValue| {
        let object = Object::from_raw(raw)?;
        let inner = object.get("function").and_then(Object::from_raw);
        let holder = inner.as_ref().unwrap_or(&object);
        holder.get("name").and_then(string).map(|n| n.into_owned())
    };
    let all = items(tools.raw()).unwrap_or_default();
    all.into_iter().filter_map(name).collect()
}

/// Writes `tools`, where there are any.
pub(super) fn write(body: &mut ObjectWriter<'_>, request: &ChatRequest, losses: &mut Vec<Loss>) {
    let own = request.dialect == DialectName::GenerateContent;
    let mut writer = Writer {
        own,
        losses,
        functions: Vec::new(),
        written: Vec::new(),
    };
    for (at, tool) in request.tools.iter().enumerate() {
        writer.tool(tool, &format!("tools[{at}]"));
    }
    writer.flush();
    if !writer.written.is_empty() {
        array(body.key("tools"), writer.written, |out, tool| {
            out.extend_from_slice(&tool)
        });
    }
}

struct Writer<'a> {
    own: bool,
    losses: &'a mut Vec<Loss>,
    /// Declarations that become one tool.
    functions: Vec<Vec<u8>>,
    written: Vec<Vec<u8>>,
}

impl Writer<'_> {
    fn flush(&mut self) {
        if self.functions.is_empty() {
            return;
        }
        let functions = std::mem::take(&mut self.functions);
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        array(object.key("functionDeclarations"), functions, |out, one| {
            out.extend_from_slice(&one)
        });
        object.end();
        self.written.push(out);
    }

    fn tool(&mut self, tool: &Tool, path: &str) {
        match &tool.kind {
            ToolKind::Function {
                name,
                description,
                parameters,
                strict,
            } => {
                if *strict == Some(true) {
                    let why = "the target holds calls to their schema as far as it does for all";
                    self.losses
                        .push(Loss::approximated(format!("{path}.strict"), why));
                }
                self.function(tool, name, description.as_deref(), path, |object| {
                    if let Some(schema) = parameters {
                        object.raw("parametersJsonSchema", schema.as_str());
                    }
                });
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
                self.function(tool, name, description.as_deref(), path, |object| {
                    object.raw(
                        "parametersJsonSchema",
                        &format!(
                            r#"{{"type":"object","properties":{{"{FREE_TEXT}":{{"type":"string"}}}},"required":["{FREE_TEXT}"]}}"#
                        ),
                    );
                });
            }
            ToolKind::Namespace { tools, .. } => {
                let why = "this wire has no groups of tools";
                self.losses.push(Loss::approximated(path, why));
                for (at, tool) in tools.iter().enumerate() {
                    self.tool(tool, &format!("{path}.tools[{at}]"));
                }
            }
            ToolKind::Server {
                dialect: DialectName::GenerateContent,
                json,
                ..
            } => {
                self.flush();
                let mut out = Vec::new();
                crate::gemini::wire::one_line(&mut out, json.as_str());
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
        path: &str,
        schema: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object
            .string("name", name)
            .string_if("description", description);
        schema(&mut object);
        if self.own {
            object.rest(&tool.rest);
        } else {
            for (name, _) in tool.rest.iter() {
                let field = format!("{path}.{name}");
                self.losses
                    .push(Loss::dropped(field, "a field of another dialect"));
            }
            if tool.cache.is_some() {
                let field = format!("{path}.cache_control");
                self.losses
                    .push(Loss::approximated(field, "the target caches by itself"));
            }
        }
        object.end();
        self.functions.push(out);
    }
}

/// Writes `toolConfig`, where it says more than the default.
pub(super) fn write_config(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    losses: &mut Vec<Loss>,
) {
    let own = request.dialect == DialectName::GenerateContent;
    if request.parallel_tool_calls == Some(false) {
        losses.push(Loss::dropped("parallel_tool_calls", "not on this wire"));
    }
    let kept = request.rest.get("toolConfig").filter(|_| own);
    let choice = choice(request, own, losses);
    if choice.is_none() && kept.is_none() {
        return;
    }
    body.object("toolConfig", |config| {
        if let Some(choice) = choice {
            config.raw("functionCallingConfig", choice.as_str());
        }
        if let Some(kept) = kept.and_then(|json| Object::from_raw(json.raw())) {
            config.rest(&kept.into_rest());
        }
    });
}

fn choice(request: &ChatRequest, own: bool, losses: &mut Vec<Loss>) -> Option<Json> {
    let has_functions = request
        .tools
        .iter()
        .any(|tool| !matches!(tool.kind, ToolKind::Server { .. }));
    let choice = request.tool_choice.as_ref()?;
    if !has_functions && !own {
        // The wire refuses a mode without functions to call.
        if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
            losses.push(Loss::dropped("tool_choice", "there are no tools"));
        }
        return None;
    }
    let (mode, names) = match choice {
        ToolChoice::Auto => ("AUTO", Vec::new()),
        ToolChoice::None => ("NONE", Vec::new()),
        ToolChoice::Required => ("ANY", Vec::new()),
        ToolChoice::Named { name, .. } => ("ANY", vec![name.clone()]),
        ToolChoice::Allowed { required, tools } => {
            // The wire takes names with these modes only.
            (if *required { "ANY" } else { "VALIDATED" }, names(tools))
        }
        ToolChoice::Opaque {
            dialect: DialectName::GenerateContent,
            json,
        } => return Some(json.clone()),
        ToolChoice::Opaque { .. } => {
            losses.push(Loss::dropped("tool_choice", "a choice of another wire"));
            return None;
        }
    };
    Some(json_object(|object| {
        object.string("mode", mode);
        if !names.is_empty() {
            array(object.key("allowedFunctionNames"), &names, |out, name| {
                write_string(out, name)
            });
        }
    }))
}
