//! Forms: what consumers send who give the images themselves, said in JSON.
//!
//! The two forms of `/images/edits` say the same (OpenAI's OpenAPI document 2.3.0: `CreateImageEditRequest` and `EditImageBodyJsonParam`), and
//! JSON is the one that all services which edit images take. So a form becomes JSON at the door, with its images in base64.

use super::ImageForm;
use crate::writer::{ObjectWriter, array};
use base64::Engine;
use llmleaf_model::Failure;
use memchr::memmem;

/// Most parts of a form.
const MAX_PARTS: usize = 64;

/// Longest head of a part, in bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Fields that are numbers in JSON.
const NUMBERS: [&str; 3] = ["n", "output_compression", "partial_images"];

/// One part of a form.
struct Part<'b> {
    name: String,
    mime: Option<String>,
    is_file: bool,
    data: &'b [u8],
}

impl ImageForm {
    /// A form's body as one of JSON; `None` where the content type is no form's.
    ///
    /// # Errors
    /// It is not well-formed, or names something twice.
    pub fn of_parts(self, content_type: &str, body: &[u8]) -> Option<Result<Vec<u8>, Failure>> {
        let (kind, rest) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = rest.split(';').find_map(|field| {
            let (name, value) = field.split_once('=')?;
            let value = value.trim().trim_matches('"');
            (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty()).then_some(value)
        });
        let boundary = boundary.ok_or_else(|| malformed("its content type names no boundary"));
        Some(boundary.and_then(|boundary| json(&parts(boundary, body)?)))
    }
}

fn malformed(why: &str) -> Failure {
    Failure::invalid(format!("the form is not well-formed: {why}"), None)
}

fn parts<'b>(boundary: &str, body: &'b [u8]) -> Result<Vec<Part<'b>>, Failure> {
    let open = ["--", boundary].concat();
    let next = ["\r\n--", boundary].concat();
    let mut rest = body
        .strip_prefix(b"\r\n")
        .unwrap_or(body)
        .strip_prefix(open.as_bytes())
        .ok_or_else(|| malformed("it does not begin with its boundary"))?;
    let mut found = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        let part = rest
            .strip_prefix(b"\r\n")
            .ok_or_else(|| malformed("a boundary is not a line"))?;
        let end = memmem::find(part, next.as_bytes());
        let end = end.ok_or_else(|| malformed("it ends before its closing boundary"))?;
        let (one, behind) = part.split_at(end);
        rest = behind.get(next.len()..).unwrap_or_default();
        if found.len() == MAX_PARTS {
            return Err(malformed("it has too many parts"));
        }
        found.push(read(one)?);
    }
}

fn read(part: &[u8]) -> Result<Part<'_>, Failure> {
    let end = memmem::find(part, b"\r\n\r\n").filter(|end| *end <= MAX_HEAD_BYTES);
    let end = end.ok_or_else(|| malformed("a part has no head"))?;
    let (head, data) = part.split_at(end);
    let data = data.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| malformed("a head is not UTF-8"))?;
    let (mut name, mut mime, mut is_file) = (None, None, false);
    for line in head.split("\r\n") {
        let (field, value) = line
            .split_once(':')
            .ok_or_else(|| malformed("a head's line has no name"))?;
        if field.trim().eq_ignore_ascii_case("content-type") {
            mime = Some(value.trim().to_ascii_lowercase());
        }
        if field
            .trim()
            .eq_ignore_ascii_case("content-transfer-encoding")
            && !value.trim().eq_ignore_ascii_case("binary")
        {
            return Err(malformed("a part is encoded"));
        }
        if field.trim().eq_ignore_ascii_case("content-disposition") {
            for (key, said) in value.split(';').filter_map(|one| one.split_once('=')) {
                let said = said.trim().trim_matches('"');
                match key.trim() {
                    "name" => name = Some(said.to_owned()),
                    "filename" | "filename*" => is_file = true,
                    _ => {}
                }
            }
        }
    }
    Ok(Part {
        name: name.ok_or_else(|| malformed("a part has no name"))?,
        mime: mime.filter(|mime| mime.starts_with("image/")),
        is_file,
        data,
    })
}

fn json(parts: &[Part<'_>]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    let mut seen: Vec<&str> = Vec::new();
    let is_image = |part: &&Part<'_>| part.is_file && matches!(&*part.name, "image" | "image[]");
    for part in parts.iter().filter(|part| !is_image(part)) {
        let name = part.name.as_str();
        if seen.contains(&name) {
            let why = format!("the form names `{name}` twice");
            return Err(Failure::invalid(why, Some(name)));
        }
        seen.push(name);
        if part.is_file {
            object.object(name, |inner| {
                inner.string("image_url", &data_url(part));
            });
            continue;
        }
        let text = std::str::from_utf8(part.data);
        let text =
            text.map_err(|_| Failure::invalid(format!("`{name}` is not UTF-8"), Some(name)))?;
        match (text, text.parse::<u64>()) {
            (_, Ok(number)) if NUMBERS.contains(&name) => object.number(name, number),
            ("true" | "false", _) if name == "stream" => object.raw(name, text),
            _ => object.string(name, text),
        };
    }
    array(
        object.key("images"),
        parts.iter().filter(is_image),
        |out, part| {
            let mut image = ObjectWriter::new(out);
            image.string("image_url", &data_url(part));
            image.end();
        },
    );
    object.end();
    Ok(out)
}

fn data_url(part: &Part<'_>) -> String {
    let data = base64::engine::general_purpose::STANDARD.encode(part.data);
    let mime = part.mime.as_deref().unwrap_or("image/png");
    ["data:", mime, ";base64,", &data].concat()
}
