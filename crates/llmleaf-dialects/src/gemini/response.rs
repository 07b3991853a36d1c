//! Whole responses, both ends.

use super::answer::{self, Source};
use super::reading::Reading;
use super::wire::{ObjectWriter, array};
use super::{Quirks, errors, usage};
use crate::broken::{ANSWER, corrupt, truncated};
use crate::losses::Losses;
use crate::object::{Object, items};
use crate::{Reply, ReplyContext};
use llmleaf_model::{
    Block, BlockKind, Choice, Citation, DialectName, Event, Failure, Loss, MediaSource, Response,
};

/// Reads a whole response as events, terminal included. The array that a stream is without `alt=sse` reads as one too.
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
    let raw = serde_json::from_str::<&serde_json::value::RawValue>(text)
        .map_err(|error| corrupt(ANSWER, error))?;
    let mut reading = Reading::new(quirks);
    let chunks = items(raw);
    let is_stream = chunks.is_some();
    for raw in chunks.unwrap_or_else(|| vec![raw]) {
        let chunk =
            Object::from_raw(raw).ok_or_else(|| corrupt(ANSWER, "it is not a JSON object"))?;
        if let Some(failure) = errors::in_chunk(&chunk, raw.get()) {
            return Err(failure);
        }
        if !reading.take(&chunk, events) {
            return Err(corrupt(ANSWER, "it has no candidates"));
        }
        if let Some(why) = reading.broken() {
            return Err(corrupt(ANSWER, why));
        }
    }
    if is_stream && !reading.is_complete() {
        return Err(truncated(errors::UNFINISHED));
    }
    if reading.assembly.is_empty() && !reading.is_complete() {
        return Err(corrupt(ANSWER, "it has no candidates"));
    }
    reading.end(events);
    Ok(())
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext) -> Reply {
    let mut losses = Losses::default();
    if !answer::is_own(response.usage.as_ref()) {
        answer::lose_start(&response.start.rest, &mut losses);
    }
    let mut body = Vec::with_capacity(1024);
    let mut object = ObjectWriter::new(&mut body);
    let choices = response.choices.iter().enumerate();
    let first = response.choices.first().and_then(|c| c.finish.as_ref());
    let feedback = answer::feedback(first);
    // A blocked prompt has feedback and no candidate.
    let shown: Vec<_> = choices
        .filter(|(at, _)| *at > 0 || feedback.is_none())
        .collect();
    if !shown.is_empty() {
        array(object.key("candidates"), shown, |out, (index, choice)| {
            candidate(out, index, choice, context, &mut losses);
        });
    }
    if let Some(feedback) = feedback {
        object.raw("promptFeedback", feedback.as_str());
    }
    if let Some(report) = &response.usage {
        usage::render(object.key("usageMetadata"), report);
        report
            .unsaid_cache_writes()
            .into_iter()
            .for_each(|loss| losses.note(loss));
    }
    answer::identity(&mut object, &response.start, context);
    object.end();
    Reply {
        status: 200,
        body,
        losses: losses.take(),
    }
}

fn candidate(
    out: &mut Vec<u8>,
    index: usize,
    choice: &Choice,
    context: &ReplyContext,
    losses: &mut Losses,
) {
    let mut parts = Parts {
        written: Vec::new(),
        hidden: context.hide_reasoning,
        index,
        refused: false,
        sources: Vec::new(),
        losses,
    };
    for (at, block) in choice.blocks.iter().enumerate() {
        parts.block(at, block);
    }
    let Parts {
        written,
        refused,
        sources,
        losses,
        ..
    } = parts;
    let mut object = ObjectWriter::new(out);
    object.object("content", |content| {
        array(content.key("parts"), written, |out, part| {
            out.extend_from_slice(&part)
        });
        content.string("role", "model");
    });
    answer::ending(
        &mut object,
        choice.finish.as_ref(),
        &sources,
        refused,
        losses,
    );
    object.number("index", index as u64);
    object.end();
}

struct Parts<'a> {
    written: Vec<Vec<u8>>,
    hidden: bool,
    index: usize,
    refused: bool,
    sources: Vec<Citation>,
    losses: &'a mut Losses,
}

impl Parts<'_> {
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut part = Vec::new();
        write(&mut part);
        self.written.push(part);
    }

    fn block(&mut self, at: usize, block: &Block) {
        self.sources.extend(block.citations.iter().cloned());
        if !block.logprobs.is_empty() {
            self.losses
                .note(Loss::dropped("logprobs", "not told on this wire"));
        }
        match &block.kind {
            BlockKind::Text => {
                if !block.text.is_empty() {
                    self.add(|out| answer::text(out, &block.text));
                }
            }
            BlockKind::Refusal => {
                self.refused = true;
                self.add(|out| answer::text(out, &block.text));
            }
            BlockKind::Reasoning { id, form } => {
                let text = if self.hidden { "" } else { &*block.text };
                match &block.artefact {
                    Some(artefact) => self
                        .add(|out| answer::proof(out, text, artefact, id.as_deref(), *form, false)),
                    None if text.is_empty() => {}
                    None => self.add(|out| answer::thought(out, text)),
                }
            }
            BlockKind::ToolCall { id, name, flavour } => {
                let mut whole = true;
                self.add(|out| {
                    let artefact = block.artefact.as_ref();
                    whole = answer::call(out, id, name, *flavour, &block.arguments, artefact);
                });
                if !whole {
                    self.losses.note(Loss::approximated(
                        "arguments",
                        "the model wrote no JSON object; its text stands in one field",
                    ));
                }
            }
            BlockKind::Media { kind, mime, .. } => {
                let source = match &block.media {
                    Some(MediaSource::Base64(data)) => Some(Source::Inline(data)),
                    Some(MediaSource::Url(url)) => Some(Source::Url(url)),
                    _ => None,
                };
                if let Some(source) = source {
                    let fallback = answer::fallback_mime(*kind);
                    self.add(|out| answer::media(out, mime.as_deref(), fallback, source));
                }
                if !block.text.is_empty() {
                    let why = "this wire has no transcripts";
                    self.losses.note(Loss::dropped("transcript", why));
                }
            }
            BlockKind::ServerToolUse(tool) => self.own(at, tool.dialect, tool.json.as_ref()),
            BlockKind::ServerToolResult(result) => self.own(at, result.dialect, Some(&result.json)),
            BlockKind::Opaque { dialect, json, .. } => self.own(at, *dialect, Some(json)),
        }
    }

    /// A part of this dialect, as it was written.
    fn own(&mut self, at: usize, dialect: DialectName, json: Option<&llmleaf_model::Json>) {
        match json.filter(|_| dialect == DialectName::GenerateContent) {
            Some(json) => self.add(|out| super::wire::one_line(out, json.as_str())),
            None => {
                let field = format!("candidates[{}].content[{at}]", self.index);
                self.losses
                    .note(Loss::dropped(field, "a block of another dialect"));
            }
        }
    }
}
