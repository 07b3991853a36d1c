//! Consumer end: events to frames.

use crate::gemini::answer::{self, Source};
use crate::gemini::errors::render_stream_error;
use crate::gemini::usage;
use crate::gemini::wire::{ObjectWriter, array, chunk, one_line};
use crate::losses::Losses;
use crate::{Encoder, ReplyContext};
use llmleaf_model::{
    Artefact, BlockKind, Citation, Delta, DialectName, Event, Failure, FailureKind, Finish, Json,
    Loss, MediaKind, ReasoningForm, ResponseStart, ToolFlavour, Usage,
};

/// Most bytes of calls and media that wait until they are whole.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Writes one stream of this wire.
pub(super) struct ChunkEncoder {
    context: ReplyContext,
    start: ResponseStart,
    usage: Option<Usage>,
    open: Vec<Open>,
    choices: Vec<Choice>,
    losses: Losses,
    held_bytes: usize,
    ended: bool,
}

/// A block that grows.
struct Open {
    block: u32,
    choice: u32,
    form: Form,
}

/// How a block is told: text as it comes, what must be one part when it is whole.
enum Form {
    Text,
    Thought {
        id: Option<String>,
        form: ReasoningForm,
        told: bool,
        artefact: Option<Artefact>,
    },
    Call {
        id: String,
        name: String,
        flavour: ToolFlavour,
        arguments: String,
        artefact: Option<Artefact>,
    },
    Media {
        kind: MediaKind,
        mime: Option<String>,
        data: String,
        url: Option<String>,
    },
    /// Told at its start, or not at all.
    Silent,
}

/// What is known of one answer.
struct Choice {
    index: u32,
    refused: bool,
    sources: Vec<Citation>,
    finish: Option<Finish>,
}

impl ChunkEncoder {
    pub fn new(context: ReplyContext) -> Self {
        Self {
            context,
            start: ResponseStart::default(),
            usage: None,
            open: Vec::new(),
            choices: Vec::new(),
            losses: Losses::default(),
            held_bytes: 0,
            ended: false,
        }
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = match self.choices.iter().position(|c| c.index == index) {
            Some(at) => at,
            None => {
                self.choices.push(Choice {
                    index,
                    refused: false,
                    sources: Vec::new(),
                    finish: None,
                });
                self.choices.len() - 1
            }
        };
        #[expect(clippy::expect_used, reason = "found or just pushed")]
        self.choices.get_mut(at).expect("found or just pushed")
    }

    /// Writes a chunk with one part.
    fn part(&self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        chunk(out, |object| {
            array(object.key("candidates"), [write], |out, write| {
                let mut candidate = ObjectWriter::new(out);
                candidate.object("content", |content| {
                    array(content.key("parts"), [write], |out, write| write(out));
                    content.string("role", "model");
                });
                candidate.number("index", u64::from(choice));
                candidate.end();
            });
            answer::identity(object, &self.start, &self.context);
        });
    }

    fn open(&mut self, block: u32, choice: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        let form = match kind {
            BlockKind::Text => Form::Text,
            BlockKind::Refusal => {
                self.choice(choice).refused = true;
                Form::Text
            }
            BlockKind::Reasoning { id, form } => Form::Thought {
                id: id.clone(),
                form: *form,
                told: false,
                artefact: None,
            },
            BlockKind::ToolCall { id, name, flavour } => Form::Call {
                id: id.clone(),
                name: name.clone(),
                flavour: *flavour,
                arguments: String::new(),
                artefact: None,
            },
            BlockKind::Media { kind, mime, .. } => Form::Media {
                kind: *kind,
                mime: mime.clone(),
                data: String::new(),
                url: None,
            },
            BlockKind::ServerToolUse(tool) => {
                self.own(block, choice, tool.dialect, tool.json.as_ref(), out)
            }
            BlockKind::ServerToolResult(result) => {
                self.own(block, choice, result.dialect, Some(&result.json), out)
            }
            BlockKind::Opaque { dialect, json, .. } => {
                self.own(block, choice, *dialect, Some(json), out)
            }
        };
        self.open.push(Open {
            block,
            choice,
            form,
        });
    }

    /// A part of this dialect, as it was written.
    fn own(
        &mut self,
        block: u32,
        choice: u32,
        dialect: DialectName,
        json: Option<&Json>,
        out: &mut Vec<u8>,
    ) -> Form {
        match json.filter(|_| dialect == DialectName::GenerateContent) {
            Some(json) => self.part(choice, out, |out| one_line(out, json.as_str())),
            None => self.losses.note(Loss::dropped(
                format!("candidates[{choice}].content[{block}]"),
                "a block of another dialect",
            )),
        }
        Form::Silent
    }

    fn grow(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else {
            return;
        };
        let hidden = self.context.hide_reasoning;
        let Some(Open { choice, form, .. }) = self.open.get_mut(at) else {
            return;
        };
        let choice = *choice;
        match (form, delta) {
            (_, Delta::Citation(citation)) => {
                self.choice(choice).sources.push((**citation).clone());
            }
            (_, Delta::Logprobs(_)) => self
                .losses
                .note(Loss::dropped("logprobs", "not told on this wire")),
            (Form::Text, Delta::Text(text)) if !text.is_empty() => {
                self.part(choice, out, |out| answer::text(out, text));
            }
            (Form::Thought { told, .. }, Delta::Text(text)) if !text.is_empty() && !hidden => {
                *told = true;
                self.part(choice, out, |out| answer::thought(out, text));
            }
            (
                Form::Thought { artefact, .. } | Form::Call { artefact, .. },
                Delta::Artefact(next),
            ) => match artefact {
                // Wires may split a signature over several deltas.
                Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                slot => *slot = Some(next.clone()),
            },
            (
                Form::Call {
                    arguments: held, ..
                },
                Delta::Arguments(more),
            )
            | (Form::Media { data: held, .. }, Delta::MediaData(more)) => {
                held.push_str(more);
                self.held_bytes = self.held_bytes.saturating_add(more.len());
                if self.held_bytes > MAX_HELD_BYTES {
                    self.fail_too_large(out);
                }
            }
            (Form::Media { url, .. }, Delta::MediaUrl(found)) => *url = Some(found.clone()),
            (Form::Media { .. }, Delta::Text(_)) => self
                .losses
                .note(Loss::dropped("transcript", "this wire has no transcripts")),
            (_, Delta::Opaque { .. }) => self
                .losses
                .note(Loss::dropped("content", "a delta of another dialect")),
            _ => {}
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else {
            return;
        };
        let Open { choice, form, .. } = self.open.remove(at);
        match form {
            Form::Thought {
                id,
                form,
                told,
                artefact: Some(artefact),
            } => self.part(choice, out, |out| {
                answer::proof(out, "", &artefact, id.as_deref(), form, told)
            }),
            Form::Call {
                id,
                name,
                flavour,
                arguments,
                artefact,
            } => {
                let mut whole = true;
                self.part(choice, out, |out| {
                    whole = answer::call(out, &id, &name, flavour, &arguments, artefact.as_ref());
                });
                if !whole {
                    self.losses.note(Loss::approximated(
                        "arguments",
                        "the model wrote no JSON object; its text stands in one field",
                    ));
                }
            }
            Form::Media {
                kind,
                mime,
                data,
                url,
            } => {
                let source = match &url {
                    Some(url) => Source::Url(url),
                    None if data.is_empty() => return,
                    None => Source::Inline(&data),
                };
                let fallback = answer::fallback_mime(kind);
                self.part(choice, out, |out| {
                    answer::media(out, mime.as_deref(), fallback, source)
                });
            }
            _ => {}
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        while let Some(block) = self.open.first().map(|open| open.block) {
            self.close(block, out);
        }
        self.ended = true;
        if !answer::is_own(self.usage.as_ref()) {
            answer::lose_start(&self.start.rest, &mut self.losses);
        }
        if let Some(report) = &self.usage {
            report
                .unsaid_cache_writes()
                .into_iter()
                .for_each(|loss| self.losses.note(loss));
        }
        let (choices, losses) = (&self.choices, &mut self.losses);
        let first = choices.first().and_then(|c| c.finish.as_ref());
        let feedback = answer::feedback(first);
        // A blocked prompt has feedback and no candidate.
        let shown: Vec<&Choice> = choices
            .iter()
            .skip(usize::from(feedback.is_some()))
            .collect();
        let (start, context, usage) = (&self.start, &self.context, &self.usage);
        chunk(out, |object| {
            if !shown.is_empty() {
                array(object.key("candidates"), shown, |out, choice| {
                    let mut candidate = ObjectWriter::new(out);
                    // SDKs read the text of every chunk; the service itself ends its streams with an empty one.
                    candidate.raw("content", r#"{"parts":[{"text":""}],"role":"model"}"#);
                    answer::ending(
                        &mut candidate,
                        choice.finish.as_ref(),
                        &choice.sources,
                        choice.refused,
                        losses,
                    );
                    candidate.number("index", u64::from(choice.index));
                    candidate.end();
                });
            }
            if let Some(feedback) = feedback {
                object.raw("promptFeedback", feedback.as_str());
            }
            if let Some(report) = usage {
                usage::render(object.key("usageMetadata"), report);
            }
            answer::identity(object, start, context);
            losses.tell(object);
        });
    }

    fn fail_too_large(&mut self, out: &mut Vec<u8>) {
        let failure = Failure::upstream(
            FailureKind::InvalidResponse,
            "a call or a medium of the provider's answer is too large for this wire",
        );
        self.fail(&failure, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        out.extend_from_slice(&render_stream_error(failure, &self.context.request_id));
        self.ended = true;
    }
}

impl Encoder for ChunkEncoder {
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
            } => self.open(*block, *choice, kind, out),
            Event::BlockDelta { block, delta } => self.grow(*block, delta, out),
            Event::BlockEnd { block } => self.close(*block, out),
            Event::ChoiceEnd { choice, finish } => {
                self.choice(*choice).finish = Some(finish.clone());
            }
            Event::UsageReport(usage) => self.usage = Some(usage.clone()),
            Event::ResponseEnd => self.end(out),
            Event::Error(failure) => self.fail(failure, out),
            Event::Unknown { .. } => {}
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.losses.take()
    }
}
