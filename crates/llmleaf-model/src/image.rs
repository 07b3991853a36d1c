//! Images: a text, and perhaps images, in; images out.

use crate::{DialectName, Json, Rest, Usage};

/// A request for images.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRequest {
    /// The dialect it was read from; `rest` fields belong to it.
    pub dialect: DialectName,
    /// The model the consumer asked for.
    pub model: String,
    /// What is to be seen; empty where variations are asked for.
    pub prompt: String,
    /// Images to go on from.
    pub images: Vec<ImageSource>,
    /// Where the first of them may be changed.
    pub mask: Option<ImageSource>,
    /// How many images.
    pub count: Option<u64>,
    /// `1024x1024`, `auto`, or in whichever words a service has.
    pub size: Option<String>,
    /// How the consumer wants an image told (`b64_json`, `url`).
    pub told_as: Option<String>,
    /// The consumer wants events.
    pub stream: bool,
    /// Images on the way to the last one that the stream shall show.
    pub partial_images: Option<u64>,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// An image, as it came.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageSource {
    /// Base64, and the MIME type where it is known.
    Base64(String, Option<String>),
    /// Where it lies.
    Url(String),
    /// What only a service of its own dialect can find (a file's id).
    Opaque(Json),
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// Unix seconds.
    pub created: Option<u64>,
    /// The images.
    pub images: Vec<Image>,
    /// The counts.
    pub usage: Option<Usage>,
    /// Facts of all images (`size`, `quality`, `output_format`), under their wire names.
    pub rest: Rest,
}

/// One image of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The image.
    pub source: ImageSource,
    /// The prompt that it was made from, where the service wrote its own.
    pub revised_prompt: Option<String>,
}
