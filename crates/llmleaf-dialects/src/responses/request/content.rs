//! Content parts of a request: of messages, and of what tools returned.

use crate::level::{Level, wrong};
use crate::object::{items, string};
use crate::responses::answer::citation;
use llmleaf_model::{
    CacheHint, DialectName, Failure, Json, Media, MediaKind, MediaSource, Part, PartKind, Rest,
};
use serde_json::value::RawValue;

/// Before the type of a content part that is not known, so that it is told from an item.
pub(super) const PART: &str = "part:";

/// Reads a content: its parts, and whether it was one bare string.
pub(super) fn parse(raw: &RawValue, path: &str) -> Result<(Vec<Part>, bool), Failure> {
    if let Some(text) = string(raw) {
        return Ok((vec![Part::text(text)], true));
    }
    let list = items(raw).ok_or_else(|| wrong(path, "a string or a list of parts"))?;
    let parts = list
        .into_iter()
        .enumerate()
        .map(|(at, raw)| part(raw, format!("{path}[{at}]")))
        .collect::<Result<_, _>>()?;
    Ok((parts, false))
}

fn part(raw: &RawValue, path: String) -> Result<Part, Failure> {
    let mut level = Level::of(raw, path)?;
    let kind = level.required("type")?;
    let kind = match kind.as_str() {
        "input_text" | "output_text" | "text" => text(&mut level)?,
        "refusal" => PartKind::Refusal(level.required("refusal")?),
        "input_image" => match image(&mut level)? {
            Some(media) => PartKind::Media(media),
            None => return Ok(opaque(raw, kind)),
        },
        "input_file" => match file(&mut level)? {
            Some(media) => PartKind::Media(media),
            None => return Ok(opaque(raw, kind)),
        },
        "input_audio" => match audio(&mut level)? {
            Some(media) => PartKind::Media(media),
            None => return Ok(opaque(raw, kind)),
        },
        _ => return Ok(opaque(raw, kind)),
    };
    let cache = level.object("prompt_cache_breakpoint")?.map(|mut hint| {
        // The one mode there is needs no place in the model.
        if hint.peek("mode").and_then(string).as_deref() == Some("explicit") {
            hint.raw("mode");
        }
        CacheHint {
            ttl: None,
            rest: hint.into_rest(),
        }
    });
    Ok(Part {
        kind,
        cache,
        rest: level.into_rest(),
    })
}

fn opaque(raw: &RawValue, kind: String) -> Part {
    PartKind::Opaque {
        dialect: DialectName::Responses,
        kind: [PART, &kind].concat(),
        json: Json::from(raw),
    }
    .into()
}

fn text(level: &mut Level<'_>) -> Result<PartKind, Failure> {
    let text = level.required("text")?;
    let citations = level.list("annotations")?.unwrap_or_default();
    // What earlier answers say of their tokens is nothing that a model reads.
    level.list("logprobs")?;
    Ok(PartKind::Text {
        text,
        citations: citations.into_iter().map(citation).collect(),
    })
}

/// A data URL as inline data, any other address as it is.
fn located(kind: MediaKind, url: String) -> Media {
    let inline = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .and_then(|_| url.get(5..)?.split_once(','))
        .and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
    match inline {
        Some((mime, data)) => Media {
            mime: Some(mime.to_owned()).filter(|mime| !mime.is_empty()),
            ..Media::new(kind, MediaSource::Base64(data.to_owned()))
        },
        None => Media::new(kind, MediaSource::Url(url)),
    }
}

fn image(level: &mut Level<'_>) -> Result<Option<Media>, Failure> {
    let url = level.string("image_url")?;
    let id = match url {
        Some(_) => None,
        None => level.string("file_id")?,
    };
    let mut media = match (url, id) {
        (Some(url), _) => located(MediaKind::Image, url),
        (None, Some(id)) => Media::new(MediaKind::Image, MediaSource::FileId(id)),
        (None, None) => return Ok(None),
    };
    media.detail = level.string("detail")?;
    Ok(Some(media))
}

fn file(level: &mut Level<'_>) -> Result<Option<Media>, Failure> {
    let name = level.string("filename")?;
    let data = level.string("file_data")?;
    let mut media = if let Some(data) = data {
        if data.contains(':') {
            located(MediaKind::File, data)
        } else {
            Media::new(MediaKind::File, MediaSource::Base64(data))
        }
    } else if let Some(url) = level.string("file_url")? {
        located(MediaKind::File, url)
    } else if let Some(id) = level.string("file_id")? {
        Media::new(MediaKind::File, MediaSource::FileId(id))
    } else {
        return Ok(None);
    };
    media.detail = level.string("detail")?;
    let by_name = name
        .as_deref()
        .is_some_and(|name| name.to_ascii_lowercase().ends_with(".pdf"));
    media.name = name;
    if media.mime.as_deref().map_or(by_name, |mime| {
        mime == "application/pdf" || mime.starts_with("text/")
    }) {
        media.kind = MediaKind::Document;
    }
    Ok(Some(media))
}

/// Reads sound as some services of this wire take it: `input_audio: {data, format}`.
fn audio(level: &mut Level<'_>) -> Result<Option<Media>, Failure> {
    let Some(mut inner) = level.object("input_audio")? else {
        return Ok(None);
    };
    let data = inner.required("data")?;
    let format = inner.string("format")?;
    if !inner.is_empty() {
        return Ok(None);
    }
    Ok(Some(Media {
        mime: format.map(|format| match format.as_str() {
            "mp3" => "audio/mpeg".to_owned(),
            other => ["audio/", other].concat(),
        }),
        ..Media::new(MediaKind::Audio, MediaSource::Base64(data))
    }))
}

/// Puts the fields of an inner list of texts together (`summary`, `content` of reasoning items). `None` where an entry is
/// not of the type.
pub(super) fn texts(raw: &RawValue, kind: &str) -> Option<Vec<String>> {
    items(raw)?
        .into_iter()
        .map(|raw| {
            let mut level = Level::of(raw, String::new()).ok()?;
            let right = level.string("type").ok()??.as_str() == kind;
            let text = level.string("text").ok()??;
            (right && level.into_rest() == Rest::default()).then_some(text)
        })
        .collect()
}
