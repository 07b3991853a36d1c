//! Tools that a wire cannot take as they are: groups of tools, and tools of free text.
//!
//! Agents of the Responses wire group tools under namespaces and use tools whose input is free text. Wires without those get
//! plain functions: a grouped tool is named after its group (`group__tool`), a free text becomes the one field of a JSON
//! object. [`flatten`] does it to a request, [`Restored`] undoes it in the answer, and both read it off the request's own
//! tools: there is nothing to remember between two requests.

use crate::object::{Object, items, string};
use crate::writer::{ObjectWriter, array, one_line};
use crate::{Encoder, ReplyContext};
use llmleaf_model::{
    BlockKind, ChatRequest, Delta, DialectName, Event, Failure, Json, Loss, PartKind, Response,
    Tool, ToolCall, ToolChoice, ToolFlavour, ToolKind,
};
use std::borrow::Cow;
use std::collections::HashMap;

/// Name of the one field that holds the free text of a custom tool's input.
pub(crate) const FREE_TEXT: &str = "input";

/// Longest name of a tool that every wire takes.
const LONGEST_NAME: usize = 64;

/// What a wire takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takes {
    /// Groups of tools.
    pub groups: bool,
    /// Tools of free text.
    pub free_text: bool,
}

/// A tool as its request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Original {
    namespace: Option<String>,
    name: String,
    flavour: ToolFlavour,
}

/// The names of a request's tools on a wire that has no groups.
#[derive(Debug, Default)]
struct Names {
    /// By the name on the wire.
    originals: HashMap<String, Original>,
    /// By group and name.
    flat: HashMap<(String, String), String>,
    /// Grouped tools by their name alone; `None` where several groups have one of that name.
    alone: HashMap<String, Option<String>>,
}

impl Names {
    fn of(tools: &[Tool]) -> Self {
        let mut names = Self::default();
        for tool in tools {
            if let Some((name, flavour)) = plain(tool) {
                let original = Original {
                    namespace: None,
                    name: name.to_owned(),
                    flavour,
                };
                names.originals.entry(name.to_owned()).or_insert(original);
            }
        }
        for tool in tools {
            let ToolKind::Namespace {
                name: group,
                tools: inner,
                ..
            } = &tool.kind
            else {
                continue;
            };
            for (name, flavour) in inner.iter().filter_map(plain) {
                names.add(group, name, flavour);
            }
        }
        names
    }

    fn add(&mut self, group: &str, name: &str, flavour: ToolFlavour) {
        let key = (group.to_owned(), name.to_owned());
        if self.flat.contains_key(&key) {
            return;
        }
        let mut wanted = joined(group, name);
        let long = format!("{group}__{name}");
        // The mark is of the round and of where the group ends, and not of the name that was taken: a consumer who chooses its
        // other names for it can neither close a circle nor make one long walk of many tools.
        for round in 0u32.. {
            if !self.originals.contains_key(&wanted) {
                break;
            }
            wanted = shortened(&long, &format!("{round}/{}/{long}", group.len()));
        }
        let original = Original {
            namespace: Some(group.to_owned()),
            name: name.to_owned(),
            flavour,
        };
        self.originals.insert(wanted.clone(), original);
        self.alone
            .entry(name.to_owned())
            .and_modify(|only| *only = None)
            .or_insert_with(|| Some(wanted.clone()));
        self.flat.insert(key, wanted);
    }

    /// The name on the wire of a tool that a choice names, with its group or without; `None` where that is its own.
    fn chosen(&self, group: Option<&str>, name: &str) -> Option<String> {
        if let Some(group) = group {
            return Some(self.flat(group, name));
        }
        let plain = self.originals.get(name);
        if plain.is_some_and(|original| original.namespace.is_none()) {
            return None;
        }
        self.alone.get(name).cloned().flatten()
    }

    fn flat(&self, group: &str, name: &str) -> String {
        let key = (group.to_owned(), name.to_owned());
        self.flat
            .get(&key)
            .cloned()
            .unwrap_or_else(|| joined(group, name))
    }

    /// True where every tool keeps its name and form on the way.
    fn changes_nothing(&self) -> bool {
        self.flat.is_empty()
            && self
                .originals
                .values()
                .all(|original| original.flavour == ToolFlavour::Function)
    }
}

fn plain(tool: &Tool) -> Option<(&str, ToolFlavour)> {
    match &tool.kind {
        ToolKind::Function { name, .. } => Some((name, ToolFlavour::Function)),
        ToolKind::Custom { name, .. } => Some((name, ToolFlavour::Custom)),
        ToolKind::Namespace { .. } | ToolKind::Server { .. } => None,
    }
}

/// `group__tool`, cut where it would be too long.
fn joined(group: &str, name: &str) -> String {
    let long = format!("{group}__{name}");
    if long.len() <= LONGEST_NAME {
        long
    } else {
        shortened(&long, &long)
    }
}

/// The beginning of a name with a mark of the whole behind it.
fn shortened(name: &str, whole: &str) -> String {
    // FNV-1a (64 bits): the mark only has to be the same on every node and in every turn.
    let mark = whole.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let kept: String = name
        .chars()
        .filter(char::is_ascii)
        .take(LONGEST_NAME - 9)
        .collect();
    format!("{kept}_{:08x}", mark >> 32)
}

/// A request without what a wire cannot take, and what that approximates.
pub(crate) fn flatten(request: &ChatRequest, takes: Takes) -> (Cow<'_, ChatRequest>, Vec<Loss>) {
    let grouped = |tool: &Tool| matches!(tool.kind, ToolKind::Namespace { .. });
    let calls = || {
        let parts = request.messages.iter().flat_map(|message| &message.parts);
        parts.filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some(call),
            _ => None,
        })
    };
    let groups = !takes.groups
        && (request.tools.iter().any(grouped) || calls().any(|call| call.namespace.is_some()));
    let custom = |tool: &Tool| matches!(tool.kind, ToolKind::Custom { .. });
    let texts = !takes.free_text
        && (request
            .tools
            .iter()
            .any(|tool| custom(tool) || grouped(tool))
            || calls().any(|call| call.flavour == ToolFlavour::Custom));
    if !groups && !texts {
        return (Cow::Borrowed(request), Vec::new());
    }
    let names = Names::of(&request.tools);
    let mut flat = request.clone();
    let mut losses = Vec::new();
    flat.tools = tools(&request.tools, &names, takes, &mut losses);
    for part in flat.messages.iter_mut().flat_map(|m| m.parts.iter_mut()) {
        match &mut part.kind {
            PartKind::ToolCall(call) => flatten_call(call, &names, takes),
            PartKind::ToolResult(result) if !takes.free_text => {
                result.flavour = ToolFlavour::Function;
            }
            _ => {}
        }
    }
    if let Some(choice) = &mut flat.tool_choice {
        flatten_choice(choice, &names, takes);
    }
    (Cow::Owned(flat), losses)
}

fn tools(list: &[Tool], names: &Names, takes: Takes, losses: &mut Vec<Loss>) -> Vec<Tool> {
    let mut flat = Vec::with_capacity(list.len());
    for (at, tool) in list.iter().enumerate() {
        let path = format!("tools[{at}]");
        match &tool.kind {
            ToolKind::Namespace {
                name: group, tools, ..
            } if !takes.groups => {
                losses.push(Loss::approximated(
                    &path,
                    "a group of tools goes as tools that are named after it",
                ));
                for (at, inner) in tools.iter().enumerate() {
                    let mut inner = free_text(inner, takes, &format!("{path}.tools[{at}]"), losses);
                    if let ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } =
                        &mut inner.kind
                    {
                        *name = names.flat(group, name);
                    }
                    flat.push(inner);
                }
            }
            _ => flat.push(free_text(tool, takes, &path, losses)),
        }
    }
    flat
}

/// A tool of free text as a function of one text.
fn free_text(tool: &Tool, takes: Takes, path: &str, losses: &mut Vec<Loss>) -> Tool {
    let ToolKind::Custom {
        name,
        description,
        format,
    } = &tool.kind
    else {
        return tool.clone();
    };
    if takes.free_text {
        return tool.clone();
    }
    losses.push(Loss::approximated(
        path,
        "free text becomes the one field of a JSON input",
    ));
    let mut told = description.clone();
    if let Some(definition) = format.as_ref().and_then(definition) {
        // The model must know the grammar; nobody holds it to it any more.
        losses.push(Loss::approximated(
            format!("{path}.format"),
            "the grammar is told in the description, and nobody enforces it",
        ));
        let words = told.unwrap_or_default();
        told = Some(format!(
            "{words}\n\nThe text in `{FREE_TEXT}` must match this grammar:\n{definition}"
        ));
    }
    let schema = crate::writer::json_object(|schema| {
        schema
            .string("type", "object")
            .object("properties", |properties| {
                properties.object(FREE_TEXT, |field| {
                    field.string("type", "string");
                });
            })
            .raw("required", &format!("[\"{FREE_TEXT}\"]"))
            .bool("additionalProperties", false);
    });
    Tool {
        cache: tool.cache.clone(),
        ..Tool::function(name.clone(), told, Some(schema))
    }
}

/// The text of a grammar, flat or nested under its type.
fn definition(format: &Json) -> Option<String> {
    let object = Object::from_raw(format.raw())?;
    let nested = object.get("grammar").and_then(Object::from_raw);
    let text = nested.as_ref().unwrap_or(&object).get("definition")?;
    string(text).map(Cow::into_owned)
}

fn flatten_call(call: &mut ToolCall, names: &Names, takes: Takes) {
    if !takes.groups
        && let Some(group) = call.namespace.take()
    {
        call.name = names.flat(&group, &call.name);
    }
    if !takes.free_text && call.flavour == ToolFlavour::Custom {
        call.flavour = ToolFlavour::Function;
        call.arguments = wrapped(&call.arguments);
    }
}

fn wrapped(text: &str) -> String {
    let json = crate::writer::json_object(|object| {
        object.string(FREE_TEXT, text);
    });
    json.as_str().to_owned()
}

fn flatten_choice(choice: &mut ToolChoice, names: &Names, takes: Takes) {
    match choice {
        ToolChoice::Named { name, flavour } => {
            if let Some(flat) = names.chosen(None, name).filter(|_| !takes.groups) {
                *name = flat;
            }
            if !takes.free_text {
                *flavour = ToolFlavour::Function;
            }
        }
        ToolChoice::Allowed { tools, .. } => {
            let Some(list) = items(tools.raw()) else {
                return;
            };
            let mut out = Vec::new();
            array(&mut out, list, |out, raw| match Object::from_raw(raw) {
                Some(tool) => allowed(&tool, names, takes, out),
                None => one_line(out, raw.get()),
            });
            let text = std::str::from_utf8(&out).ok();
            if let Some(json) = text.and_then(|text| Json::parse(text).ok()) {
                *tools = json;
            }
        }
        _ => {}
    }
}

/// Writes an entry of a list of allowed tools: `{type, name}`, or `{type, <type>: {name}}`.
fn allowed(tool: &Object<'_>, names: &Names, takes: Takes, out: &mut Vec<u8>) {
    let custom = tool.get("type").and_then(string).as_deref() == Some("custom");
    let custom = custom && !takes.free_text;
    let group = tool.get("namespace").filter(|_| !takes.groups);
    let group = group.and_then(string);
    let flat = |raw| {
        let name = string(raw).filter(|_| !takes.groups)?;
        names.chosen(group.as_deref(), &name)
    };
    let mut object = ObjectWriter::new(out);
    for (key, raw) in &tool.fields {
        match (&**key, Object::from_raw(raw)) {
            ("type", _) if custom => {
                object.string("type", "function");
            }
            ("namespace", _) if group.is_some() => {}
            ("name", _) => {
                match flat(raw) {
                    Some(name) => object.string("name", &name),
                    None => object.raw("name", raw.get()),
                };
            }
            ("custom" | "function", Some(nested)) => {
                let key = if custom { "function" } else { key };
                object.object(key, |inner| {
                    for (key, raw) in &nested.fields {
                        match flat(raw).filter(|_| key == "name") {
                            Some(name) => inner.string(key, &name),
                            None => inner.raw(key, raw.get()),
                        };
                    }
                });
            }
            _ => {
                object.raw(key, raw.get());
            }
        }
    }
    object.end();
}

/// Gives calls of an answer the names and forms that the consumer knows them by.
struct Restorer {
    names: Names,
    /// Calls whose text is still wrapped, by block.
    wrapped: HashMap<u32, String>,
    /// Calls whose name says nothing of their group on this consumer's wire.
    groups: bool,
}

impl Restorer {
    /// `None` where nothing was changed on the way there.
    fn new(context: &ReplyContext) -> Option<Self> {
        let request = context.request.as_ref()?;
        let names = Names::of(&request.tools);
        (!names.changes_nothing()).then(|| Self {
            names,
            wrapped: HashMap::new(),
            groups: request.dialect == DialectName::Responses,
        })
    }

    /// Restores the kind of a block that opens. The group of a call follows in a delta of its own.
    fn kind(&mut self, block: u32, kind: &BlockKind) -> Option<(BlockKind, Option<Delta>)> {
        let BlockKind::ToolCall { id, name, flavour } = kind else {
            return None;
        };
        let original = self.names.originals.get(name)?;
        if *flavour == ToolFlavour::Function && original.flavour == ToolFlavour::Custom {
            self.wrapped.insert(block, String::new());
        }
        let group = original.namespace.as_deref().filter(|_| self.groups);
        let delta = group.map(|group| Delta::Opaque {
            dialect: DialectName::Responses,
            json: crate::writer::json_object(|object| {
                object.string("namespace", group);
            }),
        });
        let kind = BlockKind::ToolCall {
            id: id.clone(),
            name: original.name.clone(),
            flavour: original.flavour,
        };
        Some((kind, delta))
    }
}

/// The text inside its object; what is no such object stays as it is.
fn unwrapped(arguments: String) -> String {
    let text = || {
        let object = Object::parse(&arguments).ok()?;
        match object.fields.as_slice() {
            [(name, value)] if name == FREE_TEXT => string(value).map(Cow::into_owned),
            _ => None,
        }
    };
    text().unwrap_or(arguments)
}

/// An encoder that is told of calls as the consumer knows them.
pub(crate) struct Restored {
    inner: Box<dyn Encoder>,
    restorer: Restorer,
}

impl Restored {
    /// Wraps an encoder where the request has tools that were changed.
    pub fn around(inner: Box<dyn Encoder>, context: &ReplyContext) -> Box<dyn Encoder> {
        match Restorer::new(context) {
            Some(restorer) => Box::new(Self { inner, restorer }),
            None => inner,
        }
    }
}

impl Encoder for Restored {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::BlockStart {
                block,
                choice,
                kind,
            } => {
                let Some((kind, delta)) = self.restorer.kind(*block, kind) else {
                    return self.inner.encode(event, out);
                };
                let (block, choice) = (*block, *choice);
                let start = Event::BlockStart {
                    block,
                    choice,
                    kind,
                };
                self.inner.encode(&start, out);
                if let Some(delta) = delta {
                    self.inner.encode(&Event::BlockDelta { block, delta }, out);
                }
            }
            Event::BlockDelta {
                block,
                delta: Delta::Arguments(more),
            } => match self.restorer.wrapped.get_mut(block) {
                // Half a JSON text says nothing of the text inside.
                Some(held) => held.push_str(more),
                None => self.inner.encode(event, out),
            },
            Event::BlockEnd { block } => {
                if let Some(held) = self.restorer.wrapped.remove(block) {
                    let delta = Delta::Arguments(unwrapped(held));
                    let block = *block;
                    self.inner.encode(&Event::BlockDelta { block, delta }, out);
                }
                self.inner.encode(event, out);
            }
            _ => self.inner.encode(event, out),
        }
    }

    fn failure(&self) -> Option<&Failure> {
        self.inner.failure()
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.inner.take_losses()
    }
}

/// A whole response with its calls as the consumer knows them.
pub(crate) fn restore<'r>(response: &'r Response, context: &ReplyContext) -> Cow<'r, Response> {
    let Some(mut restorer) = Restorer::new(context) else {
        return Cow::Borrowed(response);
    };
    let mut restored = response.clone();
    let blocks = restored
        .choices
        .iter_mut()
        .flat_map(|c| c.blocks.iter_mut());
    for (at, block) in (0u32..).zip(blocks) {
        let Some((kind, delta)) = restorer.kind(at, &block.kind) else {
            continue;
        };
        block.kind = kind;
        if let Some(Delta::Opaque { json, .. }) = delta {
            block.opaque.insert(0, json);
        }
        if restorer.wrapped.remove(&at).is_some() {
            block.arguments = unwrapped(std::mem::take(&mut block.arguments));
        }
    }
    Cow::Owned(restored)
}

#[cfg(test)]
mod tests;
