//! An answer on its way to a consumer, item by item. Streams and whole responses are told by it alike: a whole response is
//! what the last event of its stream would hold.
//!
//! Reading order: this file (blocks to items), `answer/item.rs` (one item and its events), `answer/cited.rs` (citations and
//! log-probabilities).

mod cited;
mod item;

pub(super) use cited::{chat_logprobs, citation};

use super::errors;
use super::finish::{self, Ending};
use super::request::Echo;
use super::usage;
use super::wire::{ObjectWriter, array, event};
use crate::ReplyContext;
use crate::writer::{STOP_TEXT, untold};
use item::{Body, Call, Item, PartForm};
use llmleaf_model::{
    BlockKind, Delta, DialectName, Event, Failure, FailureKind, Finish, FinishReason, Json, Loss,
    MediaKind, ReasoningForm, ResponseStart, Usage,
};
use std::collections::BTreeMap;

/// Most losses that are named; an answer with more is told apart from a faithful one by the first of them.
const MAX_LOSSES: usize = 64;
/// Most base64 bytes of one image kept until it is whole; the wire has no way to send a part of one.
const MAX_IMAGE_BYTES: usize = 64 * 1024 * 1024;

/// The one further fact of a response's start that this wire tells.
const TIER: &str = "service_tier";

/// Where a block of the answer is told.
#[derive(Debug)]
enum Place {
    /// Nothing of it has been said yet.
    Waiting(Lane),
    /// A part of an item.
    Part { item: usize, part: usize },
    /// A call that opens with the next event: what names its group may come in between.
    Call(Call),
    /// An item of its own.
    Item(usize),
    /// An image that is not whole yet.
    Image { mime: Option<String>, data: String },
}

/// What a waiting block will be.
#[derive(Clone, Debug)]
enum Lane {
    Text,
    Refusal,
    Reasoning {
        id: Option<String>,
        form: ReasoningForm,
    },
}

/// Id, model and time of an answer as the consumer sees them.
#[derive(Debug)]
struct Identity {
    id: String,
    model: String,
    created: u64,
    tier: Option<Json>,
}

/// The state of an answer.
pub(super) struct Answer {
    context: ReplyContext,
    echo: Echo,
    identity: Option<Identity>,
    sequence: u64,
    items: Vec<Item>,
    /// Blocks that have not ended, by index.
    places: BTreeMap<u32, Place>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    refused: bool,
    losses: Vec<Loss>,
    ended: bool,
}

impl Answer {
    pub fn new(context: ReplyContext) -> Self {
        Self {
            echo: Echo::of(context.request.as_deref()),
            context,
            identity: None,
            sequence: 0,
            items: Vec::new(),
            places: BTreeMap::new(),
            finish: None,
            usage: None,
            refused: false,
            losses: Vec::new(),
            ended: false,
        }
    }

    /// Tells of an event.
    pub fn tell(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        match event {
            Event::ResponseStart(start) => return self.start(start, out),
            Event::Error(failure) => return self.fail(failure, out),
            Event::UsageReport(usage) => {
                self.usage = Some(usage.clone());
                return;
            }
            Event::Unknown { .. } => return,
            _ => {}
        }
        self.start(&ResponseStart::default(), out);
        match event {
            Event::BlockStart {
                block,
                choice,
                kind,
            } => {
                self.flush_calls(None, out);
                self.open(*block, *choice, kind, out);
            }
            Event::BlockDelta { block, delta } => {
                let names = matches!(delta, Delta::Opaque { .. });
                self.flush_calls(names.then_some(*block), out);
                self.grow(*block, delta, out);
            }
            Event::BlockEnd { block } => {
                self.flush_calls(None, out);
                self.close(*block, out);
            }
            Event::ChoiceEnd { choice: 0, finish } => self.finished(finish),
            Event::ResponseEnd => self.end(out),
            _ => {}
        }
    }

    fn finished(&mut self, finish: &Finish) {
        if finish.stop_sequence.is_some() {
            self.lose(Loss::dropped("stop_sequence", STOP_TEXT));
        }
        untold(&finish.rest, &[]).for_each(|loss| self.lose(loss));
        self.finish = Some(finish.clone());
    }

    /// What could not be told so far; drained by the call.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// The response object as it is now; `None` where the answer failed.
    pub fn response(&mut self) -> Option<Vec<u8>> {
        let ending = self.ending();
        if ending == Ending::Failed {
            return None;
        }
        let mut out = Vec::with_capacity(1024);
        let mut object = ObjectWriter::new(&mut out);
        self.write_response(&mut object, State::Ended(ending));
        object.end();
        Some(out)
    }

    fn lose(&mut self, loss: Loss) {
        let known = self.losses.iter().any(|known| known.field == loss.field);
        if self.losses.len() < MAX_LOSSES && !known {
            self.losses.push(loss);
        }
    }

    fn start(&mut self, start: &ResponseStart, out: &mut Vec<u8>) {
        if self.identity.is_some() {
            return;
        }
        // Ids of other wires mean nothing to whoever would be asked for the answer later.
        let own = start.id.clone().filter(|id| id.starts_with("resp"));
        let filled = start.model.clone().filter(|model| !model.is_empty());
        self.identity = Some(Identity {
            id: own.unwrap_or_else(|| self.id("resp")),
            model: filled.unwrap_or_else(|| self.context.model.clone()),
            created: start.created.unwrap_or(self.context.created),
            tier: start.rest.get(TIER).cloned(),
        });
        self.usage.clone_from(&start.usage);
        untold(&start.rest, &[TIER]).for_each(|loss| self.lose(loss));
        for name in ["response.created", "response.in_progress"] {
            self.response_event(name, State::Running, out);
        }
    }

    /// An id of the consumer's exchange with a prefix of the wire.
    fn id(&self, prefix: &str) -> String {
        let unique = self.context.fallback_id.chars();
        let unique = unique.filter(char::is_ascii_alphanumeric).take(48);
        [prefix, "_"]
            .into_iter()
            .map(str::to_owned)
            .collect::<String>()
            + &unique.collect::<String>()
    }

    /// Opens calls that waited for the name of their group, but for one.
    fn flush_calls(&mut self, but: Option<u32>, out: &mut Vec<u8>) {
        let waits = |(block, place): (&u32, &Place)| {
            (matches!(place, Place::Call(_)) && Some(*block) != but).then_some(*block)
        };
        while let Some(block) = self.places.iter().find_map(waits) {
            let Some(Place::Call(call)) = self.places.remove(&block) else {
                return;
            };
            let prefix = call.prefix();
            let item = self.add(prefix, None, Body::Call(call), out);
            self.places.insert(block, Place::Item(item));
        }
    }

    fn open(&mut self, block: u32, choice: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        if choice > 0 {
            let field = format!("choices[{choice}]");
            return self.lose(Loss::dropped(field, "this wire has one answer"));
        }
        let place = match kind {
            BlockKind::Text => Place::Waiting(Lane::Text),
            BlockKind::Refusal => {
                self.refused = true;
                Place::Waiting(Lane::Refusal)
            }
            BlockKind::Reasoning { id, form } => Place::Waiting(Lane::Reasoning {
                id: id.clone(),
                form: *form,
            }),
            BlockKind::ToolCall { id, name, flavour } => {
                self.open_waiting(block, out);
                self.leave_prose(out);
                Place::Call(Call::new(id, name, *flavour))
            }
            BlockKind::Media {
                kind: MediaKind::Image,
                mime,
                ..
            } => Place::Image {
                mime: mime.clone(),
                data: String::new(),
            },
            BlockKind::Media { kind, .. } => {
                let why = format!("{} made by the model", kind.as_str());
                return self.lose(Loss::dropped(format!("output[{block}]"), why));
            }
            _ => match own_json(kind) {
                Some(json) => {
                    self.open_waiting(block, out);
                    self.leave_prose(out);
                    Place::Item(self.add("item", None, Body::Whole(json), out))
                }
                None => {
                    let field = format!("output[{block}]");
                    return self.lose(Loss::dropped(field, "a block of another dialect"));
                }
            },
        };
        self.places.insert(block, place);
    }

    fn grow(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        if let Delta::Text(text) = delta {
            let silent = self.context.hide_reasoning && self.is_reasoning(block);
            if text.is_empty() || silent {
                return;
            }
        }
        if let Some(Place::Waiting(_)) = self.places.get(&block) {
            self.open_waiting(block, out);
            self.open_part(block, out);
        }
        match (self.places.get_mut(&block), delta) {
            (Some(Place::Part { item, part }), _) => {
                let (item, part) = (*item, *part);
                let mut losses = Vec::new();
                if let Some(known) = self.items.get_mut(item) {
                    let at = (item, part);
                    known.grow(at, delta, &mut self.sequence, &mut losses, out);
                }
                losses.into_iter().for_each(|loss| self.lose(loss));
            }
            (Some(Place::Call(call)), Delta::Opaque { dialect, json }) => {
                call.learn(*dialect, json);
            }
            (Some(Place::Item(item)), _) => {
                let item = *item;
                if let Some(known) = self.items.get_mut(item) {
                    known.grow_whole(item, delta, &mut self.sequence, out);
                }
            }
            (Some(Place::Image { data, .. }), Delta::MediaData(more))
                if data.len().saturating_add(more.len()) <= MAX_IMAGE_BYTES =>
            {
                data.push_str(more);
            }
            (Some(Place::Image { .. }), Delta::MediaData(_)) => {
                self.lose(Loss::dropped(
                    format!("output[{block}]"),
                    "the image is too large",
                ));
            }
            (Some(Place::Image { .. }), Delta::MediaUrl(_)) => {
                let why = "the wire has images as data only";
                self.lose(Loss::dropped(format!("output[{block}]"), why));
            }
            _ => {}
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        match self.places.remove(&block) {
            Some(Place::Part { item, part }) => {
                if let Some(known) = self.items.get_mut(item) {
                    known.end_part((item, part), &mut self.sequence, out);
                }
                self.finish_left(item, out);
            }
            Some(Place::Item(item)) => self.finish_item(item, out),
            Some(Place::Image { mime, data }) if !data.is_empty() => {
                self.leave_prose(out);
                let item = self.add("ig", None, Body::Image { mime, data }, out);
                self.finish_item(item, out);
            }
            _ => {}
        }
    }

    fn is_reasoning(&self, block: u32) -> bool {
        match self.places.get(&block) {
            Some(Place::Waiting(lane)) => matches!(lane, Lane::Reasoning { .. }),
            Some(Place::Part { item, .. }) => self
                .items
                .get(*item)
                .is_some_and(|item| matches!(item.body, Body::Reasoning { .. })),
            _ => false,
        }
    }

    /// Opens the blocks that began before this one and have said nothing yet: what began first stands first.
    fn open_waiting(&mut self, before: u32, out: &mut Vec<u8>) {
        let waits =
            |(block, place): (&u32, &Place)| matches!(place, Place::Waiting(_)).then_some(*block);
        while let Some(block) = self.places.range(..before).find_map(waits) {
            self.open_part(block, out);
        }
    }

    fn open_part(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some(Place::Waiting(lane)) = self.places.remove(&block) else {
            return;
        };
        let last = self.items.len().checked_sub(1);
        let fits = last.and_then(|at| self.items.get(at)).is_some_and(|item| {
            !item.left
                && match (&lane, &item.body) {
                    (Lane::Text | Lane::Refusal, Body::Message) => true,
                    (
                        Lane::Reasoning { id, .. },
                        Body::Reasoning {
                            own_id, artefact, ..
                        },
                    ) => id.is_some() && id == own_id && artefact.is_none() && item.open == 0,
                    _ => false,
                }
        });
        let item = match last.filter(|_| fits) {
            Some(item) => item,
            None => {
                self.leave_prose(out);
                match &lane {
                    Lane::Text | Lane::Refusal => self.add("msg", None, Body::Message, out),
                    Lane::Reasoning { id, .. } => {
                        let taken = |id: &&String| self.items.iter().all(|item| item.id != **id);
                        let shown = id.as_ref().filter(|id| !id.is_empty()).filter(taken);
                        let body = Body::Reasoning {
                            own_id: id.clone(),
                            artefact: None,
                            keep_text: self.keeps_text(),
                        };
                        self.add("rs", shown.cloned(), body, out)
                    }
                }
            }
        };
        let form = match lane {
            Lane::Text => PartForm::Text,
            Lane::Refusal => PartForm::Refusal,
            Lane::Reasoning {
                form: ReasoningForm::Full,
                ..
            } => PartForm::Thought,
            Lane::Reasoning { .. } => PartForm::Summary,
        };
        if let Some(known) = self.items.get_mut(item) {
            let part = known.add_part(item, form, &mut self.sequence, out);
            self.places.insert(block, Place::Part { item, part });
        }
    }

    /// True where the consumer sends back what it is given in `encrypted_content`, and perhaps nothing else of a thought.
    fn keeps_text(&self) -> bool {
        let request = self.context.request.as_ref();
        request.is_some_and(|request| request.artefacts)
    }

    /// Adds an item; returns its number.
    fn add(&mut self, prefix: &str, id: Option<String>, body: Body, out: &mut Vec<u8>) -> usize {
        let at = self.items.len();
        let id = id.unwrap_or_else(|| format!("{}{at:02}", self.id(prefix)));
        let item = Item::new(id, body);
        item.tell_added(at, &mut self.sequence, out);
        self.items.push(item);
        at
    }

    /// Another item begins: a message or a thought before it goes on no more.
    fn leave_prose(&mut self, out: &mut Vec<u8>) {
        for at in 0..self.items.len() {
            if let Some(item) = self.items.get_mut(at).filter(|item| item.is_prose()) {
                item.left = true;
                self.finish_left(at, out);
            }
        }
    }

    fn finish_left(&mut self, at: usize, out: &mut Vec<u8>) {
        let over = self.items.get(at);
        if over.is_some_and(|item| item.left && item.open == 0 && item.done.is_none()) {
            self.finish_item(at, out);
        }
    }

    fn finish_item(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(item) = self.items.get_mut(at) else {
            return;
        };
        item.finish(at, &mut self.sequence, out);
        let proof = item.call_artefact();
        if let Some((artefact, call_id)) = proof {
            let body = Body::Proof(super::reasoning::shown_for_call(&artefact, &call_id));
            let item = self.add("rs", None, body, out);
            self.finish_item(item, out);
        }
    }

    fn ending(&mut self) -> Ending {
        let reason = self
            .finish
            .as_ref()
            .map_or(FinishReason::Unstated, |finish| finish.reason);
        let (ending, exact) = finish::ending(reason, self.refused);
        if !exact {
            let native = self.finish.as_ref().and_then(|f| f.native.as_deref());
            self.lose(match native {
                Some(native) => {
                    let why = format!("`{native}` has no word on this wire");
                    Loss::approximated("finish_reason", why)
                }
                None => Loss::approximated("finish_reason", "the provider named none"),
            });
        }
        ending
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.flush_calls(None, out);
        let open: Vec<u32> = self.places.keys().copied().collect();
        open.into_iter().for_each(|block| self.close(block, out));
        self.leave_prose(out);
        let ending = self.ending();
        let name = match ending {
            Ending::Completed => "response.completed",
            Ending::Incomplete(_) => "response.incomplete",
            Ending::Failed => {
                let why = "the provider ended the answer with an error";
                let failure = Failure::upstream(FailureKind::Server, why);
                return self.fail(&failure, out);
            }
        };
        self.response_event(name, State::Ended(ending), out);
        self.ended = true;
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        errors::error_event(out, failure, self.sequence);
        self.sequence += 1;
        // A response that never began cannot fail as one.
        if self.identity.is_some() {
            self.response_event("response.failed", State::Failed(failure), out);
        }
        self.ended = true;
    }

    fn response_event(&mut self, name: &str, state: State<'_>, out: &mut Vec<u8>) {
        event(out, name, self.sequence, |event| {
            event.object("response", |object| self.write_response(object, state));
        });
        self.sequence += 1;
    }

    fn write_response(&self, object: &mut ObjectWriter<'_>, state: State<'_>) {
        let Some(identity) = &self.identity else {
            return;
        };
        let (status, incomplete) = match state {
            State::Running => ("in_progress", None),
            State::Ended(Ending::Incomplete(reason)) => ("incomplete", Some(reason)),
            State::Ended(_) => ("completed", None),
            State::Failed(_) => ("failed", None),
        };
        object
            .string("id", &identity.id)
            .string("object", "response")
            .number("created_at", identity.created)
            .string("status", status)
            .bool("background", false);
        match state {
            State::Failed(failure) => errors::write_error(object.key("error"), failure),
            _ => {
                object.raw("error", "null");
            }
        }
        match incomplete {
            Some(reason) => object.object("incomplete_details", |details| {
                details.string("reason", reason);
            }),
            None => object.raw("incomplete_details", "null"),
        };
        object.string("model", &identity.model);
        let items = self.items.iter().filter_map(|item| item.done.as_deref());
        array(object.key("output"), items, |out, item| {
            out.extend_from_slice(item);
        });
        if let Some(tier) = &identity.tier {
            object.raw(TIER, tier.as_str());
        }
        self.echo.write(object);
        match &self.usage {
            Some(usage) if !matches!(state, State::Running) => {
                usage::render(object.key("usage"), usage);
            }
            _ => {
                object.raw("usage", "null");
            }
        }
    }
}

/// What is said of a response.
#[derive(Clone, Copy)]
enum State<'a> {
    Running,
    Ended(Ending),
    Failed(&'a Failure),
}

/// An item of this dialect, as it was written.
fn own_json(kind: &BlockKind) -> Option<Json> {
    match kind {
        BlockKind::ServerToolUse(tool) if tool.dialect == DialectName::Responses => {
            tool.json.clone()
        }
        BlockKind::ServerToolResult(result) if result.dialect == DialectName::Responses => {
            Some(result.json.clone())
        }
        BlockKind::Opaque {
            dialect: DialectName::Responses,
            json,
            ..
        } => Some(json.clone()),
        _ => None,
    }
}
