//! What the two renderings of an answer share, so that a collected stream equals the whole response: which blocks
//! this wire has, how artefacts are shown, and how an answer ends.

use super::finish;
use super::reasoning::{Sealed, is_own};
use super::usage;
use super::wire::{ObjectWriter, string};
use crate::ReplyContext;
use crate::writer::untold;
use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, DialectName, Finish, FinishReason, Json, Loss,
    ReasoningForm, ResponseStart, ServerToolUse, ToolFlavour, Usage,
};
use std::borrow::Cow;

/// Most losses that are named; an answer with more is told apart from a faithful one by the first of them.
const MAX_LOSSES: usize = 64;

/// A block as this wire can show it.
#[derive(Debug)]
pub(super) enum Form {
    Text,
    Thinking {
        id: Option<String>,
        form: ReasoningForm,
    },
    Tool {
        id: String,
        name: String,
        flavour: ToolFlavour,
    },
    /// A provider's own tool runs: the block as written, input left out.
    Server(Json),
    /// A block of this dialect, as written.
    Whole(Json),
}

/// What is known of an answer while it is rendered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// It was read from this wire: names and words of it may be shown as they are.
    pub own: bool,
    /// The model declined, in a block of its own.
    refused: bool,
    /// A tool of the consumer was called.
    called: bool,
    losses: Vec<Loss>,
}

impl Answer {
    /// Takes note of where the answer comes from.
    pub fn start(&mut self, start: &ResponseStart) {
        // Every report of this wire says so; without one, nothing of another wire is shown by mistake.
        self.own = start
            .usage
            .as_ref()
            .and_then(|usage| usage.native.as_ref())
            .is_some_and(|(dialect, _)| *dialect == DialectName::Messages);
        if !self.own {
            untold(&start.rest, &[]).for_each(|loss| self.lose(loss));
        }
    }

    /// Notes a loss, once per field.
    pub fn lose(&mut self, loss: Loss) {
        if self.losses.len() < MAX_LOSSES
            && !self.losses.iter().any(|known| known.field == loss.field)
        {
            self.losses.push(loss);
        }
    }

    /// Hands out what was lost so far.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// How this wire shows a block; `None` where it cannot.
    pub fn form(&mut self, block: u32, choice: u32, kind: &BlockKind) -> Option<Form> {
        if choice > 0 {
            let field = format!("choices[{choice}]");
            self.lose(Loss::dropped(field, "this wire has one answer"));
            return None;
        }
        match kind {
            BlockKind::Text => Some(Form::Text),
            BlockKind::Refusal => {
                self.refused = true;
                let why = "this wire has no refusals: it is told as text";
                self.lose(Loss::approximated("refusal", why));
                Some(Form::Text)
            }
            BlockKind::Reasoning { id, form } => Some(Form::Thinking {
                id: id.clone(),
                form: *form,
            }),
            BlockKind::ToolCall { id, name, flavour } => {
                self.called = true;
                Some(Form::Tool {
                    id: id.clone(),
                    name: name.clone(),
                    flavour: *flavour,
                })
            }
            BlockKind::ServerToolUse(ServerToolUse {
                dialect: DialectName::Messages,
                json: Some(json),
                ..
            }) => Some(Form::Server(json.clone())),
            BlockKind::ServerToolResult(result) if result.dialect == DialectName::Messages => {
                Some(Form::Whole(result.json.clone()))
            }
            BlockKind::Opaque {
                dialect: DialectName::Messages,
                json,
                ..
            } => Some(Form::Whole(json.clone())),
            BlockKind::Media { kind, .. } => {
                self.lost_block(block, format!("{} made by the model", kind.as_str()));
                None
            }
            _ => {
                self.lost_block(block, "a block of another dialect");
                None
            }
        }
    }

    fn lost_block(&mut self, block: u32, why: impl Into<Cow<'static, str>>) {
        self.lose(Loss::dropped(format!("content[{block}]"), why));
    }

    /// The signature shown behind readable reasoning; `None` where there is none to show.
    pub fn signature<'a>(
        &self,
        artefact: Option<&'a Artefact>,
        id: Option<&str>,
        form: ReasoningForm,
    ) -> Option<Cow<'a, str>> {
        match artefact {
            Some(own) if is_own(own) && own.kind == ArtefactKind::Signature => {
                Some(Cow::Borrowed(&own.data))
            }
            None if self.own => None,
            // Text that nobody signed must be known again when it comes back: it may not reach a provider
            // that demands a signature.
            artefact => Some(Cow::Owned(sealed(artefact.cloned(), id, form))),
        }
    }

    /// What stands for reasoning without readable text; `None` where it is nothing at all.
    pub fn unreadable<'a>(
        &self,
        artefact: Option<&'a Artefact>,
        id: Option<&str>,
        form: ReasoningForm,
    ) -> Option<Unreadable<'a>> {
        match artefact {
            Some(own) if is_own(own) => Some(match own.kind {
                ArtefactKind::Signature => Unreadable::Thinking(&own.data),
                ArtefactKind::Encrypted => Unreadable::Redacted(Cow::Borrowed(&own.data)),
            }),
            Some(foreign) => Some(Unreadable::Redacted(Cow::Owned(sealed(
                Some(foreign.clone()),
                id,
                form,
            )))),
            None if self.own => Some(Unreadable::Thinking("")),
            None => None,
        }
    }

    /// How the answer ends. `Err` where the provider ended it with an error.
    pub fn end(&mut self, finish: Option<&Finish>) -> Result<Ending, ()> {
        let reason = finish.map_or(FinishReason::Unstated, |f| f.reason);
        if reason == FinishReason::Error {
            return Err(());
        }
        let native = finish.and_then(|f| f.native.as_deref());
        let word = match native {
            Some(word)
                if self.own
                    || (finish::reason(word) == reason && reason != FinishReason::Other) =>
            {
                word.to_owned()
            }
            _ => self.nearest(reason, native),
        };
        let (word, stop_sequence) = match finish {
            Some(finish) => (word, finish.stop_sequence.clone()),
            None => (word, None),
        };
        let mut facts = Vec::new();
        for (name, value) in finish.iter().flat_map(|f| f.rest.iter()) {
            if self.own {
                facts.push((name.to_owned(), value.clone()));
            } else {
                self.lose(Loss::dropped(name, "not a field of this wire"));
            }
        }
        Ok(Ending {
            word,
            stop_sequence,
            facts,
        })
    }

    fn nearest(&mut self, reason: FinishReason, native: Option<&str>) -> String {
        let (word, exact) = finish::word(reason);
        let word = match word {
            // Some wires end a turn that calls tools like any other; consumers of this one look at the word.
            "end_turn" if self.called => "tool_use",
            "end_turn" if self.refused => "refusal",
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
        word.to_owned()
    }

    /// Writes id, type, role and model of a message.
    pub fn head(object: &mut ObjectWriter<'_>, start: &ResponseStart, context: &ReplyContext) {
        match &start.id {
            Some(id) => object.string("id", id),
            None => object.string("id", &format!("msg_{}", context.fallback_id)),
        };
        object
            .string("type", "message")
            .string("role", "assistant")
            .string("model", start.model.as_deref().unwrap_or(&context.model));
    }

    /// Writes what else is known of a message; fields that `ending` repeats are left to it.
    pub fn facts(
        &self,
        object: &mut ObjectWriter<'_>,
        start: &ResponseStart,
        ending: Option<&Ending>,
    ) {
        if !self.own {
            return;
        }
        for (name, value) in start.rest.iter() {
            if !ending.is_some_and(|e| e.facts.iter().any(|(known, _)| known == name)) {
                object.raw(name, value.as_str());
            }
        }
    }
}

/// Reasoning without readable text.
#[derive(Debug)]
pub(super) enum Unreadable<'a> {
    /// An empty `thinking` block with this signature.
    Thinking(&'a str),
    /// A `redacted_thinking` block with this data.
    Redacted(Cow<'a, str>),
}

/// How an answer ends on this wire.
#[derive(Debug)]
pub(super) struct Ending {
    /// The stop reason.
    pub word: String,
    /// The text that stopped it.
    pub stop_sequence: Option<String>,
    /// Further facts, by name.
    pub facts: Vec<(String, Json)>,
}

impl Ending {
    /// Writes `stop_reason` and `stop_sequence`.
    pub fn write(&self, object: &mut ObjectWriter<'_>) {
        object.string("stop_reason", &self.word);
        match &self.stop_sequence {
            Some(text) => object.string("stop_sequence", text),
            None => object.raw("stop_sequence", "null"),
        };
    }
}

/// The envelope of an artefact that a tool call carries; it follows the call as a block of its own.
pub(super) fn sealed_call(artefact: &Artefact, id: &str) -> String {
    Sealed {
        artefact: Some(artefact.clone()),
        call: true,
        id: Some(id.to_owned()),
        ..Sealed::default()
    }
    .seal()
}

fn sealed(artefact: Option<Artefact>, id: Option<&str>, form: ReasoningForm) -> String {
    Sealed {
        artefact,
        form,
        id: id.map(str::to_owned),
        ..Sealed::default()
    }
    .seal()
}

/// Writes the usage field.
pub(super) fn write_usage(object: &mut ObjectWriter<'_>, reported: Option<&Usage>) {
    usage::render(object.key("usage"), reported);
}

/// Text inside a JSON string, without the quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    string(&mut out, text);
    let text = String::from_utf8(out).unwrap_or_default();
    text.get(1..text.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// Name of the one field that holds the free text of a custom tool's input.
pub(super) const FREE_TEXT: &str = "input";
