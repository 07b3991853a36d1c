//! Whole responses, both ends.

use super::answer::{self, Answer, FREE_TEXT, Form};
use super::citation::{self, Place};
use super::errors;
use super::events::Reading;
use super::usage;
use super::wire::{ObjectWriter, SIGNATURE, array, json_object, sealed, write_string};
use crate::broken::{ANSWER, corrupt};
use crate::object::Object;
use crate::{Reply, ReplyContext};
use llmleaf_model::{Block, Event, Failure, FailureKind, Response, ToolFlavour};

/// Reads a whole response as the events of a stream, terminal included.
pub fn parse_response(body: &[u8]) -> Vec<Event> {
    let mut out = Vec::new();
    let mut reading = Reading::default();
    let text = std::str::from_utf8(body).map(crate::surrogates::mended);
    match text.as_deref().map(Object::parse) {
        Ok(Ok(object)) => {
            reading.whole(object, &mut out);
            reading.cut(&mut out);
        }
        Ok(Err(error)) => reading.fail(corrupt(ANSWER, error), &mut out),
        Err(_) => reading.fail(corrupt(ANSWER, "not UTF-8"), &mut out),
    }
    out
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext) -> Reply {
    let mut answer = Answer::default();
    answer.start(&response.start);
    let mut message = Message::default();
    for (at, choice) in (0u32..).zip(&response.choices) {
        for (block, one) in (0u32..).zip(&choice.blocks) {
            if let Some(form) = answer.form(block, at, &one.kind) {
                message.block(&form, one, &mut answer, context.hide_reasoning);
            }
        }
    }
    let finish = response.choices.first().and_then(|c| c.finish.as_ref());
    let Ok(word) = answer.end(finish) else {
        let failure = Failure::upstream(
            FailureKind::Server,
            "the provider ended the answer with an error",
        );
        return errors::render_error(&failure, &context.request_id);
    };
    let mut body = Vec::with_capacity(512);
    let mut object = ObjectWriter::new(&mut body);
    let id = response.start.id.as_deref();
    object.string("id", id.unwrap_or(&context.fallback_id));
    message.write(object.key("message"));
    object.string("finish_reason", &word);
    if let Some(report) = &response.usage {
        usage::render(object.key("usage"), report);
        report
            .unsaid_cache_writes()
            .into_iter()
            .for_each(|loss| answer.lose(loss));
    }
    if !message.logprobs.is_empty() {
        array(object.key("logprobs"), &message.logprobs, |out, one| {
            out.extend_from_slice(one)
        });
    }
    object.end();
    Reply {
        status: 200,
        body,
        losses: answer.take_losses(),
    }
}

/// The message of an answer, in pieces.
#[derive(Default)]
struct Message {
    content: Vec<Vec<u8>>,
    plan: String,
    calls: Vec<Vec<u8>>,
    citations: Vec<Vec<u8>>,
    logprobs: Vec<Vec<u8>>,
    /// Characters of the text so far.
    length: u64,
}

impl Message {
    fn block(&mut self, form: &Form, block: &Block, answer: &mut Answer, hidden: bool) {
        match form {
            Form::Text => {
                self.cite(block, answer);
                let length = u64::try_from(block.text.chars().count()).unwrap_or(u64::MAX);
                self.length = self.length.saturating_add(length);
                if !block.text.is_empty() {
                    self.item("text", &block.text, None);
                }
            }
            Form::Thinking { id, form } => {
                let text = if hidden { "" } else { &block.text };
                let artefact = block.artefact.as_ref();
                let signature = artefact.map(|a| sealed(a, id.as_deref(), *form));
                if !text.is_empty() || signature.is_some() {
                    self.item("thinking", text, signature.as_deref());
                }
            }
            Form::Plan => {
                if !hidden {
                    self.plan.push_str(&block.text);
                }
                if let Some(artefact) = &block.artefact {
                    let signature = sealed(artefact, None, Default::default());
                    self.item("thinking", "", Some(&signature));
                }
            }
            Form::Tool { id, name, flavour } => {
                let wrapped = json_object(|object| {
                    object.string(FREE_TEXT, &block.arguments);
                });
                let arguments = match flavour {
                    ToolFlavour::Custom => wrapped.as_str(),
                    ToolFlavour::Function if block.arguments.trim().is_empty() => "{}",
                    ToolFlavour::Function => &block.arguments,
                };
                let signature = block.artefact.as_ref();
                let signature = signature.map(|a| answer::sealed_call(a, id));
                let mut out = Vec::new();
                answer::call(&mut out, id, name, arguments, signature.as_deref());
                self.calls.push(out);
            }
            Form::Whole(json) => self.content.push(json.as_str().as_bytes().to_vec()),
        }
        if !matches!(form, Form::Text) {
            self.cite(block, answer);
        }
        if !block.opaque.is_empty() {
            let why = "a delta that is not known";
            answer.lose(llmleaf_model::Loss::dropped("content", why));
        }
        let logprobs = block.logprobs.iter().flat_map(answer::logprobs_out);
        self.logprobs.extend(logprobs);
    }

    fn item(&mut self, kind: &str, text: &str, signature: Option<&str>) {
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object
            .string("type", kind)
            .string(kind, text)
            .string_if(SIGNATURE, signature);
        object.end();
        self.content.push(out);
    }

    fn cite(&mut self, block: &Block, answer: &mut Answer) {
        let index = u64::try_from(self.content.len()).unwrap_or(u64::MAX);
        let place = Place::new(index, Some(self.length), &block.text);
        let (told, more) = citation::told(&block.citations);
        if let Some(why) = more {
            answer.lose(llmleaf_model::Loss::dropped("citations", why));
        }
        for one in told {
            match citation::written(one, place) {
                Ok(written) => self.citations.extend(written),
                Err(why) => answer.lose(llmleaf_model::Loss::dropped("citations", why)),
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut message = ObjectWriter::new(out);
        message.string("role", "assistant");
        let mut list = |name: &str, items: &[Vec<u8>]| {
            if !items.is_empty() {
                array(message.key(name), items, |out, one| {
                    out.extend_from_slice(one)
                });
            }
        };
        list("content", &self.content);
        list("tool_calls", &self.calls);
        list("citations", &self.citations);
        if !self.plan.is_empty() {
            write_string(message.key("tool_plan"), &self.plan);
        }
        message.end();
    }
}
