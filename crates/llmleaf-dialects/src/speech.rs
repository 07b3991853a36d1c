//! Speech: text in, sound out. The form that consumers speak and those that providers speak.
//!
//! The reference is OpenAI's form (`POST /audio/speech`, OpenAPI document 2.3.0, 2026-08): the answer is the sound itself, as it comes, or
//! events with the sound in base64. Both are written here from whatever a provider sends ([`Reader`] to [`Writer`]).
//!
//! Reading order: this file (the forms), `request.rs`, `sound.rs` (the ways back), `wav.rs`.

mod request;
mod sound;
mod voices;
mod wav;

pub use request::{edit, format, parse_request, render_request};
pub use sound::{Heard, Reader, Writer};
pub use voices::{Voice, Voices};
pub use wav::{Pcm, header};

use llmleaf_model::{Failure, FailureKind, Retry};
use serde::Deserialize;
use std::borrow::Cow;

/// A form that a provider speaks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechWire {
    /// The reference form.
    Reference(SpeechQuirks),
    /// The sound as `audio_data` in JSON, whole or in events; `pcm` is 32-bit floats.
    AudioData(SpeechQuirks),
    /// A `generateContent` request that asks for sound: 16-bit samples.
    GenerateContent,
}

/// How a service differs from the reference form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct SpeechQuirks {
    /// The fields that it takes, where it does not take all.
    pub takes: Option<Cow<'static, [Cow<'static, str>]>>,
    /// The values of `response_format` that it knows.
    pub formats: Cow<'static, [Cow<'static, str>]>,
    /// What it writes where nothing is said.
    pub unasked: Cow<'static, str>,
    /// It writes events when asked to.
    pub events: bool,
}

const ALL: &[Cow<'static, str>] = &[
    Cow::Borrowed("mp3"),
    Cow::Borrowed("opus"),
    Cow::Borrowed("aac"),
    Cow::Borrowed("flac"),
    Cow::Borrowed("wav"),
    Cow::Borrowed("pcm"),
];

impl SpeechQuirks {
    /// As OpenAI documents it.
    pub const REFERENCE: Self = Self {
        takes: None,
        formats: Cow::Borrowed(ALL),
        unasked: Cow::Borrowed("mp3"),
        events: true,
    };

    /// Whether the service speaks the routing language itself (see [`crate::preferences`]).
    fn routes(&self) -> bool {
        let known = self.takes.as_ref();
        known.is_some_and(|known| known.iter().any(|k| crate::preferences::is_field(k)))
    }

    fn takes(&self, name: &str) -> bool {
        let Some(known) = &self.takes else {
            return true;
        };
        ["model", "input", "voice", "response_format"].contains(&name)
            || known.iter().any(|k| k == name)
    }
}

impl Default for SpeechQuirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}

/// What the reference writes where nothing is said.
pub const UNASKED: &str = "mp3";

/// The type of a sound in that format.
pub fn content_type(format: &str) -> &'static str {
    match format {
        "mp3" => "audio/mpeg",
        "opus" | "ogg" => "audio/ogg",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "pcm" => "audio/pcm",
        _ => "application/octet-stream",
    }
}

impl SpeechWire {
    /// Whether a consumer's body is one for this wire, but for named edits.
    pub fn is_same(&self) -> bool {
        matches!(self, Self::Reference(_))
    }

    /// Whether the service speaks the routing language itself.
    pub fn routes(&self) -> bool {
        matches!(self, Self::Reference(quirks) if quirks.routes())
    }

    /// Whether the service writes the events that consumers read.
    pub fn writes_events(&self) -> bool {
        matches!(self, Self::Reference(quirks) if quirks.events)
    }
}

/// The target cannot write that format; another may.
fn unwritten(format: &str) -> Failure {
    let why = format!("the target does not write `response_format` \"{format}\"");
    let mut failure = Failure::invalid(why, Some("response_format"));
    failure.kind = FailureKind::Unsupported;
    failure.retry = Retry::NextTarget;
    failure
}

#[cfg(test)]
mod tests;
