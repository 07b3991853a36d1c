//! Messages and their parts.

use crate::{
    DialectName, Json, Media, Reasoning, Rest, ServerToolResult, ServerToolUse, ToolCall,
    ToolResult,
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// Instructions of the application; dialects without the role read it as [`Role::System`].
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer, in dialects that give it a message of its own. Dialects that put results
    /// into the user's turn keep them there as [`PartKind::ToolResult`].
    Tool,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order. May be empty.
    pub parts: Vec<Part>,
    /// The participant's name, in dialects that have one.
    pub name: Option<String>,
    /// Item id, in dialects whose turns have ids.
    pub id: Option<String>,
    /// The wire wrote the content as one bare string and not as a list of parts.
    pub bare: bool,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

impl Message {
    /// A turn of the given parts, and nothing else.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self {
            role,
            parts,
            name: None,
            id: None,
            bare: false,
            rest: Rest::default(),
        }
    }

    /// A turn of one text, written bare.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            bare: true,
            ..Self::new(role, vec![Part::text(text)])
        }
    }

    /// The text parts joined without a separator.
    pub fn joined_text(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).collect()
    }
}

/// One part of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The consumer asked that the prompt up to and including this part be cached.
    pub cache: Option<CacheHint>,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

impl From<PartKind> for Part {
    fn from(kind: PartKind) -> Self {
        Self {
            kind,
            cache: None,
            rest: Rest::default(),
        }
    }
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        PartKind::Text {
            text: text.into(),
            citations: Vec::new(),
        }
        .into()
    }

    /// The text, where this is a text part.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            PartKind::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of one part that is nothing but text.
    pub fn only_text(parts: &[Self]) -> Option<&str> {
        let [part] = parts else {
            return None;
        };
        match &part.kind {
            PartKind::Text { text, citations }
                if citations.is_empty() && part.cache.is_none() && part.rest.is_empty() =>
            {
                Some(text)
            }
            _ => None,
        }
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Text, with the sources it cites.
    Text {
        text: String,
        citations: Vec<Citation>,
    },
    /// Image, audio, video, document or other file.
    Media(Media),
    /// The model calls a tool of the consumer.
    ToolCall(ToolCall),
    /// The consumer's answer to a call.
    ToolResult(ToolResult),
    /// The model's reasoning, with its opaque artefact.
    Reasoning(Reasoning),
    /// The model declines, in words.
    Refusal(String),
    /// The provider ran a tool of its own.
    ServerToolUse(ServerToolUse),
    /// What the provider's own tool returned.
    ServerToolResult(ServerToolResult),
    /// A part that only its own dialect understands, whole.
    Opaque {
        dialect: DialectName,
        kind: String,
        json: Json,
    },
}

/// A request to cache the prompt up to here.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CacheHint {
    /// Lifetime as written (`"5m"`, `"1h"`); `None` leaves it to the provider.
    pub ttl: Option<String>,
    /// Fields that the dialect's reading does not name.
    pub rest: Rest,
}

/// A source that a text cites.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// The dialect that `native` is written in.
    pub dialect: DialectName,
    /// The citation as its dialect wrote it.
    pub native: Json,
    /// Web address, where the source has one.
    pub url: Option<String>,
    /// Title of the source.
    pub title: Option<String>,
    /// The words cited, where given.
    pub cited_text: Option<String>,
    /// Where the citing text starts and ends, in characters of the whole message text.
    pub span: Option<(u64, u64)>,
}
