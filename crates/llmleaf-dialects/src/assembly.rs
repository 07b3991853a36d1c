//! Boundary-less deltas to blocks: index-to-id bridges, reasoning without start or end, argument assembly.
//!
//! Several wires send bare deltas ("here is more text", "here is more of call 1") and never say where a
//! block begins or ends. An [`Assembly`] turns them into events that keep the grammar:
//!
//! - Each choice has one *prose* lane: at most one text, reasoning, refusal or media block is open. A delta
//!   of another kind closes it and opens the next.
//! - Each choice has *tool slots*. A tool block opens when its name and those before it are known, or sooner where more than calls comes
//!   or too much waits, and stays open until the choice ends, because fragments of parallel calls may interleave. See [`tools`] for how a
//!   fragment finds its slot, and for what waits.
//! - A finish is remembered and told when the response ends: some services send content, or the finish itself,
//!   once more after it.
//!
//! It knows no wire: every decoder of such a wire uses it.

mod tools;

#[cfg(test)]
mod tests;

pub use tools::ToolFragment;

use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, Delta, Event, Finish, FinishReason, MediaKind, ReasoningForm,
};
use tools::Slots;

/// Most choices kept of one response; deltas of further ones are ignored. Providers cap `n` at 128 or less.
pub const MAX_CHOICES: usize = 256;

/// The state of one response under assembly.
#[derive(Debug, Default)]
pub struct Assembly {
    next_block: u32,
    choices: Vec<Choice>,
}

#[derive(Debug)]
struct Choice {
    index: u32,
    prose: Option<Prose>,
    slots: Slots,
    finish: Option<Finish>,
    ended: bool,
}

/// The open prose block of a choice.
#[derive(Debug)]
struct Prose {
    block: u32,
    lane: Lane,
}

#[derive(Debug, PartialEq)]
enum Lane {
    Text,
    Refusal,
    Reasoning {
        key: ReasoningKey,
        form: Option<ReasoningForm>,
        sealed: Option<ArtefactKind>,
    },
    Media {
        kind: MediaKind,
        id: Option<String>,
    },
}

/// What tells one stretch of reasoning from the next, where the wire says anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningKey {
    /// Number of the stretch.
    pub index: Option<u64>,
    /// Item id.
    pub id: Option<String>,
}

impl ReasoningKey {
    /// Nothing that both sides state differs.
    fn agrees(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        same(self.index.as_ref(), other.index.as_ref()) && same(self.id.as_ref(), other.id.as_ref())
    }

    fn learn(&mut self, other: &Self) {
        self.index = self.index.or(other.index);
        if self.id.is_none() {
            self.id.clone_from(&other.id);
        }
    }
}

/// A medium that is being received.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaStart<'a> {
    /// Kind of medium.
    pub kind: MediaKind,
    /// MIME type, where the wire says.
    pub mime: Option<&'a str>,
    /// The provider's id of it; another id begins another medium.
    pub id: Option<&'a str>,
}

impl Assembly {
    /// Nothing received yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that a choice exists.
    pub fn touch(&mut self, choice: u32) {
        let _ = self.choice(choice);
    }

    /// More answer text. Empty text is nothing.
    pub fn text(&mut self, choice: u32, text: &str, out: &mut Vec<Event>) {
        self.prose_text(choice, Lane::Text, text, out);
    }

    /// More words of a refusal. Empty text is nothing.
    pub fn refusal(&mut self, choice: u32, text: &str, out: &mut Vec<Event>) {
        self.prose_text(choice, Lane::Refusal, text, out);
    }

    /// More reasoning text. Empty text is nothing.
    pub fn reasoning(
        &mut self,
        choice: u32,
        key: &ReasoningKey,
        form: ReasoningForm,
        text: &str,
        out: &mut Vec<Event>,
    ) {
        if text.is_empty() {
            return;
        }
        if let Some(block) = self.reasoning_block(choice, key, Some(form), None, out) {
            let delta = Delta::Text(text.to_owned());
            out.push(Event::BlockDelta { block, delta });
        }
    }

    /// Opaque proof of the reasoning; opens a block of its own where none is open that it could belong to.
    pub fn reasoning_artefact(
        &mut self,
        choice: u32,
        key: &ReasoningKey,
        artefact: Artefact,
        out: &mut Vec<Event>,
    ) {
        if let Some(block) = self.reasoning_block(choice, key, None, Some(artefact.kind), out) {
            let delta = Delta::Artefact(artefact);
            out.push(Event::BlockDelta { block, delta });
        }
    }

    /// More of a medium made by the model.
    pub fn media(
        &mut self,
        choice: u32,
        start: &MediaStart<'_>,
        delta: Delta,
        out: &mut Vec<Event>,
    ) {
        let Some(at) = self.choice(choice) else {
            return;
        };
        let open = self.choices.get(at).and_then(|c| match &c.prose {
            Some(Prose {
                block,
                lane: Lane::Media { kind, id },
            }) if *kind == start.kind && (start.id.is_none() || id.as_deref() == start.id) => {
                Some(*block)
            }
            _ => None,
        });
        let block = match open {
            Some(block) => block,
            None => {
                let kind = BlockKind::Media {
                    kind: start.kind,
                    mime: start.mime.map(str::to_owned),
                    id: start.id.map(str::to_owned),
                };
                let lane = Lane::Media {
                    kind: start.kind,
                    id: start.id.map(str::to_owned),
                };
                self.open_prose(at, lane, kind, out)
            }
        };
        out.push(Event::BlockDelta { block, delta });
    }

    /// Ends the open prose block of a choice, if any: the next delta opens another.
    pub fn break_prose(&mut self, choice: u32, out: &mut Vec<Event>) {
        if let Some(at) = self.choice(choice)
            && let Some(choice) = self.choices.get_mut(at)
        {
            choice.close_prose(out);
        }
    }

    /// A delta that belongs to the open prose block, or to a text block that it opens (a citation, log-probabilities).
    pub fn annotate(&mut self, choice: u32, delta: Delta, out: &mut Vec<Event>) {
        let Some(at) = self.choice(choice) else {
            return;
        };
        let open = self.choices.get(at).and_then(|c| c.prose.as_ref());
        let block = match open {
            Some(prose) => prose.block,
            None => self.open_prose(at, Lane::Text, BlockKind::Text, out),
        };
        out.push(Event::BlockDelta { block, delta });
    }

    /// A block that came whole, with its deltas: opened and ended at once.
    pub fn whole(
        &mut self,
        choice: u32,
        kind: BlockKind,
        deltas: impl IntoIterator<Item = Delta>,
        out: &mut Vec<Event>,
    ) {
        let Some(at) = self.choice(choice) else {
            return;
        };
        let Some(state) = self.choices.get_mut(at) else {
            return;
        };
        state.close_prose(out);
        let choice = state.index;
        state.slots.tell_named(choice, &mut self.next_block, out);
        let block = take_block(&mut self.next_block);
        out.push(Event::BlockStart {
            block,
            choice,
            kind,
        });
        out.extend(
            deltas
                .into_iter()
                .map(|delta| Event::BlockDelta { block, delta }),
        );
        out.push(Event::BlockEnd { block });
    }

    /// A fragment of a tool call.
    pub fn tool(&mut self, choice: u32, fragment: &ToolFragment<'_>, out: &mut Vec<Event>) {
        let Some(at) = self.choice(choice) else {
            return;
        };
        if let Some(state) = self.choices.get_mut(at) {
            state.close_prose(out);
            state
                .slots
                .push(state.index, fragment, &mut self.next_block, out);
        }
    }

    /// Remembers why a choice finished; the last word counts. Told by [`Assembly::end`].
    pub fn finish(&mut self, choice: u32, finish: Finish) {
        if let Some(at) = self.choice(choice)
            && let Some(choice) = self.choices.get_mut(at)
        {
            choice.finish = Some(finish);
        }
    }

    /// True where at least one choice exists and every one has finished.
    pub fn all_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|c| c.finish.is_some())
    }

    /// True where nothing was received.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Ends one choice now: closes its blocks and tells its finish. What comes for it later is ignored.
    pub fn end_choice(&mut self, choice: u32, finish: Finish, out: &mut Vec<Event>) {
        if let Some(at) = self.choice(choice)
            && let Some(choice) = self.choices.get_mut(at)
        {
            choice.finish = Some(finish);
            choice.end(&mut self.next_block, out);
        }
    }

    /// The answer breaks off: calls that wait only for the name of one before them are told. No block ends, for none is whole.
    pub fn release(&mut self, out: &mut Vec<Event>) {
        self.choices.sort_by_key(|c| c.index);
        for choice in self.choices.iter_mut().filter(|c| !c.ended) {
            let next = &mut self.next_block;
            choice.slots.tell_named(choice.index, next, out);
        }
    }

    /// Ends every choice: closes the blocks and tells each finish, `Unstated` where none was given.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        self.choices.sort_by_key(|c| c.index);
        for choice in &mut self.choices {
            choice.end(&mut self.next_block, out);
        }
    }

    /// Position of a living choice; made when new.
    fn choice(&mut self, index: u32) -> Option<usize> {
        match self.choices.iter().position(|c| c.index == index) {
            Some(at) => self.choices.get(at).filter(|c| !c.ended).map(|_| at),
            None if self.choices.len() >= MAX_CHOICES => None,
            None => {
                self.choices.push(Choice {
                    index,
                    prose: None,
                    slots: Slots::default(),
                    finish: None,
                    ended: false,
                });
                Some(self.choices.len() - 1)
            }
        }
    }

    fn prose_text(&mut self, choice: u32, lane: Lane, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let Some(at) = self.choice(choice) else {
            return;
        };
        let open = self.choices.get(at).and_then(|c| c.prose.as_ref());
        let block = match open.filter(|p| p.lane == lane) {
            Some(prose) => prose.block,
            None => {
                let kind = if lane == Lane::Text {
                    BlockKind::Text
                } else {
                    BlockKind::Refusal
                };
                self.open_prose(at, lane, kind, out)
            }
        };
        let delta = Delta::Text(text.to_owned());
        out.push(Event::BlockDelta { block, delta });
    }

    fn reasoning_block(
        &mut self,
        choice: u32,
        key: &ReasoningKey,
        form: Option<ReasoningForm>,
        artefact: Option<ArtefactKind>,
        out: &mut Vec<Event>,
    ) -> Option<u32> {
        let at = self.choice(choice)?;
        if let Some(Prose {
            block,
            lane:
                Lane::Reasoning {
                    key: open_key,
                    form: open_form,
                    sealed,
                },
        }) = self.choices.get_mut(at).and_then(|c| c.prose.as_mut())
            && open_key.agrees(key)
            && (form.is_none() || open_form.is_none() || form == *open_form)
            && (artefact.is_none() || sealed.is_none() || artefact == *sealed)
            // An encrypted thought is checked against its name, and a block can only be named where it starts.
            && !(artefact == Some(ArtefactKind::Encrypted)
                && open_key.id.is_none()
                && key.id.is_some())
            // A signature proves the text before it: text after it is another thought.
            && (form.is_none() || *sealed != Some(ArtefactKind::Signature))
        {
            open_key.learn(key);
            *open_form = open_form.or(form);
            *sealed = sealed.or(artefact);
            return Some(*block);
        }
        let kind = BlockKind::Reasoning {
            id: key.id.clone(),
            form: form.unwrap_or_default(),
        };
        let lane = Lane::Reasoning {
            key: key.clone(),
            form,
            sealed: artefact,
        };
        Some(self.open_prose(at, lane, kind, out))
    }

    fn open_prose(&mut self, at: usize, lane: Lane, kind: BlockKind, out: &mut Vec<Event>) -> u32 {
        if let Some(state) = self.choices.get_mut(at) {
            state.close_prose(out);
            let next = &mut self.next_block;
            state.slots.tell_named(state.index, next, out);
        }
        let block = take_block(&mut self.next_block);
        if let Some(state) = self.choices.get_mut(at) {
            let choice = state.index;
            state.prose = Some(Prose { block, lane });
            out.push(Event::BlockStart {
                block,
                choice,
                kind,
            });
        }
        block
    }
}

impl Choice {
    fn close_prose(&mut self, out: &mut Vec<Event>) {
        if let Some(Prose { block, .. }) = self.prose.take() {
            out.push(Event::BlockEnd { block });
        }
    }

    fn end(&mut self, next_block: &mut u32, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.close_prose(out);
        self.slots.end(self.index, next_block, out);
        let finish = self.finish.take().unwrap_or(Finish {
            reason: FinishReason::Unstated,
            native: None,
            stop_sequence: None,
            rest: llmleaf_model::Rest::default(),
        });
        // Kept, so that a finished choice still counts as finished.
        self.finish = Some(finish.clone());
        let choice = self.index;
        out.push(Event::ChoiceEnd { choice, finish });
    }
}

/// The next block index. Saturates after four thousand million blocks, which no stream reaches.
fn take_block(next: &mut u32) -> u32 {
    let block = *next;
    *next = next.saturating_add(1);
    block
}
