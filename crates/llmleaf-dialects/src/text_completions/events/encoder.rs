//! Consumer end: events to frames.

use super::super::{TEXT_ONLY, errors, logprobs, refusal};
use super::{Identity, Said, named};
use crate::chat_completions::usage;
use crate::writer::ObjectWriter;
use crate::{Encoder, ReplyContext};
use llmleaf_model::{BlockKind, Delta, Event, Finish, Json, Loss, ResponseStart, Usage};

/// Most losses that are named.
const MAX_LOSSES: usize = 64;

/// Writes one stream of chunks.
pub(super) struct TextEncoder {
    context: ReplyContext,
    identity: Option<Identity>,
    /// By index: which choice a block belongs to, where its text is told.
    blocks: Vec<Option<u32>>,
    /// How far the text of each choice is, in characters; for log-probabilities.
    offsets: Vec<(u32, u64)>,
    usage: Option<Usage>,
    /// Some choice was named.
    told: bool,
    losses: Vec<Loss>,
    ended: bool,
}

impl TextEncoder {
    pub fn new(context: ReplyContext) -> Self {
        Self {
            context,
            identity: None,
            blocks: Vec::new(),
            offsets: Vec::new(),
            usage: None,
            told: false,
            losses: Vec::new(),
            ended: false,
        }
    }

    /// One frame: what all have in front, and what `fill` adds.
    fn frame(
        &mut self,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut ObjectWriter<'_>, &mut Vec<Loss>),
    ) {
        let context = &self.context;
        let identity = self
            .identity
            .get_or_insert_with(|| Identity::new(&ResponseStart::default(), context));
        let mut losses = Vec::new();
        out.extend_from_slice(b"data: ");
        let mut object = ObjectWriter::new(out);
        identity.write(&mut object, &mut losses);
        fill(&mut object, &mut losses);
        object.end();
        out.extend_from_slice(b"\n\n");
        self.note(losses);
    }

    fn chunk(
        &mut self,
        (choice, text): (u32, &str),
        probabilities: Option<(&Json, &mut u64)>,
        finish: Option<&Finish>,
        out: &mut Vec<u8>,
    ) {
        let reports = self.context.stream_usage;
        self.told = true;
        self.frame(out, |object, losses| {
            let list = object.key("choices");
            list.push(b'[');
            let mut one = ObjectWriter::new(list);
            one.number("index", u64::from(choice)).string("text", text);
            match probabilities {
                Some((json, offset)) => logprobs::write(one.key("logprobs"), &[json], offset),
                None => {
                    one.raw("logprobs", "null");
                }
            }
            let said = finish.map(Said::of);
            Said::write(said.as_ref(), &mut one, losses);
            one.end();
            list.push(b']');
            if reports {
                // With a report asked for, every other chunk says that it has none.
                object.raw("usage", "null");
            }
        });
    }

    fn start_block(&mut self, choice: u32, kind: &BlockKind) {
        let told = matches!(kind, BlockKind::Text | BlockKind::Refusal);
        self.blocks.push(told.then_some(choice));
        if matches!(kind, BlockKind::Refusal) {
            self.note([refusal(u64::from(choice))]);
        }
        let hidden = self.context.hide_reasoning && matches!(kind, BlockKind::Reasoning { .. });
        if !told && !hidden {
            let field = format!("choices[{choice}].{}", named(kind));
            self.note([Loss::dropped(field, TEXT_ONLY)]);
        }
    }

    fn delta(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let at = usize::try_from(block).ok();
        let choice = at.and_then(|at| self.blocks.get(at).copied()).flatten();
        let Some(choice) = choice.filter(|_| !delta.is_empty()) else {
            return;
        };
        match delta {
            Delta::Text(text) => self.chunk((choice, text), None, None, out),
            Delta::Logprobs(json) => {
                let known = self.offsets.iter().position(|(of, _)| *of == choice);
                let at = known.unwrap_or_else(|| {
                    self.offsets.push((choice, 0));
                    self.offsets.len() - 1
                });
                let mut offset = self.offsets.get(at).map_or(0, |(_, offset)| *offset);
                self.chunk((choice, ""), Some((json, &mut offset)), None, out);
                if let Some(place) = self.offsets.get_mut(at) {
                    place.1 = offset;
                }
            }
            Delta::Citation(_) => {
                let field = format!("choices[{choice}].citations");
                self.note([Loss::dropped(field, TEXT_ONLY)]);
            }
            _ => {
                let field = format!("choices[{choice}].text");
                self.note([Loss::dropped(field, TEXT_ONLY)]);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.told {
            self.chunk((0, ""), None, None, out);
        }
        if let Some(report) = self.usage.take().filter(|_| self.context.stream_usage) {
            self.frame(out, |object, _| {
                object.raw("choices", "[]");
                usage::render(&report, object.key("usage"));
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn note(&mut self, losses: impl IntoIterator<Item = Loss>) {
        for loss in losses {
            if self.losses.len() < MAX_LOSSES && !self.losses.contains(&loss) {
                self.losses.push(loss);
            }
        }
    }
}

impl Encoder for TextEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::ResponseStart(start) => {
                self.usage.clone_from(&start.usage);
                self.identity = Some(Identity::new(start, &self.context));
            }
            Event::BlockStart { choice, kind, .. } => self.start_block(*choice, kind),
            Event::BlockDelta { block, delta } => self.delta(*block, delta, out),
            Event::ChoiceEnd { choice, finish } => {
                self.chunk((*choice, ""), None, Some(finish), out);
            }
            Event::UsageReport(usage) => self.usage = Some(usage.clone()),
            Event::ResponseEnd => {
                self.end(out);
                self.ended = true;
            }
            Event::Error(failure) => {
                let start = ResponseStart::default();
                let identity = self.identity.take();
                let identity = identity.unwrap_or_else(|| Identity::new(&start, &self.context));
                errors::write_stream_error(out, failure, &identity);
                self.ended = true;
            }
            Event::BlockEnd { .. } | Event::Unknown { .. } => {}
        }
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }
}
