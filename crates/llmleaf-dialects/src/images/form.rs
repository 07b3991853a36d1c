//! Forms: what consumers send who give the images themselves, said in JSON; and JSON as a form, for services that take nothing else.
//!
//! The two forms of `/images/edits` say the same (OpenAI's OpenAPI document 2.3.0: `CreateImageEditRequest` and `EditImageBodyJsonParam`), and
//! a body of JSON can be tried with any target. So a form becomes JSON at the door, with its images in base64: while it comes, so
//! that it is never held beside what becomes of it.

use super::{ImageForm, unsupported};
use crate::broken::malformed;
use crate::object::{items, string};
use crate::transcription::encode;
use crate::writer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llmleaf_framing::{MultipartLimits, MultipartReader, PartHead, Piece};
use llmleaf_model::{Failure, ImageRequest, ImageSource};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Fields that are numbers in JSON; the last four are not OpenAI's, but of many who speak its form.
const NUMBERS: [&str; 7] = [
    "n",
    "output_compression",
    "partial_images",
    "seed",
    "width",
    "height",
    "steps",
];

/// So much of a file says what it is.
const MAGIC_BYTES: usize = 12;

/// A form on its way to become JSON.
#[derive(Debug)]
pub struct FormReader {
    reader: MultipartReader,
    /// The images, which stand first: `{"images":[…`.
    out: Vec<u8>,
    /// Everything else, each with a comma before it.
    rest: Vec<u8>,
    seen: Vec<String>,
    open: Open,
    images: bool,
}

#[derive(Debug)]
enum Open {
    Nothing,
    Field(String, Vec<u8>),
    File {
        /// The name where it is none of the images.
        name: Option<String>,
        mime: Option<String>,
        begun: bool,
        /// Bytes that do not fill a group of base64 yet, or do not say what it is.
        left: Vec<u8>,
    },
}

impl FormReader {
    /// At the beginning of a form with that boundary, which is so long if that is known.
    pub fn new(boundary: &str, length: Option<usize>) -> Self {
        let room = length.map_or(0, |length| length.saturating_add(length / 3));
        let mut out = Vec::with_capacity(room);
        out.push(b'{');
        Self {
            reader: MultipartReader::new(boundary, MultipartLimits::default()),
            out,
            rest: Vec::new(),
            seen: Vec::new(),
            open: Open::Nothing,
            images: false,
        }
    }

    /// Takes the next bytes of the form.
    ///
    /// # Errors
    /// It is not well-formed, or says a field twice.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.reader.push(bytes);
        while let Some(piece) = self.reader.next() {
            match piece.map_err(malformed)? {
                Piece::Head(head) => {
                    self.close()?;
                    self.open(head)?;
                }
                Piece::Data(data) => self.data(&data),
                Piece::End(_) => self.close()?,
            }
        }
        Ok(())
    }

    /// What the form says, in JSON.
    ///
    /// # Errors
    /// It ended early.
    pub fn finish(mut self) -> Result<Vec<u8>, Failure> {
        self.reader.finish().map_err(malformed)?;
        if self.images {
            self.out.push(b']');
        }
        let rest = match self.images {
            true => self.rest.as_slice(),
            false => self.rest.get(1..).unwrap_or_default(),
        };
        self.out.extend_from_slice(rest);
        self.out.push(b'}');
        Ok(self.out)
    }

    fn open(&mut self, head: PartHead) -> Result<(), Failure> {
        let PartHead {
            name,
            filename,
            content_type,
            ..
        } = head;
        let image = is_image(&name);
        if !image && self.seen.contains(&name) {
            let why = format!("the form names `{name}` twice");
            return Err(Failure::invalid(why, Some(&name)));
        }
        let mime = content_type.map(|mime| mime.to_ascii_lowercase());
        let mime = mime.filter(|mime| mime.starts_with("image/"));
        self.open = match filename.is_some() || mime.is_some() {
            true => Open::File {
                name: (!image).then(|| name.clone()),
                mime,
                begun: false,
                left: Vec::new(),
            },
            false => Open::Field(name.clone(), Vec::new()),
        };
        self.seen.push(name);
        Ok(())
    }

    fn data(&mut self, data: &[u8]) {
        match &mut self.open {
            Open::Nothing => {}
            Open::Field(_, value) => value.extend_from_slice(data),
            Open::File { begun, left, .. } => {
                if *begun {
                    return self.encode(data);
                }
                left.extend_from_slice(data);
                if left.len() >= MAGIC_BYTES {
                    self.begin();
                }
            }
        }
    }

    /// Where a file's bytes go.
    fn encode(&mut self, data: &[u8]) {
        if let Open::File { name, left, .. } = &mut self.open {
            let out = match name {
                None => &mut self.out,
                Some(_) => &mut self.rest,
            };
            encode(left, data, out);
        }
    }

    /// Writes what stands before a file's bytes, and those that came.
    fn begin(&mut self) {
        let Open::File {
            name,
            mime,
            begun,
            left,
        } = &mut self.open
        else {
            return;
        };
        *begun = true;
        let first = std::mem::take(left);
        let mime = mime.as_deref().unwrap_or_else(|| sniffed(&first));
        let out = match name {
            None => {
                let before: &[u8] = match std::mem::replace(&mut self.images, true) {
                    true => b",",
                    false => b"\"images\":[",
                };
                self.out.extend_from_slice(before);
                &mut self.out
            }
            Some(name) => {
                self.rest.push(b',');
                writer::string(&mut self.rest, name);
                self.rest.push(b':');
                &mut self.rest
            }
        };
        out.extend_from_slice(b"{\"image_url\":\"data:");
        // Within a string: a type holds nothing that is not as it is.
        let plain = mime
            .bytes()
            .filter(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b','));
        out.extend(plain);
        out.extend_from_slice(b";base64,");
        self.encode(&first);
    }

    fn close(&mut self) -> Result<(), Failure> {
        match &self.open {
            // Nothing was chosen: browsers send such a part all the same.
            Open::File {
                begun: false, left, ..
            } if left.is_empty() => self.open = Open::Nothing,
            // It is short.
            Open::File { begun: false, .. } => self.begin(),
            _ => {}
        }
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Field(name, value) => self.field(&name, value)?,
            Open::File { name, left, .. } => {
                let out = match name {
                    None => &mut self.out,
                    Some(_) => &mut self.rest,
                };
                out.extend_from_slice(STANDARD.encode(&left).as_bytes());
                out.extend_from_slice(b"\"}");
            }
        }
        Ok(())
    }

    fn field(&mut self, name: &str, value: Vec<u8>) -> Result<(), Failure> {
        let Ok(text) = String::from_utf8(value) else {
            return Err(Failure::invalid(
                format!("`{name}` is not UTF-8"),
                Some(name),
            ));
        };
        if is_image(name) {
            // No file: where it lies.
            let before: &[u8] = match std::mem::replace(&mut self.images, true) {
                true => b",",
                false => b"\"images\":[",
            };
            self.out.extend_from_slice(before);
            writer::string(&mut self.out, &text);
            return Ok(());
        }
        self.rest.push(b',');
        writer::string(&mut self.rest, name);
        self.rest.push(b':');
        // As it is written: it may be negative, or no whole one.
        let is_number = || serde_json::from_str::<serde_json::Number>(&text).is_ok();
        let plain = match name {
            "stream" => matches!(&*text, "true" | "false"),
            name => NUMBERS.contains(&name) && is_number(),
        };
        match plain {
            true => self.rest.extend_from_slice(text.as_bytes()),
            false => writer::string(&mut self.rest, &text),
        }
        Ok(())
    }
}

/// Whether a part is one of the images: `image`, and as lists are written, `image[]` and `image[0]`.
fn is_image(name: &str) -> bool {
    let Some(index) = name.strip_prefix("image") else {
        return false;
    };
    let index = match index.strip_prefix('[') {
        Some(index) => index.strip_suffix(']'),
        None => Some(index).filter(|index| index.is_empty()),
    };
    index.is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
}

/// What a file is, by how it begins, where nobody says so: many clients call all files `application/octet-stream`.
fn sniffed(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        _ => "image/png",
    }
}

/// Writes a form: the fields that are given, and the request's images as files.
///
/// # Errors
/// An image is no file that came with the request (kind `Unsupported`: the next target may find it).
pub(super) fn write(
    form: ImageForm,
    request: &ImageRequest,
    fields: &[(String, String)],
    boundary: &str,
) -> Result<Vec<u8>, Failure> {
    let images = if request.images.len() > 1 && form == ImageForm::Edits {
        "image[]"
    } else {
        "image"
    };
    let files = request.images.iter().map(|image| (images, image));
    let files = files.chain(request.mask.iter().map(|mask| ("mask", mask)));
    let files: Vec<(&str, &str, Option<&str>)> = files
        .map(|(name, image)| match image {
            ImageSource::Base64(data, mime) => Ok((name, &**data, mime.as_deref())),
            ImageSource::Url(_) | ImageSource::Opaque(_) => {
                let why = "the target takes images that come with the request";
                Err(unsupported("images", why))
            }
        })
        .collect::<Result<_, _>>()?;
    let room: usize = files
        .iter()
        .map(|(_, data, _)| data.len() / 4 * 3 + 256)
        .sum();
    let mut out = Vec::with_capacity(room + 1024);
    for (name, value) in fields {
        begin(&mut out, boundary, name, "");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(LINE_END);
    }
    for (name, data, mime) in files {
        let plain = |mime: &&str| mime.bytes().all(|b| b.is_ascii_graphic());
        let mime = mime.filter(plain).unwrap_or("image/png");
        let ending = mime.strip_prefix("image/").unwrap_or("png");
        let ending: String = ending
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let head = format!("; filename=\"image.{ending}\"\r\nContent-Type: {mime}");
        begin(&mut out, boundary, name, &head);
        STANDARD.decode_vec(data, &mut out).map_err(|_| {
            Failure::invalid(format!("`{name}` must be an image in base64"), Some(name))
        })?;
        out.extend_from_slice(LINE_END);
    }
    for piece in ["--", boundary, "--\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    Ok(out)
}

const LINE_END: &[u8] = b"\r\n";

/// What stands before a part's value.
fn begin(out: &mut Vec<u8>, boundary: &str, name: &str, more: &str) {
    for piece in [
        "--",
        boundary,
        "\r\nContent-Disposition: form-data; name=\"",
        name,
        "\"",
        more,
        "\r\n\r\n",
    ] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// A field of a JSON body as those of a form: a list is given item by item, and `null` is no field.
pub(super) fn fields(name: &str, json: &str) -> Vec<(String, String)> {
    // What cannot stand in a head is no field of any service.
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    let Some(raw) = serde_json::from_str::<&RawValue>(json).ok() else {
        return Vec::new();
    };
    if json == "null" || !name.bytes().all(fits) {
        return Vec::new();
    }
    let text = |raw: &RawValue| {
        let text = string(raw).map(Cow::into_owned);
        text.unwrap_or_else(|| raw.get().to_owned())
    };
    match items(raw) {
        Some(list) => {
            let each = list
                .into_iter()
                .map(|item| (format!("{name}[]"), text(item)));
            each.collect()
        }
        None => vec![(name.to_owned(), text(raw))],
    }
}
