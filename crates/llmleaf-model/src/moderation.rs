//! Moderation: texts, pictures or conversations in, verdicts out.

use crate::{DialectName, Json, Rest, Usage};

/// A request for verdicts.
#[derive(Clone, Debug, PartialEq)]
pub struct ModerationRequest {
    /// The dialect it was read from; `rest` fields belong to it.
    pub dialect: DialectName,
    /// The model the consumer asked for.
    pub model: String,
    /// What is to be judged, in order: there is one verdict for each.
    pub inputs: Vec<ModerationInput>,
    /// One input, given without a list around it.
    pub bare: bool,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// One thing to judge.
#[derive(Clone, Debug, PartialEq)]
pub enum ModerationInput {
    /// Text.
    Text(String),
    /// Texts and pictures that are judged together, as a JSON list of parts.
    Parts(Json),
    /// A conversation, as a JSON list of messages, whose last one is judged.
    Conversation(Json),
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moderations {
    /// The provider's id of the answer.
    pub id: Option<String>,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// One verdict for each input, in the same order, as JSON objects.
    pub results: Vec<Json>,
    /// The counts, where the provider told them.
    pub usage: Option<Usage>,
}
