//! Citations, both ways.
//!
//! One of this wire has a place in the text and one or more sources. In the model each source is a citation; the first one
//! has the whole as it was written, the others say `null` there, so that it is written once.

use super::document;
use super::wire::{ObjectWriter, array, inner, one_line, text};
use crate::object::{Object, items};
use llmleaf_model::{Citation, DialectName, Json};
use serde_json::value::RawValue;

/// Most citations of one text; each is looked up in it, and may be written with all of it.
const MOST: usize = 256;
/// Longest text, in bytes, whose words are told beside a citation.
const LONGEST: usize = 16 * 1024;

/// Where a text that cites stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Index of its block in the content.
    index: u64,
    /// Characters of the message's text before it; `None` where that is not known.
    before: Option<u64>,
    /// The text of the block; nothing of one that is too long.
    text: &'a str,
    /// Its characters.
    length: u64,
}

impl<'a> Place<'a> {
    pub fn new(index: u64, before: Option<u64>, text: &'a str) -> Self {
        Self {
            index,
            before,
            text: if text.len() > LONGEST { "" } else { text },
            length: u64::try_from(text.chars().count()).unwrap_or(u64::MAX),
        }
    }
}

/// The citations of a text that are told, and why the others are not.
pub(super) fn told(citations: &[Citation]) -> (&[Citation], Option<&'static str>) {
    match citations.split_at_checked(MOST) {
        Some((some, [_, ..])) => (some, Some("more citations than one text is told with")),
        _ => (citations, None),
    }
}

/// Reads a citation. `before` is how many characters of the message's text stand before the text that cites.
pub(super) fn parse(raw: &RawValue, before: Option<u64>) -> Vec<Citation> {
    let object = Object::from_raw(raw).unwrap_or_default();
    let number = |name: &str| object.get(name)?.get().parse::<u64>().ok();
    let span = number("start").zip(number("end")).zip(before);
    let span = span
        .map(|((start, end), before)| (start.saturating_add(before), end.saturating_add(before)));
    let sources = object.get("sources").and_then(items).unwrap_or_default();
    let mut read: Vec<Citation> = sources.into_iter().map(|raw| source(raw, span)).collect();
    if read.is_empty() {
        read.push(blank(span));
    }
    if let Some(first) = read.first_mut() {
        first.native = Json::from(raw);
    }
    read
}

fn blank(span: Option<(u64, u64)>) -> Citation {
    Citation {
        dialect: DialectName::CohereChat,
        native: Json::from_value(&()),
        url: None,
        title: None,
        cited_text: None,
        span,
    }
}

fn source(raw: &RawValue, span: Option<(u64, u64)>) -> Citation {
    let Some(object) = Object::from_raw(raw) else {
        return blank(span);
    };
    let data = inner(&object, "document").or_else(|| inner(&object, "tool_output"));
    let [title, url, words] = document::source(&data.unwrap_or_default());
    let id = text(&object, "id");
    // Documents are often named by their address.
    let address = |id: &&String| id.starts_with("https://") || id.starts_with("http://");
    Citation {
        url: url.or_else(|| id.as_ref().filter(address).cloned()),
        title: title.or(id),
        cited_text: words,
        ..blank(span)
    }
}

/// Which block of the content a citation says that it belongs to.
pub(super) fn content_index(raw: &RawValue) -> Option<u64> {
    let object = Object::from_raw(raw)?;
    object.get("content_index")?.get().parse().ok()
}

/// True for a citation that belongs to the plan and to no text.
pub(super) fn is_of_plan(raw: &RawValue) -> bool {
    Object::from_raw(raw)
        .and_then(|object| text(&object, "type"))
        .as_deref()
        == Some("PLAN")
}

/// A citation as this wire has it. `None` where another one told it already, `Err` where it has no place for it.
pub(super) fn written(
    citation: &Citation,
    place: Place<'_>,
) -> Result<Option<Vec<u8>>, &'static str> {
    let mut out = Vec::new();
    if citation.dialect == DialectName::CohereChat {
        if citation.native.is_null() {
            return Ok(None);
        }
        one_line(&mut out, citation.native.as_str());
        return Ok(Some(out));
    }
    let name = citation.url.as_deref().or(citation.title.as_deref());
    let id = name.ok_or("this wire's citations need a source with a name")?;
    let length = place.length;
    let within = citation
        .span
        .zip(place.before)
        .and_then(|((start, end), before)| {
            let (start, end) = (start.checked_sub(before)?, end.checked_sub(before)?);
            (start <= end && end <= length).then_some((start, end))
        });
    // Wires that name no place cite with the whole text.
    let (start, end) = within.unwrap_or((0, length));
    let chars = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let words: String = place
        .text
        .chars()
        .skip(chars(start))
        .take(chars(end - start))
        .collect();
    let mut object = ObjectWriter::new(&mut out);
    object
        .number("start", start)
        .number("end", end)
        .string("text", &words);
    array(object.key("sources"), [citation], |out, citation| {
        let mut source = ObjectWriter::new(out);
        source.string("type", "document").string("id", id);
        source.object("document", |document| {
            document
                .string("id", id)
                .string_if("title", citation.title.as_deref())
                .string_if("url", citation.url.as_deref())
                .string_if("text", citation.cited_text.as_deref());
        });
        source.end();
    });
    object
        .string("type", "TEXT_CONTENT")
        .number("content_index", place.index);
    object.end();
    Ok(Some(out))
}
