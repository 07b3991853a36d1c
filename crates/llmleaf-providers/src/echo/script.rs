//! The plan as events.

use super::plan::{Block, Plan};
use super::{MAX_PIECES, Step, words};
use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, ChatRequest, Citation, Delta, DialectName, Event, Finish,
    FinishReason, Json, MediaKind, Provenance, ReasoningForm, ResponseStart, Usage,
};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

/// A picture of one transparent dot.
const DOT: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// The proof of made-up reasoning. No service can verify it.
const SIGNATURE: &str = "ZWNobw==";

/// Family of the proofs made here.
const PROVENANCE: Provenance = Provenance(Cow::Borrowed("echo"));

/// Plays a plan.
pub(super) fn play(request: &ChatRequest, plan: &Plan) -> Vec<Step> {
    let mut script = Script::new(plan);
    match plan.asked.fault.as_ref() {
        Some(fault) if fault.after.is_none() => {
            script.push(Event::Error(Box::new(fault.failure.clone())));
        }
        _ => {
            script.push(Event::ResponseStart(ResponseStart {
                model: Some(request.model.clone()),
                ..ResponseStart::default()
            }));
            if script.choices().is_continue() {
                script.close();
            }
        }
    }
    script.steps
}

/// An end that was asked for came.
type Flow = ControlFlow<()>;

struct Script<'a> {
    plan: &'a Plan,
    steps: Vec<Step>,
    /// Content was said.
    spoken: bool,
    next_block: u32,
    /// Words left until the failure or the cut.
    until: Option<u64>,
    /// Words left for this answer.
    room: u64,
    usage: Usage,
}

impl<'a> Script<'a> {
    fn new(plan: &'a Plan) -> Self {
        let fault = plan.asked.fault.as_ref().and_then(|fault| fault.after);
        Self {
            plan,
            steps: Vec::new(),
            spoken: false,
            next_block: 0,
            until: fault.or(plan.asked.cut.flatten()),
            room: 0,
            usage: Usage {
                input: plan.input,
                ..Usage::default()
            },
        }
    }

    fn push(&mut self, event: Event) {
        let fails_first = !self.spoken && matches!(event, Event::Error(_));
        let delay = if !self.spoken && (event.bears_content() || fails_first) {
            self.spoken = true;
            self.plan.asked.delay
        } else if matches!(event, Event::BlockDelta { .. }) && self.spoken {
            self.plan.asked.pace
        } else {
            Duration::ZERO
        };
        self.steps.push(Step { delay, event });
    }

    /// Every answer in turn.
    fn choices(&mut self) -> Flow {
        for choice in 0..self.plan.choices {
            self.room = self.plan.cap.unwrap_or(u64::MAX);
            let mut cut = false;
            for block in &self.plan.blocks {
                cut = self.block(choice, block)?;
                if cut {
                    break;
                }
            }
            if self.until.is_some() && choice + 1 == self.plan.choices {
                return self.stop();
            }
            let finish = if cut {
                finish(FinishReason::Length, None)
            } else {
                finish(self.plan.finish.0, self.plan.finish.1.clone())
            };
            self.push(Event::ChoiceEnd { choice, finish });
        }
        ControlFlow::Continue(())
    }

    /// Plays the failure, or just stops.
    fn stop(&mut self) -> Flow {
        if let Some(fault) = &self.plan.asked.fault {
            self.push(Event::Error(Box::new(fault.failure.clone())));
        }
        ControlFlow::Break(())
    }

    fn close(&mut self) {
        let usage = self.plan.asked.usage.clone();
        let usage = usage.unwrap_or_else(|| self.usage.clone());
        self.push(Event::UsageReport(usage));
        if self.plan.asked.cut.is_none() {
            self.push(Event::ResponseEnd);
        }
    }

    /// One block. True where the output cap ended it.
    fn block(&mut self, choice: u32, block: &Block) -> ControlFlow<(), bool> {
        let index = self.next_block;
        self.next_block += 1;
        self.push(Event::BlockStart {
            block: index,
            choice,
            kind: kind(index, block),
        });
        let mut cut = false;
        match block {
            Block::Reasoning(text) | Block::Text(text) | Block::Refusal(text) => {
                let (kept, is_cut) = words::first(text, self.room);
                cut = is_cut;
                self.count(block, words::count(kept));
                self.say(index, kept, matches!(block, Block::Text(_)))?;
                self.proofs(index, block, kept);
            }
            Block::Call { arguments, .. } => {
                self.count(block, words::count(arguments));
                for piece in words::fragments(arguments, self.pieces()) {
                    self.delta(index, Delta::Arguments(piece.to_owned()));
                }
            }
            Block::Image(Some(address)) => self.delta(index, Delta::MediaUrl(address.clone())),
            Block::Image(None) => self.delta(index, Delta::MediaData(DOT.to_owned())),
        }
        self.push(Event::BlockEnd { block: index });
        ControlFlow::Continue(cut)
    }

    fn delta(&mut self, block: u32, delta: Delta) {
        self.push(Event::BlockDelta { block, delta });
    }

    /// Most pieces of one block.
    fn pieces(&self) -> usize {
        let choices = usize::try_from(self.plan.choices).unwrap_or(1);
        (MAX_PIECES / choices / self.plan.blocks.len().max(1)).max(1)
    }

    fn count(&mut self, block: &Block, words: u64) {
        self.room = self.room.saturating_sub(words);
        let class = if matches!(block, Block::Reasoning(_)) {
            &mut self.usage.output_reasoning
        } else {
            &mut self.usage.output
        };
        *class = class.saturating_add(words);
    }

    /// Says a text; a failure or cut after so many words counts those of the answer only.
    fn say(&mut self, block: u32, text: &str, counts: bool) -> Flow {
        let until = self.until.filter(|_| counts);
        let said = until.map_or(text, |until| words::first(text, until).0);
        for piece in words::pieces(said, self.pieces()) {
            self.delta(block, Delta::Text(piece.to_owned()));
        }
        if let Some(until) = until {
            let left = until.saturating_sub(words::count(said));
            self.until = Some(left);
            if left == 0 {
                return self.stop();
            }
        }
        ControlFlow::Continue(())
    }

    /// What comes behind a text: the proof of reasoning, the sources of an answer.
    fn proofs(&mut self, index: u32, block: &Block, text: &str) {
        match block {
            Block::Reasoning(_) => {
                let proof = Artefact {
                    provenance: PROVENANCE,
                    kind: ArtefactKind::Signature,
                    data: SIGNATURE.to_owned(),
                };
                self.delta(index, Delta::Artefact(proof));
            }
            Block::Text(_) => {
                let plan = self.plan;
                for (address, title) in &plan.asked.citations {
                    let citation = citation(address, title.as_deref(), text);
                    self.delta(index, Delta::Citation(Box::new(citation)));
                }
            }
            _ => {}
        }
    }
}

fn kind(index: u32, block: &Block) -> BlockKind {
    match block {
        Block::Reasoning(_) => BlockKind::Reasoning {
            id: None,
            form: ReasoningForm::Full,
        },
        Block::Text(_) => BlockKind::Text,
        Block::Refusal(_) => BlockKind::Refusal,
        Block::Call { name, flavour, .. } => BlockKind::ToolCall {
            id: format!("call_echo_{index}"),
            name: name.clone(),
            flavour: *flavour,
        },
        Block::Image(_) => BlockKind::Media {
            kind: MediaKind::Image,
            mime: Some("image/png".to_owned()),
            id: None,
        },
    }
}

fn finish(reason: FinishReason, stop_sequence: Option<String>) -> Finish {
    let word = match reason {
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Refusal => "refusal",
        _ => "stop",
    };
    Finish {
        stop_sequence,
        ..Finish::new(reason, word)
    }
}

fn citation(address: &str, title: Option<&str>, text: &str) -> Citation {
    let end = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let native = serde_json::json!({
        "type": "url_citation",
        "url_citation": {
            "url": address,
            "title": title.unwrap_or_default(),
            "start_index": 0,
            "end_index": end,
        },
    });
    Citation {
        dialect: DialectName::ChatCompletions,
        native: Json::from_value(&native),
        url: Some(address.to_owned()),
        title: title.map(str::to_owned),
        cited_text: None,
        span: Some((0, end)),
    }
}
