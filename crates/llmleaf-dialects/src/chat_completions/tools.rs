//! Tools, calls and choices.

mod write;

pub(super) use write::{write_all, write_choice};

use super::fields::{Fields, Path};
use llmleaf_model::{
    Artefact, ArtefactKind, DialectName, Failure, Json, Part, PartKind, Provenance, Tool, ToolCall,
    ToolChoice, ToolFlavour, ToolKind,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The family that issues thought signatures bound to tool calls.
pub(super) const GEMINI: Provenance = Provenance(Cow::Borrowed("google-gemini-v1"));

/// The thought signature in a call's `extra_content.google.thought_signature`, where Google's own layer for this
/// wire puts it and expects it back.
pub(super) fn thought_signature(extra: &RawValue) -> Option<Artefact> {
    let extra = crate::object::Object::from_raw(extra)?;
    let google = crate::object::Object::from_raw(extra.get("google")?)?;
    let data = crate::object::string(google.get("thought_signature")?)?;
    Some(Artefact {
        provenance: GEMINI,
        kind: ArtefactKind::Signature,
        data: data.into_owned(),
    })
}

/// Reads `tools`, and the legacy `functions`.
pub(super) fn parse_all(
    fields: &mut Fields<'_, '_>,
    root: &Path<'_>,
) -> Result<Vec<Tool>, Failure> {
    let mut tools = Vec::new();
    let path = root.key("tools");
    for (at, raw) in fields.list("tools")?.into_iter().flatten().enumerate() {
        tools.push(parse_tool(raw, &path.index(at))?);
    }
    let path = root.key("functions");
    for (at, raw) in fields.list("functions")?.into_iter().flatten().enumerate() {
        let path = path.index(at);
        let mut function = Fields::read(raw, &path)?;
        tools.push(Tool {
            kind: parse_function(&mut function)?,
            cache: None,
            rest: function.rest(),
        });
    }
    Ok(tools)
}

fn parse_tool(raw: &RawValue, path: &Path<'_>) -> Result<Tool, Failure> {
    let mut fields = Fields::read(raw, path)?;
    let kind = fields.needed_string("type")?;
    let (kind, left) = match kind.as_str() {
        "function" | "custom" => {
            let inner_path = path.key(&kind);
            let inner = fields
                .raw(&kind)
                .ok_or_else(|| inner_path.must("an object"))?;
            let mut inner = Fields::read(inner, &inner_path)?;
            let parsed = if kind == "function" {
                parse_function(&mut inner)?
            } else {
                ToolKind::Custom {
                    name: inner.needed_string("name")?,
                    description: inner.string("description")?,
                    format: inner.json("format"),
                }
            };
            (parsed, inner.left().map(|json| (kind, json)))
        }
        _ => {
            let server = ToolKind::Server {
                dialect: DialectName::ChatCompletions,
                kind,
                json: Json::from(raw),
            };
            return Ok(Tool {
                kind: server,
                cache: None,
                rest: llmleaf_model::Rest::default(),
            });
        }
    };
    let cache = fields.cache()?;
    let mut rest = fields.rest();
    if let Some((key, json)) = left {
        rest.push(key, json);
    }
    Ok(Tool { kind, cache, rest })
}

fn parse_function(fields: &mut Fields<'_, '_>) -> Result<ToolKind, Failure> {
    let name = fields.needed_string("name")?;
    let description = fields.string("description")?;
    let parameters = fields.json("parameters");
    if parameters
        .as_ref()
        .is_some_and(|p| !p.as_str().starts_with('{'))
    {
        return Err(fields.must("parameters", "an object"));
    }
    Ok(ToolKind::Function {
        name,
        description,
        parameters,
        strict: fields.boolean("strict")?,
    })
}

/// Reads `tool_choice`, else the legacy `function_call`.
pub(super) fn parse_choice(fields: &mut Fields<'_, '_>) -> Option<ToolChoice> {
    if let Some(raw) = fields.raw("tool_choice") {
        return Some(choice(raw));
    }
    let raw = fields.raw("function_call")?;
    let named = crate::object::Object::from_raw(raw)
        .and_then(|object| Some(crate::object::string(object.get("name")?)?.into_owned()));
    Some(match named {
        Some(name) => ToolChoice::Named {
            name,
            flavour: ToolFlavour::Function,
        },
        None => choice(raw),
    })
}

fn choice(raw: &RawValue) -> ToolChoice {
    let opaque = || ToolChoice::Opaque {
        dialect: DialectName::ChatCompletions,
        json: Json::from(raw),
    };
    if let Some(word) = crate::object::string(raw) {
        return match &*word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => opaque(),
        };
    }
    object_choice(raw).unwrap_or_else(opaque)
}

fn object_choice(raw: &RawValue) -> Option<ToolChoice> {
    use crate::object::{Object, string};
    let object = Object::from_raw(raw)?;
    let kind = string(object.get("type")?)?;
    let inner = object.get(&kind).and_then(Object::from_raw);
    let name_in = |object: &Object<'_>| Some(string(object.get("name")?)?.into_owned());
    let named = |flavour| {
        // The forms that other wires have for it, a name in the open: SDKs for several write them here too (recorded with a service
        // that took them).
        let name = inner
            .as_ref()
            .and_then(name_in)
            .or_else(|| name_in(&object))?;
        Some(ToolChoice::Named { name, flavour })
    };
    match &*kind {
        "function" | "tool" => named(ToolFlavour::Function),
        "custom" => named(ToolFlavour::Custom),
        "allowed_tools" => {
            let inner = inner.as_ref()?;
            Some(ToolChoice::Allowed {
                required: string(inner.get("mode")?)? == "required",
                tools: Json::from(inner.get("tools")?),
            })
        }
        _ => None,
    }
}

/// Reads one entry of an assistant's `tool_calls`.
pub(super) fn parse_call(raw: &RawValue, path: &Path<'_>) -> Result<Part, Failure> {
    let mut fields = Fields::read(raw, path)?;
    let id = fields.needed_string("id")?;
    let kind = fields.string("type")?;
    let (flavour, key, arguments_key) = if kind.as_deref() == Some("custom") {
        (ToolFlavour::Custom, "custom", "input")
    } else {
        (ToolFlavour::Function, "function", "arguments")
    };
    let inner_path = path.key(key);
    let inner = fields
        .raw(key)
        .ok_or_else(|| inner_path.must("an object"))?;
    let mut inner = Fields::read(inner, &inner_path)?;
    let name = inner.needed_string("name")?;
    let arguments = arguments(&mut inner, arguments_key);
    let artefact = match fields.raw("extra_content") {
        Some(extra) => match thought_signature(extra) {
            Some(artefact) => (Some(artefact), None),
            None => (None, Some(Json::from(extra))),
        },
        None => (None, None),
    };
    let left = inner.left();
    // Clients of streams keep it and send it back (Mistral's SDKs, OpenAPI document 1.0.0); the place in the list says the same.
    fields.pass_number("index");
    let mut rest = fields.rest();
    if let Some(json) = artefact.1 {
        rest.push("extra_content", json);
    }
    if let Some(json) = left {
        rest.push(key, json);
    }
    let call = ToolCall {
        id,
        name,
        namespace: None,
        arguments,
        flavour,
        artefact: artefact.0,
    };
    Ok(Part {
        kind: PartKind::ToolCall(call),
        cache: None,
        rest,
    })
}

/// Arguments as text; an object in place of the documented string is taken as its text.
pub(super) fn arguments(fields: &mut Fields<'_, '_>, key: &str) -> String {
    fields.raw(key).map_or_else(String::new, |raw| {
        crate::object::string(raw).map_or_else(|| raw.get().to_owned(), Cow::into_owned)
    })
}
