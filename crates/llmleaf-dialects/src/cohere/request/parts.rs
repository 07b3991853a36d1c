//! Parts of a turn, to the wire.

use crate::cohere::citation::{self, Place};
use crate::cohere::document;
use crate::cohere::wire::{ObjectWriter, array, write_string};
use llmleaf_model::{
    Artefact, Citation, DialectName, Loss, Media, MediaKind, MediaSource, Message, Part, PartKind,
    Reasoning, ReasoningForm, Rest, Role, ToolResult,
};

/// Content of a turn: one bare text, or blocks; and what an assistant cited in it.
#[derive(Default)]
pub(super) struct Content {
    bare: Option<String>,
    blocks: Vec<Vec<u8>>,
    pub citations: Vec<Vec<u8>>,
}

impl Content {
    /// True where nothing is said.
    pub fn is_empty(&self) -> bool {
        self.bare.is_none() && self.blocks.is_empty()
    }

    /// Puts blocks in front.
    pub fn prepend(&mut self, blocks: Vec<Vec<u8>>) {
        if blocks.is_empty() {
            return;
        }
        if let Some(text) = self.bare.take() {
            let mut out = Vec::new();
            text_block(&mut out, &text).end();
            self.blocks.push(out);
        }
        self.blocks.splice(0..0, blocks);
    }

    /// Writes it as a value.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.bare {
            Some(text) => write_string(out, text),
            None => array(out, &self.blocks, |out, block| out.extend_from_slice(block)),
        }
    }
}

fn text_block<'o>(out: &'o mut Vec<u8>, text: &str) -> ObjectWriter<'o> {
    let mut object = ObjectWriter::new(out);
    object.string("type", "text").string("text", text);
    object
}

/// Writes parts, and keeps what goes beside the messages.
pub(super) struct PartWriter<'l> {
    pub own: bool,
    pub losses: &'l mut Vec<Loss>,
    pub documents: Vec<Vec<u8>>,
}

impl PartWriter<'_> {
    /// True for a thought that goes as `tool_plan`: what this wire's own models plan, and summaries before calls.
    pub fn is_plan(thought: &Reasoning, own: bool, calls: bool) -> bool {
        let summary = |text: &llmleaf_model::ReasoningText| text.form == ReasoningForm::Summary;
        (own || calls) && !thought.texts.is_empty() && thought.texts.iter().all(summary)
    }

    /// Content of a turn; calls and results of tools, plans and documents are not of it.
    pub fn content(&mut self, message: &Message, path: &str) -> Content {
        let own = self.own;
        let is_call = |part: &Part| matches!(part.kind, PartKind::ToolCall(_));
        let calls = message.parts.iter().any(is_call);
        let aside = |part: &Part| match &part.kind {
            PartKind::ToolCall(_) | PartKind::ToolResult(_) => true,
            PartKind::Reasoning(thought) => Self::is_plan(thought, own, calls),
            _ => message.role == Role::User && beside(part),
        };
        let mut content = Content::default();
        let mut said = message.parts.iter().filter(|part| !aside(part));
        if let (Some(one), None, true) = (said.next(), said.next(), message.bare)
            && let Some(text) = plain(one)
        {
            content.bare = (own || !text.is_empty()).then(|| text.to_owned());
        }
        let bare = content.bare.is_some();
        let mut before = 0u64;
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            match &part.kind {
                PartKind::Text { text, citations } => {
                    let index = u64::try_from(content.blocks.len()).unwrap_or(u64::MAX);
                    let after = before.saturating_add(length(text));
                    let before = std::mem::replace(&mut before, after);
                    if text.is_empty() && !own {
                        continue;
                    }
                    if message.role == Role::Assistant && !citations.is_empty() {
                        let place = Place::new(index, Some(before), text);
                        self.cite(citations, place, &path, &mut content.citations);
                    } else if !citations.is_empty() {
                        let why = "on this wire only answers cite";
                        let field = format!("{path}.citations");
                        self.losses.push(Loss::dropped(field, why));
                    }
                    if !bare {
                        let mut out = Vec::new();
                        let mut object = text_block(&mut out, text);
                        self.rest(&mut object, &part.rest, &path);
                        object.end();
                        content.blocks.push(out);
                    }
                }
                PartKind::Media(media) if aside(part) => self.beside(media, part, &path),
                _ if aside(part) => {}
                _ => {
                    let mut out = Vec::new();
                    if self.part(message.role, part, &path, &mut out) {
                        content.blocks.push(out);
                    }
                }
            }
        }
        content
    }

    fn cite(
        &mut self,
        citations: &[Citation],
        place: Place<'_>,
        path: &str,
        list: &mut Vec<Vec<u8>>,
    ) {
        let (told, more) = citation::told(citations);
        if let Some(why) = more {
            self.losses
                .push(Loss::dropped(format!("{path}.citations"), why));
        }
        for one in told {
            match citation::written(one, place) {
                Ok(written) => list.extend(written),
                Err(why) => {
                    let field = format!("{path}.citations");
                    self.losses.push(Loss::dropped(field, why));
                }
            }
        }
    }

    fn part(&mut self, role: Role, part: &Part, path: &str, out: &mut Vec<u8>) -> bool {
        match &part.kind {
            PartKind::Refusal(text) => {
                let why = "this wire has no refusals: it is told as text";
                self.losses.push(Loss::approximated(path, why));
                text_block(out, text).end();
                true
            }
            PartKind::Media(media)
                if media.kind == MediaKind::Image && (self.own || role == Role::User) =>
            {
                self.image(media, part, path, out)
            }
            PartKind::Media(media) => {
                let why = format!("only a user's message can hold {}", media.kind.as_str());
                self.lose(path, why);
                false
            }
            PartKind::Reasoning(thought) if role == Role::Assistant => {
                self.thought(thought, part, path, out)
            }
            PartKind::Opaque {
                dialect: DialectName::CohereChat,
                json,
                ..
            } => {
                out.extend_from_slice(json.as_str().as_bytes());
                true
            }
            _ => {
                self.lose(path, "a part that only another dialect understands");
                false
            }
        }
    }

    fn lose(&mut self, path: &str, why: impl Into<std::borrow::Cow<'static, str>>) {
        self.losses.push(Loss::dropped(path, why));
    }

    fn image(&mut self, media: &Media, part: &Part, path: &str, out: &mut Vec<u8>) -> bool {
        let url = match &media.source {
            MediaSource::Url(url) => url.clone(),
            MediaSource::Base64(data) => {
                let mime = media.mime.as_deref().unwrap_or_else(|| {
                    let why = "the type of the data is not known";
                    self.losses.push(Loss::approximated(path, why));
                    "image/png"
                });
                ["data:", mime, ";base64,", data].concat()
            }
            _ => {
                self.lose(path, "the target takes no image of this form");
                return false;
            }
        };
        let mut object = ObjectWriter::new(out);
        object.string("type", "image_url");
        object.object("image_url", |image| {
            image
                .string("url", &url)
                .string_if("detail", media.detail.as_deref());
        });
        self.rest(&mut object, &part.rest, path);
        object.end();
        true
    }

    /// A document of a turn stands beside the messages.
    fn beside(&mut self, media: &Media, part: &Part, path: &str) {
        if matches!(media.kind, MediaKind::Audio | MediaKind::Video) {
            return self.lose(path, "this wire takes images and documents only");
        }
        let mut out = Vec::new();
        match document::write(&mut out, media, part, self.own) {
            Ok(()) => {
                self.documents.push(out);
                if !self.own {
                    self.lose_rest(&part.rest, path);
                }
            }
            Err(why) => self.lose(path, why),
        }
    }

    fn thought(&mut self, thought: &Reasoning, part: &Part, path: &str, out: &mut Vec<u8>) -> bool {
        self.unproven(thought.artefact.as_ref(), path);
        let text = thought.joined();
        if text.is_empty() && (!self.own || thought.artefact.is_some()) {
            if thought.artefact.is_none() {
                self.lose(path, "a thought without words");
            }
            return false;
        }
        let mut object = ObjectWriter::new(out);
        object.string("type", "thinking").string("thinking", &text);
        self.rest(&mut object, &part.rest, path);
        object.end();
        true
    }

    /// No service of this wire verifies anything.
    pub fn unproven(&mut self, artefact: Option<&Artefact>, path: &str) {
        if artefact.is_some() {
            let field = format!("{path}.signature");
            self.losses
                .push(Loss::dropped(field, "the target cannot verify it"));
        }
    }

    /// Content of a tool's result, and the images that must move: results take text and documents.
    pub fn result(&mut self, result: &ToolResult, path: &str) -> (Content, Vec<Vec<u8>>) {
        let mut content = Content::default();
        let mut moved = Vec::new();
        if let ([one], true) = (result.parts.as_slice(), result.bare)
            && let Some(text) = plain(one)
        {
            content.bare = Some(text.to_owned());
            return (content, moved);
        }
        for (at, part) in result.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            let mut out = Vec::new();
            match &part.kind {
                PartKind::Text { text, .. } if self.own || !text.is_empty() => {
                    let mut object = text_block(&mut out, text);
                    self.rest(&mut object, &part.rest, &path);
                    object.end();
                }
                PartKind::Text { .. } => continue,
                PartKind::Media(media) if media.kind == MediaKind::Image => {
                    if !self.image(media, part, &path, &mut out) {
                        continue;
                    }
                    if !self.own {
                        let why =
                            "moved to a user's turn: a tool's result takes text and documents";
                        self.losses.push(Loss::approximated(&path, why));
                        moved.push(out);
                        continue;
                    }
                }
                PartKind::Media(media) => {
                    if !self.document(media, part, &path, &mut out) {
                        continue;
                    }
                }
                PartKind::Opaque {
                    dialect: DialectName::CohereChat,
                    json,
                    ..
                } => out.extend_from_slice(json.as_str().as_bytes()),
                _ => {
                    self.lose(&path, "a part that only another dialect understands");
                    continue;
                }
            }
            content.blocks.push(out);
        }
        if content.blocks.is_empty() && !(self.own && result.parts.is_empty()) {
            content.bare = Some(String::new());
        }
        (content, moved)
    }

    fn document(&mut self, media: &Media, part: &Part, path: &str, out: &mut Vec<u8>) -> bool {
        if matches!(media.kind, MediaKind::Audio | MediaKind::Video) {
            self.lose(path, "this wire takes images and documents only");
            return false;
        }
        let mut inner = Vec::new();
        if let Err(why) = document::write(&mut inner, media, part, self.own) {
            self.lose(path, why);
            return false;
        }
        if !self.own {
            self.lose_rest(&part.rest, path);
        }
        let mut object = ObjectWriter::new(out);
        object.string("type", "document");
        object.key("document").extend_from_slice(&inner);
        object.end();
        true
    }

    /// Writes fields that were kept, where they are of this dialect; else they are lost.
    pub fn rest(&mut self, object: &mut ObjectWriter<'_>, rest: &Rest, path: &str) {
        if self.own {
            object.rest(rest);
        } else {
            self.lose_rest(rest, path);
        }
    }

    fn lose_rest(&mut self, rest: &Rest, path: &str) {
        self.losses.extend(crate::writer::foreign(rest, path));
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// A document of a turn, which is not part of what is said.
fn beside(part: &Part) -> bool {
    matches!(&part.kind, PartKind::Media(media) if media.kind != MediaKind::Image)
}

/// The text of a part that is nothing but text.
fn plain(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::Text { text, .. } if part.rest.is_empty() => Some(text),
        _ => None,
    }
}
