//! Whole responses, both ends.

use super::answer::{
    self, CallView, DetailBody, Identity, write_annotation, write_call, write_detail, write_image,
};
use super::events::Reading;
use super::json::{ObjectWriter, push_list};
use super::wire::Chunk;
use super::{Quirks, errors, json_text, usage};
use crate::broken::{ANSWER, corrupt};
use crate::{Reply, ReplyContext};
use llmleaf_model::{
    ArtefactKind, Block, BlockKind, Choice, Delta, Event, Failure, Loss, MediaKind, MediaSource,
    Response, ToolFlavour,
};

/// Reads a whole response as events, terminal included.
pub fn parse_response(body: &[u8], _quirks: &Quirks) -> Vec<Event> {
    let mut events = Vec::new();
    let terminal = match read(body, &mut events) {
        Ok(()) => Event::ResponseEnd,
        Err(failure) => Event::Error(Box::new(failure)),
    };
    events.push(terminal);
    events
}

fn read(body: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
    let text = json_text(body).ok_or_else(|| corrupt(ANSWER, "it is not UTF-8"))?;
    if !text.starts_with('{') {
        return Err(corrupt(ANSWER, "it is not a JSON object"));
    }
    let text = &*crate::surrogates::mended(text);
    let chunk = Chunk::read(text).map_err(|error| corrupt(ANSWER, error))?;
    if let Some(failure) = errors::in_chunk(&chunk, text) {
        return Err(failure);
    }
    if chunk.choices.0.is_empty() {
        return Err(corrupt(ANSWER, "it has no choices"));
    }
    let mut reading = Reading::of_whole();
    reading.take(&chunk, events);
    reading.end(events);
    Ok(())
}

/// Renders a whole response for a consumer.
pub fn render_response(response: &Response, context: &ReplyContext) -> Reply {
    let mut body = Vec::with_capacity(1024);
    let mut losses: Vec<Loss> = answer::lost_of_start(&response.start).collect();
    let mut object = ObjectWriter::begin(&mut body);
    Identity::new(&response.start, context).write(&mut object, "chat.completion", &response.start);
    let choices = response.choices.iter().enumerate();
    push_list(object.key("choices"), choices, |out, (index, choice)| {
        let mut writer = ChoiceWriter {
            choice,
            path: format!("choices[{index}].message"),
            hide_reasoning: context.hide_reasoning,
            losses: &mut losses,
        };
        writer.write(index, out);
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

struct ChoiceWriter<'a> {
    choice: &'a Choice,
    path: String,
    hide_reasoning: bool,
    losses: &'a mut Vec<Loss>,
}

impl<'a> ChoiceWriter<'a> {
    fn write(&mut self, index: usize, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::begin(out);
        object.integer("index", index as u64);
        let mut message = ObjectWriter::begin(object.key("message"));
        message.string("role", "assistant");
        self.write_text(&mut message);
        self.write_reasoning(&mut message);
        self.write_calls(&mut message);
        self.write_annotations(&mut message);
        self.write_media(&mut message);
        message.end();
        let logprobs: Vec<_> = self.blocks().flat_map(|b| &b.logprobs).cloned().collect();
        if logprobs.is_empty() {
            object.raw("logprobs", "null");
        } else {
            let joined = answer::join_logprobs(&logprobs);
            object.key("logprobs").extend_from_slice(&joined);
        }
        match &self.choice.finish {
            Some(finish) => {
                self.losses.extend(answer::lost_of_finish(finish));
                answer::write_finish(&mut object, finish, self.calls().count() > 0);
            }
            None => object.raw("finish_reason", "null"),
        }
        object.end();
    }

    fn blocks(&self) -> impl Iterator<Item = &'a Block> + use<'a> {
        self.choice.blocks.iter()
    }

    fn calls(&self) -> impl Iterator<Item = &'a Block> + use<'a> {
        self.blocks()
            .filter(|b| matches!(b.kind, BlockKind::ToolCall { .. }))
    }

    fn lose(&mut self, what: &str, why: &'static str) {
        self.losses
            .push(Loss::dropped([self.path.as_str(), ".", what].concat(), why));
    }

    fn write_text(&mut self, message: &mut ObjectWriter<'_>) {
        let joined = |wanted: fn(&BlockKind) -> bool| -> Option<String> {
            let mut texts = self.blocks().filter(|b| wanted(&b.kind)).peekable();
            texts.peek()?;
            Some(texts.map(|b| b.text.as_str()).collect())
        };
        let text = joined(|kind| matches!(kind, BlockKind::Text));
        let refusal = joined(|kind| matches!(kind, BlockKind::Refusal));
        // An answer that says nothing at all is an empty text; one that says something else has none.
        let silent = !self
            .blocks()
            .any(|b| !matches!(b.kind, BlockKind::Reasoning { .. }));
        match text.or(silent.then(String::new)) {
            Some(text) => message.string("content", &text),
            None => message.raw("content", "null"),
        }
        match refusal {
            Some(refusal) => message.string("refusal", &refusal),
            None => message.raw("refusal", "null"),
        }
    }

    fn write_reasoning(&mut self, message: &mut ObjectWriter<'_>) {
        let hide = self.hide_reasoning;
        let blocks: Vec<&Block> = self
            .blocks()
            .filter(|b| matches!(b.kind, BlockKind::Reasoning { .. }))
            .filter(|b| !hide || sealed(b))
            .collect();
        let calls: Vec<&Block> = self.calls().filter(|b| b.artefact.is_some()).collect();
        if blocks.is_empty() && calls.is_empty() {
            return;
        }
        let text: String = blocks.iter().map(|b| b.text.as_str()).collect();
        if !text.is_empty() && !hide {
            message.string("reasoning", &text);
        }
        let details = blocks
            .iter()
            .enumerate()
            .flat_map(|(index, block)| block_details(index, block, hide));
        let calls = calls.iter().enumerate();
        let proofs = calls.filter_map(|(at, block)| call_detail(blocks.len() + at, block));
        let details = details.chain(proofs);
        push_list(
            message.key("reasoning_details"),
            details,
            |out, (index, id, body)| write_detail(out, &body, id, index, None),
        );
    }

    fn write_calls(&mut self, message: &mut ObjectWriter<'_>) {
        if self.calls().next().is_none() {
            return;
        }
        push_list(message.key("tool_calls"), self.calls(), |out, block| {
            let BlockKind::ToolCall { id, name, flavour } = &block.kind else {
                return;
            };
            // Clients parse arguments as JSON; a call without any takes none.
            let arguments = match flavour {
                ToolFlavour::Function if block.arguments.is_empty() => "{}",
                _ => &block.arguments,
            };
            let view = CallView {
                index: None,
                id: Some(id),
                name: Some(name),
                arguments: Some(arguments),
                flavour: *flavour,
                artefact: block.artefact.as_ref(),
            };
            write_call(out, &view);
        });
    }

    fn write_annotations(&mut self, message: &mut ObjectWriter<'_>) {
        let mut written = Vec::new();
        let mut lost = false;
        for citation in self.blocks().flat_map(|b| &b.citations) {
            let mut one = Vec::new();
            if write_annotation(&mut one, citation) {
                written.push(one);
            } else {
                lost = true;
            }
        }
        if lost {
            self.lose("annotations", "only sources with an address can be cited");
        }
        if !written.is_empty() {
            push_list(message.key("annotations"), written, |out, one| {
                out.extend_from_slice(&one);
            });
        }
    }

    fn write_media(&mut self, message: &mut ObjectWriter<'_>) {
        let mut images = Vec::new();
        for block in self.blocks() {
            match &block.kind {
                BlockKind::Media {
                    kind: MediaKind::Image,
                    mime,
                    ..
                } => {
                    let delta = match &block.media {
                        Some(MediaSource::Base64(data)) => Delta::MediaData(data.clone()),
                        Some(MediaSource::Url(url)) => Delta::MediaUrl(url.clone()),
                        _ => continue,
                    };
                    let mut one = Vec::new();
                    if write_image(&mut one, mime.as_deref(), &delta) {
                        images.push(one);
                    }
                }
                BlockKind::Media {
                    kind: MediaKind::Audio,
                    id,
                    ..
                } => write_audio(message, id.as_deref(), block),
                BlockKind::Media { kind, .. } => {
                    self.lose(kind.as_str(), "the wire has no place for it in an answer");
                }
                BlockKind::ServerToolUse(_) | BlockKind::ServerToolResult(_) => {
                    self.lose(
                        "server_tool",
                        "the wire cannot tell of a provider's own tools",
                    );
                }
                BlockKind::Opaque { .. } => {
                    self.lose("opaque", "only its own dialect understands the block");
                }
                _ => {}
            }
            if !block.opaque.is_empty() {
                self.lose("opaque", "only its own dialect understands the piece");
            }
        }
        if !images.is_empty() {
            push_list(message.key("images"), images, |out, one| {
                out.extend_from_slice(&one);
            });
        }
    }
}

fn sealed(block: &Block) -> bool {
    let artefact = block.artefact.as_ref();
    artefact.is_some_and(|a| a.kind == ArtefactKind::Encrypted)
}

/// The entry of `reasoning_details` that a call's proof becomes, for clients that keep no others' fields.
fn call_detail(index: usize, block: &Block) -> Option<(usize, Option<&str>, DetailBody<'_>)> {
    let BlockKind::ToolCall { id, .. } = &block.kind else {
        return None;
    };
    let artefact = block.artefact.as_ref()?;
    Some((index, Some(id.as_str()), DetailBody::OfCall(artefact)))
}

/// The entries of `reasoning_details` that one block becomes.
fn block_details(
    index: usize,
    block: &Block,
    hide: bool,
) -> impl Iterator<Item = (usize, Option<&str>, DetailBody<'_>)> {
    let (id, form) = match &block.kind {
        BlockKind::Reasoning { id, form } => (id.as_deref(), *form),
        _ => (None, llmleaf_model::ReasoningForm::Full),
    };
    // A signature stands with the text it proves, a sealed thought stands alone.
    let signature = block.artefact.as_ref().filter(|a| {
        a.kind == ArtefactKind::Signature && form == llmleaf_model::ReasoningForm::Full
    });
    let text = (!hide && (!block.text.is_empty() || signature.is_some()))
        .then_some(DetailBody::Text(form, block.text.as_str(), signature));
    let alone = block
        .artefact
        .as_ref()
        .filter(|_| signature.is_none())
        .map(DetailBody::Artefact);
    text.into_iter()
        .chain(alone)
        .map(move |body| (index, id, body))
}

fn write_audio(message: &mut ObjectWriter<'_>, id: Option<&str>, block: &Block) {
    let mut audio = ObjectWriter::begin(message.key("audio"));
    audio.string_if("id", id);
    if let Some(MediaSource::Base64(data)) = &block.media {
        audio.string("data", data);
    }
    audio.string("transcript", &block.text);
    audio.end();
}
