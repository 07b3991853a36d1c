//! The head of a part: its name, and what it says beside it.

use super::MultipartError;
use bytes::Bytes;

/// How a part begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHead {
    /// The boundary before it and its headers, through the blank line.
    pub raw: Bytes,
    /// The name of the field.
    pub name: String,
    /// The name of the file, if it is one; not to be trusted, and not decoded.
    pub filename: Option<String>,
    /// The type of what it holds.
    pub content_type: Option<String>,
    /// How long it says it is.
    pub length: Option<u64>,
}

impl PartHead {
    /// Reads a head. `delimiter` is the length of the boundary in front.
    pub(super) fn parse(raw: Bytes, delimiter: usize) -> Result<Self, MultipartError> {
        let text = raw.get(delimiter..).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| wrong("a head is not UTF-8"))?;
        let (mut disposition, mut content_type, mut length) = (None, None, None);
        // The first line is the boundary's own.
        for line in text.split("\r\n").skip(1).filter(|line| !line.is_empty()) {
            if line.starts_with([' ', '\t']) || line.bytes().any(|b| b < b' ' && b != b'\t') {
                return Err(wrong("a header is folded, or holds control characters"));
            }
            let (name, value) = line.split_once(':').ok_or(wrong("a header has no colon"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" => once(&mut disposition, value)?,
                "content-type" => once(&mut content_type, value)?,
                "content-length" => once(&mut length, value)?,
                "content-transfer-encoding" => {
                    let plain = ["binary", "8bit", "7bit"];
                    if !plain.iter().any(|known| value.eq_ignore_ascii_case(known)) {
                        return Err(wrong("a transfer encoding changes bytes"));
                    }
                }
                name if name.is_empty() || name.contains([' ', '\t']) => {
                    return Err(wrong("a header's name holds blanks"));
                }
                _ => {}
            }
        }
        let (name, filename) = named(disposition.ok_or(wrong("a part has no name"))?)?;
        let length = length.map(str::parse::<u64>).transpose();
        let content_type = content_type.filter(|kind| !kind.is_empty());
        Ok(Self {
            content_type: content_type.map(str::to_owned),
            length: length.map_err(|_| wrong("a part's length is no number"))?,
            raw,
            name,
            filename,
        })
    }
}

/// The boundary of a form, from its `Content-Type`; `None` where that is no form, or names none.
pub fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let parameters = parameters(rest).ok()?;
    let mut named = (parameters.into_iter()).filter(|(key, _)| key == "boundary");
    let (_, boundary) = named.next()?;
    // RFC 2046, section 5.1.1.
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    let valid = (1..=70).contains(&boundary.len()) && boundary.bytes().all(fits);
    (valid && !boundary.ends_with(' ') && named.next().is_none()).then_some(boundary)
}

fn wrong(why: &'static str) -> MultipartError {
    MultipartError::Malformed(why)
}

fn once<'a>(place: &mut Option<&'a str>, value: &'a str) -> Result<(), MultipartError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(wrong("a header stands twice")),
    }
}

/// Name and file name of a `Content-Disposition`.
fn named(value: &str) -> Result<(String, Option<String>), MultipartError> {
    let (kind, rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(wrong("a part is no form data"));
    }
    let (mut name, mut filename) = (None, None);
    for (key, value) in parameters(rest)? {
        let place = match key.as_str() {
            "name" if value.contains('\\') => return Err(wrong("a name needs decoding")),
            "name" => &mut name,
            // Some clients say both (RFC 7578, section 4.2, has the second one only to forbid it).
            "filename*" => {
                filename.get_or_insert(value);
                continue;
            }
            "filename" => &mut filename,
            // An encoded value or a piece of one (RFC 2231, sections 3 and 4): some readers put `name*0` together as the name.
            key if key.contains('*') => return Err(wrong("a parameter needs decoding")),
            _ => continue,
        };
        if key == "name" && place.is_some() {
            return Err(wrong("a part has two names"));
        }
        *place = Some(value);
    }
    let name = name.filter(|name| !name.is_empty());
    Ok((name.ok_or(wrong("a part has no name"))?, filename))
}

/// The parameters behind a header's value: keys in lower case, values without quotes. Clients write the quotes inside a name as `%22`
/// (WHATWG) or `\"`; neither is decoded.
fn parameters(mut rest: &str) -> Result<Vec<(String, String)>, MultipartError> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Ok(all);
        }
        let (key, behind) = rest
            .split_once('=')
            .ok_or(wrong("a parameter has no value"))?;
        let key = key.trim().to_ascii_lowercase();
        let behind = behind.trim_start();
        let value = match behind.strip_prefix('"') {
            Some(quoted) => {
                let end = closing(quoted).ok_or(wrong("a quote is not closed"))?;
                rest = quoted.get(end + 1..).unwrap_or_default();
                quoted.get(..end).unwrap_or_default()
            }
            None => {
                let end = behind.find(';').unwrap_or(behind.len());
                rest = behind.get(end..).unwrap_or_default();
                behind.get(..end).unwrap_or_default().trim()
            }
        };
        if !rest.trim_start().is_empty() && !rest.trim_start().starts_with(';') {
            return Err(wrong("something stands behind a quote"));
        }
        all.push((key, value.to_owned()));
    }
}

/// Where a quoted text ends.
fn closing(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}
