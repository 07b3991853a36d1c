//! Consumer end: events to lines.

use crate::losses::Losses;
use crate::ollama::Form;
use crate::ollama::answer::{self, End, Said};
use crate::ollama::errors::render_stream_error;
use crate::ollama::wire::line;
use crate::{Encoder, ReplyContext};
use llmleaf_model::{
    Artefact, BlockKind, Delta, Event, Failure, FailureKind, Finish, Loss, MediaKind,
    ReasoningForm, ResponseStart, ToolFlavour, Usage,
};

/// Most bytes of calls, proven thoughts and media that wait until they are whole.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Writes one stream of this wire.
pub(super) struct LineEncoder {
    context: ReplyContext,
    form: Form,
    start: ResponseStart,
    usage: Option<Usage>,
    open: Vec<Open>,
    finish: Option<Finish>,
    refused: bool,
    calls: u64,
    losses: Losses,
    held_bytes: usize,
    ended: bool,
}

/// A block that grows.
struct Open {
    block: u32,
    kind: Kind,
}

/// How a block is told: text as it comes, what must be one thing when it is whole.
enum Kind {
    Text,
    Thought {
        id: Option<String>,
        form: ReasoningForm,
        /// What was told, which the envelope of a proof repeats.
        text: String,
        artefact: Option<Artefact>,
    },
    Call {
        id: String,
        name: String,
        flavour: ToolFlavour,
        arguments: String,
        artefact: Option<Artefact>,
    },
    Image {
        data: String,
    },
    /// Not told at all.
    Silent,
}

impl LineEncoder {
    pub fn new(context: ReplyContext, form: Form) -> Self {
        Self {
            context,
            form,
            start: ResponseStart::default(),
            usage: None,
            open: Vec::new(),
            finish: None,
            refused: false,
            calls: 0,
            losses: Losses::default(),
            held_bytes: 0,
            ended: false,
        }
    }

    fn say(&mut self, said: &Said<'_>, out: &mut Vec<u8>) {
        let (form, losses) = (self.form, &mut self.losses);
        let known = (&self.start, &self.context);
        line(out, |object| {
            answer::write(object, form, known, said, None, losses)
        });
    }

    fn open(&mut self, block: u32, choice: u32, kind: &BlockKind) {
        let kind = match kind {
            _ if choice > 0 => {
                let why = "this wire gives one answer";
                self.losses.note(Loss::dropped("choices", why));
                Kind::Silent
            }
            BlockKind::Text => Kind::Text,
            BlockKind::Refusal => {
                self.refused = true;
                Kind::Text
            }
            BlockKind::Reasoning { id, form } => Kind::Thought {
                id: id.clone(),
                form: *form,
                text: String::new(),
                artefact: None,
            },
            BlockKind::ToolCall { id, name, flavour } => Kind::Call {
                id: id.clone(),
                name: name.clone(),
                flavour: *flavour,
                arguments: String::new(),
                artefact: None,
            },
            BlockKind::Media {
                kind: MediaKind::Image,
                ..
            } => Kind::Image {
                data: String::new(),
            },
            BlockKind::Media { .. } => self.silent(block, "this wire has no media but images"),
            BlockKind::ServerToolUse(_)
            | BlockKind::ServerToolResult(_)
            | BlockKind::Opaque { .. } => self.silent(block, "a block of another dialect"),
        };
        self.open.push(Open { block, kind });
    }

    fn silent(&mut self, block: u32, why: &'static str) -> Kind {
        let field = format!("message.content[{block}]");
        self.losses.note(Loss::dropped(field, why));
        Kind::Silent
    }

    fn grow(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else {
            return;
        };
        let hidden = self.context.hide_reasoning;
        let Some(Open { kind, .. }) = self.open.get_mut(at) else {
            return;
        };
        let mut said = Said::default();
        match (kind, delta) {
            (Kind::Silent, _) => return,
            (Kind::Text, Delta::Text(text)) if !text.is_empty() => said.text = text,
            (Kind::Thought { text: told, .. }, Delta::Text(text))
                if !text.is_empty() && !hidden =>
            {
                told.push_str(text);
                said.thinking = text;
            }
            (
                Kind::Thought { artefact, .. } | Kind::Call { artefact, .. },
                Delta::Artefact(next),
            ) => {
                match artefact {
                    // Wires may split a signature over several deltas.
                    Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                    slot => *slot = Some(next.clone()),
                }
                return;
            }
            (
                Kind::Call {
                    arguments: held, ..
                },
                Delta::Arguments(more),
            )
            | (Kind::Image { data: held }, Delta::MediaData(more)) => {
                held.push_str(more);
                self.held_bytes = self.held_bytes.saturating_add(more.len());
                if self.held_bytes > MAX_HELD_BYTES {
                    self.fail_too_large(out);
                }
                return;
            }
            (_, Delta::Logprobs(json)) => said.logprobs.push(json),
            (_, other) => return self.lose(other),
        }
        self.say(&said, out);
    }

    /// A delta that this wire has no place for.
    fn lose(&mut self, delta: &Delta) {
        let (field, why) = match delta {
            Delta::Citation(_) => ("citations", "this wire has no citations"),
            Delta::MediaUrl(_) => ("images", "this wire has images in base64 only"),
            Delta::Opaque { .. } => ("content", "a delta of another dialect"),
            _ => return,
        };
        self.losses.note(Loss::dropped(field, why));
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else {
            return;
        };
        let Open { kind, .. } = self.open.remove(at);
        let mut said = Said::default();
        let data;
        match kind {
            Kind::Thought {
                id,
                form,
                text,
                artefact: Some(artefact),
            } => {
                let sealed = answer::seal_thought(&artefact, form, id.as_deref(), &text);
                said.signatures.push(sealed);
            }
            Kind::Call {
                id,
                name,
                flavour,
                arguments,
                artefact,
            } => {
                let mut call = Vec::new();
                if !answer::call(&mut call, self.calls, (&id, &name), flavour, &arguments) {
                    self.losses.note(answer::wrapped());
                }
                self.calls += 1;
                said.calls.push(call);
                let proof = artefact.as_ref();
                said.signatures
                    .extend(proof.map(|artefact| answer::seal_call(artefact, &id)));
            }
            Kind::Image { data: found } if !found.is_empty() => {
                data = found;
                said.images.push(&data);
            }
            _ => return,
        }
        self.say(&said, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        while let Some(block) = self.open.first().map(|open| open.block) {
            self.close(block, out);
        }
        self.ended = true;
        answer::lose_start(&self.start, &mut self.losses);
        let (form, losses) = (self.form, &mut self.losses);
        let known = (&self.start, &self.context);
        let end = End {
            finish: self.finish.as_ref(),
            refused: self.refused,
            usage: self.usage.as_ref(),
        };
        line(out, |object| {
            answer::write(object, form, known, &Said::default(), Some(&end), losses);
            losses.tell(object);
        });
    }

    fn fail_too_large(&mut self, out: &mut Vec<u8>) {
        let failure = Failure::upstream(
            FailureKind::InvalidResponse,
            "a call or an image of the provider's answer is too large for this wire",
        );
        self.fail(&failure, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        out.extend_from_slice(&render_stream_error(failure, &self.context.request_id));
        self.ended = true;
    }
}

impl Encoder for LineEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::ResponseStart(start) => {
                self.usage.clone_from(&start.usage);
                self.start = start.clone();
            }
            Event::BlockStart {
                block,
                choice,
                kind,
            } => self.open(*block, *choice, kind),
            Event::BlockDelta { block, delta } => self.grow(*block, delta, out),
            Event::BlockEnd { block } => self.close(*block, out),
            Event::ChoiceEnd { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::ChoiceEnd { .. } | Event::Unknown { .. } => {}
            Event::UsageReport(usage) => self.usage = Some(usage.clone()),
            Event::ResponseEnd => self.end(out),
            Event::Error(failure) => self.fail(failure, out),
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.losses.take()
    }
}
