//! Blocks one after another, for wires whose clients take them so, whatever order they grow in.

use llmleaf_model::{Delta, Event};
use std::collections::VecDeque;

/// Most bytes of blocks that wait until the one before them ends.
const MAX_HELD_BYTES: usize = 32 * 1024 * 1024;
/// Most blocks that wait so; parallel calls of one answer are a few dozen at most.
const MAX_WAITING: usize = 256;

/// Puts the events of blocks in order: a block that opens while another is told waits for its end.
#[derive(Debug, Default)]
pub(crate) struct InTurn {
    live: Option<u32>,
    /// In order of their start.
    waiting: VecDeque<Waiting>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    block: u32,
    events: Vec<Event>,
    ended: bool,
}

/// More waits than is kept.
#[derive(Debug)]
pub(crate) struct TooMuch;

impl InTurn {
    /// Takes an event of a block, and tells what may be told now. Events of blocks that never opened here are passed over.
    pub fn push(&mut self, event: &Event, tell: &mut dyn FnMut(&Event)) -> Result<(), TooMuch> {
        match event {
            Event::BlockStart { block, .. } if self.live.is_none() => {
                self.live = Some(*block);
                tell(event);
            }
            Event::BlockStart { block, .. } => {
                if self.waiting.len() >= MAX_WAITING {
                    return Err(TooMuch);
                }
                self.waiting.push_back(Waiting {
                    block: *block,
                    events: vec![event.clone()],
                    ended: false,
                });
            }
            Event::BlockDelta { block, .. } if self.live == Some(*block) => tell(event),
            Event::BlockDelta { block, delta } => return self.hold(*block, delta),
            Event::BlockEnd { block } if self.live == Some(*block) => {
                tell(event);
                self.next(tell);
            }
            Event::BlockEnd { block } => {
                if let Some(waiting) = self.waiting.iter_mut().find(|w| w.block == *block) {
                    waiting.ended = true;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The answer is over: tells everything that waits, and the ends that are missing.
    pub fn end(&mut self, tell: &mut dyn FnMut(&Event)) {
        for waiting in &mut self.waiting {
            waiting.ended = true;
        }
        if let Some(block) = self.live {
            tell(&Event::BlockEnd { block });
        }
        self.next(tell);
    }

    /// Tells the blocks that waited, up to the first that still grows.
    fn next(&mut self, tell: &mut dyn FnMut(&Event)) {
        self.live = None;
        while let Some(Waiting {
            block,
            events,
            ended,
        }) = self.waiting.pop_front()
        {
            for event in &events {
                if let Event::BlockDelta { delta, .. } = event {
                    self.held_bytes = self.held_bytes.saturating_sub(size(delta));
                }
                tell(event);
            }
            if !ended {
                self.live = Some(block);
                return;
            }
            tell(&Event::BlockEnd { block });
        }
    }

    fn hold(&mut self, block: u32, delta: &Delta) -> Result<(), TooMuch> {
        let Some(waiting) = self.waiting.iter_mut().find(|w| w.block == block) else {
            return Ok(());
        };
        self.held_bytes = self.held_bytes.saturating_add(size(delta));
        if self.held_bytes > MAX_HELD_BYTES {
            return Err(TooMuch);
        }
        let last = waiting.events.last_mut();
        match (last, delta) {
            (
                Some(Event::BlockDelta {
                    delta: Delta::Text(have),
                    ..
                }),
                Delta::Text(more),
            )
            | (
                Some(Event::BlockDelta {
                    delta: Delta::Arguments(have),
                    ..
                }),
                Delta::Arguments(more),
            ) => have.push_str(more),
            _ => waiting.events.push(Event::BlockDelta {
                block,
                delta: delta.clone(),
            }),
        }
        Ok(())
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
