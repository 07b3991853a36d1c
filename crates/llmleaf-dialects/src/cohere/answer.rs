//! What the two renderings of an answer share: which blocks this wire has, and how an answer ends.

use super::finish;
use super::wire::{ObjectWriter, array, one_line};
use crate::object::{Object, items};
use llmleaf_model::{
    Artefact, BlockKind, DialectName, Finish, FinishReason, Json, Loss, ReasoningForm,
    ResponseStart, ToolFlavour,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Most losses that are named; an answer with more is told apart from a faithful one by the first of them.
const MAX_LOSSES: usize = 64;

/// Name of the one field that holds the free text of a custom tool's input.
pub(super) const FREE_TEXT: &str = "input";

/// A block as this wire can show it.
#[derive(Debug)]
pub(super) enum Form {
    Text,
    Thinking {
        id: Option<String>,
        form: ReasoningForm,
    },
    /// What goes as `tool_plan`.
    Plan,
    Tool {
        id: String,
        name: String,
        flavour: ToolFlavour,
    },
    /// A block of this dialect, as written.
    Whole(Json),
}

/// What is known of an answer while it is rendered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// A tool of the consumer was called.
    called: bool,
    losses: Vec<Loss>,
}

impl Answer {
    /// Notes a loss, once per field.
    pub fn lose(&mut self, loss: Loss) {
        let known = |known: &Loss| known.field == loss.field;
        if self.losses.len() < MAX_LOSSES && !self.losses.iter().any(known) {
            self.losses.push(loss);
        }
    }

    /// Hands out what was lost so far.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// Names facts of a response's start that this wire has no place for.
    pub fn start(&mut self, start: &ResponseStart) {
        for (name, _) in start.rest.iter() {
            self.lose(Loss::dropped(name, "not a field of this wire"));
        }
    }

    /// How this wire shows a block; `None` where it cannot.
    pub fn form(&mut self, block: u32, choice: u32, kind: &BlockKind) -> Option<Form> {
        if choice > 0 {
            let field = format!("choices[{choice}]");
            self.lose(Loss::dropped(field, "this wire has one answer"));
            return None;
        }
        let why: Cow<'static, str> = match kind {
            BlockKind::Text => return Some(Form::Text),
            BlockKind::Refusal => {
                let why = "this wire has no refusals: it is told as text";
                self.lose(Loss::approximated("refusal", why));
                return Some(Form::Text);
            }
            // Summaries of other wires have an id of their own, plans have none.
            BlockKind::Reasoning {
                id: None,
                form: ReasoningForm::Summary,
            } => return Some(Form::Plan),
            BlockKind::Reasoning { id, form } => {
                return Some(Form::Thinking {
                    id: id.clone(),
                    form: *form,
                });
            }
            BlockKind::ToolCall { id, name, flavour } => {
                self.called = true;
                return Some(Form::Tool {
                    id: id.clone(),
                    name: name.clone(),
                    flavour: *flavour,
                });
            }
            BlockKind::Opaque {
                dialect: DialectName::CohereChat,
                json,
                ..
            } => return Some(Form::Whole(json.clone())),
            BlockKind::Media { kind, .. } => format!("{} made by the model", kind.as_str()).into(),
            _ => "a block of another dialect".into(),
        };
        self.lose(Loss::dropped(format!("content[{block}]"), why));
        None
    }

    /// The word that ends an answer. `Err` where the provider ended it with an error.
    pub fn end(&mut self, finish: Option<&Finish>) -> Result<String, ()> {
        let reason = finish.map_or(FinishReason::Unstated, |finish| finish.reason);
        if reason == FinishReason::Error {
            return Err(());
        }
        let native = finish.and_then(|finish| finish.native.as_deref());
        if let Some(word) = native
            && finish::reason(word) == reason
            && reason != FinishReason::Other
        {
            return Ok(word.to_owned());
        }
        let (word, exact) = match finish::word(reason) {
            // Some wires end a turn that calls tools like any other; consumers of this one look at the word.
            ("COMPLETE", exact) if self.called => ("TOOL_CALL", exact),
            word => word,
        };
        if !exact {
            self.lose(match native {
                Some(native) => {
                    Loss::approximated("finish_reason", format!("`{native}` is shown as `{word}`"))
                }
                None => Loss::approximated("finish_reason", "the provider named none"),
            });
        }
        let Some(finish) = finish else {
            return Ok(word.to_owned());
        };
        if finish.stop_sequence.is_some() {
            let why = "this wire does not say which text stopped it";
            self.lose(Loss::dropped("stop_sequence", why));
        }
        for (name, _) in finish.rest.iter() {
            self.lose(Loss::dropped(name, "not a field of this wire"));
        }
        Ok(word.to_owned())
    }
}

/// A call. `arguments` is JSON text; the wire has it as a string.
pub(super) fn call(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    arguments: &str,
    signature: Option<&str>,
) {
    let mut call = ObjectWriter::new(out);
    call.string("id", id).string("type", "function");
    call.object("function", |function| {
        function.string("name", name).string("arguments", arguments);
    });
    call.string_if(super::wire::SIGNATURE, signature);
    call.end();
}

/// The envelope of an artefact that belongs to a call.
pub(super) fn sealed_call(artefact: &Artefact, id: &str) -> String {
    let sealed = crate::sealed::Sealed {
        artefact: Some(artefact.clone()),
        call: true,
        id: Some(id.to_owned()),
        ..crate::sealed::Sealed::default()
    };
    sealed.seal()
}

/// Log-probabilities of this wire, in the form that the model has of them: one entry for a piece of text, with the
/// probability of all its tokens together.
pub(super) fn logprobs_in(raw: &RawValue) -> Option<Json> {
    let list = match items(raw) {
        Some(list) => list,
        None => vec![raw],
    };
    let mut pieces = Vec::new();
    for raw in list {
        let object = Object::from_raw(raw)?;
        let text = super::wire::text(&object, "text").unwrap_or_default();
        let each = object.get("logprobs").and_then(items)?;
        let numbers: Option<Vec<f64>> = each.iter().map(|raw| raw.get().parse().ok()).collect();
        let number = match each.as_slice() {
            [] => continue,
            [one] => one.get().to_owned(),
            _ => numbers.clone()?.iter().sum::<f64>().to_string(),
        };
        // A number that is none in JSON would spoil the frame.
        serde_json::from_str::<serde_json::Number>(&number).ok()?;
        numbers?;
        pieces.push((text, number));
    }
    if pieces.is_empty() {
        return None;
    }
    Some(super::wire::json_object(|object| {
        array(object.key("content"), pieces, |out, (text, number)| {
            let mut one = ObjectWriter::new(out);
            one.string("token", &text)
                .raw("logprob", &number)
                .raw("bytes", "null")
                .raw("top_logprobs", "[]");
            one.end();
        });
    }))
}

/// Log-probabilities of the model, each entry as this wire has it.
pub(super) fn logprobs_out(json: &Json) -> Vec<Vec<u8>> {
    let object = Object::from_raw(json.raw()).unwrap_or_default();
    let list = object.get("content").and_then(items).unwrap_or_default();
    let item = |raw: &RawValue| {
        let token = Object::from_raw(raw)?;
        let number = token.get("logprob")?;
        number.get().parse::<f64>().ok()?;
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        object
            .string(
                "text",
                &super::wire::text(&token, "token").unwrap_or_default(),
            )
            .raw("token_ids", "[]");
        array(object.key("logprobs"), [number], |out, number| {
            one_line(out, number.get())
        });
        object.end();
        Some(out)
    };
    list.into_iter().filter_map(item).collect()
}
