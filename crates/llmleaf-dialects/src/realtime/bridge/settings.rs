//! What a bridged session is told, and what one answer is told beyond that.

use super::audio::Sound;
use super::items::{Conversation, Item};
use super::{Parts, refused, unsupported};
use crate::object::{self, Object};
use crate::realtime::step::invalid;
use crate::writer::{ObjectWriter, array, one_line};
use llmleaf_model::{Failure, Json};
use serde_json::value::RawValue;
use std::rc::Rc;

/// Fields that go on to the model as they are: (in a session, in a request).
const PLAIN: &[(&str, &str)] = &[
    ("instructions", "instructions"),
    ("tools", "tools"),
    ("tool_choice", "tool_choice"),
    ("max_output_tokens", "max_output_tokens"),
    // The name that it had before.
    ("max_response_output_tokens", "max_output_tokens"),
    ("temperature", "temperature"),
    ("reasoning", "reasoning"),
    ("parallel_tool_calls", "parallel_tool_calls"),
];

/// What is in effect.
#[derive(Clone, Debug)]
pub struct Settings {
    plain: Vec<(&'static str, Json)>,
    pub sound: Sound,
}

impl Settings {
    /// As a session begins.
    pub fn new(parts: Rc<Parts>) -> Self {
        Self {
            plain: Vec::new(),
            sound: Sound::new(parts),
        }
    }

    /// Takes a change: what is named replaces what was.
    pub fn update(&mut self, session: Object<'_>, model: &str) -> Result<(), Failure> {
        if let Some(kind) = session.get("type").and_then(object::string)
            && kind != "realtime"
        {
            return Err(unsupported(
                "a session that writes down what it hears",
                Some("session.type"),
            ));
        }
        if let Some(named) = session.get("model").and_then(object::string)
            && named != model
        {
            let why = "the model of a session stays as it is; open another session";
            return Err(invalid(why, Some("session.model"), "model_fixed"));
        }
        let mut next = self.clone();
        next.read(&session, "session")?;
        *self = next;
        Ok(())
    }

    fn read(&mut self, from: &Object<'_>, path: &str) -> Result<(), Failure> {
        self.sound.read(from, path)?;
        for (field, name) in PLAIN {
            let Some(raw) = from.get(field) else {
                continue;
            };
            let value = match (*name, raw.get()) {
                (_, "null") => None,
                ("max_output_tokens", "\"inf\"") => None,
                ("tools", _) => Some(tools(raw, path)?),
                _ => Some(Json::from(raw)),
            };
            self.plain.retain(|(known, _)| known != name);
            self.plain.extend(value.map(|value| (*name, value)));
        }
        Ok(())
    }

    /// What is held of them, in bytes.
    pub fn bytes(&self) -> usize {
        let plain = self.plain.iter().map(|(_, value)| value.as_str().len());
        plain.sum::<usize>() + self.sound.bytes()
    }

    fn get(&self, name: &str) -> Option<&Json> {
        let found = self.plain.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }

    fn or<'s>(&'s self, name: &str, default: &'s str) -> &'s str {
        self.get(name).map_or(default, Json::as_str)
    }

    /// Tells the consumer what is in effect.
    pub fn tell(&self, older: bool, session: &mut ObjectWriter<'_>) {
        self.sound.tell(older, session);
        let cap = match older {
            true => "max_response_output_tokens",
            false => "max_output_tokens",
        };
        session
            .raw("instructions", self.or("instructions", "\"\""))
            .raw("tools", self.or("tools", "[]"))
            .raw("tool_choice", self.or("tool_choice", "\"auto\""))
            .raw(cap, self.or("max_output_tokens", "\"inf\""));
        for name in ["temperature", "reasoning", "parallel_tool_calls"] {
            if let Some(value) = self.get(name) {
                session.raw(name, value.as_str());
            }
        }
    }
}

/// Tools as a request has them. A schema there is a strict one unless it says otherwise; here none is.
fn tools(raw: &RawValue, path: &str) -> Result<Json, Failure> {
    let path = format!("{path}.tools");
    let list = object::items(raw)
        .ok_or_else(|| invalid("`tools` must be a list", Some(&path), "invalid_value"))?;
    let mut out = Vec::new();
    let mut bad = false;
    array(&mut out, list, |out, raw| {
        let tool = Object::from_raw(raw);
        let is_function = |tool: &Object<'_>| {
            tool.get("type").and_then(object::string).as_deref() == Some("function")
        };
        match tool {
            Some(tool) if is_function(&tool) && tool.get("strict").is_none() => {
                let mut object = ObjectWriter::new(out);
                object.rest(&tool.into_rest()).bool("strict", false);
                object.end();
            }
            Some(_) => one_line(out, raw.get()),
            None => {
                bad = true;
                one_line(out, "null");
            }
        }
    });
    let json = String::from_utf8(out)
        .ok()
        .and_then(|text| Json::parse(&text).ok());
    json.filter(|_| !bad)
        .ok_or_else(|| invalid("a tool must be an object", Some(&path), "invalid_value"))
}

/// What one answer is asked.
#[derive(Debug)]
pub struct Asked {
    settings: Settings,
    /// It becomes part of the conversation.
    pub keeps: bool,
    /// What it answers, where that is not the conversation.
    pub input: Option<Vec<Rc<str>>>,
    /// What its consumer keeps with it.
    pub metadata: Option<Json>,
}

impl Asked {
    /// An answer as the session has them.
    pub fn usual(session: &Settings) -> Self {
        Self {
            settings: session.clone(),
            keeps: true,
            input: None,
            metadata: None,
        }
    }

    /// Reads the settings of an answer, over those of the session.
    pub fn read(
        asked: Option<Object<'_>>,
        session: &Settings,
        conversation: &Conversation,
    ) -> Result<Self, Failure> {
        let mut out = Self::usual(session);
        let Some(asked) = asked else {
            return Ok(out);
        };
        out.settings.read(&asked, "response")?;
        out.keeps = asked
            .get("conversation")
            .is_none_or(|raw| raw.get() != "\"none\"");
        let given = |name: &str| asked.get(name).filter(|raw| raw.get() != "null");
        out.metadata = given("metadata").map(Json::from);
        if let Some(raw) = given("input") {
            let list = object::items(raw).ok_or_else(|| {
                invalid(
                    "`input` must be a list",
                    Some("response.input"),
                    "invalid_value",
                )
            })?;
            let each = list.into_iter().map(|raw| input(raw, conversation));
            let each: Vec<Rc<str>> = each.collect::<Result<_, _>>()?;
            out.input = Some(each.into_iter().filter(|item| !item.is_empty()).collect());
        }
        Ok(out)
    }

    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        let input = self.input.iter().flatten().map(|item| item.len());
        let metadata = self.metadata.as_ref().map_or(0, |raw| raw.as_str().len());
        self.settings.bytes() + input.sum::<usize>() + metadata
    }

    /// How it is said, if it is.
    pub fn sound(&self) -> &Sound {
        &self.settings.sound
    }

    /// Tells its own settings.
    pub fn tell(&self, older: bool, response: &mut ObjectWriter<'_>) {
        let sound = &self.settings.sound;
        match older {
            true => response.raw("modalities", sound.kinds()),
            false => response.raw("output_modalities", sound.kinds()),
        };
        if sound.speaks && !older {
            response.object("audio", |audio| {
                audio.object("output", |output| sound.tell_output(output));
            });
        }
        response
            .raw(
                "max_output_tokens",
                self.settings.or("max_output_tokens", "\"inf\""),
            )
            .raw(
                "metadata",
                self.metadata.as_ref().map_or("null", Json::as_str),
            );
    }

    /// The request.
    pub fn body(&self, model: &str, input: &[Rc<str>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        let mut object = ObjectWriter::new(&mut out);
        object.string("model", model);
        for (name, value) in &self.settings.plain {
            object.raw(name, value.as_str());
        }
        array(object.key("input"), input, |out, item| one_line(out, item));
        object
            .raw("include", "[\"reasoning.encrypted_content\"]")
            .bool("store", false)
            .bool("stream", true);
        object.end();
        out
    }
}

/// An item of an answer's own input: one of the conversation, or a new one that is forgotten with the answer.
fn input(raw: &RawValue, conversation: &Conversation) -> Result<Rc<str>, Failure> {
    let item = Object::from_raw(raw).ok_or_else(|| {
        invalid(
            "an item must be an object",
            Some("response.input"),
            "invalid_value",
        )
    })?;
    if item.get("type").and_then(object::string).as_deref() == Some("item_reference") {
        let id = item.get("id").and_then(object::string).unwrap_or_default();
        let item = conversation.find(&id)?;
        if item.waits() {
            let why = "what was said in this item is not written down yet; wait until it is";
            return Err(invalid(why, Some("response.input"), "item_not_transcribed"));
        }
        return Ok(Rc::clone(&item.asked));
    }
    let (item, sound) = Item::read(item, String::new(), true)?;
    if sound.is_some() {
        let why =
            "speech in the `input` of an answer is not taken by this gateway; make an item of it";
        return Err(refused(why, "response.input"));
    }
    Ok(item.asked)
}
