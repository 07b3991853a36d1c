//! Which call a fragment belongs to.
//!
//! The wire says so by index, by id, by both, or by neither, and is often wrong about one of them:
//!
//! 1. A fragment with an id belongs to the call of that id; at an index whose call has another id, it begins a new call.
//! 2. A fragment without id belongs to the latest call of its index.
//! 3. A fragment with neither belongs to the latest call, unless it brings a name where that call has one: then
//!    it begins a new call, as services do that send each call whole.
//!
//! Calls are told in the order in which they began. Arguments and proofs that come before the name wait for it, and so do the calls behind
//! one that has begun and has no name yet. Nothing else waits, and two things end that order: words, and all else that is no call, are told
//! at once, and before them the calls whose names are known, and so are those before an error that ends the answer. A call that is named
//! after that comes behind. Past [`MAX_HELD_BYTES`] of what waits in a choice, and when the choice ends, all of it is told in order, a call
//! without a name where it has none; one that has an id and nothing else is never told.
//!
//! Ids that are missing are made up from choice and slot
//! (`call_0_2`), and doubled ids are made unique, so that every call of a choice has an id of its own.

use super::take_block;
use llmleaf_model::{Artefact, BlockKind, Delta, Event, ToolFlavour};

/// Most tool calls of one choice; fragments of further ones are ignored.
pub const MAX_SLOTS: usize = 1024;

/// Most bytes of arguments and proofs of one choice that wait for a name.
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// A piece of a tool call, as far as the wire states it. Empty strings count as absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToolFragment<'a> {
    /// Number of the call in its choice.
    pub index: Option<u64>,
    /// The provider's id.
    pub id: Option<&'a str>,
    /// Tool name.
    pub name: Option<&'a str>,
    /// More of the arguments.
    pub arguments: Option<&'a str>,
    /// Function or custom.
    pub flavour: ToolFlavour,
    /// Opaque proof of the call.
    pub artefact: Option<&'a Artefact>,
}

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Bytes that wait.
    held: usize,
    /// Some call has begun and is not told yet.
    waiting: bool,
}

/// Which of the calls that wait are told.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// Those before the first that has no name yet.
    InTurn,
    /// Those that have a name.
    Named,
    /// Those that say anything.
    All,
}

#[derive(Debug)]
struct Slot {
    index: Option<u64>,
    /// The id as the wire gave it; empty while it gave none.
    wire_id: String,
    /// The id as told, unique in the choice; empty until the block opens.
    told_id: String,
    name: String,
    flavour: ToolFlavour,
    /// Arguments that wait for the name.
    held: String,
    /// A proof that waits.
    artefact: Option<Artefact>,
    block: Option<u32>,
    ended: bool,
}

impl Slots {
    pub(super) fn push(
        &mut self,
        choice: u32,
        fragment: &ToolFragment<'_>,
        next_block: &mut u32,
        out: &mut Vec<Event>,
    ) {
        let id = fragment.id.unwrap_or_default();
        let name = fragment.name.unwrap_or_default();
        let at = match self.find(fragment.index, id, name) {
            Some(at) => at,
            None if self.slots.len() >= MAX_SLOTS => return,
            None => {
                self.slots.push(Slot {
                    index: fragment.index,
                    wire_id: String::new(),
                    told_id: String::new(),
                    name: String::new(),
                    flavour: fragment.flavour,
                    held: String::new(),
                    artefact: None,
                    block: None,
                    ended: false,
                });
                self.slots.len() - 1
            }
        };
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if slot.wire_id.is_empty() {
            id.clone_into(&mut slot.wire_id);
        }
        if slot.name.is_empty() && slot.block.is_none() {
            name.clone_into(&mut slot.name);
        }
        let arguments = fragment.arguments.unwrap_or_default();
        if let Some(block) = slot.block {
            push_arguments(block, arguments, out);
            push_artefact(block, fragment.artefact.cloned(), out);
            return;
        }
        slot.held.push_str(arguments);
        if let Some(artefact) = fragment.artefact {
            let before = slot.artefact.replace(artefact.clone());
            let before = before.map_or(0, |artefact| artefact.data.len());
            self.held = self.held.saturating_sub(before);
            self.held = self.held.saturating_add(artefact.data.len());
        }
        self.held = self.held.saturating_add(arguments.len());
        self.waiting = true;
        let told = match self.held > MAX_HELD_BYTES {
            true => Told::All,
            false => Told::InTurn,
        };
        self.tell(told, choice, next_block, out);
    }

    /// Words come, or nothing more: the calls whose names are known are told before that.
    pub(super) fn tell_named(&mut self, choice: u32, next_block: &mut u32, out: &mut Vec<Event>) {
        if self.waiting {
            self.tell(Told::Named, choice, next_block, out);
        }
    }

    /// Opens what never got a name, if it has anything to say, and ends every block.
    pub(super) fn end(&mut self, choice: u32, next_block: &mut u32, out: &mut Vec<Event>) {
        self.tell(Told::All, choice, next_block, out);
        for slot in &mut self.slots {
            if let Some(block) = slot.block.filter(|_| !slot.ended) {
                slot.ended = true;
                out.push(Event::BlockEnd { block });
            }
        }
    }

    /// Opens calls that wait, in the order in which they began.
    fn tell(&mut self, told: Told, choice: u32, next_block: &mut u32, out: &mut Vec<Event>) {
        self.waiting = false;
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get(at).filter(|slot| slot.block.is_none()) else {
                continue;
            };
            if !slot.name.is_empty() || told == Told::All && slot.says() {
                self.open(choice, at, next_block, out);
            } else if slot.says() || !slot.wire_id.is_empty() {
                self.waiting = true;
                if told == Told::InTurn {
                    return;
                }
            }
        }
    }

    fn find(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let latest = |test: &dyn Fn(&Slot) -> bool| self.slots.iter().rposition(test);
        if !id.is_empty() {
            let same = latest(&|s| s.wire_id == id && (index.is_none() || s.index == index));
            return same.or_else(|| {
                // A late id: the latest call here has none yet, and what else came fits it.
                latest(&|s| index.is_none() || s.index == index).filter(|at| {
                    self.slots.get(*at).is_some_and(|s| {
                        s.wire_id.is_empty()
                            && (name.is_empty() || s.name.is_empty() || s.name == name)
                    })
                })
            });
        }
        let at = match index {
            Some(_) => latest(&|s| s.index == index)?,
            None => self.slots.len().checked_sub(1)?,
        };
        let slot = self.slots.get(at)?;
        let named = !name.is_empty() && !slot.name.is_empty();
        let another = named && (index.is_none() || slot.name != name);
        (!another).then_some(at)
    }

    fn open(&mut self, choice: u32, at: usize, next_block: &mut u32, out: &mut Vec<Event>) {
        let told = self.unique_id(choice, at);
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        slot.told_id = told;
        let block = take_block(next_block);
        slot.block = Some(block);
        out.push(Event::BlockStart {
            block,
            choice,
            kind: BlockKind::ToolCall {
                id: slot.told_id.clone(),
                name: slot.name.clone(),
                flavour: slot.flavour,
            },
        });
        push_arguments(block, &slot.held, out);
        let artefact = slot.artefact.take();
        let proof = artefact.as_ref().map_or(0, |artefact| artefact.data.len());
        self.held = self.held.saturating_sub(slot.held.len() + proof);
        slot.held = String::new();
        push_artefact(block, artefact, out);
    }

    fn unique_id(&self, choice: u32, at: usize) -> String {
        let wire_id = self
            .slots
            .get(at)
            .map(|s| s.wire_id.as_str())
            .unwrap_or_default();
        let mut id = if wire_id.is_empty() {
            format!("call_{choice}_{at}")
        } else {
            wire_id.to_owned()
        };
        // Each round makes the id longer, so it ends: told ids are finite.
        while self.slots.iter().any(|s| s.told_id == id) {
            id = format!("{id}_{at}");
        }
        id
    }
}

impl Slot {
    /// It has more than an id.
    fn says(&self) -> bool {
        !self.held.is_empty() || self.artefact.is_some()
    }
}

fn push_artefact(block: u32, artefact: Option<Artefact>, out: &mut Vec<Event>) {
    if let Some(artefact) = artefact {
        let delta = Delta::Artefact(artefact);
        out.push(Event::BlockDelta { block, delta });
    }
}

fn push_arguments(block: u32, arguments: &str, out: &mut Vec<Event>) {
    if !arguments.is_empty() {
        let delta = Delta::Arguments(arguments.to_owned());
        out.push(Event::BlockDelta { block, delta });
    }
}
