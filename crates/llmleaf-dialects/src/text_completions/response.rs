//! Whole responses, both ends.

use super::events::{Identity, Said};
use super::quirks::Answers;
use super::reading::Reading;
use super::{Quirks, TEXT_ONLY, logprobs};
use crate::broken::{ANSWER, corrupt};
use crate::chat_completions::{self, usage};
use crate::object::Object;
use crate::writer::{ObjectWriter, array};
use crate::{Reply, ReplyContext};
use llmleaf_model::{BlockKind, Choice, Event, Failure, Json, Loss, Response};

/// Reads a whole response as events, terminal included.
pub fn parse_response(body: &[u8], quirks: &Quirks) -> Vec<Event> {
    if quirks.answers == Answers::Chat {
        return chat_completions::response::parse_response(body, &quirks.chat);
    }
    let mut events = Vec::new();
    let terminal = match read(body, &mut events) {
        Ok(()) => Event::ResponseEnd,
        Err(failure) => Event::Error(Box::new(failure)),
    };
    events.push(terminal);
    events
}

fn read(body: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
    let text = std::str::from_utf8(body).map_err(|_| corrupt(ANSWER, "it is not UTF-8"))?;
    let text = &*crate::surrogates::mended(text.trim_start_matches('\u{feff}'));
    let whole = Object::parse(text).map_err(|error| corrupt(ANSWER, error))?;
    let mut reading = Reading::default();
    if !reading.take(&whole, text, events)? || reading.is_empty() {
        return Err(corrupt(ANSWER, "it has no choices"));
    }
    reading.end(events);
    Ok(())
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext) -> Reply {
    let mut losses = Vec::new();
    let mut body = Vec::with_capacity(512);
    let mut object = ObjectWriter::new(&mut body);
    let identity = Identity::new(&response.start, context);
    identity.write(&mut object, &mut losses);
    let choices = response.choices.iter().enumerate();
    array(object.key("choices"), choices, |out, (index, choice)| {
        write_choice(out, index, choice, &mut losses);
    });
    if let Some(report) = &response.usage {
        usage::render(report, object.key("usage"));
    }
    object.end();
    Reply {
        status: 200,
        body,
        losses,
    }
}

fn write_choice(out: &mut Vec<u8>, index: usize, choice: &Choice, losses: &mut Vec<Loss>) {
    let mut text = String::new();
    let mut probabilities: Vec<&Json> = Vec::new();
    for block in &choice.blocks {
        probabilities.extend(&block.logprobs);
        match &block.kind {
            BlockKind::Text => text.push_str(&block.text),
            BlockKind::Refusal => {
                text.push_str(&block.text);
                losses.push(super::refusal(index as u64));
            }
            other => {
                let field = format!("choices[{index}].{}", super::events::named(other));
                losses.push(Loss::dropped(field, TEXT_ONLY));
            }
        }
        if !block.citations.is_empty() {
            let field = format!("choices[{index}].citations");
            losses.push(Loss::dropped(field, TEXT_ONLY));
        }
    }
    let mut object = ObjectWriter::new(out);
    object.number("index", index as u64).string("text", &text);
    match probabilities.is_empty() {
        true => {
            object.raw("logprobs", "null");
        }
        false => logprobs::write(object.key("logprobs"), &probabilities, &mut 0),
    }
    let said = choice.finish.as_ref().map(Said::of);
    Said::write(said.as_ref(), &mut object, losses);
    object.end();
}
