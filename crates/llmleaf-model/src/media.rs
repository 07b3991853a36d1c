//! Images, audio, video, documents.

/// What kind of medium a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A document (PDF, text).
    Document,
    /// A file of another or unknown kind.
    File,
}

impl MediaKind {
    /// Lower-case name, for losses and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
            Self::File => "file",
        }
    }
}

/// A medium and where its bytes are.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Kind of medium.
    pub kind: MediaKind,
    /// Where the bytes are.
    pub source: MediaSource,
    /// MIME type (`image/png`), where known.
    pub mime: Option<String>,
    /// File name or title.
    pub name: Option<String>,
    /// How closely to look (`low`, `high`, `auto`, `original`).
    pub detail: Option<String>,
    /// Words about the document that are not part of it.
    pub context: Option<String>,
    /// The consumer wants citations into this document.
    pub citations: Option<bool>,
}

impl Media {
    /// A medium with nothing known but its kind and source.
    pub fn new(kind: MediaKind, source: MediaSource) -> Self {
        Self {
            kind,
            source,
            mime: None,
            name: None,
            detail: None,
            context: None,
            citations: None,
        }
    }
}

/// Where the bytes of a medium are.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaSource {
    /// Inline, in base64 as written (not decoded, not re-encoded).
    Base64(String),
    /// At an address that the provider fetches.
    Url(String),
    /// A file that the provider already holds.
    FileId(String),
    /// Inline plain text.
    Text(String),
    /// A document made of parts.
    Parts(Vec<crate::Part>),
}
