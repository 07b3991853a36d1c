//! Reranking: a query and documents in, an order of the documents out.

use crate::{DialectName, Json, Rest, Usage};

/// A request for an order of documents.
#[derive(Clone, Debug, PartialEq)]
pub struct RerankRequest {
    /// The dialect it was read from; `rest` fields belong to it.
    pub dialect: DialectName,
    /// The model the consumer asked for.
    pub model: String,
    /// What the documents are held against.
    pub query: Document,
    /// What is to be ordered.
    pub documents: Vec<Document>,
    /// How many of the best are wanted; all without it.
    pub top_n: Option<u64>,
    /// The answer is to repeat the documents.
    pub return_documents: Option<bool>,
    /// Which fields of a document that is an object count, in this order.
    pub rank_fields: Vec<String>,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// A query, or a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// Text.
    Text(String),
    /// An object: fields of text, an image.
    Object(Json),
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// The provider's id of it.
    pub id: Option<String>,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// The best first, as the provider ordered them.
    pub results: Vec<Ranked>,
    /// The counts, where the provider told them.
    pub usage: Option<Usage>,
    /// Its fields have other names than the consumer's form has for them.
    pub renamed: bool,
}

/// One document in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Which of the request's documents, from 0.
    pub index: usize,
    /// How well it fits the query; its spelling is kept.
    pub score: Json,
    /// The document, where the provider repeated it: a text or an object.
    pub document: Option<Json>,
}
