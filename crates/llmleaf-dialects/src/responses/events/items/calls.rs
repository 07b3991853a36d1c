//! Calls of the consumer's tools: opened by their name, grown by their arguments.

use super::{Form, Items, Slot};
use crate::object::{Object, string};
use llmleaf_model::{BlockKind, Delta, DialectName, Event, ToolFlavour};

impl Items {
    /// More arguments of a call, or all of them.
    pub fn arguments(&mut self, slot: usize, text: &str, piece: bool, out: &mut Vec<Event>) {
        let Some(Slot {
            form: Form::Call { block, told, held },
            done: false,
            ..
        }) = self.slots.get_mut(slot)
        else {
            return;
        };
        if text.is_empty() || !(piece || *told == 0) {
            return;
        }
        *told = told.saturating_add(text.len());
        match *block {
            Some(block) => {
                let delta = Delta::Arguments(text.to_owned());
                out.push(Event::BlockDelta { block, delta });
            }
            None => held.push_str(text),
        }
    }

    pub(super) fn call(
        &mut self,
        slot: usize,
        kind: &str,
        item: &Object<'_>,
        done: bool,
        out: &mut Vec<Event>,
    ) {
        let text = |name: &str| item.get(name).and_then(string).unwrap_or_default();
        let name = text("name");
        let flavour = match kind {
            "custom_tool_call" => ToolFlavour::Custom,
            _ => ToolFlavour::Function,
        };
        let opened = matches!(
            self.slots.get(slot).map(|slot| &slot.form),
            Some(Form::Call { block: Some(_), .. })
        );
        if !opened && (done || !name.is_empty()) {
            let id = self.call_id(&text("call_id"), &text("id"));
            let name = name.into_owned();
            let block = self.start(BlockKind::ToolCall { id, name, flavour }, out);
            let namespace = text("namespace");
            if !namespace.is_empty() {
                let json = crate::writer::json_object(|object| {
                    object.string("namespace", &namespace);
                });
                let dialect = DialectName::Responses;
                let delta = Delta::Opaque { dialect, json };
                out.push(Event::BlockDelta { block, delta });
            }
            if let Some(Slot {
                form:
                    Form::Call {
                        block: opened,
                        held,
                        ..
                    },
                ..
            }) = self.slots.get_mut(slot)
            {
                *opened = Some(block);
                let held = std::mem::take(held);
                if !held.is_empty() {
                    let delta = Delta::Arguments(held);
                    out.push(Event::BlockDelta { block, delta });
                }
            }
        }
        if done {
            let field = match flavour {
                ToolFlavour::Function => "arguments",
                ToolFlavour::Custom => "input",
            };
            self.arguments(slot, &text(field), false, out);
            self.close_call(slot, out);
        }
    }

    /// An id that no other call of the response has: results could not be told apart.
    fn call_id(&mut self, call_id: &str, item_id: &str) -> String {
        let mut id = match (call_id, item_id) {
            ("", "") => format!("call_llmleaf_{}", self.next_block),
            ("", id) | (id, _) => id.to_owned(),
        };
        while !self.call_ids.insert(id.clone()) {
            id.push_str(&format!("_{}", self.next_block));
        }
        id
    }

    pub(super) fn close_call(&mut self, slot: usize, out: &mut Vec<Event>) {
        if let Some(Slot {
            form: Form::Call { block, .. },
            done,
            ..
        }) = self.slots.get_mut(slot)
            && let Some(block) = *block
            && !*done
        {
            *done = true;
            out.push(Event::BlockEnd { block });
        }
    }

    /// Opens a call whose arguments wait for a name that never came: they are told as what they are.
    pub(super) fn open_nameless(&mut self, slot: usize, out: &mut Vec<Event>) {
        let Some(Slot {
            form: Form::Call {
                block: None, held, ..
            },
            id,
            ..
        }) = self.slots.get_mut(slot)
        else {
            return;
        };
        if held.is_empty() {
            return;
        }
        let delta = Delta::Arguments(std::mem::take(held));
        let id = id.clone().unwrap_or_default();
        let kind = BlockKind::ToolCall {
            id: self.call_id("", &id),
            name: String::new(),
            flavour: ToolFlavour::Function,
        };
        let opened = self.start(kind, out);
        out.push(Event::BlockDelta {
            block: opened,
            delta,
        });
        if let Some(Slot {
            form: Form::Call { block, .. },
            ..
        }) = self.slots.get_mut(slot)
        {
            *block = Some(opened);
        }
    }
}
