//! The items that a stream is about, and what of each has been told.

mod calls;

use super::whole::{IMAGE, server_call, whole};
use crate::object::{Object, items, string};
use crate::responses::answer::{chat_logprobs, citation};
use crate::responses::reasoning;
use crate::responses::wire::{WireEvent, is_server_call};
use llmleaf_model::{
    Artefact, ArtefactKind, BlockKind, Delta, DialectName, Event, Json, Provenance, ReasoningForm,
};
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Most items of one response, and most parts of one item.
const MAX_ITEMS: usize = 10_000;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Text,
    Refusal,
    Reasoning(ReasoningForm),
    Call,
}

/// Which part of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKey {
    Content(u64),
    Summary(u64),
}

impl PartKey {
    pub fn of(wanted: Wanted, event: &WireEvent<'_>) -> Self {
        match wanted {
            Wanted::Reasoning(ReasoningForm::Summary) => {
                Self::Summary(event.summary_index.unwrap_or(0))
            }
            _ => Self::Content(event.content_index.unwrap_or(0)),
        }
    }
}

/// One item of the output.
struct Slot {
    index: Option<u64>,
    id: Option<String>,
    form: Form,
    parts: Vec<Part>,
    /// The item came whole.
    done: bool,
}

enum Form {
    /// Not known yet: its parts will say.
    Prose,
    /// A call of the consumer's; without a block while its name is not known.
    Call {
        block: Option<u32>,
        /// Arguments told, in bytes.
        told: usize,
        /// Arguments that wait for the name.
        held: String,
    },
    /// A run of the provider's own tool, with the item as it was announced.
    Server { block: u32, begun: Json },
    /// Told when it is whole.
    Later,
}

struct Part {
    key: PartKey,
    wanted: Wanted,
    block: u32,
    /// Text was told.
    said: bool,
    citations: usize,
    logprobs: bool,
    open: bool,
}

/// The items of one response.
pub(super) struct Items {
    provenance: Provenance,
    slots: Vec<Slot>,
    next_block: u32,
    call_ids: HashSet<String>,
}

impl Items {
    pub fn new(provenance: Provenance) -> Self {
        Self {
            provenance,
            slots: Vec::new(),
            next_block: 0,
            call_ids: HashSet::new(),
        }
    }

    /// True where a tool of the consumer was called.
    pub fn called(&self) -> bool {
        !self.call_ids.is_empty()
    }

    /// True where an item of the whole response was told already.
    pub fn knows(&self, index: u64, raw: &RawValue) -> bool {
        let object = Object::from_raw(raw).unwrap_or_default();
        let id = object.get("id").and_then(string);
        // Some services number the items of the stream otherwise than those of the response.
        self.slots.iter().any(|slot| {
            slot.done
                && match (&slot.id, &id) {
                    (Some(known), Some(id)) => known == id,
                    _ => slot.index == Some(index),
                }
        })
    }

    /// The item that an event is about; a new one where none was announced. `None` where there are too many.
    pub fn find(&mut self, index: Option<u64>, id: Option<&str>, wanted: Wanted) -> Option<usize> {
        let found = match (index, id) {
            (Some(_), _) => self.slots.iter().rposition(|slot| slot.index == index),
            (None, Some(_)) => self.slots.iter().rposition(|slot| slot.id.as_deref() == id),
            (None, None) => self.slots.len().checked_sub(1),
        };
        if found.is_some() {
            return found;
        }
        let form = match wanted {
            Wanted::Call => Form::Call {
                block: None,
                told: 0,
                held: String::new(),
            },
            _ => Form::Prose,
        };
        self.add(index, id.map(str::to_owned), form)
    }

    fn add(&mut self, index: Option<u64>, id: Option<String>, form: Form) -> Option<usize> {
        if self.slots.len() >= MAX_ITEMS {
            return None;
        }
        self.slots.push(Slot {
            index,
            id,
            form,
            parts: Vec::new(),
            done: false,
        });
        Some(self.slots.len() - 1)
    }

    fn start(&mut self, kind: BlockKind, out: &mut Vec<Event>) -> u32 {
        let block = self.next_block;
        self.next_block = self.next_block.saturating_add(1);
        out.push(Event::BlockStart {
            block,
            choice: 0,
            kind,
        });
        block
    }

    /// The part of an item, opened where it is new. `None` where there is no room, or it has ended.
    fn open(
        &mut self,
        slot: usize,
        key: PartKey,
        wanted: Wanted,
        out: &mut Vec<Event>,
    ) -> Option<&mut Part> {
        let known = self.slots.get(slot)?;
        if let Some(at) = known.parts.iter().position(|part| part.key == key) {
            let part = self.slots.get_mut(slot)?.parts.get_mut(at)?;
            return part.open.then_some(part);
        }
        if known.done || known.parts.len() >= MAX_ITEMS || !matches!(known.form, Form::Prose) {
            return None;
        }
        let kind = match wanted {
            Wanted::Text | Wanted::Call => BlockKind::Text,
            Wanted::Refusal => BlockKind::Refusal,
            Wanted::Reasoning(form) => {
                let id = known.id.clone();
                // The last part of a thought stays open: its proof comes with the whole item.
                self.close_parts(slot, out);
                BlockKind::Reasoning { id, form }
            }
        };
        let block = self.start(kind, out);
        let parts = &mut self.slots.get_mut(slot)?.parts;
        parts.push(Part {
            key,
            wanted,
            block,
            said: false,
            citations: 0,
            logprobs: false,
            open: true,
        });
        parts.last_mut()
    }

    fn close_parts(&mut self, slot: usize, out: &mut Vec<Event>) {
        let parts = self.slots.get_mut(slot).map(|slot| &mut slot.parts);
        for part in parts.into_iter().flatten().filter(|part| part.open) {
            part.open = false;
            out.push(Event::BlockEnd { block: part.block });
        }
    }

    /// More text of a part, or all of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each thing that an event of text says"
    )]
    pub fn text(
        &mut self,
        slot: usize,
        key: PartKey,
        wanted: Wanted,
        text: &str,
        piece: bool,
        logprobs: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) {
        let Some(part) = self.open(slot, key, wanted, out) else {
            return;
        };
        let block = part.block;
        if !text.is_empty() && (piece || !part.said) {
            part.said = true;
            let delta = Delta::Text(text.to_owned());
            out.push(Event::BlockDelta { block, delta });
        }
        if let Some(json) = logprobs.and_then(chat_logprobs)
            && (piece || !part.logprobs)
        {
            part.logprobs = true;
            let delta = Delta::Logprobs(json);
            out.push(Event::BlockDelta { block, delta });
        }
    }

    /// A source that a text cites.
    pub fn annotation(&mut self, slot: usize, key: PartKey, raw: &RawValue, out: &mut Vec<Event>) {
        if let Some(part) = self.open(slot, key, Wanted::Text, out) {
            part.citations += 1;
            let block = part.block;
            let delta = Delta::Citation(Box::new(citation(raw)));
            out.push(Event::BlockDelta { block, delta });
        }
    }

    /// A part as far as it is known: what of it was not told yet is.
    pub fn part(
        &mut self,
        slot: usize,
        key: PartKey,
        wanted: Wanted,
        part: &Object<'_>,
        out: &mut Vec<Event>,
    ) {
        let field = if wanted == Wanted::Refusal {
            "refusal"
        } else {
            "text"
        };
        let text = part.get(field).and_then(string).unwrap_or_default();
        let logprobs = part.get("logprobs").filter(|_| wanted == Wanted::Text);
        self.text(slot, key, wanted, &text, false, logprobs, out);
        let known = self.open(slot, key, wanted, out).map_or(0, |p| p.citations);
        let cited = part.get("annotations").and_then(items).unwrap_or_default();
        for raw in cited.into_iter().skip(known) {
            self.annotation(slot, key, raw, out);
        }
    }

    /// A part of a message is complete. A thought's is when its item is, or another part begins.
    pub fn part_done(&mut self, slot: usize, key: PartKey, out: &mut Vec<Event>) {
        let parts = self.slots.get_mut(slot).map(|slot| &mut slot.parts);
        let part = parts.and_then(|parts| parts.iter_mut().find(|part| part.key == key));
        if let Some(part) = part.filter(|p| p.open && !matches!(p.wanted, Wanted::Reasoning(_))) {
            part.open = false;
            out.push(Event::BlockEnd { block: part.block });
        }
    }

    /// An item, announced or whole. `None` where there are too many.
    pub fn item(
        &mut self,
        index: Option<u64>,
        raw: &RawValue,
        done: bool,
        out: &mut Vec<Event>,
    ) -> Option<()> {
        let item = Object::from_raw(raw).unwrap_or_default();
        let kind = item.get("type").and_then(string).unwrap_or_default();
        let id = item.get("id").and_then(string);
        let id = id.map(|id| id.into_owned()).filter(|id| !id.is_empty());
        let known = match (index, &id) {
            (Some(_), _) => self.slots.iter().rposition(|slot| slot.index == index),
            (None, Some(_)) => self.slots.iter().rposition(|slot| slot.id == id),
            (None, None) => None,
        };
        let slot = match known {
            Some(slot) => {
                // Of what was announced as no kind that is known here nothing was told so far.
                let later = |slot: &Slot| !slot.done && matches!(slot.form, Form::Later);
                if done && self.slots.get(slot).is_some_and(later) {
                    let form = self.form(&kind, raw, out);
                    if let Some(slot) = self.slots.get_mut(slot) {
                        slot.form = form;
                    }
                }
                slot
            }
            None => {
                let form = self.form(&kind, raw, out);
                self.add(index, id.clone(), form)?
            }
        };
        let known = self.slots.get_mut(slot)?;
        if known.done {
            return Some(());
        }
        if known.id.is_none() {
            known.id = id;
        }
        match known.form {
            Form::Prose => self.prose(slot, &kind, &item, done, out),
            Form::Call { .. } => self.call(slot, &kind, &item, done, out),
            Form::Server { .. } if done => self.server_done(slot, raw, out),
            Form::Later if done => self.later(&kind, raw, &item, out),
            Form::Server { .. } | Form::Later => {}
        }
        if done && let Some(slot) = self.slots.get_mut(slot) {
            slot.done = true;
        }
        Some(())
    }

    fn form(&mut self, kind: &str, raw: &RawValue, out: &mut Vec<Event>) -> Form {
        match kind {
            "message" | "reasoning" => Form::Prose,
            "function_call" | "custom_tool_call" => Form::Call {
                block: None,
                told: 0,
                held: String::new(),
            },
            kind if is_server_call(kind) && kind != IMAGE => {
                let begun = Json::from(raw);
                let block = self.start(server_call(kind, &begun), out);
                Form::Server { block, begun }
            }
            _ => Form::Later,
        }
    }

    fn prose(
        &mut self,
        slot: usize,
        kind: &str,
        item: &Object<'_>,
        done: bool,
        out: &mut Vec<Event>,
    ) {
        let list = |name: &str| item.get(name).and_then(items).unwrap_or_default();
        for (at, raw) in (0u64..).zip(list("summary")) {
            let wanted = Wanted::Reasoning(ReasoningForm::Summary);
            self.whole_part(slot, PartKey::Summary(at), wanted, raw, out);
        }
        for (at, raw) in (0u64..).zip(list("content")) {
            let part = Object::from_raw(raw).unwrap_or_default();
            let wanted = match part.get("type").and_then(string).as_deref() {
                Some("refusal") => Wanted::Refusal,
                Some("output_text") => Wanted::Text,
                Some("reasoning_text") => Wanted::Reasoning(ReasoningForm::Full),
                _ if kind == "reasoning" => Wanted::Reasoning(ReasoningForm::Full),
                _ => continue,
            };
            self.whole_part(slot, PartKey::Content(at), wanted, raw, out);
        }
        if done {
            self.proof(slot, item, out);
            self.close_parts(slot, out);
        }
    }

    fn whole_part(
        &mut self,
        slot: usize,
        key: PartKey,
        wanted: Wanted,
        raw: &RawValue,
        out: &mut Vec<Event>,
    ) {
        let part = Object::from_raw(raw).unwrap_or_default();
        self.part(slot, key, wanted, &part, out);
        self.part_done(slot, key, out);
    }

    /// The opaque proof of a thought: with its last part, or in a block of its own.
    fn proof(&mut self, slot: usize, item: &Object<'_>, out: &mut Vec<Event>) {
        let text = |name: &str| item.get(name).and_then(string);
        let format = text("format");
        let (kind, data) = match (text("encrypted_content"), text("signature")) {
            (Some(data), _) => (ArtefactKind::Encrypted, data),
            (None, Some(data)) => (ArtefactKind::Signature, data),
            (None, None) => return,
        };
        let artefact = Artefact {
            provenance: reasoning::provenance(format.as_deref(), Some(&self.provenance)),
            kind,
            data: data.into_owned(),
        };
        let Some(known) = self.slots.get(slot) else {
            return;
        };
        let open = known.parts.iter().rev().find(|part| part.open);
        let block = match open.map(|part| part.block) {
            Some(block) => block,
            None => {
                let id = known.id.clone();
                let form = ReasoningForm::Full;
                let block = self.start(BlockKind::Reasoning { id, form }, out);
                let delta = Delta::Artefact(artefact);
                out.push(Event::BlockDelta { block, delta });
                out.push(Event::BlockEnd { block });
                return;
            }
        };
        let delta = Delta::Artefact(artefact);
        out.push(Event::BlockDelta { block, delta });
    }

    fn server_done(&mut self, slot: usize, raw: &RawValue, out: &mut Vec<Event>) {
        let Some(Slot {
            form: Form::Server { block, begun },
            ..
        }) = self.slots.get(slot)
        else {
            return;
        };
        let block = *block;
        let json = Json::from(raw);
        if *begun != json {
            let dialect = DialectName::Responses;
            let delta = Delta::Opaque { dialect, json };
            out.push(Event::BlockDelta { block, delta });
        }
        out.push(Event::BlockEnd { block });
    }

    fn later(&mut self, kind: &str, raw: &RawValue, item: &Object<'_>, out: &mut Vec<Event>) {
        let (opened, data) = whole(kind, raw, item);
        let block = self.start(opened, out);
        if let Some(data) = data {
            let delta = Delta::MediaData(data);
            out.push(Event::BlockDelta { block, delta });
        }
        out.push(Event::BlockEnd { block });
    }

    /// Ends what is still open.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        for slot in 0..self.slots.len() {
            self.close_parts(slot, out);
            self.open_nameless(slot, out);
            self.close_call(slot, out);
            let server = match self.slots.get(slot) {
                Some(Slot {
                    form: Form::Server { block, .. },
                    done: false,
                    ..
                }) => Some(*block),
                _ => None,
            };
            if let Some(block) = server {
                out.push(Event::BlockEnd { block });
            }
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.done = true;
            }
        }
    }
}
