//! One item of an answer, and the events that tell of it.

use super::cited::{annotation, tokens};
use crate::object::{Object, string as text_of};
use crate::responses::reasoning;
use crate::responses::wire::{ObjectWriter, array, event, one_line};
use llmleaf_model::{Artefact, Delta, DialectName, Json, Loss, ToolFlavour};

/// An item.
#[derive(Debug)]
pub(super) struct Item {
    pub id: String,
    pub body: Body,
    parts: Vec<Part>,
    /// Parts that have not ended.
    pub open: usize,
    /// Another item began: no part is added any more.
    pub left: bool,
    /// The whole item, once it is complete.
    pub done: Option<Vec<u8>>,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Body {
    Message,
    Reasoning {
        /// The provider's id of it.
        own_id: Option<String>,
        artefact: Option<Artefact>,
        /// Text that nobody signed is kept in the opaque field as well.
        keep_text: bool,
    },
    Call(Call),
    Image {
        mime: Option<String>,
        data: String,
    },
    /// The proof of the call before it, sealed.
    Proof(String),
    /// An item of this dialect as it was written.
    Whole(Json),
}

/// A call of a consumer's tool.
#[derive(Debug)]
pub(super) struct Call {
    id: String,
    name: String,
    namespace: Option<String>,
    flavour: ToolFlavour,
    arguments: String,
    artefact: Option<Artefact>,
}

/// What a part of an item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartForm {
    Text,
    Refusal,
    Summary,
    Thought,
}

#[derive(Debug)]
struct Part {
    form: PartForm,
    /// Its index in its list.
    index: usize,
    text: String,
    annotations: Vec<Vec<u8>>,
    logprobs: Vec<Vec<u8>>,
}

/// Item and part of an event.
type At = (usize, usize);

impl Call {
    pub fn new(id: &str, name: &str, flavour: ToolFlavour) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            namespace: None,
            flavour,
            arguments: String::new(),
            artefact: None,
        }
    }

    pub fn prefix(&self) -> &'static str {
        match self.flavour {
            ToolFlavour::Function => "fc",
            ToolFlavour::Custom => "ctc",
        }
    }

    /// Takes the name of the call's group.
    pub fn learn(&mut self, dialect: DialectName, json: &Json) {
        let object = Object::from_raw(json.raw()).filter(|_| dialect == DialectName::Responses);
        let group = object.and_then(|object| object.get("namespace").and_then(text_of));
        if let Some(group) = group {
            self.namespace = Some(group.into_owned());
        }
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self.flavour {
            ToolFlavour::Function => ("function_call", "arguments"),
            ToolFlavour::Custom => ("custom_tool_call", "input"),
        }
    }

    fn write(&self, object: &mut ObjectWriter<'_>, arguments: &str, status: &str) {
        let (kind, field) = self.words();
        object
            .string("type", kind)
            .string("status", status)
            .string("call_id", &self.id)
            .string("name", &self.name)
            .string_if("namespace", self.namespace.as_deref())
            .string(field, arguments);
    }
}

impl Item {
    pub fn new(id: String, body: Body) -> Self {
        Self {
            id,
            body,
            parts: Vec::new(),
            open: 0,
            left: false,
            done: None,
        }
    }

    /// True for an item that later blocks may add parts to.
    pub fn is_prose(&self) -> bool {
        let prose = matches!(self.body, Body::Message | Body::Reasoning { .. });
        prose && !self.left
    }

    /// Tells that the item is there.
    pub fn tell_added(&self, at: usize, sequence: &mut u64, out: &mut Vec<u8>) {
        number(out, "response.output_item.added", sequence, |event| {
            event.number("output_index", at as u64);
            match &self.body {
                Body::Whole(json) => {
                    event.raw("item", json.as_str());
                }
                _ => {
                    event.object("item", |item| {
                        item.string("id", &self.id);
                        self.write_begun(item);
                    });
                }
            }
        });
    }

    fn write_begun(&self, item: &mut ObjectWriter<'_>) {
        match &self.body {
            Body::Message => {
                item.string("type", "message")
                    .string("status", "in_progress")
                    .string("role", "assistant")
                    .raw("content", "[]");
            }
            Body::Reasoning { .. } | Body::Proof(_) => {
                item.string("type", "reasoning").raw("summary", "[]");
            }
            Body::Call(call) => call.write(item, "", "in_progress"),
            Body::Image { .. } => {
                item.string("type", "image_generation_call")
                    .string("status", "in_progress")
                    .raw("result", "null");
            }
            Body::Whole(_) => {}
        }
    }

    /// Adds a part; returns its number.
    pub fn add_part(
        &mut self,
        at: usize,
        form: PartForm,
        sequence: &mut u64,
        out: &mut Vec<u8>,
    ) -> usize {
        let number = self.parts.len();
        let summary = form == PartForm::Summary;
        let same = |part: &&Part| (part.form == PartForm::Summary) == summary;
        let part = Part {
            form,
            index: self.parts.iter().filter(same).count(),
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        };
        self.open += 1;
        self.tell_part(at, &part, "added", sequence, out);
        self.parts.push(part);
        number
    }

    fn tell_part(&self, at: usize, part: &Part, what: &str, sequence: &mut u64, out: &mut Vec<u8>) {
        let stem = match part.form {
            PartForm::Summary => "response.reasoning_summary_part",
            _ => "response.content_part",
        };
        number(out, &format!("{stem}.{what}"), sequence, |event| {
            self.place(event, at, part);
            event.object("part", |object| part.write(object));
        });
    }

    /// Which part an event is about.
    fn place(&self, event: &mut ObjectWriter<'_>, at: usize, part: &Part) {
        let index = match part.form {
            PartForm::Summary => "summary_index",
            _ => "content_index",
        };
        event
            .string("item_id", &self.id)
            .number("output_index", at as u64)
            .number(index, part.index as u64);
    }

    /// A part grows.
    pub fn grow(
        &mut self,
        (at, number_of_part): At,
        delta: &Delta,
        sequence: &mut u64,
        losses: &mut Vec<Loss>,
        out: &mut Vec<u8>,
    ) {
        if let (Body::Reasoning { artefact, .. }, Delta::Artefact(next)) = (&mut self.body, delta) {
            match artefact {
                Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                slot => *slot = Some(next.clone()),
            }
            return;
        }
        let Some(mut part) = self.take(number_of_part) else {
            return;
        };
        match delta {
            Delta::Text(text) => {
                part.text.push_str(text);
                let name = part.form.delta_event();
                number(out, name, sequence, |event| {
                    self.place(event, at, &part);
                    event.string("delta", text);
                    if part.form == PartForm::Text {
                        event.raw("logprobs", "[]");
                    }
                });
            }
            Delta::Citation(citation) if part.form == PartForm::Text => {
                match annotation(citation) {
                    Some(written) => {
                        let name = "response.output_text.annotation.added";
                        number(out, name, sequence, |event| {
                            self.place(event, at, &part);
                            event.number("annotation_index", part.annotations.len() as u64);
                            event.key("annotation").extend_from_slice(&written);
                        });
                        part.annotations.push(written);
                    }
                    None => losses.push(Loss::dropped(
                        "citations",
                        "this wire cites addresses and files of its own",
                    )),
                }
            }
            Delta::Citation(_) => {
                losses.push(Loss::dropped("citations", "only answer text can cite here"));
            }
            Delta::Logprobs(json) if part.form == PartForm::Text => {
                part.logprobs.extend(tokens(json));
            }
            Delta::Logprobs(_) => {
                losses.push(Loss::dropped("logprobs", "only answer text has them here"));
            }
            Delta::Opaque { .. } => {
                losses.push(Loss::dropped("output", "a delta of another dialect"));
            }
            _ => {}
        }
        self.put(number_of_part, part);
    }

    /// Takes a part out for a moment, so that item and part can be looked at side by side.
    fn take(&mut self, at: usize) -> Option<Part> {
        let part = self.parts.get_mut(at)?;
        let empty = Part {
            form: part.form,
            index: part.index,
            text: String::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        };
        Some(std::mem::replace(part, empty))
    }

    fn put(&mut self, at: usize, part: Part) {
        if let Some(slot) = self.parts.get_mut(at) {
            *slot = part;
        }
    }

    /// A part is complete.
    pub fn end_part(&mut self, (at, number_of_part): At, sequence: &mut u64, out: &mut Vec<u8>) {
        let Some(part) = self.take(number_of_part) else {
            return;
        };
        let (name, field) = part.form.done_event();
        number(out, name, sequence, |event| {
            self.place(event, at, &part);
            event.string(field, &part.text);
            if part.form == PartForm::Text {
                write_list(event.key("logprobs"), &part.logprobs);
            }
        });
        self.tell_part(at, &part, "done", sequence, out);
        self.put(number_of_part, part);
        self.open = self.open.saturating_sub(1);
    }

    /// An item without parts grows.
    pub fn grow_whole(&mut self, at: usize, delta: &Delta, sequence: &mut u64, out: &mut Vec<u8>) {
        let Self { id, body, .. } = self;
        match (body, delta) {
            (Body::Call(call), Delta::Arguments(text)) if !text.is_empty() => {
                call.arguments.push_str(text);
                let (name, _) = call_events(call.flavour);
                number(out, name, sequence, |event| {
                    event
                        .string("item_id", id)
                        .number("output_index", at as u64)
                        .string("delta", text);
                });
            }
            (Body::Call(call), Delta::Artefact(next)) => match &mut call.artefact {
                Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                slot => *slot = Some(next.clone()),
            },
            (
                Body::Whole(json),
                Delta::Opaque {
                    dialect,
                    json: next,
                },
            ) if *dialect == DialectName::Responses => {
                *json = next.clone();
            }
            _ => {}
        }
    }

    /// The item is complete.
    pub fn finish(&mut self, at: usize, sequence: &mut u64, out: &mut Vec<u8>) {
        if self.done.is_some() {
            return;
        }
        if let Body::Call(call) = &self.body {
            let (_, name) = call_events(call.flavour);
            let (_, field) = call.words();
            number(out, name, sequence, |event| {
                event
                    .string("item_id", &self.id)
                    .number("output_index", at as u64)
                    .string("name", &call.name)
                    .string(field, call.told());
            });
        }
        let mut whole = Vec::new();
        self.write(&mut whole);
        number(out, "response.output_item.done", sequence, |event| {
            event
                .number("output_index", at as u64)
                .key("item")
                .extend_from_slice(&whole);
        });
        self.done = Some(whole);
    }

    /// The proof that a call of this item carries, with the call's id.
    pub fn call_artefact(&mut self) -> Option<(Artefact, String)> {
        match &mut self.body {
            Body::Call(call) => Some((call.artefact.take()?, call.id.clone())),
            _ => None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        if let Body::Whole(json) = &self.body {
            return one_line(out, json.as_str());
        }
        let mut item = ObjectWriter::new(out);
        item.string("id", &self.id);
        match &self.body {
            Body::Message => {
                item.string("type", "message")
                    .string("status", "completed")
                    .string("role", "assistant");
                array(item.key("content"), &self.parts, write_part);
            }
            Body::Reasoning {
                own_id,
                artefact,
                keep_text,
            } => {
                item.string("type", "reasoning");
                let of = |form| self.parts.iter().filter(move |part| part.form == form);
                array(item.key("summary"), of(PartForm::Summary), write_part);
                if of(PartForm::Thought).next().is_some() {
                    array(item.key("content"), of(PartForm::Thought), write_part);
                }
                let text = match self.parts.as_slice() {
                    [one] if one.form == PartForm::Thought => Some(one.text.as_str()),
                    _ => None,
                };
                let own_id = own_id.as_deref();
                let opaque = match (artefact, text) {
                    (Some(artefact), text) => Some(reasoning::shown(artefact, own_id, text)),
                    (None, Some(text)) if *keep_text => {
                        Some(reasoning::shown_unsigned(text, own_id))
                    }
                    (None, _) => None,
                };
                item.string_if("encrypted_content", opaque.as_deref());
            }
            Body::Proof(sealed) => {
                item.string("type", "reasoning")
                    .raw("summary", "[]")
                    .string("encrypted_content", sealed);
            }
            Body::Call(call) => call.write(&mut item, call.told(), "completed"),
            Body::Image { mime, data } => {
                item.string("type", "image_generation_call")
                    .string("status", "completed")
                    .string("result", data);
                let format = mime.as_deref().and_then(|mime| mime.strip_prefix("image/"));
                item.string_if("output_format", format);
            }
            Body::Whole(_) => {}
        }
        item.end();
    }
}

impl Call {
    /// The arguments as the wire wants them: a function without any has an empty object.
    fn told(&self) -> &str {
        match self.flavour {
            ToolFlavour::Function if self.arguments.is_empty() => "{}",
            _ => &self.arguments,
        }
    }
}

impl Part {
    fn write(&self, object: &mut ObjectWriter<'_>) {
        match self.form {
            PartForm::Text => {
                object
                    .string("type", "output_text")
                    .string("text", &self.text);
                write_list(object.key("annotations"), &self.annotations);
                write_list(object.key("logprobs"), &self.logprobs);
            }
            PartForm::Refusal => {
                object
                    .string("type", "refusal")
                    .string("refusal", &self.text);
            }
            PartForm::Summary => {
                object
                    .string("type", "summary_text")
                    .string("text", &self.text);
            }
            PartForm::Thought => {
                object
                    .string("type", "reasoning_text")
                    .string("text", &self.text);
            }
        }
    }
}

impl PartForm {
    fn delta_event(self) -> &'static str {
        match self {
            PartForm::Text => "response.output_text.delta",
            PartForm::Refusal => "response.refusal.delta",
            PartForm::Summary => "response.reasoning_summary_text.delta",
            PartForm::Thought => "response.reasoning_text.delta",
        }
    }

    /// The event that repeats a whole part, and the field of its text.
    fn done_event(self) -> (&'static str, &'static str) {
        match self {
            PartForm::Text => ("response.output_text.done", "text"),
            PartForm::Refusal => ("response.refusal.done", "refusal"),
            PartForm::Summary => ("response.reasoning_summary_text.done", "text"),
            PartForm::Thought => ("response.reasoning_text.done", "text"),
        }
    }
}

/// The events by which a call grows and is complete.
fn call_events(flavour: ToolFlavour) -> (&'static str, &'static str) {
    match flavour {
        ToolFlavour::Function => (
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
        ),
        ToolFlavour::Custom => (
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.done",
        ),
    }
}

fn write_part(out: &mut Vec<u8>, part: &Part) {
    let mut object = ObjectWriter::new(out);
    part.write(&mut object);
    object.end();
}

fn write_list(out: &mut Vec<u8>, list: &[Vec<u8>]) {
    array(out, list, |out, one| out.extend_from_slice(one));
}

/// Writes an event under the next number.
fn number(
    out: &mut Vec<u8>,
    name: &str,
    sequence: &mut u64,
    fill: impl FnOnce(&mut ObjectWriter<'_>),
) {
    event(out, name, *sequence, fill);
    *sequence += 1;
}
