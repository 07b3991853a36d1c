//! Media parts: addresses, inline data, files.

mod write;

pub(super) use write::{lose_beside, write_media};

use super::fields::{Fields, Path};
use llmleaf_model::{Failure, Json, Media, MediaKind, MediaSource};

/// Splits `data:<mime>[;name=value];base64,<data>`. `None` for any other address, also for data that is not base64.
pub(super) fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let rest = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .and_then(|_| url.get(5..))?;
    let (head, data) = rest.split_once(',')?;
    let mime = head.strip_suffix(";base64")?;
    Some((mime, data))
}

/// A medium, and what its inner object held beside.
pub(super) type Parsed = (Media, Option<(&'static str, Json)>);

/// Reads a part of a media type; `None` where the type is none.
pub(super) fn parse(
    kind: &str,
    fields: &mut Fields<'_, '_>,
    path: &Path<'_>,
) -> Result<Option<Parsed>, Failure> {
    Ok(Some(match kind {
        "image_url" => url_part(MediaKind::Image, "image_url", fields, path)?,
        "video_url" => url_part(MediaKind::Video, "video_url", fields, path)?,
        "input_audio" => audio_part(fields, path)?,
        "file" => file_part(fields, path)?,
        _ => return Ok(None),
    }))
}

fn located(kind: MediaKind, url: String) -> Media {
    match split_data_url(&url) {
        Some((mime, data)) => Media {
            mime: Some(mime.to_owned()).filter(|m| !m.is_empty()),
            ..Media::new(kind, MediaSource::Base64(data.to_owned()))
        },
        None => Media::new(kind, MediaSource::Url(url)),
    }
}

fn url_part(
    kind: MediaKind,
    key: &'static str,
    fields: &mut Fields<'_, '_>,
    path: &Path<'_>,
) -> Result<Parsed, Failure> {
    // Several clients write the address without the object around it.
    if let Some(url) = fields.string_if(key) {
        return Ok((located(kind, url), None));
    }
    let inner_path = path.key(key);
    let raw = fields
        .raw(key)
        .ok_or_else(|| inner_path.must("an object"))?;
    let mut inner = Fields::read(raw, &inner_path)?;
    let mut media = located(kind, inner.needed_string("url")?);
    media.detail = inner.string("detail")?;
    Ok((media, inner.left().map(|json| (key, json))))
}

fn audio_part(fields: &mut Fields<'_, '_>, path: &Path<'_>) -> Result<Parsed, Failure> {
    const KEY: &str = "input_audio";
    let inner_path = path.key(KEY);
    // One service takes an address or bare data here.
    if let Some(text) = fields.string_if(KEY) {
        let media = if text.contains(':') {
            located(MediaKind::Audio, text)
        } else {
            Media::new(MediaKind::Audio, MediaSource::Base64(text))
        };
        return Ok((media, None));
    }
    let raw = fields
        .raw(KEY)
        .ok_or_else(|| inner_path.must("an object"))?;
    let mut inner = Fields::read(raw, &inner_path)?;
    let data = inner.needed_string("data")?;
    let format = inner.string("format")?;
    let mut media = match split_data_url(&data) {
        Some(_) => located(MediaKind::Audio, data),
        None => Media::new(MediaKind::Audio, MediaSource::Base64(data)),
    };
    if let Some(format) = format {
        media.mime = Some(audio_mime(&format));
    }
    Ok((media, inner.left().map(|json| (KEY, json))))
}

fn audio_mime(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        other => ["audio/", other].concat(),
    }
}

/// The short name that this wire has for an audio type.
fn audio_format(mime: &str) -> &str {
    match mime {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

fn file_part(fields: &mut Fields<'_, '_>, path: &Path<'_>) -> Result<Parsed, Failure> {
    const KEY: &str = "file";
    let inner_path = path.key(KEY);
    let raw = fields
        .raw(KEY)
        .ok_or_else(|| inner_path.must("an object"))?;
    let mut inner = Fields::read(raw, &inner_path)?;
    let name = inner.string("filename")?;
    let data = inner.string("file_data")?;
    let id = match data {
        Some(_) => None,
        None => inner.string("file_id")?,
    };
    let mut media = match (data, id) {
        (Some(data), _) if data.contains(':') => located(MediaKind::File, data),
        (Some(data), _) => Media::new(MediaKind::File, MediaSource::Base64(data)),
        (None, Some(id)) => Media::new(MediaKind::File, MediaSource::FileId(id)),
        (None, None) => return Err(inner.must("file_data", "a string")),
    };
    media.name = name;
    let pdf_name = media
        .name
        .as_deref()
        .is_some_and(|n| n.to_ascii_lowercase().ends_with(".pdf"));
    let document = match media.mime.as_deref() {
        Some(mime) => mime == "application/pdf" || mime.starts_with("text/"),
        None => pdf_name,
    };
    if document {
        media.kind = MediaKind::Document;
    }
    Ok((media, inner.left().map(|json| (KEY, json))))
}
