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
    /// What only its own dialect can say (images, parts).
    Opaque {
        /// The dialect.
        dialect: DialectName,
        /// As written.
        json: Json,
    },
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
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// One vector for each input, in the same order.
    pub vectors: Vec<Vector>,
    /// The counts, where the provider told them.
    pub usage: Option<Usage>,
}

/// One vector, as it came.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// A JSON list of numbers; their spelling is kept.
    Numbers(Json),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}
