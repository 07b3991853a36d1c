//! Images: OpenAI's form, which consumers speak, and what services make of it.
//!
//! Reference: OpenAI's OpenAPI document 2.3.0 (`/images/generations`, `/images/edits`, `/images/variations`), Together's 2.0.0,
//! OpenRouter's 1.0.0 (`/images`), docs.x.ai (image generation, read 2026-11), Google's "Imagen API" reference and its discovery document
//! of generativelanguage v1beta (2026-08).
//!
//! Many services speak OpenAI's form with other words for size and images to go on from: their bodies go through but for named edits
//! ([`quirks`]), and so do their answers and their streams. Google's two methods are rendered, and answered in OpenAI's form. A consumer
//! that wants a stream of a service that has none gets the events that end one.
//!
//! Reading order: [`quirks`], `request`, `form` (a consumer's form as JSON, and JSON as a service's form), `edits` (OpenAI's form at another service), `answer`, `events` (streams, both ends), `size`,
//! `predict` and `generative` (Google's).

mod answer;
mod edits;
mod events;
mod form;
mod generative;
mod predict;
pub mod quirks;
mod request;
mod size;

pub use form::FormReader;
pub use quirks::Quirks;

use crate::{Decoder, Head, Rendered};
use bytes::Bytes;
use llmleaf_model::{Failure, FailureKind, ImageRequest, Images, Retry};
use serde::Deserialize;

/// What a consumer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageForm {
    /// `POST /v1/images/generations`: images of a text.
    Generations,
    /// `POST /v1/images/edits`: images of a text and images.
    Edits,
    /// `POST /v1/images/variations`: images like an image.
    Variations,
}

impl ImageForm {
    /// The model that is meant where a request names none (OpenAI's document).
    pub fn unnamed(self) -> &'static str {
        match self {
            Self::Generations | Self::Variations => "dall-e-2",
            Self::Edits => "gpt-image-1.5",
        }
    }

    /// Parses a request. `model` is the one that is meant.
    ///
    /// # Errors
    /// The body does not say what a request needs; the failure names the field.
    pub fn parse_request(self, body: &str, model: &str) -> Result<ImageRequest, Failure> {
        request::parse(self, body, model)
    }

    /// Renders a whole answer. `created` is the time where the service told none.
    pub fn render(self, answer: &Images, created: u64) -> Vec<u8> {
        answer::render(answer, created)
    }

    /// Renders a whole answer as the end of a stream.
    pub fn render_stream(self, answer: &Images, created: u64) -> Vec<u8> {
        events::render(self, answer, created)
    }

    /// Renders a failure inside a stream that has begun. Nothing may follow it.
    pub fn render_stream_error(self, failure: &Failure) -> Vec<u8> {
        events::render_error(failure)
    }

    /// What begins the names of its events.
    fn event(self) -> &'static str {
        match self {
            Self::Generations | Self::Variations => "image_generation",
            Self::Edits => "image_edit",
        }
    }
}

/// A form that a service speaks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageWire {
    /// OpenAI's, with the service's variations.
    OpenAi(Quirks),
    /// Google's `predict`, as its image models of the first kind have it.
    Predict,
    /// Google's `generateContent`, with images in the answer.
    GenerateContent,
}

/// A body for a service.
#[derive(Debug)]
pub struct Prepared {
    /// The body.
    pub rendered: Rendered,
    /// Its type, where it is not JSON.
    pub content_type: Option<String>,
}

impl ImageWire {
    /// Whether consumers' bodies and answers go through.
    pub fn is_same(&self) -> bool {
        matches!(self, Self::OpenAi(_))
    }

    /// Whether the service speaks the routing language itself.
    pub fn routes(&self) -> bool {
        matches!(self, Self::OpenAi(quirks) if quirks.routes)
    }

    /// Whether the service streams.
    pub fn streams(&self) -> bool {
        matches!(self, Self::OpenAi(quirks) if quirks.streams)
    }

    /// The body for the service: the consumer's with named edits, or one of the service's own form. `boundary` is for a form, and one that
    /// nothing in it can say by chance.
    ///
    /// # Errors
    /// The service cannot do what is asked (kind `Unsupported`: the next target may).
    pub fn prepare(
        &self,
        form: ImageForm,
        consumer: (&Head, &Bytes),
        request: &ImageRequest,
        (model, boundary): (&str, &str),
    ) -> Result<Prepared, Failure> {
        let rendered = match self {
            Self::OpenAi(quirks) => {
                return edits::edit(form, consumer, request, (model, boundary), quirks);
            }
            Self::Predict => predict::render(form, request),
            Self::GenerateContent => generative::render(form, request),
        }?;
        Ok(Prepared {
            rendered,
            content_type: None,
        })
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// It holds no image.
    pub fn parse_answer(&self, body: &[u8]) -> Result<Images, Failure> {
        match self {
            Self::OpenAi(_) => answer::parse(body),
            Self::Predict => predict::parse(body),
            Self::GenerateContent => generative::parse(body),
        }
    }

    /// An answer of the consumer's own form, for that consumer: as it came, but that images and counts have that form's names.
    pub fn pass(&self, body: Bytes) -> Bytes {
        match answer::renamed(&body) {
            Some(renamed) => Bytes::from(renamed),
            None => body,
        }
    }

    /// Reads a stream beside its way: when content came, what it took, and how it ended.
    pub fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(events::ImageDecoder::default())
    }
}

fn broken(why: impl Into<String>) -> Failure {
    let mut failure = Failure::upstream(FailureKind::InvalidResponse, why);
    failure.possibly_billed = true;
    failure
}

/// The target cannot do this; another may.
fn unsupported(field: &str, why: &str) -> Failure {
    let mut failure = Failure::invalid(format!("`{field}`: {why}"), Some(field));
    failure.kind = FailureKind::Unsupported;
    failure.retry = Retry::NextTarget;
    failure
}

#[cfg(test)]
mod tests;
