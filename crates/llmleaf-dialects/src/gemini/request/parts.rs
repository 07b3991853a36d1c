//! Parts of a content, from the wire.

use super::media;
use crate::gemini::signature;
use crate::gemini::wire::{NAMELESS, level, list};
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use llmleaf_model::{
    Artefact, DialectName, Failure, Json, Part, PartKind, Reasoning, ReasoningForm, ReasoningText,
    Rest, ServerToolResult, ServerToolUse, ToolCall, ToolFlavour, ToolResult,
};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};

/// Calls seen so far and not answered: results without an id answer the first of their name.
#[derive(Default)]
pub(super) struct Calls {
    /// Their ids in order; `None` where one is answered.
    open: Vec<Option<String>>,
    /// Which calls have an id, and which a name: first the first that may be open.
    ids: HashMap<String, VecDeque<usize>>,
    names: HashMap<String, VecDeque<usize>>,
}

impl Calls {
    fn add(&mut self, id: String, name: String) {
        let at = self.open.len();
        self.open.push(Some(id.clone()));
        self.ids.entry(id).or_default().push_back(at);
        self.names.entry(name).or_default().push_back(at);
    }

    fn answered(&mut self, id: Option<String>, name: &str) -> String {
        let line = match &id {
            Some(id) => self.ids.get_mut(id),
            None => self.names.get_mut(name),
        };
        let mut found = None;
        if let Some(line) = line {
            // Answered ones of the other line are passed over once and never seen again.
            while let Some(at) = line.pop_front() {
                found = self.open.get_mut(at).and_then(Option::take);
                if found.is_some() {
                    break;
                }
            }
        }
        id.or(found)
            .unwrap_or_else(|| format!("{NAMELESS}to-{name}"))
    }
}

/// Reads the parts of a content.
pub(super) fn read_all(
    raw: &RawValue,
    path: &str,
    calls: &mut Calls,
) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for (at, raw) in list(raw, path)?.into_iter().enumerate() {
        Reader {
            raw,
            calls: &mut *calls,
            out: &mut parts,
        }
        .part(level(raw, format!("{path}[{at}]"))?)?;
    }
    Ok(parts)
}

struct Reader<'a, 'r> {
    raw: &'r RawValue,
    calls: &'a mut Calls,
    out: &'a mut Vec<Part>,
}

/// Kinds of which a part holds one; the order is that in which they are looked for.
const KINDS: [&str; 10] = [
    "text",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "thoughtSignature",
];

/// To be no thought is nothing that is said again.
fn unthought(part: &mut Level<'_>) {
    if part.peek("thought").is_some_and(|v| v.get() == "false") {
        part.raw("thought");
    }
}

impl Reader<'_, '_> {
    fn part(self, mut part: Level<'_>) -> Result<(), Failure> {
        let kind = KINDS
            .into_iter()
            .find(|name| part.peek(name).is_some_and(|v| v.get() != "null"));
        let is_thought = part.peek("thought").is_some_and(|v| v.get() == "true");
        match kind {
            Some("text" | "thoughtSignature") if is_thought => self.thought(part),
            Some("text") => {
                let text = part.required("text")?;
                let citations = Vec::new();
                self.signed(PartKind::Text { text, citations }, part)
            }
            Some("functionCall") => self.call(part),
            Some("functionResponse") => self.result(part),
            Some(name @ ("inlineData" | "fileData")) => match media::parse(&mut part, name)? {
                Some(media) if !is_thought => self.signed(PartKind::Media(media), part),
                _ => self.opaque(name),
            },
            Some(name @ ("executableCode" | "toolCall")) => {
                let kind = server_tool_use(self.raw, name);
                self.whole(PartKind::ServerToolUse(kind))
            }
            Some(name @ ("codeExecutionResult" | "toolResponse")) => {
                let kind = PartKind::ServerToolResult(ServerToolResult {
                    dialect: DialectName::GenerateContent,
                    call_id: inner_text(self.raw, name, "id").unwrap_or_default(),
                    kind: name.to_owned(),
                    json: Json::from(self.raw),
                });
                self.whole(kind)
            }
            Some(_) => {
                let artefact = take_signature(&mut part)?;
                part.raw("text");
                unthought(&mut part);
                self.proof(artefact, part.into_rest())
            }
            None => self.opaque(""),
        }
    }

    fn whole(self, kind: PartKind) -> Result<(), Failure> {
        self.out.push(kind.into());
        Ok(())
    }

    fn opaque(self, kind: &str) -> Result<(), Failure> {
        let json = Json::from(self.raw);
        self.whole(PartKind::Opaque {
            dialect: DialectName::GenerateContent,
            kind: kind.to_owned(),
            json,
        })
    }

    /// A part whose signature becomes a stretch of reasoning behind it.
    fn signed(self, kind: PartKind, mut part: Level<'_>) -> Result<(), Failure> {
        let artefact = take_signature(&mut part)?;
        unthought(&mut part);
        let rest = part.into_rest();
        let empty = matches!(&kind, PartKind::Text { text, .. } if text.is_empty());
        if empty && artefact.is_some() {
            return self.proof(artefact, rest);
        }
        self.out.push(Part {
            kind,
            cache: None,
            rest,
        });
        self.proof(artefact, Rest::default())
    }

    fn proof(self, artefact: Option<Signature>, rest: Rest) -> Result<(), Failure> {
        if let Some(signature) = artefact {
            self.out.push(Part {
                kind: PartKind::Reasoning(signature.reasoning(None)),
                cache: None,
                rest,
            });
        }
        Ok(())
    }

    fn thought(self, mut part: Level<'_>) -> Result<(), Failure> {
        part.raw("thought");
        let text = part.string("text")?.unwrap_or_default();
        let reasoning = match take_signature(&mut part)? {
            Some(signature) => signature.reasoning(Some(text)),
            None => Reasoning {
                texts: texts(ReasoningForm::Summary, text),
                ..Reasoning::default()
            },
        };
        self.out.push(Part {
            kind: PartKind::Reasoning(reasoning),
            cache: None,
            rest: part.into_rest(),
        });
        Ok(())
    }

    fn call(self, mut part: Level<'_>) -> Result<(), Failure> {
        let path = part.at("functionCall");
        let Some(raw) = part.raw("functionCall") else {
            return Ok(());
        };
        let mut call = level(raw, path)?;
        let name = call.required("name")?;
        let id = call.string("id")?.filter(|id| !id.is_empty());
        let arguments = match call.raw("args") {
            Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
            Some(_) => return Err(wrong(&call.at("args"), "an object")),
            None => "{}".to_owned(),
        };
        let left = call.left();
        let artefact = take_signature(&mut part)?.map(|signature| signature.artefact());
        let id = id.unwrap_or_else(|| format!("{NAMELESS}{}", self.calls.open.len()));
        self.calls.add(id.clone(), name.clone());
        self.out.push(Part {
            kind: PartKind::ToolCall(ToolCall {
                id,
                name,
                arguments,
                artefact: artefact.flatten(),
                ..ToolCall::default()
            }),
            cache: None,
            rest: with_left(part, "functionCall", left),
        });
        Ok(())
    }

    fn result(self, mut part: Level<'_>) -> Result<(), Failure> {
        let path = part.at("functionResponse");
        let Some(raw) = part.raw("functionResponse") else {
            return Ok(());
        };
        let mut result = level(raw, path)?;
        let name = result.string("name")?.unwrap_or_default();
        let id = result.string("id")?.filter(|id| !id.is_empty());
        let call_id = self.calls.answered(id, &name);
        let (text, is_error) = match result.raw("response") {
            Some(raw) => response_text(raw),
            None => (None, None),
        };
        let mut parts: Vec<Part> = text.into_iter().map(Part::text).collect();
        if let Some(raw) = result.raw("parts") {
            for raw in list(raw, &result.at("parts"))? {
                parts.push(result_part(raw, &result)?);
            }
        }
        let left = result.left();
        self.out.push(Part {
            kind: PartKind::ToolResult(ToolResult {
                call_id,
                name: Some(name).filter(|name| !name.is_empty()),
                bare: parts.len() == 1,
                parts,
                is_error,
                flavour: ToolFlavour::Function,
            }),
            cache: None,
            rest: with_left(part, "functionResponse", left),
        });
        Ok(())
    }
}

/// The unknown fields of a part, and those of its object under the object's name.
fn with_left(mut part: Level<'_>, name: &str, left: Option<Json>) -> Rest {
    unthought(&mut part);
    let mut rest = part.into_rest();
    if let Some(left) = left {
        rest.push(name, left);
    }
    rest
}

/// A medium inside a function response.
fn result_part(raw: &RawValue, result: &Level<'_>) -> Result<Part, Failure> {
    let mut part = level(raw, result.at("parts"))?;
    let found = ["inlineData", "fileData"]
        .into_iter()
        .find(|name| part.peek(name).is_some());
    let media = match found {
        Some(name) => media::parse(&mut part, name)?.filter(|_| part.is_empty()),
        None => None,
    };
    Ok(match media {
        Some(media) => PartKind::Media(media).into(),
        None => PartKind::Opaque {
            dialect: DialectName::GenerateContent,
            kind: String::new(),
            json: Json::from(raw),
        }
        .into(),
    })
}

/// What a function returned, and whether it failed. The wire takes an object; of its conventions (`output` for what was
/// returned, `error` for what went wrong; reference of `FunctionResponse`) the inside is the text.
fn response_text(raw: &RawValue) -> (Option<String>, Option<bool>) {
    let Some(object) = Object::from_raw(raw) else {
        return (Some(raw.get().to_owned()), None);
    };
    let plain = |value: &RawValue| match string(value) {
        Some(text) => text.into_owned(),
        None => value.get().to_owned(),
    };
    match object.fields.as_slice() {
        [(name, value)] if name == "output" => (Some(plain(value)), None),
        [(name, value)] if name == "error" => (Some(plain(value)), Some(true)),
        [] => (None, None),
        _ => (Some(raw.get().to_owned()), None),
    }
}

fn server_tool_use(raw: &RawValue, name: &str) -> ServerToolUse {
    let tool = match name {
        "executableCode" => Some("code_execution".to_owned()),
        _ => inner_text(raw, name, "toolType"),
    };
    let object = Object::from_raw(raw).unwrap_or_default();
    ServerToolUse {
        dialect: DialectName::GenerateContent,
        id: inner_text(raw, name, "id").unwrap_or_default(),
        name: tool.unwrap_or_default(),
        input: object.get(name).map_or("{}", RawValue::get).to_owned(),
        json: Some(Json::from(raw)),
    }
}

fn inner_text(raw: &RawValue, name: &str, field: &str) -> Option<String> {
    let object = Object::from_raw(raw)?;
    let inner = Object::from_raw(object.get(name)?)?;
    inner.get(field).and_then(string).map(|t| t.into_owned())
}

/// A signature as it stood on a part.
pub(super) struct Signature(String);

fn take_signature(part: &mut Level<'_>) -> Result<Option<Signature>, Failure> {
    Ok(part.string("thoughtSignature")?.map(Signature))
}

impl Signature {
    fn artefact(self) -> Option<Artefact> {
        match signature::open(&self.0) {
            Some(sealed) => sealed.artefact,
            // What stands in for a signature that is not there proves nothing to anybody else.
            None if self.0 == signature::EXCUSE => None,
            None => Some(signature::own(self.0, signature::own_family())),
        }
    }

    /// A stretch of reasoning of this text and proof.
    fn reasoning(self, text: Option<String>) -> Reasoning {
        let text = text.unwrap_or_default();
        match signature::open(&self.0) {
            Some(sealed) => Reasoning {
                id: sealed.id,
                texts: vec![ReasoningText {
                    form: sealed.form,
                    text,
                }],
                artefact: sealed.artefact,
            },
            None => Reasoning {
                id: None,
                texts: texts(ReasoningForm::Summary, text),
                artefact: Some(signature::own(self.0, signature::own_family())),
            },
        }
    }
}

fn texts(form: ReasoningForm, text: String) -> Vec<ReasoningText> {
    if text.is_empty() {
        Vec::new()
    } else {
        vec![ReasoningText { form, text }]
    }
}
