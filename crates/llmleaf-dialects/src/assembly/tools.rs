//! Which call a fragment belongs to.
//!
//! The wire says so by index, by id, by both, or by neither, and is often wrong about one of them:
//!
//! 1. A fragment with an id belongs to the call of that id; at an index whose call has another id, it begins a new call.
//! 2. A fragment without id belongs to the latest call of its index.
//! 3. A fragment with neither belongs to the latest call, unless it brings a name where that call has one: then
//!    it begins a new call, as services do that send each call whole.
//!
//! Arguments that come before the name wait for it. Ids that are missing are made up from choice and slot
//! (`call_0_2`), and doubled ids are made unique, so that every call of a choice has an id of its own.

use super::take_block;
use llmleaf_model::{BlockKind, Delta, Event, ToolFlavour};

/// Most tool calls of one choice; fragments of further ones are ignored.
pub const MAX_SLOTS: usize = 1024;

/// Most bytes of arguments that wait for a name; past it the call opens without one.
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
}

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
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
    ) -> Option<u32> {
        let id = fragment.id.unwrap_or_default();
        let name = fragment.name.unwrap_or_default();
        let at = match self.find(fragment.index, id, name) {
            Some(at) => at,
            None if self.slots.len() >= MAX_SLOTS => return None,
            None => {
                self.slots.push(Slot {
                    index: fragment.index,
                    wire_id: String::new(),
                    told_id: String::new(),
                    name: String::new(),
                    flavour: fragment.flavour,
                    held: String::new(),
                    block: None,
                    ended: false,
                });
                self.slots.len() - 1
            }
        };
        let slot = self.slots.get_mut(at)?;
        if slot.wire_id.is_empty() {
            id.clone_into(&mut slot.wire_id);
        }
        if slot.name.is_empty() && slot.block.is_none() {
            name.clone_into(&mut slot.name);
        }
        let arguments = fragment.arguments.unwrap_or_default();
        if let Some(block) = slot.block {
            push_arguments(block, arguments, out);
            return Some(block);
        }
        slot.held.push_str(arguments);
        if !slot.name.is_empty() || slot.held.len() > MAX_HELD_BYTES {
            self.open(choice, at, next_block, out);
        }
        self.slots.get(at)?.block
    }

    /// Opens what never got a name, if it has anything to say, and ends every block.
    pub(super) fn end(&mut self, choice: u32, next_block: &mut u32, out: &mut Vec<Event>) {
        for at in 0..self.slots.len() {
            let waits = self
                .slots
                .get(at)
                .is_some_and(|s| s.block.is_none() && !s.held.is_empty());
            if waits {
                self.open(choice, at, next_block, out);
            }
        }
        for slot in &mut self.slots {
            if let Some(block) = slot.block.filter(|_| !slot.ended) {
                slot.ended = true;
                out.push(Event::BlockEnd { block });
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
        push_arguments(block, &std::mem::take(&mut slot.held), out);
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

fn push_arguments(block: u32, arguments: &str, out: &mut Vec<Event>) {
    if !arguments.is_empty() {
        let delta = Delta::Arguments(arguments.to_owned());
        out.push(Event::BlockDelta { block, delta });
    }
}
