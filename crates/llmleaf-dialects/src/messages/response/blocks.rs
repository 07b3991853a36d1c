//! Blocks of a whole response.

use crate::messages::answer::{Answer, FREE_TEXT, Form, Unreadable, sealed_call};
use crate::messages::wire::{ObjectWriter, array, json_object, one_line};
use crate::object::{Object, string};
use llmleaf_model::{
    Block, Citation, DialectName, Json, Loss, ReasoningForm, Response, ToolFlavour,
};

/// Renders the content list.
pub(super) fn render(response: &Response, answer: &mut Answer, hidden: bool) -> Vec<u8> {
    let mut list = List { out: vec![b'['] };
    let mut number = 0;
    for (choice, answered) in (0u32..).zip(&response.choices) {
        for block in &answered.blocks {
            if let Some(form) = answer.form(number, choice, &block.kind) {
                list.block(&form, block, answer, hidden);
            }
            number += 1;
        }
    }
    list.out.push(b']');
    list.out
}

struct List {
    out: Vec<u8>,
}

impl List {
    fn item(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut object = ObjectWriter::new(self.next());
        fill(&mut object);
        object.end();
    }

    fn next(&mut self) -> &mut Vec<u8> {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        &mut self.out
    }

    fn block(&mut self, form: &Form, block: &Block, answer: &mut Answer, hidden: bool) {
        report(block, form, answer);
        match form {
            Form::Text => self.text(block, answer.own),
            Form::Thinking { id, form } => {
                self.thinking(block, id.as_deref(), *form, answer, hidden)
            }
            Form::Tool { id, name, flavour } => {
                self.tool(block, id, name, *flavour, answer);
            }
            Form::Server(json) => {
                let input = input(&block.arguments).unwrap_or("{}");
                let json = json_object(|object| {
                    for (key, value) in Object::from_raw(json.raw()).unwrap_or_default().fields {
                        object.raw(&key, if key == "input" { input } else { value.get() });
                    }
                });
                one_line(self.next(), json.as_str());
            }
            Form::Whole(json) => {
                let json = grown(json, &block.opaque);
                one_line(self.next(), json.as_str());
            }
        }
    }

    fn text(&mut self, block: &Block, own: bool) {
        let citations: Vec<&Citation> = block
            .citations
            .iter()
            .filter(|c| c.dialect == DialectName::Messages)
            .collect();
        if block.text.is_empty() && citations.is_empty() && !own {
            return;
        }
        self.item(|object| {
            object.string("type", "text").string("text", &block.text);
            if !citations.is_empty() {
                array(object.key("citations"), citations, |out, citation| {
                    one_line(out, citation.native.as_str());
                });
            }
        });
    }

    fn thinking(
        &mut self,
        block: &Block,
        id: Option<&str>,
        form: ReasoningForm,
        answer: &Answer,
        hidden: bool,
    ) {
        let artefact = block.artefact.as_ref();
        let mut written = |text: &str, signature: &str| {
            self.item(|object| {
                object
                    .string("type", "thinking")
                    .string("thinking", text)
                    .string("signature", signature);
            });
        };
        if !block.text.is_empty() && !hidden {
            let signature = answer.signature(artefact, id, form);
            return written(&block.text, signature.as_deref().unwrap_or(""));
        }
        match answer.unreadable(artefact, id, form) {
            Some(Unreadable::Thinking(signature)) => written("", signature),
            Some(Unreadable::Redacted(data)) => self.redacted(&data),
            None => {}
        }
    }

    fn redacted(&mut self, data: &str) {
        self.item(|object| {
            object
                .string("type", "redacted_thinking")
                .string("data", data);
        });
    }

    fn tool(
        &mut self,
        block: &Block,
        id: &str,
        name: &str,
        flavour: ToolFlavour,
        answer: &mut Answer,
    ) {
        let input = match flavour {
            ToolFlavour::Function => input(&block.arguments),
            ToolFlavour::Custom => None,
        };
        if input.is_none() && flavour == ToolFlavour::Function {
            answer.lose(Loss::approximated(
                "arguments",
                "the model wrote no JSON object; its text stands in one field",
            ));
        }
        self.item(|object| {
            object
                .string("type", "tool_use")
                .string("id", id)
                .string("name", name);
            match input {
                Some(json) => object.raw("input", json),
                None => object.object("input", |object| {
                    object.string(FREE_TEXT, &block.arguments);
                }),
            };
            for extras in block
                .opaque
                .iter()
                .filter_map(|j| Object::from_raw(j.raw()))
            {
                if extras.get("type").is_none() {
                    object.rest(&extras.into_rest());
                }
            }
        });
        if let Some(artefact) = &block.artefact {
            self.redacted(&sealed_call(artefact, id));
        }
    }
}

/// Arguments as a JSON object; none at all is an empty one. `None` where they are something else.
fn input(arguments: &str) -> Option<&str> {
    if arguments.trim().is_empty() {
        return Some("{}");
    }
    Object::parse(arguments).ok().map(|_| arguments)
}

/// A block of this dialect with the deltas that only it knows: texts grow, other fields are replaced.
fn grown(json: &Json, deltas: &[Json]) -> Json {
    if deltas.is_empty() {
        return json.clone();
    }
    let mut fields = Object::from_raw(json.raw()).unwrap_or_default().into_rest();
    for delta in deltas.iter().filter_map(|j| Object::from_raw(j.raw())) {
        for (key, value) in delta.fields.iter().filter(|(key, _)| key != "type") {
            match fields.0.iter_mut().find(|(known, _)| known == key) {
                Some((_, slot)) => {
                    *slot = match (string(slot.raw()), string(value)) {
                        (Some(have), Some(more)) => Json::from_value(&format!("{have}{more}")),
                        _ => Json::from(*value),
                    }
                }
                None => fields.push(key.clone().into_owned(), Json::from(*value)),
            }
        }
    }
    json_object(|object| {
        object.rest(&fields);
    })
}

fn report(block: &Block, form: &Form, answer: &mut Answer) {
    let foreign = |c: &Citation| c.dialect != DialectName::Messages;
    if block.citations.iter().any(foreign)
        || (!block.citations.is_empty() && !matches!(form, Form::Text))
    {
        answer.lose(Loss::dropped(
            "citations",
            "this wire's citations need its own index",
        ));
    }
    if !block.logprobs.is_empty() {
        answer.lose(Loss::dropped("logprobs", "not part of this wire"));
    }
    let typed = |json: &Json| {
        Object::from_raw(json.raw()).is_none_or(|object| object.get("type").is_some())
    };
    if matches!(form, Form::Text | Form::Thinking { .. }) && !block.opaque.is_empty()
        || matches!(form, Form::Tool { .. } | Form::Server(_)) && block.opaque.iter().any(typed)
    {
        answer.lose(Loss::dropped("content", "a delta that is not known"));
    }
}
