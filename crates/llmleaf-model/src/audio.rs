//! Speech: texts said, and what was said as text.

use crate::{DialectName, Json, Rest, Usage};

/// A request to say a text.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechRequest {
    /// The dialect it was read from; `rest` fields belong to it.
    pub dialect: DialectName,
    /// The model the consumer asked for.
    pub model: String,
    /// What is to be said.
    pub input: String,
    /// Whose voice; `None` leaves it to the service.
    pub voice: Option<Voice>,
    /// How it is to be said, in words.
    pub instructions: Option<String>,
    /// What the sound is to be written as (`mp3`, `pcm`, …), if the request says.
    pub format: Option<String>,
    /// How fast, as a JSON number.
    pub speed: Option<Json>,
    /// The answer is to come as events, with the sound in base64.
    pub events: bool,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// A voice.
#[derive(Clone, Debug, PartialEq)]
pub enum Voice {
    /// By its name.
    Named(String),
    /// A voice of the account's own, as its dialect says it.
    Own(Json),
}

/// What was said, as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// All of it.
    pub text: String,
    /// The language, as the provider names it.
    pub language: Option<String>,
    /// How long the sound is, as a JSON number of seconds.
    pub duration: Option<Json>,
    /// Pieces with their times.
    pub segments: Option<Vec<Segment>>,
    /// Words with their times.
    pub words: Option<Vec<Word>>,
    /// Log-probabilities, as the reference form writes them.
    pub logprobs: Option<Json>,
    /// The counts, where the provider told them.
    pub usage: Option<Usage>,
}

/// A piece of a transcript. Times are JSON numbers of seconds, as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The provider's id or number of it, as JSON.
    pub id: Option<Json>,
    /// Where it begins.
    pub start: Json,
    /// Where it ends.
    pub end: Json,
    /// What is said.
    pub text: String,
    /// Who says it.
    pub speaker: Option<String>,
    /// What else is told of it.
    pub rest: Rest,
}

/// A word of a transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Where it begins.
    pub start: Json,
    /// Where it ends.
    pub end: Json,
    /// Who says it.
    pub speaker: Option<String>,
}
