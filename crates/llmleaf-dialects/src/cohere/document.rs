//! Documents, both ways: what the model may cite, beside the messages or in a tool's result.
//!
//! A document is an id and data, any object; or one text. Data of nothing but a title and a text is a text of the model;
//! other data is one as JSON, so that every target can read it.

use super::wire::ObjectWriter;
use crate::level::{Level, wrong};
use crate::object::{Object, string};
use base64::Engine as _;
use llmleaf_model::{Failure, Media, MediaKind, MediaSource, Part, PartKind};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Type of a document that is one text.
const PLAIN: &str = "text/plain";
/// Type of a document whose data is more than a title and a text.
const DATA: &str = "application/json";

/// Reads a document; what it has beside its data stays with the part.
pub(super) fn parse(raw: &RawValue, path: String) -> Result<Part, Failure> {
    if let Some(text) = string(raw) {
        return Ok(part(text.into_owned(), Some(PLAIN), None).into());
    }
    let mut level = Level::of(raw, path)?;
    let data = level.raw("data").ok_or_else(|| level.missing("data"))?;
    let object = Object::from_raw(data).ok_or_else(|| wrong(&level.at("data"), "an object"))?;
    let mut read = Part::from(match plain(&object) {
        Some((title, text)) => part(text, None, title),
        None => part(data.get().to_owned(), Some(DATA), None),
    });
    read.rest = level.into_rest();
    Ok(read)
}

fn part(text: String, mime: Option<&str>, title: Option<String>) -> PartKind {
    PartKind::Media(Media {
        mime: mime.map(str::to_owned),
        name: title,
        ..Media::new(MediaKind::Document, MediaSource::Text(text))
    })
}

/// Title and text, where the data is nothing else.
fn plain(data: &Object<'_>) -> Option<(Option<String>, String)> {
    let title = match data.get("title") {
        Some(raw) => Some(string(raw)?.into_owned()),
        None => None,
    };
    let text = string(data.get("text")?)?.into_owned();
    let known = 1 + usize::from(title.is_some());
    (data.fields.len() == known).then_some((title, text))
}

/// Writes a document; `Err` with the reason where this wire cannot take it.
pub(super) fn write(
    out: &mut Vec<u8>,
    media: &Media,
    part: &Part,
    own: bool,
) -> Result<(), &'static str> {
    let mime = media.mime.as_deref();
    let text = match &media.source {
        MediaSource::Text(text) => Cow::Borrowed(text.as_str()),
        MediaSource::Parts(parts) => {
            let texts: Option<Vec<&str>> = parts.iter().map(Part::as_text).collect();
            let texts = texts.ok_or("this wire takes documents of text only")?;
            Cow::Owned(texts.join("\n"))
        }
        MediaSource::Base64(data) if mime.is_some_and(is_text) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            Cow::Owned(text.ok_or("the text is not valid base64 of UTF-8")?)
        }
        MediaSource::Base64(_) | MediaSource::Url(_) | MediaSource::FileId(_) => {
            return Err("this wire takes documents as text only");
        }
    };
    let bare = media.name.is_none() && media.context.is_none();
    if own && mime == Some(PLAIN) && part.rest.is_empty() && bare {
        super::wire::write_string(out, &text);
        return Ok(());
    }
    let data = (mime == Some(DATA) && bare)
        .then(|| Object::parse(&text).ok())
        .flatten();
    let mut object = ObjectWriter::new(out);
    match data {
        Some(_) => {
            object.raw("data", &text);
        }
        None => {
            object.object("data", |data| {
                data.string_if("title", media.name.as_deref())
                    .string_if("context", media.context.as_deref())
                    .string("text", &text);
            });
        }
    }
    if own {
        object.rest(&part.rest);
    }
    object.end();
    Ok(())
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || mime == DATA
}

/// A document's fields as sources of a citation tell them: title, address and words.
pub(super) fn source(data: &Object<'_>) -> [Option<String>; 3] {
    let first = |names: &[&str]| names.iter().find_map(|name| super::wire::text(data, name));
    [
        first(&["title", "name"]),
        first(&["url", "link", "uri"]),
        first(&["text", "snippet", "content"]),
    ]
}
