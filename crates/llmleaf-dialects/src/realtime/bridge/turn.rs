//! An answer that is being made: events of the Responses wire in, those of a session out. `turn/speech.rs` has what is said of it, and
//! `turn/ending.rs` how it ends.

mod ending;
mod speech;

pub use ending::Ending;

use super::items::{Conversation, Item, Kind};
use super::mouth::Mouth;
use super::settings::Asked;
use crate::object::{self, Object};
use crate::realtime::step::{Voice, placed};
use crate::realtime::usage;
use crate::responses::proves_call;
use crate::writer::{ObjectWriter, json_object, one_line};
use serde_json::value::RawValue;
use std::rc::Rc;

/// Most bytes of what a model makes in one answer.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// What an item counts beside what is said in it.
const ITEM_BYTES: usize = 256;

/// What is being made.
#[derive(Debug)]
enum Made {
    /// A text.
    Text(String),
    /// A text that is said.
    Speech(Mouth),
    /// A call: its id, its name, its arguments.
    Call(String, String, String),
}

/// An item that is being made.
#[derive(Debug)]
struct Open {
    /// Its place among the items of the answer, as the provider counts.
    there: String,
    /// Its place as the consumer is told, where what was thought is not counted.
    here: u64,
    id: String,
    made: Made,
    has_part: bool,
}

impl Open {
    /// It is said.
    fn says(&self) -> bool {
        matches!(self.made, Made::Speech(_))
    }
}

/// An answer.
#[derive(Debug)]
pub struct Turn {
    pub id: String,
    conversation: Option<String>,
    older: bool,
    asked: Asked,
    open: Vec<Open>,
    /// What is whole, each with its place.
    done: Vec<(u64, Rc<str>)>,
    items: u64,
    /// What was thought before an item that has not begun. Where none does it is forgotten: nobody takes thoughts by themselves.
    thoughts: Vec<Item>,
    /// Bytes of all that was made.
    made: usize,
    /// Items of calls that are whole.
    calls: Vec<String>,
    /// It is asked when what was said before it is written down.
    pub waits: bool,
}

impl Turn {
    pub fn new(id: String, conversation: Option<String>, older: bool, asked: Asked) -> Self {
        Self {
            id,
            conversation,
            older,
            asked,
            open: Vec::new(),
            done: Vec::new(),
            items: 0,
            thoughts: Vec::new(),
            made: 0,
            calls: Vec::new(),
            waits: false,
        }
    }

    /// What is asked, of a model by that name.
    pub fn body(&self, model: &str, conversation: &Conversation) -> Vec<u8> {
        match &self.asked.input {
            Some(input) => self.asked.body(model, input),
            None => self.asked.body(model, &conversation.input()),
        }
    }

    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        let open = self.open.iter().map(|open| match &open.made {
            Made::Text(text) => text.len(),
            Made::Speech(mouth) => mouth.bytes(),
            Made::Call(call, name, arguments) => call.len() + name.len() + arguments.len(),
        });
        let done = self.done.iter().map(|(_, item)| item.len());
        let thoughts = self.thoughts.iter().map(Item::size);
        open.chain(done).chain(thoughts).sum::<usize>() + self.asked.bytes()
    }

    /// It becomes part of the conversation.
    pub fn keeps(&self) -> bool {
        self.conversation.is_some()
    }

    /// Tells that it begins.
    pub fn begin(&self, voice: &mut Voice<'_>) {
        voice.say("response.created", |event| {
            event.object("response", |response| {
                self.tell(response, "in_progress", None, None);
            });
        });
    }

    fn tell(
        &self,
        response: &mut ObjectWriter<'_>,
        status: &str,
        details: Option<&str>,
        usage: Option<&str>,
    ) {
        response
            .string("object", "realtime.response")
            .string("id", &self.id)
            .string("status", status)
            .raw("status_details", details.unwrap_or("null"));
        crate::writer::array(response.key("output"), &self.done, |out, (_, item)| {
            one_line(out, item)
        });
        match &self.conversation {
            Some(id) => response.string("conversation_id", id),
            None => response.raw("conversation_id", "null"),
        };
        self.asked.tell(self.older, response);
        response.raw("usage", usage.unwrap_or("null"));
    }

    /// Takes an event; the end, where it is one.
    pub fn hear(
        &mut self,
        event: &Object<'_>,
        conversation: &mut Conversation,
        voice: &mut Voice<'_>,
    ) -> Option<Ending> {
        let word = |name: &str| event.get(name).and_then(object::string);
        let at = event
            .get("output_index")
            .map(RawValue::get)
            .unwrap_or_default();
        match &*word("type")? {
            "response.output_item.added" => self.added(event, at, conversation, voice),
            "response.output_text.delta" | "response.refusal.delta" => {
                self.text(at, &word("delta")?, voice);
            }
            "response.function_call_arguments.delta" => self.arguments(at, &word("delta")?, voice),
            "response.output_item.done" => self.item_done(event, at, conversation, voice),
            "response.completed" => {
                let usage = used(event);
                return Some(Ending::Completed { usage });
            }
            "response.incomplete" => {
                let response = event.get("response").and_then(Object::from_raw)?;
                let details = response
                    .get("incomplete_details")
                    .and_then(Object::from_raw);
                let reason = details.and_then(|d| d.get("reason").and_then(object::string));
                let reason = reason.map_or_else(
                    || "max_output_tokens".to_owned(),
                    std::borrow::Cow::into_owned,
                );
                let usage = used(event);
                return Some(Ending::Incomplete { reason, usage });
            }
            "response.failed" => {
                let response = event.get("response").and_then(Object::from_raw)?;
                let said = response.get("error").and_then(Object::from_raw);
                return Some(Ending::failed(&said.unwrap_or_default()));
            }
            "error" => {
                let said = event.get("error").and_then(Object::from_raw);
                return Some(match said {
                    Some(said) => Ending::failed(&said),
                    None => Ending::failed(event),
                });
            }
            _ => {}
        }
        (self.made > ANSWER_BYTES).then_some(Ending::TooLong)
    }

    fn added(
        &mut self,
        event: &Object<'_>,
        at: &str,
        conversation: &mut Conversation,
        voice: &mut Voice<'_>,
    ) {
        let item = event
            .get("item")
            .and_then(Object::from_raw)
            .unwrap_or_default();
        let word = |name: &str| {
            let text = item.get(name).and_then(object::string);
            text.unwrap_or_default().into_owned()
        };
        let made = match word("type").as_str() {
            "message" if self.asked.sound().speaks => Made::Speech(Mouth::default()),
            "message" => Made::Text(String::new()),
            "function_call" => Made::Call(word("call_id"), word("name"), String::new()),
            _ => return,
        };
        let open = Open {
            there: at.to_owned(),
            here: self.items,
            id: voice.fresh("item"),
            made,
            has_part: false,
        };
        self.items += 1;
        self.made += ITEM_BYTES;
        if let Made::Call(call, name, _) = &open.made {
            self.made += call.len() + name.len();
        }
        let begun = begun(&open);
        voice.say("response.output_item.added", |event| {
            event
                .string("response_id", &self.id)
                .number("output_index", open.here)
                .raw("item", &begun);
        });
        if self.conversation.is_some() {
            let before = conversation.last();
            let kind = match self.older {
                true => "conversation.item.created",
                false => "conversation.item.added",
            };
            voice.say(kind, |event| placed(event, before.as_deref(), &begun));
            self.thoughts
                .drain(..)
                .for_each(|thought| conversation.add(thought));
            // It has its place from now on: what is said meanwhile stands behind it.
            conversation.add(Item::begun(open.id.clone(), &begun));
        }
        self.open.push(open);
    }

    fn text(&mut self, at: &str, delta: &str, voice: &mut Voice<'_>) {
        let Some(open) = self.open.iter_mut().find(|open| open.there == at) else {
            return;
        };
        match &mut open.made {
            Made::Text(text) => text.push_str(delta),
            Made::Speech(mouth) => mouth.text.push_str(delta),
            Made::Call(..) => return,
        }
        self.made += delta.len();
        let says = open.says();
        if !std::mem::replace(&mut open.has_part, true) {
            voice.say("response.content_part.added", |event| {
                address(event, &self.id, open);
                event.number("content_index", 0);
                part(event, says, "");
            });
        }
        let kind = match (says, self.older) {
            (true, older) => speech::named(older, "_transcript.delta"),
            (false, true) => "response.text.delta".to_owned(),
            (false, false) => "response.output_text.delta".to_owned(),
        };
        voice.say(&kind, |event| {
            address(event, &self.id, open);
            event.number("content_index", 0).string("delta", delta);
        });
    }

    fn arguments(&mut self, at: &str, delta: &str, voice: &mut Voice<'_>) {
        let Some(open) = self.open.iter_mut().find(|open| open.there == at) else {
            return;
        };
        let Made::Call(call, _, arguments) = &mut open.made else {
            return;
        };
        arguments.push_str(delta);
        self.made += delta.len();
        let call = call.clone();
        voice.say("response.function_call_arguments.delta", |event| {
            address(event, &self.id, open);
            event.string("call_id", &call).string("delta", delta);
        });
    }

    /// An item is whole. What was thought is kept unseen, where its provider could know it again.
    fn item_done(
        &mut self,
        event: &Object<'_>,
        at: &str,
        conversation: &mut Conversation,
        voice: &mut Voice<'_>,
    ) {
        let Some(place) = self.open.iter().position(|open| open.there == at) else {
            let thought = event
                .get("item")
                .and_then(Object::from_raw)
                .and_then(replayed);
            if let (Some((thought, kind)), true) = (thought, self.conversation.is_some()) {
                let id = voice.fresh("thought");
                self.made += ITEM_BYTES + thought.len();
                let item = Item::thought(id, &thought, kind);
                match item.kind {
                    Kind::Proof => conversation.add(item),
                    _ => self.thoughts.push(item),
                }
            }
            return;
        };
        if let Some(open) = self.open.get_mut(place)
            && let Made::Speech(mouth) = &mut open.made
        {
            // What was not said yet of it still is.
            mouth.whole = true;
            if !mouth.is_done() {
                return;
            }
        }
        let open = self.open.remove(place);
        self.close(open, "completed", conversation, voice);
    }

    fn close(
        &mut self,
        open: Open,
        status: &str,
        conversation: &mut Conversation,
        voice: &mut Voice<'_>,
    ) {
        self.close_parts(&open, voice);
        let item = match &open.made {
            Made::Text(text) => Item::said(open.id.clone(), text, status, self.older),
            Made::Speech(mouth) => {
                let (id, pieces) = (open.id.clone(), &mouth.pieces);
                Item::spoken(id, &mouth.text, pieces, status, self.older)
            }
            Made::Call(call, name, arguments) => {
                let fields = [
                    ("call_id", call.clone()),
                    ("name", name.clone()),
                    ("arguments", arguments.clone()),
                ];
                Item::of_fields(open.id.clone(), "function_call", &fields)
            }
        };
        let told = Rc::clone(&item.told);
        voice.say("response.output_item.done", |event| {
            event
                .string("response_id", &self.id)
                .number("output_index", open.here)
                .raw("item", &told);
        });
        // A call that was cut short cannot be answered.
        let whole = status == "completed" || !matches!(open.made, Made::Call(..));
        if self.conversation.is_none() {
            // It leaves nothing behind.
        } else if !whole {
            conversation.remove(&open.id).ok();
        } else if let Some(before) = conversation.complete(item) {
            if matches!(open.made, Made::Call(..)) {
                self.calls.push(open.id.clone());
            }
            if !self.older {
                voice.say("conversation.item.done", |event| {
                    placed(event, before.as_deref(), &told);
                });
            }
        }
        let place = self.done.partition_point(|(here, _)| *here < open.here);
        self.done.insert(place, (open.here, told));
    }

    fn close_parts(&self, open: &Open, voice: &mut Voice<'_>) {
        match &open.made {
            Made::Text(text) if open.has_part => {
                let kind = match self.older {
                    true => "response.text.done",
                    false => "response.output_text.done",
                };
                voice.say(kind, |event| {
                    address(event, &self.id, open);
                    event.number("content_index", 0).string("text", text);
                });
                voice.say("response.content_part.done", |event| {
                    address(event, &self.id, open);
                    event.number("content_index", 0);
                    part(event, false, text);
                });
            }
            Made::Speech(mouth) if open.has_part => self.close_speech(open, mouth, voice),
            Made::Text(_) | Made::Speech(_) => {}
            Made::Call(call, name, arguments) => {
                voice.say("response.function_call_arguments.done", |event| {
                    address(event, &self.id, open);
                    event
                        .string("call_id", call)
                        .string("name", name)
                        .string("arguments", arguments);
                });
            }
        }
    }

    /// Tells how it ended. What was being made is told as it is.
    pub fn finish(
        mut self,
        ending: &Ending,
        conversation: &mut Conversation,
        voice: &mut Voice<'_>,
    ) {
        for open in std::mem::take(&mut self.open) {
            self.close(open, "incomplete", conversation, voice);
        }
        if self.keeps() {
            // Few consumers do what an answer wants that is not whole.
            let whole = matches!(ending, Ending::Completed { .. });
            let calls = std::mem::take(&mut self.calls);
            conversation.calls(if whole { calls } else { Vec::new() });
        }
        let (status, details, usage) = ending.told();
        voice.say("response.done", |event| {
            event.object("response", |response| {
                let details = details.as_ref().map(llmleaf_model::Json::as_str);
                self.tell(response, status, details, usage);
            });
        });
    }
}

/// What was used, in a session's words.
fn used(event: &Object<'_>) -> Option<String> {
    let response = event.get("response").and_then(Object::from_raw)?;
    let told = response.get("usage").and_then(Object::from_raw)?;
    Some(usage::report(&usage::of_answer(&told)))
}

/// An item that has just begun.
fn begun(open: &Open) -> String {
    let json = json_object(|item| {
        item.string("id", &open.id)
            .string("object", "realtime.item");
        match &open.made {
            Made::Text(_) | Made::Speech(_) => item
                .string("type", "message")
                .string("status", "in_progress")
                .string("role", "assistant")
                .raw("content", "[]"),
            Made::Call(call, name, _) => item
                .string("type", "function_call")
                .string("status", "in_progress")
                .string("call_id", call)
                .string("name", name)
                .string("arguments", ""),
        };
    });
    json.as_str().to_owned()
}

fn address(event: &mut ObjectWriter<'_>, response: &str, open: &Open) {
    event
        .string("response_id", response)
        .string("item_id", &open.id)
        .number("output_index", open.here);
}

fn part(event: &mut ObjectWriter<'_>, says: bool, text: &str) {
    event.object("part", |part| {
        match says {
            true => part.string("type", "audio").string("transcript", text),
            false => part.string("type", "text").string("text", text),
        };
    });
}

/// What was thought, as a request may repeat it: without a name that nobody keeps, and only with its own proof; or the proof of a call.
fn replayed(mut item: Object<'_>) -> Option<(String, Kind)> {
    let is_thought = item.get("type").and_then(object::string).as_deref() == Some("reasoning");
    let sealed = item
        .get("encrypted_content")
        .filter(|raw| is_thought && raw.get() != "null")?;
    let kind = match object::string(sealed).is_some_and(|sealed| proves_call(&sealed)) {
        true => Kind::Proof,
        false => Kind::Thought,
    };
    item.take("id");
    let rest = item.into_rest();
    let json = json_object(|object| {
        object.rest(&rest);
    });
    Some((json.as_str().to_owned(), kind))
}
