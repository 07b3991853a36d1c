//! Embeddings: texts in, vectors out.

use crate::{DialectName, Json, Rest, Usage};

/// A request for vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingRequest {
    /// The dialect it was read from; `rest` fields belong to it.
    pub dialect: DialectName,
    /// The model the consumer asked for.
    pub model: String,
    /// What is to be embedded, in order.
    pub inputs: Vec<EmbeddingInput>,
    /// One input, given without a list around it.
    pub bare: bool,
    /// How many numbers a vector is to have.
    pub dimensions: Option<u64>,
    /// How the consumer wants a vector written.
    pub encoding: VectorEncoding,
    /// The types of numbers that vectors are to be of, where the dialect names such (`float`, `int8`); the first ones carry most.
    pub types: Vec<String>,
    /// What is too long is to be cut, or else refused.
    pub truncate: Option<bool>,
    /// An id of the end user, for abuse detection.
    pub user: Option<String>,
    /// What the vectors are for, in the words of Google's `taskType`.
    pub task: Option<String>,
    /// Title of a document.
    pub title: Option<String>,
    /// The inputs differ in what is asked of them: only their own form can say that.
    pub mixed: bool,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// Text.
    Text(String),
    /// Ids of tokens, as a JSON list of numbers: only the service whose tokens they are can read them.
    Tokens(Json),
    /// Texts and images that are to have one vector together.
    Parts(Vec<EmbeddingPart>),
    /// What only its own dialect can say (sounds, files).
    Opaque {
        /// The dialect.
        dialect: DialectName,
        /// As written.
        json: Json,
    },
}

/// A part of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbeddingPart {
    /// Text.
    Text(String),
    /// The address of an image, or the image itself as a `data:` URI.
    Image(String),
}

/// How the numbers of a vector are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VectorEncoding {
    /// A JSON list of numbers.
    #[default]
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// The provider's id of it.
    pub id: Option<String>,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// One vector for each input, in the same order.
    pub vectors: Vec<Vector>,
    /// The counts, where the provider told them.
    pub usage: Option<Usage>,
}

impl Embeddings {
    /// Adds the answer to the inputs that come next. What one of them does not count, nobody knows of both.
    pub fn append(&mut self, more: Self) {
        self.vectors.extend(more.vectors);
        self.usage = match (self.usage.take(), more.usage) {
            (Some(mut sum), Some(more)) => {
                sum.add(more);
                Some(sum)
            }
            _ => None,
        };
    }
}

/// One vector, as it came.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// A JSON list of numbers; their spelling is kept.
    Numbers(Json),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}
