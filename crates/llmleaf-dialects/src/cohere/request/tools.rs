//! Tools and the choice among them, both ways.

use super::messages::keep_inner;
use crate::cohere::wire::{ObjectWriter, array};
use crate::level::{Level, wrong};
use crate::object::{Object, items, string};
use llmleaf_model::{
    ChatRequest, DialectName, Failure, Json, Loss, Rest, Tool, ToolChoice, ToolFlavour, ToolKind,
};
use serde_json::value::RawValue;

/// Reads `tools`, `strict_tools` and `tool_choice`.
pub(super) fn parse(top: &mut Level<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let list = top.list("tools")?.unwrap_or_default();
    for (at, raw) in list.into_iter().enumerate() {
        request.tools.push(tool(raw, format!("tools[{at}]"))?);
    }
    let demanded = strictness(&request.tools);
    if !demanded.is_empty() && top.peek("strict_tools").is_some() {
        let all = top.bool("strict_tools")?;
        for tool in &mut request.tools {
            if let ToolKind::Function { strict, .. } = &mut tool.kind {
                *strict = all;
            }
        }
    }
    request.tool_choice = top
        .raw("tool_choice")
        .map(|raw| match string(raw).as_deref() {
            Some("REQUIRED") => ToolChoice::Required,
            Some("NONE") => ToolChoice::None,
            _ => ToolChoice::Opaque {
                dialect: DialectName::CohereChat,
                json: Json::from(raw),
            },
        });
    Ok(())
}

fn tool(raw: &RawValue, path: String) -> Result<Tool, Failure> {
    let mut level = Level::of(raw, path)?;
    if let Some(kind) = level.string("type")?.filter(|kind| kind != "function") {
        return Ok(Tool {
            kind: ToolKind::Server {
                dialect: DialectName::CohereChat,
                kind,
                json: Json::from(raw),
            },
            cache: None,
            rest: Rest::default(),
        });
    }
    let mut function = level
        .object("function")?
        .ok_or_else(|| level.missing("function"))?;
    let name = function.required("name")?;
    let description = function.string("description")?;
    let schema = function.raw("parameters");
    if schema.is_some_and(|raw| !raw.get().starts_with('{')) {
        return Err(wrong(&function.at("parameters"), "an object"));
    }
    let mut tool = Tool::function(name, description, schema.map(Json::from));
    let inner = function.into_rest();
    tool.rest = level.into_rest();
    keep_inner(&mut tool.rest, &inner);
    Ok(tool)
}

/// What each function says of strictness.
fn strictness(tools: &[Tool]) -> Vec<Option<bool>> {
    let of = |tool: &Tool| match &tool.kind {
        ToolKind::Function { strict, .. } => Some(*strict),
        _ => None,
    };
    tools.iter().filter_map(of).collect()
}

/// Writes `tools`, `strict_tools` and `tool_choice`, where there are any. True where tools were written.
pub(super) fn write(
    body: &mut ObjectWriter<'_>,
    request: &ChatRequest,
    losses: &mut Vec<Loss>,
) -> bool {
    let own = request.dialect == DialectName::CohereChat;
    let (choice, only) = choice(request, own, losses);
    let mut written = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        let offered = |only: &Vec<String>| tool.name().is_some_and(|n| only.iter().any(|o| o == n));
        if only.as_ref().is_none_or(offered) {
            written.extend(render(tool, &format!("tools[{at}]"), own, losses));
        }
    }
    if written.is_empty() {
        // The wire refuses a choice among no tools.
        if let Some(json) = choice.filter(|_| own) {
            body.raw("tool_choice", &json);
        } else if matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Named { .. })
        ) {
            losses.push(Loss::dropped("tool_choice", "there are no tools"));
        }
        return false;
    }
    array(body.key("tools"), written, |out, tool| {
        out.extend_from_slice(&tool)
    });
    body.bool_if("strict_tools", strict(request, own, losses));
    if let Some(json) = choice {
        body.raw("tool_choice", &json);
    }
    true
}

fn render(tool: &Tool, path: &str, own: bool, losses: &mut Vec<Loss>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match &tool.kind {
        ToolKind::Function {
            name,
            description,
            parameters,
            ..
        } => {
            let (outer, inner) = split(&tool.rest);
            let mut object = ObjectWriter::new(&mut out);
            object.string("type", "function");
            object.object("function", |function| {
                function
                    .string("name", name)
                    .string_if("description", description.as_deref());
                match parameters {
                    Some(schema) => function.raw("parameters", schema.as_str()),
                    // The wire demands a schema; of this dialect's own tools what is missing is the consumer's affair.
                    None if own => &mut *function,
                    None => function.raw("parameters", r#"{"type":"object","properties":{}}"#),
                };
                if own && let Some(inner) = &inner {
                    function.rest(inner);
                }
            });
            if own {
                object.rest(&outer);
            } else {
                for (name, _) in tool.rest.iter() {
                    let field = format!("{path}.{name}");
                    losses.push(Loss::dropped(field, "a field of another dialect"));
                }
            }
            object.end();
        }
        ToolKind::Server {
            dialect: DialectName::CohereChat,
            json,
            ..
        } => out.extend_from_slice(json.as_str().as_bytes()),
        ToolKind::Server { kind, .. } => {
            let why = format!("`{kind}` runs at another provider");
            losses.push(Loss::dropped(path, why));
            return None;
        }
        // Made functions before, where the wire has neither.
        ToolKind::Custom { .. } | ToolKind::Namespace { .. } => {
            losses.push(Loss::dropped(path, "not on this wire"));
            return None;
        }
    }
    Some(out)
}

/// Fields beside `function`, and those within it.
pub(super) fn split(rest: &Rest) -> (Rest, Option<Rest>) {
    let mut outer = rest.clone();
    let inner = outer.take("function");
    let inner = inner.and_then(|json| Some(Object::from_raw(json.raw())?.into_rest()));
    (outer, inner)
}

/// One switch for all tools. The service refuses it with tools that demand no parameter (guide "Parameter types for tool
/// use", 2026-11).
fn strict(request: &ChatRequest, own: bool, losses: &mut Vec<Loss>) -> Option<bool> {
    let all = strictness(&request.tools);
    let first = all.first().copied().flatten();
    if own || !all.contains(&Some(true)) {
        return first.filter(|_| own);
    }
    let mut lose = |why: &'static str| losses.push(Loss::dropped("tools.strict", why));
    if all.iter().any(|strict| *strict != Some(true)) {
        lose("this wire holds all tools to their schemas or none");
    } else if request.tools.iter().any(demands_nothing) {
        lose("this wire holds only tools to their schemas that demand a parameter");
    } else {
        return Some(true);
    }
    None
}

fn demands_nothing(tool: &Tool) -> bool {
    let ToolKind::Function { parameters, .. } = &tool.kind else {
        return false;
    };
    let schema = parameters
        .as_ref()
        .and_then(|json| Object::from_raw(json.raw()));
    let required = schema.and_then(|schema| schema.get("required").and_then(items));
    required.is_none_or(|list| list.is_empty())
}

/// The choice as the wire writes it, and the only tools to offer where it is narrower than that.
fn choice(
    request: &ChatRequest,
    own: bool,
    losses: &mut Vec<Loss>,
) -> (Option<String>, Option<Vec<String>>) {
    if request.parallel_tool_calls == Some(false) {
        let why = "this wire cannot keep a model from several calls at once";
        losses.push(Loss::dropped("parallel_tool_calls", why));
    }
    let word = |word: &str| Some(format!("\"{word}\""));
    match &request.tool_choice {
        None | Some(ToolChoice::Auto) => (None, None),
        Some(ToolChoice::Required) => (word("REQUIRED"), None),
        Some(ToolChoice::None) => (word("NONE"), None),
        Some(ToolChoice::Named {
            name,
            flavour: ToolFlavour::Function,
        }) if request.tools.iter().any(|tool| tool.name() == Some(name)) => {
            let why = "the tool is the only one that is offered";
            losses.push(Loss::approximated("tool_choice", why));
            (word("REQUIRED"), Some(vec![name.clone()]))
        }
        Some(ToolChoice::Named { .. }) => {
            losses.push(Loss::approximated(
                "tool_choice",
                "this wire cannot name a tool",
            ));
            (word("REQUIRED"), None)
        }
        Some(ToolChoice::Allowed { required, tools }) => {
            let choice = required.then(|| word("REQUIRED")).flatten();
            let names = names(tools);
            let why = "the tools are the only ones that are offered";
            losses.push(Loss::approximated("tool_choice", why));
            (choice, Some(names))
        }
        Some(ToolChoice::Opaque { dialect, json }) => {
            if *dialect == DialectName::CohereChat && own {
                return (Some(json.as_str().to_owned()), None);
            }
            losses.push(Loss::dropped("tool_choice", "a choice of another dialect"));
            (None, None)
        }
    }
}

/// Names in a list of tools, flat or under their type.
fn names(tools: &Json) -> Vec<String> {
    let list = items(tools.raw()).unwrap_or_default();
    let name = |raw: &RawValue| {
        let object = Object::from_raw(raw)?;
        let nested = object.get("function").and_then(Object::from_raw);
        crate::cohere::wire::text(nested.as_ref().unwrap_or(&object), "name")
    };
    list.into_iter().filter_map(name).collect()
}
