//! The structs of chunks and responses as documented, read totally.
//!
//! Strings are borrowed from the frame where they hold no escape. A field that is missing, `null` or of another
//! type than documented reads as absent, so that one odd field never costs the rest; only text that is not
//! JSON fails. Unknown fields are passed over.
//!
//! Requests are not read through these structs: see [`super::request`].

mod lenient;
mod plain;

pub(super) use lenient::{Integer, List, Maybe, Raw, Text};
pub(super) use plain::{fields, once};

use serde::Deserialize;

/// A `chat.completion.chunk`, or a whole `chat.completion`: they differ in `delta` and `message` only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub model: Text<'a>,
    pub created: Integer,
    #[serde(borrow)]
    pub object: Text<'a>,
    #[serde(borrow)]
    pub choices: List<WireChoice<'a>>,
    #[serde(borrow)]
    pub usage: Raw<'a>,
    /// Where one service reports usage that was not asked for (Groq, recorded 2024-04 and 2024-08).
    #[serde(borrow)]
    pub x_groq: Maybe<Box<Beside<'a>>>,
    #[serde(borrow)]
    pub error: Raw<'a>,
    #[serde(borrow)]
    pub system_fingerprint: Raw<'a>,
    #[serde(borrow)]
    pub service_tier: Raw<'a>,
    /// Who answered, as a router names it.
    #[serde(borrow)]
    pub provider: Raw<'a>,
    /// An envelope in which one service reports errors at status 200.
    #[serde(borrow)]
    pub base_resp: Maybe<Box<BaseResp<'a>>>,
    /// Addresses of sources, for the answer as a whole.
    #[serde(borrow)]
    pub citations: Raw<'a>,
    /// The same with titles.
    #[serde(borrow)]
    pub search_results: Raw<'a>,
}

impl<'a> Chunk<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// It is not JSON, or has a field twice.
    pub fn read(text: &'a str) -> serde_json::Result<Self> {
        match plain::chunk(text) {
            Some(chunk) => Ok(chunk),
            None => serde_json::from_str(text),
        }
    }
}

/// What a service says beside the documented fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Beside<'a> {
    #[serde(borrow)]
    pub usage: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BaseResp<'a> {
    pub status_code: Integer,
    #[serde(borrow)]
    pub status_msg: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireChoice<'a> {
    pub index: Integer,
    #[serde(borrow)]
    pub delta: Maybe<WireMessage<'a>>,
    /// Boxed, like all that few chunks have: a chunk is moved about while it is read.
    #[serde(borrow)]
    pub message: Maybe<Box<WireMessage<'a>>>,
    #[serde(borrow)]
    pub finish_reason: Text<'a>,
    #[serde(borrow)]
    pub native_finish_reason: Text<'a>,
    #[serde(borrow)]
    pub logprobs: Raw<'a>,
    #[serde(borrow)]
    pub error: Raw<'a>,
}

/// A message, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireMessage<'a> {
    #[serde(borrow)]
    pub content: Content<'a>,
    #[serde(borrow)]
    pub refusal: Text<'a>,
    #[serde(borrow)]
    pub reasoning: Text<'a>,
    #[serde(borrow)]
    pub reasoning_content: Text<'a>,
    #[serde(borrow)]
    pub reasoning_details: List<ReasoningDetail<'a>>,
    #[serde(borrow)]
    pub tool_calls: List<WireToolCall<'a>>,
    #[serde(borrow)]
    pub function_call: Maybe<Box<WireFunction<'a>>>,
    #[serde(borrow)]
    pub annotations: Raw<'a>,
    #[serde(borrow)]
    pub audio: Maybe<Box<WireAudio<'a>>>,
    #[serde(borrow)]
    pub images: List<WireImage<'a>>,
}

/// Content as a string, or as a list of parts.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Absent,
    Text(std::borrow::Cow<'a, str>),
    Parts(List<ContentPart<'a>>),
}

/// A part of content in an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub text: Text<'a>,
    #[serde(borrow)]
    pub refusal: Text<'a>,
    /// A string, or parts of its own.
    #[serde(borrow)]
    pub thinking: Thinking<'a>,
    #[serde(borrow)]
    pub signature: Text<'a>,
    #[serde(borrow)]
    pub image_url: Maybe<WireUrl<'a>>,
}

/// Thinking inside a content part.
#[derive(Debug, Default)]
pub(super) enum Thinking<'a> {
    #[default]
    Absent,
    Text(std::borrow::Cow<'a, str>),
    Parts(List<ThinkingPart<'a>>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ThinkingPart<'a> {
    #[serde(borrow)]
    pub text: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReasoningDetail<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub text: Text<'a>,
    #[serde(borrow)]
    pub summary: Text<'a>,
    #[serde(borrow)]
    pub data: Text<'a>,
    #[serde(borrow)]
    pub signature: Text<'a>,
    #[serde(borrow)]
    pub format: Text<'a>,
    #[serde(borrow)]
    pub id: Text<'a>,
    pub index: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireToolCall<'a> {
    pub index: Integer,
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub function: Maybe<WireFunction<'a>>,
    #[serde(borrow)]
    pub custom: Maybe<WireCustom<'a>>,
    /// A compatibility layer's place for a thought signature (`extra_content.google.thought_signature`).
    #[serde(borrow)]
    pub extra_content: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireFunction<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    /// JSON text; a few services send the object itself.
    #[serde(borrow)]
    pub arguments: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireCustom<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub input: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireAudio<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub data: Text<'a>,
    #[serde(borrow)]
    pub transcript: Text<'a>,
    pub expires_at: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireImage<'a> {
    #[serde(borrow)]
    pub image_url: Maybe<WireUrl<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WireUrl<'a> {
    #[serde(borrow)]
    pub url: Text<'a>,
}
