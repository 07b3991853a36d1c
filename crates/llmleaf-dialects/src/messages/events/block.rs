//! One block of a stream to a consumer.

use crate::messages::answer::{Answer, FREE_TEXT, Form, Unreadable, escaped, sealed_call};
use crate::messages::wire::{ObjectWriter, event, one_line, string};
use crate::object::Object;
use llmleaf_model::{Artefact, Delta, DialectName, Json, Loss, Rest, ToolFlavour};

/// The block that is being shown.
pub(super) struct LiveBlock {
    form: Form,
    /// Its index on the wire, once it is open there.
    index: Option<u32>,
    /// The consumer wants no readable reasoning.
    hidden: bool,
    /// Kept to the end: whether it is a signature or stands alone shows only then.
    artefact: Option<Artefact>,
    /// Fields for the start of the block that the model has no name for.
    extras: Rest,
}

impl LiveBlock {
    pub fn new(form: Form, hidden: bool) -> Self {
        Self {
            form,
            index: None,
            hidden,
            artefact: None,
            extras: Rest::default(),
        }
    }

    /// Opens the block on the wire where nothing that follows can change how it opens.
    pub fn begin(&mut self, answer: &Answer, next_index: &mut u32, out: &mut Vec<u8>) {
        match self.form {
            // Of this dialect's calls the next event may hold further fields.
            Form::Tool { .. } if !answer.own => self.open(next_index, out),
            Form::Server(_) | Form::Whole(_) => self.open(next_index, out),
            _ => {}
        }
    }

    /// Shows a delta.
    pub fn grow(
        &mut self,
        delta: &Delta,
        answer: &mut Answer,
        next_index: &mut u32,
        out: &mut Vec<u8>,
    ) {
        match (delta, &self.form) {
            (Delta::Opaque { dialect, json }, _) => {
                self.opaque(*dialect, json, answer, next_index, out);
            }
            (Delta::Text(text), Form::Text) if !text.is_empty() => {
                self.open(next_index, out);
                self.delta(out, "text_delta", |delta| {
                    delta.string("text", text);
                });
            }
            (Delta::Text(text), Form::Thinking { .. }) if !text.is_empty() && !self.hidden => {
                self.open(next_index, out);
                self.delta(out, "thinking_delta", |delta| {
                    delta.string("thinking", text);
                });
            }
            (Delta::Arguments(text), Form::Tool { flavour, .. }) if !text.is_empty() => {
                let flavour = *flavour;
                self.open(next_index, out);
                match flavour {
                    ToolFlavour::Function => self.input(out, text),
                    ToolFlavour::Custom => self.input(out, &escaped(text)),
                }
            }
            (Delta::Arguments(text), Form::Server(_)) if !text.is_empty() => self.input(out, text),
            (Delta::Artefact(next), Form::Thinking { .. } | Form::Tool { .. }) => {
                match &mut self.artefact {
                    Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                    slot => *slot = Some(next.clone()),
                }
            }
            (Delta::Citation(citation), Form::Text)
                if citation.dialect == DialectName::Messages =>
            {
                self.open(next_index, out);
                self.delta(out, "citations_delta", |delta| {
                    delta.raw("citation", citation.native.as_str());
                });
            }
            (Delta::Citation(_), _) => {
                answer.lose(Loss::dropped(
                    "citations",
                    "this wire's citations need its own index",
                ));
            }
            (Delta::Logprobs(_), _) => {
                answer.lose(Loss::dropped("logprobs", "not part of this wire"));
            }
            _ => {}
        }
    }

    fn opaque(
        &mut self,
        dialect: DialectName,
        json: &Json,
        answer: &mut Answer,
        next_index: &mut u32,
        out: &mut Vec<u8>,
    ) {
        let Some(object) =
            Object::from_raw(json.raw()).filter(|_| dialect == DialectName::Messages)
        else {
            answer.lose(Loss::dropped("content", "a delta of another dialect"));
            return;
        };
        if object.get("type").is_some() {
            self.open(next_index, out);
            let index = self.index;
            block_event(out, "content_block_delta", index, |event| {
                one_line(event.key("delta"), json.as_str());
            });
        } else if self.index.is_none() {
            self.extras.0.extend(object.into_rest().0);
        } else {
            answer.lose(Loss::dropped("content", "fields of a block came too late"));
        }
    }

    /// Closes the block, with what was kept to the end.
    pub fn end(mut self, answer: &Answer, next_index: &mut u32, out: &mut Vec<u8>) {
        if let Form::Thinking { id, form } = &self.form {
            let (id, form) = (id.clone(), *form);
            let artefact = self.artefact.take();
            if self.index.is_some() {
                if let Some(signature) = answer.signature(artefact.as_ref(), id.as_deref(), form) {
                    self.signature(out, &signature);
                }
            } else {
                match answer.unreadable(artefact.as_ref(), id.as_deref(), form) {
                    Some(Unreadable::Thinking(signature)) => {
                        self.open(next_index, out);
                        self.signature(out, signature);
                    }
                    Some(Unreadable::Redacted(data)) => redacted(&data, next_index, out),
                    None => {}
                }
            }
        }
        match &self.form {
            Form::Text if answer.own => self.open(next_index, out),
            Form::Tool { flavour, .. } => {
                let custom = *flavour == ToolFlavour::Custom;
                self.open(next_index, out);
                if custom {
                    self.input(out, "\"}");
                }
            }
            _ => {}
        }
        if self.index.is_some() {
            block_event(out, "content_block_stop", self.index, |_| {});
        }
        if let (Form::Tool { id, .. }, Some(artefact)) = (&self.form, &self.artefact) {
            redacted(&sealed_call(artefact, id), next_index, out);
        }
    }

    fn open(&mut self, next_index: &mut u32, out: &mut Vec<u8>) {
        if self.index.is_some() {
            return;
        }
        self.index = Some(take(next_index));
        block_event(
            out,
            "content_block_start",
            self.index,
            |event| match &self.form {
                Form::Server(json) | Form::Whole(json) => {
                    event.raw("content_block", json.as_str());
                }
                form => {
                    event.object("content_block", |block| {
                        write_start(block, form);
                        block.rest(&self.extras);
                    });
                }
            },
        );
        if let Form::Tool {
            flavour: ToolFlavour::Custom,
            ..
        } = self.form
        {
            self.input(out, &format!("{{\"{FREE_TEXT}\":\""));
        }
    }

    fn input(&self, out: &mut Vec<u8>, text: &str) {
        self.delta(out, "input_json_delta", |delta| {
            delta.string("partial_json", text);
        });
    }

    fn signature(&self, out: &mut Vec<u8>, signature: &str) {
        if !signature.is_empty() {
            self.delta(out, "signature_delta", |delta| {
                delta.string("signature", signature);
            });
        }
    }

    fn delta(&self, out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        block_event(out, "content_block_delta", self.index, |event| {
            event.object("delta", |delta| {
                delta.string("type", kind);
                fill(delta);
            });
        });
    }
}

fn write_start(block: &mut ObjectWriter<'_>, form: &Form) {
    match form {
        Form::Text => {
            block.string("type", "text").string("text", "");
        }
        Form::Thinking { .. } => {
            block
                .string("type", "thinking")
                .string("thinking", "")
                .string("signature", "");
        }
        Form::Tool { id, name, .. } => {
            block
                .string("type", "tool_use")
                .string("id", id)
                .string("name", name)
                .raw("input", "{}");
        }
        Form::Server(_) | Form::Whole(_) => {}
    }
}

/// A block that says nothing but its data.
fn redacted(data: &str, next_index: &mut u32, out: &mut Vec<u8>) {
    let index = Some(take(next_index));
    block_event(out, "content_block_start", index, |event| {
        event.object("content_block", |block| {
            block.string("type", "redacted_thinking");
            string(block.key("data"), data);
        });
    });
    block_event(out, "content_block_stop", index, |_| {});
}

fn take(next_index: &mut u32) -> u32 {
    let index = *next_index;
    *next_index = index.saturating_add(1);
    index
}

fn block_event(
    out: &mut Vec<u8>,
    name: &str,
    index: Option<u32>,
    fill: impl FnOnce(&mut ObjectWriter<'_>),
) {
    event(out, name, |event| {
        event.number("index", u64::from(index.unwrap_or_default()));
        fill(event);
    });
}
