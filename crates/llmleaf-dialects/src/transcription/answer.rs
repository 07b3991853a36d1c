//! Reading an answer in one piece, whoever gives it.

use super::usage;
use crate::object::{Object, items, string};
use crate::sound_events::broken;
use llmleaf_model::{Failure, Json, Segment, Transcript, Usage, Word};
use serde_json::value::RawValue;

/// Reads an answer: the reference's, and those that tell the same under other names.
pub fn parse(body: &[u8]) -> Result<Transcript, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| broken("the answer is not UTF-8"))?;
    let object = Object::parse(text).map_err(|_| broken("the answer is not a JSON object"))?;
    of(&object)
}

/// The same of an object that was read.
pub(super) fn of(object: &Object<'_>) -> Result<Transcript, Failure> {
    let text = object.get("text").and_then(string);
    let text = text.ok_or_else(|| broken("the answer holds no text"))?;
    let duration = object.get("duration").filter(|raw| is_number(raw));
    let mut usage = object.get("usage").and_then(usage::of_object);
    if let Some(duration) = duration {
        // The length as it is, where the bill has it in whole seconds or not at all.
        let units = &mut usage.get_or_insert_with(Usage::default).units;
        units.audio_ms = usage::millis(duration.get());
    }
    Ok(Transcript {
        text: text.into_owned(),
        language: object.get("language").and_then(string).map(Into::into),
        duration: duration.map(Json::from),
        segments: object.get("segments").and_then(items).map(segments),
        words: object.get("words").and_then(items).map(words),
        logprobs: (object.get("logprobs").filter(|raw| raw.get() != "null")).map(Json::from),
        usage,
    })
}

fn is_number(raw: &RawValue) -> bool {
    raw.get().parse::<f64>().is_ok()
}

fn segments(list: Vec<&RawValue>) -> Vec<Segment> {
    list.into_iter().filter_map(segment).collect()
}

/// Reads a segment; `None` where it has no text or no times.
pub(super) fn segment(raw: &RawValue) -> Option<Segment> {
    let mut object = Object::from_raw(raw)?;
    let (start, end) = (time(&mut object, "start")?, time(&mut object, "end")?);
    let text = object.take("text").and_then(string)?.into_owned();
    let speaker = speaker(&mut object);
    object.take("type");
    Some(Segment {
        id: object.take("id").map(Json::from),
        start: Json::from(start),
        end: Json::from(end),
        text,
        speaker,
        rest: object.into_rest(),
    })
}

fn time<'a>(object: &mut Object<'a>, name: &str) -> Option<&'a RawValue> {
    object.take(name).filter(|raw| is_number(raw))
}

/// Who speaks: `speaker` of the reference (OpenRouter has a number there), `speaker_id` of others.
fn speaker(object: &mut Object<'_>) -> Option<String> {
    let raw = object.take("speaker").or(object.take("speaker_id"))?;
    match string(raw) {
        Some(text) => Some(text.into_owned()),
        None => is_number(raw).then(|| raw.get().to_owned()),
    }
}

fn words(list: Vec<&RawValue>) -> Vec<Word> {
    let word = |raw: &RawValue| {
        let mut object = Object::from_raw(raw)?;
        let (start, end) = (object.take("start")?, object.take("end")?);
        let word = object
            .take("word")
            .or(object.take("text"))
            .and_then(string)?;
        Some(Word {
            word: word.into_owned(),
            start: Json::from(start),
            end: Json::from(end),
            speaker: speaker(&mut object),
        })
    };
    list.into_iter().filter_map(word).collect()
}
