//! Whole responses, both ends.

use super::answer::{self, End, Said};
use super::reading::Reading;
use super::wire::ObjectWriter;
use super::{Form, Quirks, errors};
use crate::broken::{ANSWER, corrupt, truncated};
use crate::losses::Losses;
use crate::object::Object;
use crate::{Reply, ReplyContext};
use llmleaf_model::{Block, BlockKind, Event, Failure, Loss, MediaSource, Response};

/// Reads a whole response as events, terminal included.
pub fn parse_response(body: &[u8], quirks: &Quirks) -> Vec<Event> {
    let mut events = Vec::new();
    let terminal = match read(body, quirks, &mut events) {
        Ok(()) => Event::ResponseEnd,
        Err(failure) => Event::Error(Box::new(failure)),
    };
    events.push(terminal);
    events
}

fn read(body: &[u8], quirks: &Quirks, events: &mut Vec<Event>) -> Result<(), Failure> {
    let text = std::str::from_utf8(body).map_err(|_| corrupt(ANSWER, "it is not UTF-8"))?;
    let text = &*crate::surrogates::mended(text.trim_start_matches('\u{feff}'));
    let whole = Object::parse(text).map_err(|error| corrupt(ANSWER, error))?;
    if let Some(failure) = errors::in_line(&whole, text) {
        return Err(failure);
    }
    match Reading::new(quirks.form).take(&whole, events) {
        Some(true) => Ok(()),
        Some(false) => Err(truncated("before it said that it was done")),
        None => Err(corrupt(ANSWER, "it has no message")),
    }
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext, form: Form) -> Reply {
    let mut losses = Losses::default();
    answer::lose_start(&response.start, &mut losses);
    if response.choices.len() > 1 {
        losses.note(Loss::dropped("choices", "this wire gives one answer"));
    }
    let choice = response.choices.first();
    let blocks = choice.map(|choice| choice.blocks.as_slice());
    let mut parts = Parts {
        hidden: context.hide_reasoning,
        losses: &mut losses,
        text: String::new(),
        thinking: String::new(),
        refused: false,
        said: Said::default(),
    };
    for (at, block) in blocks.unwrap_or_default().iter().enumerate() {
        parts.block(at, block);
    }
    let Parts {
        text,
        thinking,
        refused,
        said,
        ..
    } = parts;
    let said = Said {
        text: &text,
        thinking: &thinking,
        ..said
    };
    let end = End {
        finish: choice.and_then(|choice| choice.finish.as_ref()),
        refused,
        usage: response.usage.as_ref(),
    };
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    let known = (&response.start, context);
    answer::write(&mut object, form, known, &said, Some(&end), &mut losses);
    object.end();
    Reply {
        status: 200,
        body,
        losses: losses.take(),
    }
}

struct Parts<'a, 'l> {
    hidden: bool,
    losses: &'l mut Losses,
    text: String,
    thinking: String,
    refused: bool,
    said: Said<'a>,
}

impl<'a> Parts<'a, '_> {
    fn block(&mut self, at: usize, block: &'a Block) {
        if !block.citations.is_empty() {
            let why = "this wire has no citations";
            self.losses.note(Loss::dropped("citations", why));
        }
        self.said.logprobs.extend(&block.logprobs);
        match &block.kind {
            BlockKind::Text => self.text.push_str(&block.text),
            BlockKind::Refusal => {
                self.refused = true;
                self.text.push_str(&block.text);
            }
            BlockKind::Reasoning { id, form } => {
                let text = if self.hidden { "" } else { &*block.text };
                self.thinking.push_str(text);
                if let Some(artefact) = &block.artefact {
                    let sealed = answer::seal_thought(artefact, *form, id.as_deref(), text);
                    self.said.signatures.push(sealed);
                }
            }
            BlockKind::ToolCall { id, name, flavour } => {
                let index = self.said.calls.len() as u64;
                let mut out = Vec::new();
                if !answer::call(&mut out, index, (id, name), *flavour, &block.arguments) {
                    self.losses.note(answer::wrapped());
                }
                self.said.calls.push(out);
                if let Some(artefact) = &block.artefact {
                    self.said.signatures.push(answer::seal_call(artefact, id));
                }
            }
            BlockKind::Media { kind, .. } => {
                let image = *kind == llmleaf_model::MediaKind::Image;
                match &block.media {
                    Some(MediaSource::Base64(data)) if image => self.said.images.push(data),
                    _ => self.lost(at, "this wire takes images in base64 only"),
                }
                if !block.text.is_empty() {
                    let why = "this wire has no transcripts";
                    self.losses.note(Loss::dropped("transcript", why));
                }
            }
            BlockKind::ServerToolUse(_)
            | BlockKind::ServerToolResult(_)
            | BlockKind::Opaque { .. } => self.lost(at, "a block of another dialect"),
        }
    }

    fn lost(&mut self, at: usize, why: &'static str) {
        let field = format!("message.content[{at}]");
        self.losses.note(Loss::dropped(field, why));
    }
}
