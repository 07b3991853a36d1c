//! What a consumer says in a session, as far as a gateway must know: whether it asks for an answer, and which models it names.

use crate::object::{self, Object};
use crate::splice::{Splices, quote};
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use std::ops::Range;

/// Longest name of an event that is repeated to its sender, as the reference has it.
const LONGEST_ID: usize = 512;

/// One event of a consumer.
#[derive(Debug)]
pub struct Said {
    /// What it leads to.
    pub asks: Asks,
    /// Its own name, for errors about it.
    pub event_id: Option<String>,
    /// The models that it names.
    pub models: Vec<Named>,
}

/// What an event leads to, beside what it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing that costs.
    Nothing,
    /// A piece of speech, which may be answered or written down when it ends.
    Speech,
    /// Speech ends here.
    SpeechEnd,
    /// An answer.
    Answer,
}

/// A model that is named.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// It is the one that writes down what is heard, and not the session's own.
    pub writes: bool,
    /// Where it stands.
    at: Range<usize>,
}

/// Reads an event.
///
/// # Errors
/// It is no JSON object, says a thing twice, or names no type: nobody can tell what a provider would take it for.
pub fn read(text: &str) -> Result<Said, Failure> {
    let invalid = |message: String| {
        let mut failure = Failure::invalid(message, None);
        failure.code = Some("invalid_event".to_owned());
        failure
    };
    let top = Object::parse(text)
        .map_err(|error| invalid(format!("the event is not a JSON object: {error}")))?;
    let kind = top.get("type").and_then(object::string);
    let kind = kind.ok_or_else(|| invalid("the event's `type` is missing".to_owned()))?;
    let event_id = top.get("event_id").and_then(object::string);
    let mut models = Vec::new();
    let setting = match &*kind {
        "session.update" | "transcription_session.update" => top.get("session"),
        "response.create" => top.get("response"),
        _ => None,
    };
    if let Some(setting) = setting.filter(|raw| raw.get() != "null") {
        named(text, setting, &mut models).ok_or_else(|| {
            invalid(format!(
                "`{kind}` holds what is no object, or a field twice"
            ))
        })?;
    }
    Ok(Said {
        asks: match &*kind {
            "input_audio_buffer.append" => Asks::Speech,
            "input_audio_buffer.commit" => Asks::SpeechEnd,
            "response.create" => Asks::Answer,
            _ => Asks::Nothing,
        },
        event_id: event_id
            .filter(|id| id.len() <= LONGEST_ID)
            .map(std::borrow::Cow::into_owned),
        models,
    })
}

/// The model that writes down what is heard, as a session is told to have it.
pub(super) fn writer(text: &str, session: &RawValue) -> Option<String> {
    let mut models = Vec::new();
    named(text, session, &mut models)?;
    let writer = models.into_iter().rfind(|model| model.writes);
    writer.map(|model| model.name)
}

/// Whether the speech in a session is answered without being asked to: so it is unless turns are not detected, or not answered.
pub(super) fn answers_speech(session: &RawValue) -> bool {
    let Some(session) = Object::from_raw(session) else {
        return true;
    };
    let below = |name: &str| session.get(name).and_then(Object::from_raw);
    let newer = below("audio").and_then(|audio| audio.get("input").and_then(Object::from_raw));
    let newer = newer.as_ref().and_then(|input| input.get("turn_detection"));
    let Some(detection) = newer.or_else(|| session.get("turn_detection")) else {
        return true;
    };
    let answers = Object::from_raw(detection).map(|detection| {
        let says = detection.get("create_response");
        says.is_none_or(|raw| raw.get() != "false")
    });
    answers.unwrap_or(false)
}

/// The models that the settings of a session or an answer name, whichever form they have.
fn named(text: &str, setting: &RawValue, out: &mut Vec<Named>) -> Option<()> {
    let mut push = |raw: Option<&RawValue>, writes| {
        let name = raw.and_then(object::string);
        if let (Some(raw), Some(name)) = (raw, name) {
            let name = name.into_owned();
            let at = place(text, raw);
            out.push(Named { name, writes, at });
        }
    };
    let setting = Object::from_raw(setting)?;
    push(setting.get("model"), false);
    let below = |object: &Object<'_>, field: &str| -> Option<Option<RawObject>> {
        match object.get(field).filter(|raw| raw.get().starts_with('{')) {
            None => Some(None),
            Some(raw) => Object::from_raw(raw).map(|_| Some(RawObject(place(text, raw)))),
        }
    };
    // The newer form: audio.input.transcription; the older one has it at the top.
    let mut at = below(&setting, "audio")?;
    for field in ["input", "transcription"] {
        if let Some(found) = at {
            let object = Object::parse(text.get(found.0)?).ok()?;
            at = below(&object, field)?;
        }
    }
    let older = below(&setting, "input_audio_transcription")?;
    for found in [at, older].into_iter().flatten() {
        let object = Object::parse(text.get(found.0)?).ok()?;
        push(object.get("model"), true);
    }
    Some(())
}

/// Where an object stands.
struct RawObject(Range<usize>);

/// Where a piece of a text stands in it.
pub(super) fn place(text: &str, raw: &RawValue) -> Range<usize> {
    let at = raw.get().as_ptr() as usize - text.as_ptr() as usize;
    at..at + raw.get().len()
}

/// An event with other names for models, given for each one that it names; `None` leaves a name.
pub fn renamed(text: &str, said: &Said, name: impl Fn(&Named) -> Option<String>) -> Option<String> {
    let mut splices = Splices::new();
    for model in &said.models {
        if let Some(name) = name(model).filter(|name| *name != model.name) {
            splices.replace(model.at.clone(), quote(&name));
        }
    }
    if splices.is_empty() {
        return None;
    }
    String::from_utf8(splices.apply(text)).ok()
}
