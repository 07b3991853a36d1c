//! What is to be done about an event, and how events of our own are named.

use super::{Counted, told};
use crate::object::{self, Object};
use crate::writer::{ObjectWriter, json_object};
use llmleaf_model::Failure;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// The consumer is told this.
    Say(String),
    /// The provider is told this.
    Send(String),
    /// A model that chats is asked this: the body of a request of the Responses wire, which streams.
    Ask(Vec<u8>),
    /// A model that writes down what is said is asked this: the body of a request for a transcription, which streams.
    Listen(Vec<u8>),
    /// A model that says texts is asked this: the body of a request for speech.
    Speak(Vec<u8>),
    /// What is being written down is not wanted any more.
    Unlisten,
    /// The answer that is being made is not wanted any more, nor what is said of it.
    Cancel,
    /// This was used.
    Count(Box<Counted>),
}

/// Who says a session's events: under which names, and of which model.
#[derive(Debug)]
pub(super) struct Speaker {
    /// The model, as its consumer calls it.
    pub model: String,
    /// The session's own name, of which all others are made.
    pub name: String,
    /// Names that were given.
    named: u64,
}

impl Speaker {
    pub fn new(model: &str, name: &str) -> Self {
        Self {
            model: model.to_owned(),
            name: name.to_owned(),
            named: 0,
        }
    }

    pub fn voice<'a>(&'a mut self, out: &'a mut Vec<Step>) -> Voice<'a> {
        Voice {
            name: &self.name,
            named: &mut self.named,
            out,
        }
    }

    pub fn fresh(&mut self, prefix: &str) -> String {
        self.voice(&mut Vec::new()).fresh(prefix)
    }

    /// Tells of the session; `settings` are what is in effect.
    pub fn tell_session(
        &mut self,
        kind: &str,
        settings: impl FnOnce(&mut ObjectWriter<'_>),
        out: &mut Vec<Step>,
    ) {
        let (id, model) = (format!("sess_{}", self.name), self.model.clone());
        self.voice(out).say(kind, |event| {
            event.object("session", |session| {
                session
                    .string("object", "realtime.session")
                    .string("id", &id)
                    .string("model", &model);
                settings(session);
            });
        });
    }
}

/// Says events to a consumer, each with a name of its own.
pub(super) struct Voice<'a> {
    /// The session's own name, of which all others are made.
    pub name: &'a str,
    /// Names that were given.
    pub named: &'a mut u64,
    pub out: &'a mut Vec<Step>,
}

impl Voice<'_> {
    pub fn fresh(&mut self, prefix: &str) -> String {
        *self.named += 1;
        format!("{prefix}_{}{:x}", self.name, self.named)
    }

    pub fn say(&mut self, kind: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let id = self.fresh("event");
        let event = json_object(|event| {
            event.string("type", kind).string("event_id", &id);
            fill(event);
        });
        self.out.push(Step::Say(event.as_str().to_owned()));
    }

    pub fn refuse(&mut self, failure: &Failure, about: Option<&str>) {
        let id = self.fresh("event");
        self.out.push(Step::Say(told::error(failure, &id, about)));
    }
}

/// Longest name of an event that is repeated to its sender.
const LONGEST_ID: usize = 512;

/// Reads an event of a consumer, and its own name where it has one.
pub(super) fn read(text: &str) -> Result<(Object<'_>, Option<String>), Failure> {
    let top = Object::parse(text).map_err(|error| {
        let why = format!("the event is not a JSON object: {error}");
        invalid(why, None, "invalid_event")
    })?;
    let name = top.get("event_id").and_then(object::string);
    let name = name.filter(|id| id.len() <= LONGEST_ID);
    let name = name.map(std::borrow::Cow::into_owned);
    Ok((top, name))
}

/// An item and the one that it stands behind.
pub(super) fn placed(event: &mut ObjectWriter<'_>, before: Option<&str>, item: &str) {
    match before {
        Some(before) => event.string("previous_item_id", before),
        None => event.raw("previous_item_id", "null"),
    };
    event.raw("item", item);
}

pub(super) fn invalid(why: impl Into<String>, param: Option<&str>, code: &str) -> Failure {
    let mut failure = Failure::invalid(why, param);
    failure.code = Some(code.to_owned());
    failure
}
