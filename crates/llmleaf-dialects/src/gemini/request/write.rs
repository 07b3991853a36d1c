//! Parts of a turn, to the wire.

use super::media;
use crate::gemini::Quirks;
use crate::gemini::quirks::ModelRule;
use crate::gemini::signature::EXCUSE;
use crate::gemini::wire::{FREE_TEXT, MADE_UP, NAMELESS, ObjectWriter, array, one_line};
use crate::object::Object;
use crate::writer::foreign;
use llmleaf_model::{
    Artefact, ArtefactKind, DialectName, Loss, Media, MediaKind, MediaSource, Message, Part,
    PartKind, Reasoning, ToolCall, ToolFlavour, ToolResult,
};
use std::collections::HashMap;

/// The calls of a conversation: results of this wire repeat the name of their call.
pub(super) struct Results<'a> {
    /// By id, the last where several have it: which call it is, and its name.
    calls: HashMap<&'a str, (usize, &'a str)>,
}

impl<'a> Results<'a> {
    /// The calls of these messages.
    pub fn of(messages: &'a [Message]) -> Self {
        let parts = messages.iter().flat_map(|message| &message.parts);
        let calls = parts.filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) => Some((call.id.as_str(), call.name.as_str())),
            _ => None,
        });
        let calls = calls.enumerate().map(|(at, (id, name))| (id, (at, name)));
        Self {
            calls: calls.collect(),
        }
    }

    /// Which call an id belongs to; the last one where several have it.
    pub fn position(&self, id: &str) -> usize {
        self.calls.get(id).map_or(usize::MAX - 1, |(at, _)| *at)
    }

    fn name(&self, id: &str) -> Option<&'a str> {
        self.calls.get(id).map(|(_, name)| *name)
    }
}

/// Writes parts, and notes what does not fit.
pub(super) struct PartWriter<'a> {
    /// The request was read from this wire.
    pub own: bool,
    pub quirks: &'a Quirks,
    pub rule: &'a ModelRule,
    pub results: &'a Results<'a>,
    pub losses: &'a mut Vec<Loss>,
    /// The turn has a call already: only its first one must be signed.
    pub called: bool,
}

impl PartWriter<'_> {
    /// The parts of a turn, as objects. A proof without text stands on the part before it, where that takes one.
    pub fn parts(&mut self, parts: &[Part], path: &str) -> Vec<Vec<u8>> {
        let mut out: Vec<Vec<u8>> = Vec::new();
        let mut unsigned: Option<usize> = None;
        for (at, part) in parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            if let PartKind::Reasoning(reasoning) = &part.kind
                && reasoning.texts.is_empty()
                && let Some(last) = unsigned.take()
                && part.rest.is_empty()
                && let Some(artefact) = self.verified(reasoning.artefact.as_ref())
                && let Some(bytes) = out.get_mut(last)
                && bytes.pop() == Some(b'}')
            {
                bytes.extend_from_slice(b",\"thoughtSignature\":");
                crate::gemini::wire::write_string(bytes, &artefact.data);
                bytes.push(b'}');
                continue;
            }
            unsigned = None;
            let from = out.len();
            self.part(part, &path, &mut out);
            let takes = matches!(&part.kind, PartKind::Text { text, .. } if !text.is_empty())
                || matches!(part.kind, PartKind::Media(_));
            if takes && out.len() == from + 1 {
                unsigned = Some(from);
            }
        }
        out
    }

    fn part(&mut self, part: &Part, path: &str, out: &mut Vec<Vec<u8>>) {
        match &part.kind {
            PartKind::Text { text, citations } => {
                if !citations.is_empty() {
                    let field = format!("{path}.citations");
                    self.losses
                        .push(Loss::dropped(field, "this wire cites in answers only"));
                }
                if !text.is_empty() || self.own {
                    self.object(part, path, out, |object| {
                        object.string("text", text);
                    });
                }
            }
            PartKind::Refusal(text) => {
                let why = "this wire has no refusals: it goes as text";
                self.losses.push(Loss::approximated(path, why));
                self.object(part, path, out, |object| {
                    object.string("text", text);
                });
            }
            PartKind::Media(media) => self.media(part, media, path, out),
            PartKind::ToolCall(call) => self.call(part, call, path, out),
            PartKind::ToolResult(result) => self.result(part, result, path, out),
            PartKind::Reasoning(reasoning) => self.reasoning(part, reasoning, path, out),
            PartKind::ServerToolUse(tool) if tool.dialect == DialectName::GenerateContent => {
                out.extend(tool.json.as_ref().map(|json| whole(json.as_str())));
            }
            PartKind::ServerToolResult(result)
                if result.dialect == DialectName::GenerateContent =>
            {
                out.push(whole(result.json.as_str()));
            }
            PartKind::Opaque {
                dialect: DialectName::GenerateContent,
                json,
                ..
            } => out.push(whole(json.as_str())),
            PartKind::ServerToolUse(_)
            | PartKind::ServerToolResult(_)
            | PartKind::Opaque { .. } => {
                self.losses
                    .push(Loss::dropped(path, "a part of another dialect"));
            }
        }
    }

    /// Writes one part: what `fill` writes, then what was kept of it.
    fn object(
        &mut self,
        part: &Part,
        path: &str,
        out: &mut Vec<Vec<u8>>,
        fill: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let mut bytes = Vec::new();
        let mut object = ObjectWriter::new(&mut bytes);
        fill(&mut object);
        if part.cache.is_some() && !self.own {
            let field = format!("{path}.cache_control");
            self.losses
                .push(Loss::approximated(field, "the target caches by itself"));
        }
        let own = self.own.then_some(&mut object);
        match own {
            Some(object) => {
                let read = read_object(&part.kind);
                for (name, value) in part.rest.iter().filter(|(name, _)| Some(*name) != read) {
                    object.raw(name, value.as_str());
                }
            }
            None => self.losses.extend(foreign(&part.rest, path)),
        }
        object.end();
        out.push(bytes);
    }

    fn media(&mut self, part: &Part, media: &Media, path: &str, out: &mut Vec<Vec<u8>>) {
        if let MediaSource::Parts(parts) = &media.source {
            let why = "this wire has no documents made of parts: they stand one by one";
            self.losses.push(Loss::approximated(path, why));
            return out.extend(self.parts(parts, path));
        }
        let fit = match media::fit(media, self.own) {
            Ok(fit) => fit,
            Err(why) => return self.losses.push(Loss::dropped(path, why)),
        };
        let beside = [
            ("detail", media.detail.as_ref().is_some_and(|d| d != "auto")),
            ("context", media.context.is_some()),
            ("citations", media.citations == Some(true)),
            // An image's name is seldom more than that of a file.
            (
                "filename",
                !self.own && media.name.is_some() && media.kind != MediaKind::Image,
            ),
        ];
        for (name, _) in beside.iter().filter(|(_, is_set)| *is_set) {
            let field = format!("{path}.{name}");
            self.losses.push(Loss::dropped(field, "not on this wire"));
        }
        // Only Vertex AI knows a name; what came with one is sent with it.
        let name = media.name.as_deref().filter(|_| self.own);
        self.object(part, path, out, |object| fit.write(object, name));
    }

    fn call(&mut self, part: &Part, call: &ToolCall, path: &str, out: &mut Vec<Vec<u8>>) {
        let arguments = match call.arguments.trim() {
            "" if call.flavour == ToolFlavour::Function => Some("{}"),
            text if call.flavour == ToolFlavour::Function => Object::parse(text).ok().map(|_| text),
            _ => None,
        };
        if arguments.is_none() {
            let why = "text that is no JSON object stands in one field";
            self.losses
                .push(Loss::approximated(format!("{path}.arguments"), why));
        }
        if call.namespace.is_some() {
            let why = "this wire has no groups of tools";
            self.losses
                .push(Loss::dropped(format!("{path}.namespace"), why));
        }
        let proof = self.verified(call.artefact.as_ref()).cloned();
        if call.artefact.is_some() && proof.is_none() {
            let why = "the target cannot verify it";
            self.losses
                .push(Loss::dropped(format!("{path}.signature"), why));
        }
        let own = self.own;
        let excused = self.rule.signed_calls && !self.called && !self.own;
        self.called = true;
        self.object(part, path, out, |object| {
            object.object("functionCall", |object| {
                object
                    .string_if("id", told_id(&call.id, own))
                    .string("name", &call.name);
                match arguments {
                    Some(json) => object.raw("args", json),
                    None => object.object("args", |args| {
                        args.string(FREE_TEXT, &call.arguments);
                    }),
                };
                unread(object, part, "functionCall", own);
            });
            match &proof {
                Some(proof) => {
                    object.string("thoughtSignature", &proof.data);
                }
                None if excused => {
                    object.string("thoughtSignature", EXCUSE);
                }
                None => {}
            }
        });
    }

    fn result(&mut self, part: &Part, result: &ToolResult, path: &str, out: &mut Vec<Vec<u8>>) {
        let text: Vec<&str> = result.parts.iter().filter_map(Part::as_text).collect();
        let response = response(&text, result.is_error == Some(true));
        let mut inside = Vec::new();
        let others: Vec<Part> = result
            .parts
            .iter()
            .filter(|part| part.as_text().is_none())
            .cloned()
            .collect();
        let others = self.parts(&others, path);
        let mut behind = Vec::new();
        if self.own || self.rule.media_in_results {
            inside = others;
        } else if !others.is_empty() {
            let why = "the model takes no media in results: they stand behind it";
            self.losses.push(Loss::approximated(path, why));
            behind = others;
        }
        let name = result.name.as_deref();
        let name = name.or_else(|| {
            let known = self.results.name(&result.call_id);
            known.filter(|_| !self.own)
        });
        let name = name.or((!self.own).then_some(&*result.call_id));
        let own = self.own;
        self.object(part, path, out, |object| {
            object.object("functionResponse", |object| {
                object
                    .string_if("id", told_id(&result.call_id, own))
                    .string_if("name", name)
                    .raw("response", &response);
                if !inside.is_empty() {
                    array(object.key("parts"), &inside, |out, part| {
                        out.extend_from_slice(part)
                    });
                }
                unread(object, part, "functionResponse", own);
            });
        });
        out.extend(behind);
    }

    fn reasoning(
        &mut self,
        part: &Part,
        reasoning: &Reasoning,
        path: &str,
        out: &mut Vec<Vec<u8>>,
    ) {
        let artefact = self.verified(reasoning.artefact.as_ref()).cloned();
        if reasoning.artefact.is_some() && artefact.is_none() {
            let why = "the target cannot verify this reasoning";
            return self.losses.push(Loss::dropped(path, why));
        }
        let last = reasoning.texts.len().checked_sub(1);
        for (at, text) in reasoning.texts.iter().enumerate() {
            let proof = artefact.as_ref().filter(|_| Some(at) == last);
            self.object(part, path, out, |object| {
                object.string("text", &text.text).bool("thought", true);
                object.string_if("thoughtSignature", proof.map(|p| p.data.as_str()));
            });
        }
        if let (None, Some(artefact)) = (last, artefact) {
            self.object(part, path, out, |object| {
                object
                    .string("text", "")
                    .string("thoughtSignature", &artefact.data);
            });
        }
    }

    /// The artefact, where the target can verify it.
    fn verified<'r>(&self, artefact: Option<&'r Artefact>) -> Option<&'r Artefact> {
        artefact.filter(|artefact| {
            artefact.kind == ArtefactKind::Signature && self.quirks.can_verify(&artefact.provenance)
        })
    }
}

/// The object that a part of this kind was read from. Of its fields only some may be known; the others are kept under its name, which is
/// an object of its own on a part of any other kind.
fn read_object(kind: &PartKind) -> Option<&'static str> {
    match kind {
        PartKind::ToolCall(_) => Some("functionCall"),
        PartKind::ToolResult(_) => Some("functionResponse"),
        _ => None,
    }
}

/// Writes what was not read of an object of a part.
fn unread(object: &mut ObjectWriter<'_>, part: &Part, name: &str, own: bool) {
    let left = part.rest.get(name).filter(|_| own);
    if let Some(left) = left.and_then(|json| Object::from_raw(json.raw())) {
        object.rest(&left.into_rest());
    }
}

/// An id, unless we made it up.
fn told_id(id: &str, own: bool) -> Option<&str> {
    let made_up = id.starts_with(NAMELESS) || !own && id.starts_with(MADE_UP);
    (!id.is_empty() && !made_up).then_some(id)
}

fn whole(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    one_line(&mut out, json);
    out
}

/// The object that this wire takes of what a function returned: an object as it is, anything else under the names that
/// its reference gives them.
fn response(text: &[&str], is_error: bool) -> String {
    let joined = text.concat();
    // As it is, it must stand in one line and have no white space around it: what is sent is what came.
    let plain = joined.starts_with('{') && joined.ends_with('}') && !joined.contains(['\n', '\r']);
    let object = Object::parse(&joined).ok().filter(|_| plain);
    if is_error {
        return match object {
            Some(_) => format!("{{\"error\":{joined}}}"),
            None => format!("{{\"error\":{}}}", crate::splice::quote(&joined)),
        };
    }
    match object {
        // One that says `output` or `error` itself would be taken for more than it is.
        Some(object) if matches!(object.fields.as_slice(), [(name, _)] if name == "output" || name == "error") =>
        {
            format!("{{\"output\":{joined}}}")
        }
        Some(object) if !object.fields.is_empty() => joined,
        _ if text.is_empty() => "{}".to_owned(),
        _ => format!("{{\"output\":{}}}", crate::splice::quote(&joined)),
    }
}
