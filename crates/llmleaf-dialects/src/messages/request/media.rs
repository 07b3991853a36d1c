//! Images and documents, both ways.

use super::blocks;
use crate::level::Level;
use crate::messages::wire::ObjectWriter;
use crate::object::string;
use base64::Engine as _;
use llmleaf_model::{Media, MediaKind, MediaSource, Part, PartKind};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads an `image` or `document` block; `None` for a source or a field that the model has no place for, so that
/// the block can be kept whole.
pub(super) fn parse(raw: &RawValue, kind: &str) -> Option<Part> {
    let mut level = Level::of(raw, String::new()).ok()?;
    level.raw("type");
    let mut media = source(&mut level, kind)?;
    if media.kind == MediaKind::Document {
        media.name = level.string("title").ok()?;
        media.context = level.string("context").ok()?;
        if let Some(mut citations) = level.object("citations").ok()? {
            media.citations = Some(citations.bool("enabled").ok()??);
            if !citations.is_empty() {
                return None;
            }
        }
    }
    let cache = blocks::cache(&mut level).ok()?;
    Some(Part {
        kind: PartKind::Media(media),
        cache,
        rest: level.into_rest(),
    })
}

fn source(level: &mut Level<'_>, kind: &str) -> Option<Media> {
    let mut source = level.object("source").ok()??;
    let (kind, document) = match kind {
        "image" => (MediaKind::Image, false),
        _ => (MediaKind::Document, true),
    };
    let name = source.string("type").ok()??;
    let found = match name.as_str() {
        "base64" => MediaSource::Base64(source.string("data").ok()??),
        "url" => MediaSource::Url(source.string("url").ok()??),
        "file" => MediaSource::FileId(source.string("file_id").ok()??),
        "text" if document => MediaSource::Text(source.string("data").ok()??),
        "content" if document => {
            let raw = source.raw("content")?;
            MediaSource::Parts(match string(raw) {
                Some(text) => vec![Part::text(text)],
                None => blocks::list(raw, "").ok()?,
            })
        }
        _ => return None,
    };
    let mut media = Media::new(kind, found);
    media.mime = source.string("media_type").ok()?;
    source.is_empty().then_some(media)
}

/// The one type of inline text.
const PLAIN: &str = "text/plain";

/// A medium in the form this wire takes.
pub(super) enum Fit<'a> {
    Base64 {
        document: bool,
        mime: Option<&'a str>,
        data: &'a str,
    },
    Url {
        document: bool,
        url: &'a str,
    },
    File {
        document: bool,
        id: &'a str,
    },
    Text {
        mime: Option<&'a str>,
        text: Cow<'a, str>,
    },
    Parts(&'a [Part]),
}

/// How this wire takes a medium. `Err` with the reason where it cannot.
pub(super) fn fit(media: &Media, own: bool) -> Result<Fit<'_>, &'static str> {
    if matches!(media.kind, MediaKind::Audio | MediaKind::Video) {
        return Err("this wire takes images and documents only");
    }
    let document = media.kind != MediaKind::Image;
    match &media.source {
        MediaSource::Base64(data) => inline(media.mime.as_deref(), data, document, own),
        MediaSource::Url(url) => match data_url(url) {
            Some((mime, data)) => inline(mime.or(media.mime.as_deref()), data, document, own),
            None if is_image(media.mime.as_deref()) => Ok(Fit::Url {
                document: false,
                url,
            }),
            None => Ok(Fit::Url { document, url }),
        },
        MediaSource::FileId(id) if own => Ok(Fit::File { document, id }),
        MediaSource::FileId(_) => Err("the file is held by another provider"),
        MediaSource::Text(text) => Ok(Fit::Text {
            // Of plain text the wire knows no other kind.
            mime: if own {
                media.mime.as_deref()
            } else {
                Some(PLAIN)
            },
            text: Cow::Borrowed(text),
        }),
        MediaSource::Parts(parts) => Ok(Fit::Parts(parts)),
    }
}

fn inline<'a>(
    mime: Option<&'a str>,
    data: &'a str,
    document: bool,
    own: bool,
) -> Result<Fit<'a>, &'static str> {
    let fit = |document, mime| Fit::Base64 {
        document,
        mime,
        data,
    };
    if own {
        return Ok(fit(document, mime));
    }
    let guess = if document {
        "application/pdf"
    } else {
        "image/png"
    };
    let mime = mime.or_else(|| sniff(data)).unwrap_or(guess);
    if !document || mime == "application/pdf" {
        return Ok(fit(document, Some(mime)));
    }
    if is_image(Some(mime)) {
        return Ok(fit(false, Some(mime)));
    }
    if mime.starts_with("text/") || mime == "application/json" {
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        return text
            .map(|text| Fit::Text {
                mime: Some(PLAIN),
                text: Cow::Owned(text),
            })
            .ok_or("the text is not valid base64 of UTF-8");
    }
    Err("this wire takes PDF and plain text only")
}

fn is_image(mime: Option<&str>) -> bool {
    mime.is_some_and(|mime| mime.starts_with("image/"))
}

/// Type and data of a `data:` URL in base64.
fn data_url(url: &str) -> Option<(Option<&str>, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let mime = head.split(';').next().filter(|mime| !mime.is_empty());
    Some((mime, data))
}

/// The type that the first bytes of a file give away, in base64.
fn sniff(data: &str) -> Option<&'static str> {
    const MAGIC: [(&str, &str); 5] = [
        ("/9j/", "image/jpeg"),
        ("iVBOR", "image/png"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBER", "application/pdf"),
    ];
    MAGIC
        .iter()
        .find(|(magic, _)| data.starts_with(magic))
        .map(|(_, mime)| *mime)
}

impl Fit<'_> {
    /// Block type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Base64 { document, .. }
            | Self::Url { document, .. }
            | Self::File { document, .. }
                if !document =>
            {
                "image"
            }
            _ => "document",
        }
    }

    /// Writes the source, all but the parts of a document, which the caller writes.
    pub fn write(&self, source: &mut ObjectWriter<'_>) {
        match self {
            Self::Base64 { mime, data, .. } => {
                source
                    .string("type", "base64")
                    .string_if("media_type", *mime)
                    .string("data", data);
            }
            Self::Url { url, .. } => {
                source.string("type", "url").string("url", url);
            }
            Self::File { id, .. } => {
                source.string("type", "file").string("file_id", id);
            }
            Self::Text { mime, text } => {
                source
                    .string("type", "text")
                    .string_if("media_type", *mime)
                    .string("data", text);
            }
            Self::Parts(_) => {
                source.string("type", "content");
            }
        }
    }
}
