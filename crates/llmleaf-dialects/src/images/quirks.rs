//! How services differ from OpenAI's form, as data.

use serde::Deserialize;
use std::borrow::Cow;

/// How one service's image generation differs from the reference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// How a size is said.
    pub size: Size,
    /// Its word for `b64_json`, where it has another; empty where it has none to choose by.
    pub base64: Cow<'static, str>,
    /// How images to go on from are said.
    pub references: References,
    /// Fields it does not know: removed, and reported as losses.
    pub unsupported: Cow<'static, [Cow<'static, str>]>,
    /// It streams.
    pub streams: bool,
    /// It speaks the routing language.
    pub routes: bool,
}

/// How a size is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// `size: "1024x1024"`.
    Text,
    /// `width` and `height`.
    Sides,
    /// `aspect_ratio: "3:2"`.
    Ratio,
}

/// How images to go on from are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum References {
    /// `images: [{image_url: "…"}]`.
    ImageUrl,
    /// As files of a form, which is the one body that is taken.
    Files,
    /// `images: [{type: "image_url", url: "…"}]`.
    Typed,
    /// `input_references: [{type: "image_url", image_url: {url: "…"}}]`, beside any prompt.
    Parts,
}

impl Quirks {
    /// As OpenAI documents it.
    pub const REFERENCE: Self = Self {
        size: Size::Text,
        base64: Cow::Borrowed("b64_json"),
        references: References::ImageUrl,
        unsupported: Cow::Borrowed(&[]),
        streams: true,
        routes: false,
    };
    /// What services that claim this form take.
    pub const PLAIN: Self = Self {
        streams: false,
        ..Self::REFERENCE
    };
}

impl Default for Quirks {
    fn default() -> Self {
        Self::REFERENCE
    }
}
