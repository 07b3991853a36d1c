//! The conversation of a bridged session: what was said, in the consumer's form and in that of a request.

use super::mouth::Piece;
use super::ordered;
use super::sounding::{Content, Said, Sounding, content_of};
use super::{refused, unsupported};
use crate::object::{self, Object};
use crate::realtime::step::invalid;
use crate::writer::json_object;
use llmleaf_model::Failure;
use std::rc::Rc;

/// What an item is to a request.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A message of anybody but the model.
    Given,
    /// A message of the model, or what it has only begun.
    Made,
    /// A call, by its own name.
    Call(Box<str>),
    /// What came of the call of that name.
    Output(Box<str>),
    /// What was thought before what follows it.
    Thought,
    /// The proof of a call, which stands behind that.
    Proof,
}

/// One item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name.
    pub id: String,
    pub kind: Kind,
    /// As the consumer is told of it. Empty for what it is not told of.
    pub told: Rc<str>,
    /// As a request says it. Empty for what it does not say.
    pub asked: Rc<str>,
    /// What there is to it beside words.
    sounding: Option<Box<Sounding>>,
}

impl Item {
    /// Reads an item that the consumer makes, and the sound in it, which is taken where the session `hears`.
    pub fn read(
        raw: Object<'_>,
        fallback: String,
        hears: bool,
    ) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let word = |name: &str| raw.get(name).and_then(object::string);
        let id = word("id").map_or(fallback, std::borrow::Cow::into_owned);
        let kind = word("type").unwrap_or_default();
        match &*kind {
            "message" => Self::message(&raw, id, hears),
            "function_call" | "function_call_output" => {
                let fields: &[&str] = match &*kind {
                    "function_call" => &["call_id", "name", "arguments"],
                    _ => &["call_id", "output"],
                };
                let mut values = Vec::new();
                for field in fields {
                    let value = word(field).or_else(|| {
                        // The one that nobody need give: a call has the name of its item then.
                        (kind == "function_call" && *field == "call_id").then(|| id.clone().into())
                    });
                    let value = value.ok_or_else(|| {
                        let why = format!("`{field}` must be a string in an item of type `{kind}`");
                        invalid(why, Some(&format!("item.{field}")), "invalid_value")
                    })?;
                    values.push((*field, value.into_owned()));
                }
                Ok((Self::of_fields(id, &kind, &values), None))
            }
            "item_reference" => {
                let why = "an item can be referred to in the `input` of an answer only";
                Err(invalid(why, Some("item.type"), "invalid_value"))
            }
            _ => {
                let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
                Err(unsupported(
                    &format!("an item of type `{shown}`"),
                    Some("item.type"),
                ))
            }
        }
    }

    /// A call, or what came of one.
    pub fn of_fields(id: String, kind: &str, fields: &[(&str, String)]) -> Self {
        let told = json_object(|item| {
            item.string("id", &id)
                .string("object", "realtime.item")
                .string("type", kind)
                .string("status", "completed");
            fields.iter().for_each(|(name, value)| {
                item.string(name, value);
            });
        });
        let asked = json_object(|item| {
            item.string("type", kind);
            fields.iter().for_each(|(name, value)| {
                item.string(name, value);
            });
        });
        let call = fields.iter().find(|(name, _)| *name == "call_id");
        let call = call.map_or("", |(_, call)| call).into();
        Self {
            told: told.as_str().into(),
            asked: asked.as_str().into(),
            id,
            kind: match kind {
                "function_call" => Kind::Call(call),
                _ => Kind::Output(call),
            },
            sounding: None,
        }
    }

    /// What the model said, in texts.
    pub fn said(id: String, text: &str, status: &str, older: bool) -> Self {
        let kind = if older { "text" } else { "output_text" };
        let part = json_object(|part| {
            part.string("type", kind).string("text", text);
        });
        Self {
            told: message(&id, status, "assistant", [part.as_str()]).into(),
            asked: answered(text).into(),
            id,
            kind: Kind::Made,
            sounding: None,
        }
    }

    /// What the model said, in sound. What was not said of an answer that was cut short is not known to the next one.
    pub fn spoken(id: String, text: &str, pieces: &[Piece], status: &str, older: bool) -> Self {
        let mut said = Said {
            pieces: pieces.to_vec(),
            text: text.to_owned(),
            status: status.to_owned(),
            older,
        };
        if status != "completed" {
            said.cut(u64::MAX);
        }
        Self {
            told: said.told(&id, text).into(),
            asked: answered(&said.text).into(),
            id,
            kind: Kind::Made,
            sounding: Some(Box::new(Sounding::Said(said))),
        }
    }

    /// What the consumer said in sound; what that was is not known yet.
    pub fn unheard(id: String) -> Self {
        Self::heard_in(id, "user", vec![Content::Sound])
    }

    fn heard_in(id: String, role: &str, parts: Vec<Content>) -> Self {
        let mut item = Self {
            id,
            kind: Kind::Given,
            told: "".into(),
            asked: "".into(),
            sounding: Some(Box::new(Sounding::Waits(role.to_owned(), parts))),
        };
        item.write(None);
        item
    }

    /// Says what was heard in it; nothing where that is not known.
    fn write(&mut self, transcript: Option<&str>) {
        let Some(Sounding::Waits(role, parts) | Sounding::Heard(role, parts)) =
            self.sounding.as_deref()
        else {
            return;
        };
        let told = parts.iter().map(|part| part.told(transcript));
        let told: Vec<_> = told.collect();
        let told = message(&self.id, "completed", role, told.iter().map(|t| &**t));
        let asked: Vec<_> = parts
            .iter()
            .filter_map(|part| part.asked(transcript))
            .collect();
        self.asked = match asked.is_empty() {
            true => "".into(),
            false => request(role, asked.iter().map(|text| &**text)).into(),
        };
        self.told = told.into();
    }

    /// What the model begins to say, as its consumer is told of it.
    pub fn begun(id: String, told: &str) -> Self {
        Self {
            id,
            kind: Kind::Made,
            told: told.into(),
            asked: "".into(),
            sounding: None,
        }
    }

    /// What the model thought, for the next request only; or the proof of a call.
    pub fn thought(id: String, asked: &str, kind: Kind) -> Self {
        Self {
            id,
            kind,
            told: "".into(),
            asked: asked.into(),
            sounding: None,
        }
    }

    fn message(
        raw: &Object<'_>,
        id: String,
        hears: bool,
    ) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let role = raw.get("role").and_then(object::string).unwrap_or_default();
        if !matches!(&*role, "user" | "assistant" | "system") {
            let why = "the role of a message is `user`, `assistant` or `system`";
            return Err(invalid(why, Some("item.role"), "invalid_value"));
        }
        let content = raw.get("content").and_then(object::items);
        let content = content.ok_or_else(|| {
            invalid(
                "`content` must be a list",
                Some("item.content"),
                "invalid_value",
            )
        })?;
        let (mut parts, mut sound) = (Vec::new(), None);
        for part in &content {
            let (part, data) = content_of(part, &role, hears)?;
            parts.push(part);
            if data.is_some() && sound.is_some() {
                let why = "an item with two pieces of speech is not taken by this gateway; make two items";
                return Err(refused(why, "item.content"));
            }
            sound = sound.or(data);
        }
        if sound.is_some() {
            return Ok((Self::heard_in(id, &role, parts), sound));
        }
        let told: Vec<_> = parts.iter().map(|part| part.told(None)).collect();
        let asked: Vec<_> = parts.iter().filter_map(|part| part.asked(None)).collect();
        let item = Self {
            told: message(&id, "completed", &role, told.iter().map(|t| &**t)).into(),
            asked: request(&role, asked.iter().map(|text| &**text)).into(),
            id,
            kind: match &*role {
                "assistant" => Kind::Made,
                _ => Kind::Given,
            },
            sounding: None,
        };
        Ok((item, None))
    }

    /// What was heard in it is not known yet.
    pub fn waits(&self) -> bool {
        matches!(self.sounding.as_deref(), Some(Sounding::Waits(..)))
    }

    pub fn size(&self) -> usize {
        let named = match &self.kind {
            Kind::Call(call) | Kind::Output(call) => call.len(),
            _ => 0,
        };
        let sounding = self.sounding.as_deref().map_or(0, Sounding::bytes);
        self.told.len() + self.asked.len() + self.id.len() + named + sounding
    }
}

/// A message as its consumer is told of it.
pub(super) fn message<'p>(
    id: &str,
    status: &str,
    role: &str,
    parts: impl IntoIterator<Item = &'p str>,
) -> String {
    let told = json_object(|item| {
        item.string("id", id)
            .string("object", "realtime.item")
            .string("type", "message")
            .string("status", status)
            .string("role", role);
        crate::writer::array(item.key("content"), parts, crate::writer::one_line);
    });
    told.as_str().to_owned()
}

/// A message as a request says it.
fn request<'p>(role: &str, parts: impl IntoIterator<Item = &'p str>) -> String {
    let asked = json_object(|item| {
        item.string("type", "message").string("role", role);
        crate::writer::array(item.key("content"), parts, crate::writer::one_line);
    });
    asked.as_str().to_owned()
}

/// What the model said, as a request repeats it. Nothing of what is empty: no model says nothing, and some refuse to have done so.
fn answered(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let part = json_object(|part| {
        part.string("type", "output_text").string("text", text);
    });
    request("assistant", [part.as_str()])
}

/// Everything that was said, in order.
#[derive(Debug)]
pub struct Conversation {
    items: Vec<Item>,
    bytes: usize,
    most: usize,
    /// The calls of the last answer, by their items: the consumer sees to them.
    calls: Vec<String>,
}

impl Conversation {
    pub fn new(most: usize) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            most,
            calls: Vec::new(),
        }
    }

    /// An item of that name which the consumer was told of.
    pub fn find(&self, id: &str) -> Result<&Item, Failure> {
        let found = self.items.iter().find(|item| item.id == id);
        found.filter(|item| !item.told.is_empty()).ok_or_else(|| {
            let why = "the conversation has no such item";
            invalid(why, Some("item_id"), "item_not_found")
        })
    }

    /// Puts an item behind the one that is named, at the front for `root`, at the end for none; the one before it.
    pub fn insert(
        &mut self,
        item: Item,
        previous: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        if self.items.iter().any(|known| known.id == item.id) {
            let why = "the conversation has an item of that name";
            return Err(invalid(why, Some("item.id"), "item_exists"));
        }
        self.holds(item.size())?;
        let at = match previous {
            None => self.items.len(),
            Some("root") => 0,
            Some(id) => {
                let at = self.items.iter().position(|known| known.id == id);
                at.ok_or_else(|| {
                    let why = "the conversation has no item of that name";
                    invalid(why, Some("previous_item_id"), "item_not_found")
                })? + 1
            }
        };
        self.bytes += item.size();
        self.items.insert(at.min(self.items.len()), item);
        Ok(self.before(at))
    }

    /// It holds so many bytes more.
    fn holds(&self, more: usize) -> Result<(), Failure> {
        if self.bytes.saturating_add(more) <= self.most {
            return Ok(());
        }
        let why = "the conversation is too long for this gateway; delete items of it";
        Err(invalid(why, Some("item"), "conversation_too_long"))
    }

    /// Another answer may be made part of it.
    pub fn takes_answers(&self) -> Result<(), Failure> {
        self.holds(0)
    }

    /// Adds what the model makes. An answer is kept, which has its own limit, and what comes behind it is refused.
    pub fn add(&mut self, item: Item) {
        self.bytes += item.size();
        self.items.push(item);
    }

    /// An item that was begun is this now, where it began: the one that the consumer was told of before it. Nothing where it was deleted
    /// meanwhile.
    pub fn complete(&mut self, item: Item) -> Option<Option<String>> {
        let at = self.items.iter().position(|known| known.id == item.id)?;
        let known = self.items.get_mut(at)?;
        self.bytes = self.bytes.saturating_sub(known.size()) + item.size();
        *known = item;
        Some(self.before(at))
    }

    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last item that the consumer was told of.
    pub fn last(&self) -> Option<String> {
        self.before(self.items.len())
    }

    fn before(&self, at: usize) -> Option<String> {
        let mut before = self.items.iter().take(at).rev();
        let item = before.find(|item| !item.told.is_empty());
        item.map(|item| item.id.clone())
    }

    /// Takes an item out, and what was thought before it; a call with its proof.
    pub fn remove(&mut self, id: &str) -> Result<(), Failure> {
        self.find(id)?;
        let Some(at) = self.items.iter().position(|item| item.id == id) else {
            return Ok(());
        };
        let is = |at: usize, of: fn(&Kind) -> bool| {
            let item = self.items.get(at);
            item.is_some_and(|item| of(&item.kind))
        };
        let thought = |kind: &Kind| matches!(kind, Kind::Thought);
        let proof = |kind: &Kind| matches!(kind, Kind::Proof);
        let mut from = at;
        while from > 0 && is(from - 1, thought) {
            from -= 1;
        }
        let called = is(at, |kind| matches!(kind, Kind::Call(_)));
        let behind = at + 1 + usize::from(called && is(at + 1, proof));
        let gone: usize = self.items.drain(from..behind).map(|item| item.size()).sum();
        self.bytes = self.bytes.saturating_sub(gone);
        Ok(())
    }

    /// What a request says of all of it.
    pub fn input(&self) -> Vec<Rc<str>> {
        ordered::ordered(&self.items)
    }

    /// An answer is over, and the consumer sees to these calls of it.
    pub fn calls(&mut self, items: Vec<String>) {
        self.calls = items;
    }

    /// Nothing came yet of a call that the consumer sees to.
    pub fn calling(&self) -> bool {
        let called = |item: &Item| self.calls.contains(&item.id);
        if !self.items.iter().any(called) {
            return false;
        }
        let unanswered = ordered::unanswered(&self.items);
        let mut items = self.items.iter().enumerate();
        items.any(|(at, item)| called(item) && unanswered.contains(&at))
    }

    /// What was heard in some item is not known yet.
    pub fn waits(&self) -> bool {
        self.items.iter().any(Item::waits)
    }

    /// What was heard in an item; nothing where that will not be known. False where no item waits for it.
    pub fn heard(&mut self, id: &str, transcript: Option<&str>) -> bool {
        let Some(item) = self.items.iter_mut().find(|item| item.id == id) else {
            return false;
        };
        let before = item.size();
        let Some(sounding) = item.sounding.as_deref_mut() else {
            return false;
        };
        let Sounding::Waits(role, parts) = sounding else {
            return false;
        };
        *sounding = Sounding::Heard(std::mem::take(role), std::mem::take(parts));
        item.write(transcript);
        self.bytes = self.bytes.saturating_sub(before) + item.size();
        true
    }

    /// Forgets what its hearer did not hear of an item that was said.
    pub fn truncate(&mut self, id: &str, millis: u64) -> Result<(), Failure> {
        self.find(id)?;
        let item = self.items.iter_mut().find(|item| item.id == id);
        let Some(item) = item else {
            return Ok(());
        };
        let before = item.size();
        let Some(Sounding::Said(said)) = item.sounding.as_deref_mut() else {
            let why = "only what the model said in speech can be truncated";
            return Err(invalid(why, Some("item_id"), "invalid_value"));
        };
        let length = said.pieces.last().map_or(0, |piece| piece.millis);
        if millis > length {
            let why = format!("the speech of this item is {length} milliseconds long");
            return Err(invalid(why, Some("audio_end_ms"), "invalid_value"));
        }
        said.cut(millis);
        let (told, asked) = (said.told(id, &said.text), answered(&said.text));
        (item.told, item.asked) = (told.into(), asked.into());
        self.bytes = self.bytes.saturating_sub(before) + item.size();
        Ok(())
    }
}
