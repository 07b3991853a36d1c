//! Media, both ways.

use crate::gemini::wire::{ObjectWriter, inner};
use crate::level::Level;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmleaf_model::{Failure, Media, MediaKind, MediaSource};
use std::borrow::Cow;

/// Reads `inlineData` or `fileData`; `None` for a field that the model has no place for, so that the part can be kept whole.
pub(super) fn parse(part: &mut Level<'_>, name: &str) -> Result<Option<Media>, Failure> {
    let Some(mut blob) = inner(part, name)? else {
        return Ok(None);
    };
    let mime = blob.string("mimeType")?;
    let source = match name {
        "inlineData" => MediaSource::Base64(standard(blob.required("data")?)),
        _ => {
            let uri = blob.required("fileUri")?;
            if is_held(&uri) {
                MediaSource::FileId(uri)
            } else {
                MediaSource::Url(uri)
            }
        }
    };
    let mut media = Media::new(MediaKind::File, source);
    media.mime = mime;
    media.name = blob.string("displayName")?;
    if media.mime.is_none()
        && let MediaSource::Base64(data) = &media.source
    {
        // Without a type this is what it goes on with.
        media.mime = Some(mime_of(&media, Some(data)).into_owned());
    }
    media.kind = kind(media.mime.as_deref());
    Ok(blob.is_empty().then_some(media))
}

/// Bytes in the one spelling that other wires take. JSON of protocol buffers takes either alphabet, with padding or without, and
/// Google's SDK for Python writes the one for URLs (google-genai 2.34, seen 2026-11).
fn standard(data: String) -> String {
    let is_plain = |byte: u8| byte != b'-' && byte != b'_';
    if data.len().is_multiple_of(4) && data.bytes().all(is_plain) {
        return data;
    }
    let mut plain = data.replace('-', "+").replace('_', "/");
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    plain
}

/// True for a file that Google holds: of the Files API, or in its storage. Any other address the service fetches.
fn is_held(uri: &str) -> bool {
    uri.starts_with("gs://")
        || uri.starts_with("files/")
        || uri.starts_with("https://generativelanguage.googleapis.com/")
}

/// The kind of medium of a type.
pub(in crate::gemini) fn kind(mime: Option<&str>) -> MediaKind {
    let mime = mime.unwrap_or_default();
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        Some("text") => MediaKind::Document,
        _ if mime == "application/pdf" => MediaKind::Document,
        _ => MediaKind::File,
    }
}

/// A medium in the form this wire takes.
pub(super) enum Fit<'a> {
    Inline {
        mime: Cow<'a, str>,
        data: Cow<'a, str>,
    },
    File {
        mime: Option<Cow<'a, str>>,
        uri: &'a str,
    },
}

/// How this wire takes a medium. `Err` with the reason where it cannot.
pub(super) fn fit(media: &Media, own: bool) -> Result<Fit<'_>, &'static str> {
    let mime = media.mime.as_deref();
    match &media.source {
        MediaSource::Base64(data) => Ok(Fit::Inline {
            mime: mime_of(media, Some(data)),
            data: Cow::Borrowed(data),
        }),
        MediaSource::Url(url) => match data_url(url) {
            Some((found, data)) => Ok(Fit::Inline {
                mime: match found {
                    Some(found) => Cow::Borrowed(found),
                    None => mime_of(media, Some(data)),
                },
                data: Cow::Borrowed(data),
            }),
            None => Ok(Fit::File {
                mime: match mime {
                    Some(mime) => Some(Cow::Borrowed(mime)),
                    None if own => None,
                    None => by_extension(url).map(Cow::Borrowed),
                },
                uri: url,
            }),
        },
        MediaSource::FileId(uri) if own || is_held(uri) => Ok(Fit::File {
            mime: mime.map(Cow::Borrowed),
            uri,
        }),
        MediaSource::FileId(_) => Err("the file is held by another provider"),
        MediaSource::Text(text) => Ok(Fit::Inline {
            mime: Cow::Borrowed(mime.unwrap_or("text/plain")),
            data: Cow::Owned(STANDARD.encode(text)),
        }),
        MediaSource::Parts(_) => Err("this wire has no documents made of parts"),
    }
}

impl Fit<'_> {
    /// Writes the field.
    pub fn write(&self, object: &mut ObjectWriter<'_>, name: Option<&str>) {
        match self {
            Self::Inline { mime, data } => object.object("inlineData", |blob| {
                blob.string("mimeType", mime).string("data", data);
                blob.string_if("displayName", name);
            }),
            Self::File { mime, uri } => object.object("fileData", |file| {
                file.string_if("mimeType", mime.as_deref())
                    .string("fileUri", uri)
                    .string_if("displayName", name);
            }),
        };
    }
}

/// The wire refuses data without a type, so where none is known the first bytes say it, or the kind.
fn mime_of<'a>(media: &'a Media, data: Option<&str>) -> Cow<'a, str> {
    if let Some(mime) = &media.mime {
        return Cow::Borrowed(mime);
    }
    let by_name = media.name.as_deref().and_then(by_extension);
    Cow::Borrowed(
        data.and_then(sniff)
            .or(by_name)
            .unwrap_or(match media.kind {
                MediaKind::Image => "image/png",
                MediaKind::Audio => "audio/wav",
                MediaKind::Video => "video/mp4",
                MediaKind::Document => "application/pdf",
                MediaKind::File => "application/octet-stream",
            }),
    )
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
    const MAGIC: [(&str, &str); 8] = [
        ("/9j/", "image/jpeg"),
        ("iVBOR", "image/png"),
        ("R0lGOD", "image/gif"),
        ("JVBER", "application/pdf"),
        ("SUQz", "audio/mpeg"),
        ("//uQ", "audio/mpeg"),
        ("T2dnU", "audio/ogg"),
        ("ZkxhQ", "audio/flac"),
    ];
    if data.starts_with("UklGR") {
        // RIFF holds several; the name stands at the ninth byte.
        return Some(match data.get(12..16) {
            Some("RUJQ") => "image/webp",
            _ => "audio/wav",
        });
    }
    MAGIC
        .iter()
        .find(|(magic, _)| data.starts_with(magic))
        .map(|(_, mime)| *mime)
}

fn by_extension(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        _ => return None,
    })
}
