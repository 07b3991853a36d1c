//! Transcriptions: sound in, text out. The forms that consumers speak and those that providers speak.
//!
//! The reference is OpenAI's form (`POST /audio/transcriptions` and `/audio/translations`, OpenAPI document 2.3.0, 2026-08): a multipart
//! body with the file in it. Such a body is never read whole here: [`Editor`] changes it while it passes, field by field, wherever the
//! fields stand. A consumer may send the same as JSON with the sound in base64, as OpenRouter's document has it.
//!
//! What a service does not write itself (`srt`, `vtt`, `text`, events) is written here from what it tells.
//!
//! Reading order: this file (the forms, and what is asked of whom), `request.rs` (fields), `editor.rs`, `inline.rs` (sound inside JSON),
//! `answer.rs` (reading), `render.rs` (writing), `events.rs` (streams), `usage.rs`.

mod answer;
mod editor;
mod events;
mod inline;
mod render;
mod request;
mod usage;

pub use editor::{Change, Editor};
pub use events::{Step, render_event, render_events};
pub(crate) use inline::encode;
pub use inline::{Inline, JsonRequest, parse_json, render_form};
pub use render::render;
pub use request::{Format, Request};
pub(crate) use usage::of_object as usage_of;

use crate::Rendered;
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, Loss, Retry, Transcript};
use serde::Deserialize;
use std::borrow::Cow;

/// What is to become of what is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// It is written down.
    Transcribe,
    /// It is written down in English.
    Translate,
}

/// A form that a provider speaks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptionWire {
    /// A multipart form.
    Form(FormQuirks),
    /// The sound and an instruction, as a `generateContent` request.
    GenerateContent,
}

/// How a service differs from the reference form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct FormQuirks {
    /// The fields that it takes, where it does not take all.
    pub takes: Option<Cow<'static, [Cow<'static, str>]>>,
    /// The values of `response_format` that it answers as the reference does. Empty: it has one answer of its own.
    pub formats: Cow<'static, [Cow<'static, str>]>,
    /// How it streams.
    pub streams: Streams,
    /// Segments with times come where this field asks for them.
    pub segments: Option<Cow<'static, str>>,
    /// Who speaks is told where this field is true.
    pub diarize: Option<Cow<'static, str>>,
    /// The same may be sent as JSON, with the sound in base64.
    pub json: bool,
}

/// How a service streams what it hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// It does not.
    No,
    /// `transcript.text.delta` and so on.
    #[default]
    Reference,
    /// `transcription.text.delta` and so on, each with its text in `text`.
    Typed,
}

const ALL: &[Cow<'static, str>] = &[
    Cow::Borrowed("json"),
    Cow::Borrowed("text"),
    Cow::Borrowed("srt"),
    Cow::Borrowed("verbose_json"),
    Cow::Borrowed("vtt"),
    Cow::Borrowed("diarized_json"),
];

impl FormQuirks {
    /// As OpenAI documents it.
    pub const REFERENCE: Self = Self {
        takes: None,
        formats: Cow::Borrowed(ALL),
        streams: Streams::Reference,
        segments: None,
        diarize: None,
        json: false,
    };

    /// Whether it takes a field. A list is written with brackets or without.
    fn takes(&self, name: &str) -> bool {
        let bare = name.strip_suffix("[]").unwrap_or(name);
        let Some(known) = &self.takes else {
            return true;
        };
        ["model", "file"].contains(&bare)
            || known
                .iter()
                .any(|k| k == name || k.trim_end_matches("[]") == bare)
    }

    /// Whether it answers that format as the reference does.
    fn answers(&self, format: Format) -> bool {
        self.formats.iter().any(|known| known == format.as_str())
    }

    /// Whether nothing but the model's name is ever changed of a form for it.
    pub fn is_plain(&self) -> bool {
        self.takes.is_none()
            && self.formats.len() == ALL.len()
            && self.streams == Streams::Reference
    }

    /// What to ask so that an answer in that format can be given.
    ///
    /// # Errors
    /// It cannot (kind `Unsupported`: the next target may).
    pub fn ask(&self, format: Format) -> Result<Ask, Failure> {
        if self.answers(format) {
            return Ok(Ask::Same);
        }
        let timed = self.answers(Format::Verbose) || self.segments.is_some();
        match format {
            Format::Json | Format::Text => Ok(Ask::Words),
            Format::Srt | Format::Vtt | Format::Verbose if timed => Ok(Ask::Times),
            Format::Diarized if self.diarize.is_some() => Ok(Ask::Speakers),
            _ => Err(unsupported(format.as_str())),
        }
    }
}

impl Default for FormQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

/// What is asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What the consumer asks; its answer goes through.
    Same,
    /// The text.
    Words,
    /// The text and when it was said.
    Times,
    /// The text, when and by whom it was said.
    Speakers,
}

impl TranscriptionWire {
    /// What to ask so that an answer in that format can be given.
    ///
    /// # Errors
    /// It cannot (kind `Unsupported`: the next target may).
    pub fn ask(&self, format: Format) -> Result<Ask, Failure> {
        match (self, format) {
            (Self::Form(quirks), _) => quirks.ask(format),
            (Self::GenerateContent, Format::Json | Format::Text) => Ok(Ask::Words),
            (Self::GenerateContent, _) => Err(unsupported(format.as_str())),
        }
    }

    /// Whether a stream of it is one that consumers read.
    pub fn streams_as_asked(&self) -> bool {
        matches!(self, Self::Form(quirks) if quirks.streams == Streams::Reference)
    }

    /// Whether it streams in any way.
    pub fn streams(&self) -> bool {
        !matches!(self, Self::Form(quirks) if quirks.streams == Streams::No)
    }
}

/// Reads a provider's answer in one piece.
///
/// # Errors
/// It is none (kind `InvalidResponse`: the next target may do better).
pub fn parse_answer(body: &[u8]) -> Result<Transcript, Failure> {
    answer::parse(body)
}

/// What became of a request that is rendered whole.
#[derive(Debug)]
pub struct Whole {
    /// The body and what was lost.
    pub rendered: Rendered,
    /// The type of the body.
    pub content_type: Cow<'static, str>,
}

impl Whole {
    fn json(body: impl Into<Bytes>, losses: Vec<Loss>) -> Self {
        Self {
            rendered: Rendered {
                body: body.into(),
                losses,
                usage_added: false,
            },
            content_type: Cow::Borrowed("application/json"),
        }
    }
}

/// Most fields that are told to be lost, and most bytes of a name in what is told: both are the consumer's.
const LOSSES: usize = 64;
const NAME_BYTES: usize = 128;

/// Takes note of a field that the target does not have.
fn lose(losses: &mut Vec<Loss>, name: &str) {
    let why = "the target has no such field";
    match losses.len() {
        ..LOSSES if name.len() <= NAME_BYTES => losses.push(Loss::dropped(name, why)),
        ..LOSSES => {
            let short = name.get(..name.floor_char_boundary(NAME_BYTES));
            let short = [short.unwrap_or_default(), "..."].concat();
            losses.push(Loss::dropped(short, why));
        }
        LOSSES => losses.push(Loss::dropped(
            "...",
            "more fields that the target does not have",
        )),
        _ => {}
    }
}

/// The target cannot answer in that format; another may.
pub fn unsupported(format: &str) -> Failure {
    let why = format!("the target does not tell what `response_format` \"{format}\" needs");
    let mut failure = Failure::invalid(why, Some("response_format"));
    failure.kind = FailureKind::Unsupported;
    failure.retry = Retry::NextTarget;
    failure
}

#[cfg(test)]
mod tests;
