//! Items with sound in them: parts of messages, what was heard, and what was said.

use super::items::message;
use super::mouth::{self, Piece};
use super::unsupported;
use crate::object::{self, Object};
use crate::realtime::step::invalid;
use crate::writer::json_object;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What there is to an item beside words.
#[derive(Clone, Debug)]
pub enum Sounding {
    /// What was heard in it is not known yet: its role and its parts.
    Waits(String, Vec<Content>),
    /// That is known, or never will be.
    Heard(String, Vec<Content>),
    /// The model said it.
    Said(Said),
}

impl Sounding {
    /// What is held of it, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Waits(role, parts) | Self::Heard(role, parts) => {
                let parts = parts.iter().map(|part| match part {
                    Content::Plain(told, asked) => told.len() + asked.len(),
                    Content::Sound => 0,
                });
                role.len() + parts.sum::<usize>()
            }
            Self::Said(said) => said.text.len() + said.pieces.len() * size_of::<Piece>(),
        }
    }
}

/// A part of a message.
#[derive(Clone, Debug)]
pub enum Content {
    /// As its consumer is told of it, and as a request says it.
    Plain(String, String),
    /// Sound. A request has what was heard.
    Sound,
}

impl Content {
    pub fn told(&self, transcript: Option<&str>) -> Cow<'_, str> {
        let Self::Plain(told, _) = self else {
            let part = json_object(|part| {
                part.string("type", "input_audio");
                match transcript {
                    Some(text) => part.string("transcript", text),
                    None => part.raw("transcript", "null"),
                };
            });
            return Cow::Owned(part.as_str().to_owned());
        };
        Cow::Borrowed(told)
    }

    pub fn asked(&self, transcript: Option<&str>) -> Option<Cow<'_, str>> {
        let Self::Plain(_, asked) = self else {
            let text = transcript.filter(|text| !text.is_empty())?;
            let part = json_object(|part| {
                part.string("type", "input_text").string("text", text);
            });
            return Some(Cow::Owned(part.as_str().to_owned()));
        };
        Some(Cow::Borrowed(asked))
    }
}

/// Something that was said in sound.
#[derive(Clone, Debug)]
pub struct Said {
    /// What the next answer knows of it.
    pub text: String,
    pub pieces: Vec<Piece>,
    pub status: String,
    pub older: bool,
}

impl Said {
    /// As its consumer is told of it.
    pub fn told(&self, id: &str, text: &str) -> String {
        let kind = if self.older { "audio" } else { "output_audio" };
        let part = json_object(|part| {
            part.string("type", kind).string("transcript", text);
        });
        message(id, &self.status, "assistant", [part.as_str()])
    }

    /// Nothing was heard after that moment.
    pub fn cut(&mut self, millis: u64) {
        let heard = mouth::heard(&self.text, &self.pieces, millis).len();
        self.text.truncate(heard);
        for piece in &mut self.pieces {
            piece.text = piece.text.min(heard);
            piece.millis = piece.millis.min(millis);
            piece.whole = true;
        }
    }
}

/// Reads a part of a message, and the sound in it.
pub fn content_of(
    raw: &RawValue,
    role: &str,
    hears: bool,
) -> Result<(Content, Option<Vec<u8>>), Failure> {
    let param = Some("item.content");
    let part = Object::from_raw(raw);
    let part = part.ok_or_else(|| invalid("a part must be an object", param, "invalid_value"))?;
    let word = |name: &str| part.get(name).and_then(object::string);
    let missing = |name: &str| {
        let why = format!("a part's `{name}` is missing");
        invalid(why, param, "invalid_value")
    };
    let of_model = role == "assistant";
    let kind = word("type").unwrap_or_default();
    let json = match &*kind {
        "input_text" | "text" | "output_text" => {
            let text = word("text").ok_or_else(|| missing("text"))?;
            let kind = if of_model {
                "output_text"
            } else {
                "input_text"
            };
            json_object(|part| {
                part.string("type", kind).string("text", &text);
            })
        }
        "input_image" if !of_model => {
            let url = word("image_url").ok_or_else(|| missing("image_url"))?;
            json_object(|part| {
                part.string("type", "input_image")
                    .string("image_url", &url)
                    .string_if("detail", word("detail").as_deref());
            })
        }
        "input_audio" if role == "user" && hears => {
            let audio = word("audio").ok_or_else(|| missing("audio"))?;
            return Ok((Content::Sound, Some(decoded(&audio, "item.content")?)));
        }
        // What was said is repeated by its words.
        "output_audio" | "audio" if of_model && part.get("transcript").is_some() => {
            let text = word("transcript").ok_or_else(|| missing("transcript"))?;
            json_object(|part| {
                part.string("type", "output_text").string("text", &text);
            })
        }
        _ => {
            let shown: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(unsupported(&format!("a part of type `{shown}`"), param));
        }
    };
    let (told, asked) = (raw.get().to_owned(), json.as_str().to_owned());
    Ok((Content::Plain(told, asked), None))
}

/// Sound from base64.
pub fn decoded(text: &str, param: &str) -> Result<Vec<u8>, Failure> {
    STANDARD
        .decode(text)
        .map_err(|_| invalid("the sound is not base64", Some(param), "invalid_value"))
}
