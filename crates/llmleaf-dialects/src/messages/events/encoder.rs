//! Events to frames: blocks are opened, filled and closed one at a time, whatever order they grow in.

use super::block::LiveBlock;
use crate::messages::answer::{Answer, Form, write_usage};
use crate::messages::errors::render_stream_error;
use crate::messages::wire::{ObjectWriter, event};
use crate::{Encoder, ReplyContext};
use llmleaf_model::{
    BlockKind, Delta, Event, Failure, FailureKind, Finish, Loss, ResponseStart, Usage,
};
use std::collections::VecDeque;

/// Most bytes of blocks that wait until the one before them ends.
const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;
/// Most blocks that wait so; parallel calls of one answer are a few dozen at most.
const MAX_WAITING: usize = 256;

/// Writes one stream of this wire.
pub(in crate::messages) struct MessagesEncoder {
    context: ReplyContext,
    answer: Answer,
    started: bool,
    ended: bool,
    next_index: u32,
    live: Option<(u32, LiveBlock)>,
    /// Blocks that opened while another was live, in order.
    waiting: VecDeque<Waiting>,
    held_bytes: usize,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

/// A block that cannot be shown yet.
struct Waiting {
    block: u32,
    form: Form,
    deltas: Vec<Delta>,
    ended: bool,
}

impl MessagesEncoder {
    pub fn new(context: ReplyContext) -> Self {
        Self {
            context,
            answer: Answer::default(),
            started: false,
            ended: false,
            next_index: 0,
            live: None,
            waiting: VecDeque::new(),
            held_bytes: 0,
            finish: None,
            usage: None,
        }
    }

    fn start(&mut self, start: &ResponseStart, out: &mut Vec<u8>) {
        if self.started {
            return;
        }
        self.started = true;
        self.usage.clone_from(&start.usage);
        self.answer.start(start);
        event(out, "message_start", |object| {
            object.object("message", |message| {
                Answer::head(message, start, &self.context);
                message
                    .raw("content", "[]")
                    .raw("stop_reason", "null")
                    .raw("stop_sequence", "null");
                self.answer.facts(message, start, None);
                write_usage(message, start.usage.as_ref());
            });
        });
        out.extend_from_slice(b"event: ping\ndata: {\"type\": \"ping\"}\n\n");
    }

    fn open(&mut self, block: u32, choice: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        let Some(form) = self.answer.form(block, choice, kind) else {
            return;
        };
        if self.waiting.len() >= MAX_WAITING {
            self.fail_out_of_order(out);
        } else if self.live.is_some() {
            self.waiting.push_back(Waiting {
                block,
                form,
                deltas: Vec::new(),
                ended: false,
            });
        } else {
            self.go_live(block, form, out);
        }
    }

    fn go_live(&mut self, block: u32, form: Form, out: &mut Vec<u8>) {
        let mut live = LiveBlock::new(form, self.context.hide_reasoning);
        live.begin(&self.answer, &mut self.next_index, out);
        self.live = Some((block, live));
    }

    fn grow(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Some((live_block, live)) = &mut self.live
            && *live_block == block
        {
            live.grow(delta, &mut self.answer, &mut self.next_index, out);
            return;
        }
        // A block without a place was left out when it opened, and its loss reported.
        if let Some(waiting) = self.waiting.iter_mut().find(|w| w.block == block) {
            self.held_bytes = self.held_bytes.saturating_add(size(delta));
            hold(&mut waiting.deltas, delta);
        }
        if self.held_bytes > MAX_HELD_BYTES {
            self.fail_out_of_order(out);
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        if self.live.as_ref().is_some_and(|(live, _)| *live == block) {
            self.close_live(out);
            self.next_block(out);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|w| w.block == block) {
            waiting.ended = true;
        }
    }

    fn close_live(&mut self, out: &mut Vec<u8>) {
        if let Some((_, live)) = self.live.take() {
            live.end(&self.answer, &mut self.next_index, out);
        }
    }

    /// Shows the blocks that waited, up to the first that still grows.
    fn next_block(&mut self, out: &mut Vec<u8>) {
        while let Some(next) = self.waiting.pop_front() {
            self.go_live(next.block, next.form, out);
            for delta in &next.deltas {
                self.held_bytes = self.held_bytes.saturating_sub(size(delta));
                self.grow(next.block, delta, out);
            }
            if !next.ended {
                return;
            }
            self.close_live(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close_live(out);
        for waiting in &mut self.waiting {
            waiting.ended = true;
        }
        self.next_block(out);
        let Ok(ending) = self.answer.end(self.finish.as_ref()) else {
            let failure = Failure::upstream(
                FailureKind::Server,
                "the provider ended the answer with an error",
            );
            return self.fail(&failure, out);
        };
        event(out, "message_delta", |object| {
            let top = |name: &str| name == "context_management";
            object.object("delta", |delta| {
                ending.write(delta);
                write_facts(delta, &ending.facts, |name| !top(name));
            });
            write_facts(object, &ending.facts, top);
            write_usage(object, self.usage.as_ref());
        });
        event(out, "message_stop", |_| {});
        self.ended = true;
    }

    fn fail_out_of_order(&mut self, out: &mut Vec<u8>) {
        let failure = Failure::upstream(
            FailureKind::InvalidResponse,
            "too much of the provider's answer grows side by side to be put in order",
        );
        self.fail(&failure, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        out.extend_from_slice(&render_stream_error(failure, &self.context.request_id));
        self.ended = true;
    }
}

impl Encoder for MessagesEncoder {
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
            } => self.open(*block, *choice, kind, out),
            Event::BlockDelta { block, delta } => self.grow(*block, delta, out),
            Event::BlockEnd { block } => self.close(*block, out),
            Event::ChoiceEnd { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::ResponseEnd => self.end(out),
            _ => {}
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.answer.take_losses()
    }
}

fn write_facts(
    object: &mut ObjectWriter<'_>,
    facts: &[(String, llmleaf_model::Json)],
    take: impl Fn(&str) -> bool,
) {
    for (name, value) in facts.iter().filter(|(name, _)| take(name)) {
        object.raw(name, value.as_str());
    }
}

/// Keeps a delta, joined to the one before where both are text of the same kind.
fn hold(deltas: &mut Vec<Delta>, delta: &Delta) {
    match (deltas.last_mut(), delta) {
        (Some(Delta::Text(have)), Delta::Text(more))
        | (Some(Delta::Arguments(have)), Delta::Arguments(more)) => have.push_str(more),
        _ => deltas.push(delta.clone()),
    }
}

fn size(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text)
        | Delta::Arguments(text)
        | Delta::MediaData(text)
        | Delta::MediaUrl(text) => text.len(),
        Delta::Artefact(artefact) => artefact.data.len(),
        Delta::Citation(citation) => citation.native.as_str().len(),
        Delta::Logprobs(json) | Delta::Opaque { json, .. } => json.as_str().len(),
    }
}
