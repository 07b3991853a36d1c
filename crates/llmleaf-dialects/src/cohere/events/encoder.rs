//! Events to frames: blocks are opened, filled and closed one at a time.

use crate::cohere::answer::{self, Answer, FREE_TEXT, Form};
use crate::cohere::citation::{self, Place};
use crate::cohere::errors::render_stream_error;
use crate::cohere::usage;
use crate::cohere::wire::{ObjectWriter, SIGNATURE, event, one_line, sealed};
use crate::in_turn::InTurn;
use crate::{Encoder, ReplyContext};
use llmleaf_model::{
    Artefact, Citation, Delta, DialectName, Event, Failure, FailureKind, Finish, Json, Loss,
    ResponseStart, ToolFlavour, Usage,
};

/// Most bytes of a text that are kept for the citations in it; those of a longer one name no words.
const MAX_CITED: usize = 1024 * 1024;

/// Writes one stream of this wire.
pub(super) struct ChatEncoder {
    context: ReplyContext,
    turn: InTurn,
    teller: Teller,
    started: bool,
    ended: bool,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

/// Tells one block after another.
#[derive(Default)]
struct Teller {
    answer: Answer,
    hidden: bool,
    live: Option<Live>,
    next_content: u64,
    next_call: u64,
    next_citation: u64,
    /// Characters of the text before the live block.
    length: u64,
}

/// The block that is being told.
struct Live {
    form: Form,
    /// Its index on the wire, once it is open there.
    index: Option<u64>,
    /// Kept for citations.
    text: String,
    chars: u64,
    citations: Vec<Citation>,
    artefact: Option<Artefact>,
    /// Arguments came.
    filled: bool,
}

impl ChatEncoder {
    pub fn new(context: ReplyContext) -> Self {
        let teller = Teller {
            hidden: context.hide_reasoning,
            ..Teller::default()
        };
        Self {
            context,
            turn: InTurn::default(),
            teller,
            started: false,
            ended: false,
            finish: None,
            usage: None,
        }
    }

    fn start(&mut self, start: &ResponseStart, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        if start.usage.is_some() {
            self.usage.clone_from(&start.usage);
        }
        self.teller.answer.start(start);
        event(out, "message-start", |object| {
            let id = start.id.as_deref();
            object.string("id", id.unwrap_or(&self.context.fallback_id));
            object.raw(
                "delta",
                r#"{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}"#,
            );
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let teller = &mut self.teller;
        self.turn.end(&mut |event| teller.tell(event, out));
        let unsaid = self.usage.as_ref().and_then(Usage::unsaid_cache_writes);
        unsaid.into_iter().for_each(|loss| teller.answer.lose(loss));
        let Ok(word) = self.teller.answer.end(self.finish.as_ref()) else {
            let failure = Failure::upstream(
                FailureKind::Server,
                "the provider ended the answer with an error",
            );
            return self.fail(&failure, out);
        };
        event(out, "message-end", |object| {
            object.object("delta", |delta| {
                delta.string("finish_reason", &word);
                if let Some(report) = &self.usage {
                    usage::render(delta.key("usage"), report);
                }
            });
        });
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.ended = true;
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        out.extend_from_slice(&render_stream_error(failure, &self.context.request_id));
        self.ended = true;
    }
}

impl Encoder for ChatEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::ResponseStart(start) => return self.start(start, out),
            Event::Error(failure) => return self.fail(failure, out),
            Event::UsageReport(usage) => self.usage = Some(usage.clone()),
            Event::Unknown { .. } => return,
            _ => {}
        }
        self.start(&ResponseStart::default(), out);
        match event {
            Event::BlockStart {
                block,
                choice,
                kind,
            } if *choice > 0 => {
                // Noted as lost.
                let _ = self.teller.answer.form(*block, *choice, kind);
            }
            Event::BlockStart { .. } | Event::BlockDelta { .. } | Event::BlockEnd { .. } => {
                let teller = &mut self.teller;
                if self
                    .turn
                    .push(event, &mut |event| teller.tell(event, out))
                    .is_err()
                {
                    let failure = Failure::upstream(
                        FailureKind::InvalidResponse,
                        "too much of the provider's answer grows side by side to be put in order",
                    );
                    self.fail(&failure, out);
                }
            }
            Event::ChoiceEnd { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::ResponseEnd => self.end(out),
            _ => {}
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.teller.answer.take_losses()
    }
}

impl Teller {
    fn tell(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::BlockStart {
                block,
                choice,
                kind,
            } => {
                let form = self.answer.form(*block, *choice, kind);
                self.live = form.map(Live::new);
                self.begin(out);
            }
            Event::BlockDelta { delta, .. } => self.grow(delta, out),
            Event::BlockEnd { .. } => self.close(out),
            _ => {}
        }
    }

    /// Opens what is open from its first word on: a call has a name, a block of this dialect is whole.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let Some(live) = &mut self.live else {
            return;
        };
        match &live.form {
            Form::Tool { id, name, flavour } => {
                let index = self.next_call;
                self.next_call += 1;
                live.index = Some(index);
                event(out, "tool-call-start", |object| {
                    object.number("index", index);
                    in_message(object, "tool_calls", |out| {
                        answer::call(out, id, name, "", None)
                    });
                });
                if *flavour == ToolFlavour::Custom {
                    live.filled = true;
                    arguments(index, &format!("{{\"{FREE_TEXT}\":\""), out);
                }
            }
            Form::Whole(json) => {
                let index = self.next_content;
                self.next_content += 1;
                live.index = Some(index);
                event(out, "content-start", |object| {
                    object.number("index", index);
                    in_message(object, "content", |out| one_line(out, json.as_str()));
                });
            }
            Form::Text | Form::Thinking { .. } | Form::Plan => {}
        }
    }

    fn grow(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        let Some(live) = &mut self.live else {
            return;
        };
        match (delta, &live.form) {
            (Delta::Text(text), Form::Text) if !text.is_empty() => {
                let count = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
                live.chars = live.chars.saturating_add(count);
                if live.text.len().saturating_add(text.len()) <= MAX_CITED {
                    live.text.push_str(text);
                }
                words(live, &mut self.next_content, "text", text, out);
            }
            (Delta::Text(text), Form::Thinking { .. }) if !text.is_empty() && !self.hidden => {
                words(live, &mut self.next_content, "thinking", text, out);
            }
            (Delta::Text(text), Form::Plan) if !text.is_empty() && !self.hidden => {
                event(out, "tool-plan-delta", |object| {
                    in_message(object, "tool_plan", |out| crate::writer::string(out, text));
                });
            }
            (Delta::Arguments(text), Form::Tool { flavour, .. }) if !text.is_empty() => {
                live.filled = true;
                let index = live.index.unwrap_or_default();
                match flavour {
                    ToolFlavour::Function => arguments(index, text, out),
                    ToolFlavour::Custom => arguments(index, &escaped(text), out),
                }
            }
            (Delta::Artefact(next), _) => match &mut live.artefact {
                // Wires may split a signature over several deltas.
                Some(have) if have.kind == next.kind => have.data.push_str(&next.data),
                slot => *slot = Some(next.clone()),
            },
            (Delta::Citation(citation), _) => live.citations.push((**citation).clone()),
            (Delta::Logprobs(json), Form::Text) => {
                for one in answer::logprobs_out(json) {
                    logprobs(live, &mut self.next_content, &one, out);
                }
            }
            (Delta::Logprobs(_), _) => {
                let why = "only text has them here";
                self.answer.lose(Loss::dropped("logprobs", why));
            }
            (Delta::Opaque { dialect, json }, Form::Whole(_))
                if *dialect == DialectName::CohereChat =>
            {
                event(out, "content-delta", |object| {
                    object.number("index", live.index.unwrap_or_default());
                    in_message(object, "content", |out| one_line(out, json.as_str()));
                });
            }
            (Delta::Opaque { .. }, _) => {
                let why = "a delta that is not known";
                self.answer.lose(Loss::dropped("content", why));
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut live) = self.live.take() else {
            return;
        };
        self.cite(&live, out);
        self.length = self.length.saturating_add(live.chars);
        let artefact = live.artefact.take();
        match &live.form {
            Form::Tool { id, flavour, .. } => {
                let index = live.index.unwrap_or_default();
                match flavour {
                    ToolFlavour::Custom => arguments(index, "\"}", out),
                    ToolFlavour::Function if !live.filled => arguments(index, "{}", out),
                    ToolFlavour::Function => {}
                }
                if let Some(artefact) = artefact {
                    call_proof(index, &answer::sealed_call(&artefact, id), out);
                }
                end("tool-call-end", index, out);
                return;
            }
            Form::Thinking { id, form } => {
                if let Some(artefact) = artefact {
                    let signature = sealed(&artefact, id.as_deref(), *form);
                    proof(&mut live, &mut self.next_content, &signature, out);
                }
            }
            Form::Plan => {
                if let Some(artefact) = artefact {
                    let signature = sealed(&artefact, None, Default::default());
                    proof(&mut live, &mut self.next_content, &signature, out);
                }
            }
            Form::Text | Form::Whole(_) => {}
        }
        if let Some(index) = live.index {
            end("content-end", index, out);
        }
    }

    /// Citations are told at the end of the text that they stand in, when their words are known.
    fn cite(&mut self, live: &Live, out: &mut Vec<u8>) {
        let index = live.index.unwrap_or(self.next_content);
        let place = Place::new(index, Some(self.length), &live.text);
        let (told, more) = citation::told(&live.citations);
        if let Some(why) = more {
            self.answer.lose(Loss::dropped("citations", why));
        }
        for one in told {
            match citation::written(one, place) {
                Ok(Some(written)) => {
                    let index = self.next_citation;
                    self.next_citation += 1;
                    event(out, "citation-start", |object| {
                        object.number("index", index);
                        in_message(object, "citations", |out| out.extend_from_slice(&written));
                    });
                    end("citation-end", index, out);
                }
                Ok(None) => {}
                Err(why) => self.answer.lose(Loss::dropped("citations", why)),
            }
        }
    }
}

impl Live {
    fn new(form: Form) -> Self {
        Self {
            form,
            index: None,
            text: String::new(),
            chars: 0,
            citations: Vec::new(),
            artefact: None,
            filled: false,
        }
    }

    /// Opens a block of content on the wire, where it is not open.
    fn open(&mut self, next: &mut u64, kind: &str, out: &mut Vec<u8>) -> u64 {
        if let Some(index) = self.index {
            return index;
        }
        let index = *next;
        *next += 1;
        self.index = Some(index);
        event(out, "content-start", |object| {
            object.number("index", index);
            in_message(object, "content", |out| {
                let mut content = ObjectWriter::new(out);
                content.string("type", kind).string(kind, "");
                content.end();
            });
        });
        index
    }
}

/// Writes `delta.message.<name>`.
fn in_message(object: &mut ObjectWriter<'_>, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
    object.object("delta", |delta| {
        delta.object("message", |message| write(message.key(name)));
    });
}

fn words(live: &mut Live, next: &mut u64, kind: &str, text: &str, out: &mut Vec<u8>) {
    let index = live.open(next, kind, out);
    event(out, "content-delta", |object| {
        object.number("index", index);
        in_message(object, "content", |out| {
            let mut content = ObjectWriter::new(out);
            content.string(kind, text);
            content.end();
        });
    });
}

fn logprobs(live: &mut Live, next: &mut u64, one: &[u8], out: &mut Vec<u8>) {
    let index = live.open(next, "text", out);
    event(out, "content-delta", |object| {
        object.number("index", index);
        in_message(object, "content", |out| {
            out.extend_from_slice(br#"{"text":""}"#);
        });
        object.key("logprobs").extend_from_slice(one);
    });
}

fn proof(live: &mut Live, next: &mut u64, signature: &str, out: &mut Vec<u8>) {
    let index = live.open(next, "thinking", out);
    event(out, "content-delta", |object| {
        object.number("index", index);
        in_message(object, "content", |out| {
            let mut content = ObjectWriter::new(out);
            content.string("thinking", "").string(SIGNATURE, signature);
            content.end();
        });
    });
}

fn arguments(index: u64, text: &str, out: &mut Vec<u8>) {
    event(out, "tool-call-delta", |object| {
        object.number("index", index);
        in_message(object, "tool_calls", |out| {
            let mut call = ObjectWriter::new(out);
            call.object("function", |function| {
                function.string("arguments", text);
            });
            call.end();
        });
    });
}

fn call_proof(index: u64, signature: &str, out: &mut Vec<u8>) {
    event(out, "tool-call-delta", |object| {
        object.number("index", index);
        in_message(object, "tool_calls", |out| {
            let mut call = ObjectWriter::new(out);
            call.object("function", |function| {
                function.string("arguments", "");
            });
            call.string(SIGNATURE, signature);
            call.end();
        });
    });
}

fn end(name: &str, index: u64, out: &mut Vec<u8>) {
    event(out, name, |object| {
        object.number("index", index);
    });
}

/// Text inside a JSON string, without the quotes.
fn escaped(text: &str) -> String {
    let json = Json::from_value(text);
    let quoted = json.as_str();
    quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}
