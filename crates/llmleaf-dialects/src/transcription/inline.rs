//! Sound inside JSON: consumers that send it so, and the one wire that wants it so. A form on its way there is encoded while it passes.

use super::request::{Request, is_granularity};
use super::{Change, Editor, FormQuirks, Format, NAME_BYTES, Task, Whole, lose, unsupported};
use crate::broken::malformed;
use crate::level::{Level, wrong};
use crate::object::{items, string};
use crate::writer::{self, ObjectWriter};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use llmleaf_framing::{MultipartLimits, MultipartReader, PartHead, Piece};
use llmleaf_model::{Failure, Loss};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest field that is looked at.
const FIELD_BYTES: usize = 64 * 1024;

/// Bytes of base64 that are decoded at a time: whole groups.
const PIECE: usize = 64 * 1024;

/// A consumer's request in JSON, as OpenRouter documents it (OpenAPI document 1.0.0, `/audio/transcriptions`).
#[derive(Clone, Debug)]
pub struct JsonRequest<'a> {
    /// What it says beside the sound.
    pub request: Request,
    /// Its fields as a form says them, in order, without the model.
    fields: Vec<Said>,
    /// What it says of its sound that nobody knows.
    unknown: Vec<String>,
    /// The sound, in base64.
    data: Cow<'a, str>,
    /// What the sound is written as.
    format: String,
}

/// A field as a form says it.
#[derive(Clone, Debug)]
struct Said {
    name: String,
    value: String,
    /// It asks something of routing.
    wish: bool,
}

/// Reads a consumer's JSON request.
///
/// # Errors
/// It does not say what is needed; the failure names the field.
pub fn parse_json(body: &str) -> Result<JsonRequest<'_>, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let audio = top.object("input_audio")?;
    let mut audio = audio.ok_or_else(|| top.missing("input_audio"))?;
    let data = audio.raw("data").ok_or_else(|| audio.missing("data"))?;
    // Long, and hardly ever with anything in it that has to be decoded: it stays where it is.
    let data = string(data).ok_or_else(|| wrong(&audio.at("data"), "a string"))?;
    let format = audio.required("format")?;
    let unknown = audio.into_rest();
    let unknown = unknown
        .iter()
        .map(|(name, _)| format!("input_audio.{name}"));
    let unknown = unknown.collect();
    let mut request = Request::default();
    let mut fields = Vec::new();
    for (name, value) in top.into_rest().iter() {
        // By its type, which a form does not tell.
        let wish = crate::preferences::is_wish(name, value.raw().get());
        for (name, value) in values(name, value.raw()) {
            request.field(&name, &value)?;
            fields.push(Said { name, value, wish });
        }
    }
    Ok(JsonRequest {
        request,
        fields,
        unknown,
        data,
        format,
    })
}

/// A JSON field as the fields of a form: each item of a list is one.
fn values(name: &str, raw: &RawValue) -> Vec<(String, String)> {
    let text = |raw: &RawValue| string(raw).map_or_else(|| raw.get().to_owned(), Into::into);
    match items(raw) {
        Some(list) => (list.into_iter())
            .map(|item| (format!("{name}[]"), text(item)))
            .collect(),
        None if raw.get() == "null" => Vec::new(),
        None => vec![(name.to_owned(), text(raw))],
    }
}

/// Writes a JSON request as a form for a service.
///
/// # Errors
/// The sound is not base64, or the service cannot do what is asked.
pub fn render_form(
    json: &JsonRequest<'_>,
    boundary: &str,
    change: &Change<'_>,
) -> Result<Whole, Failure> {
    let mut editor = Editor::new(boundary, change);
    let mut losses = Vec::new();
    let mut out = Vec::with_capacity(json.data.len() / 4 * 3 + 1024);
    let head = |head: &str| {
        let head = ["\r\n--", boundary, DISPOSITION, head, "\r\n\r\n"];
        head.concat().into_bytes()
    };
    editor.push(&head("name=\"model\""), &mut out)?;
    editor.push(change.model.as_bytes(), &mut out)?;
    let goes = |said: &&Said| said.goes(change.quirks);
    for Said { name, value, .. } in json.fields.iter().filter(goes) {
        // What cannot stand in a head is no field of any service.
        let stands = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
        if name.bytes().all(stands) && name.len() <= NAME_BYTES && !name.is_empty() {
            editor.push(&head(&format!("name=\"{name}\"")), &mut out)?;
            editor.push(value.as_bytes(), &mut out)?;
        } else {
            lose(&mut losses, name);
        }
    }
    let format = &json.format;
    let named = format.bytes().all(|b| b.is_ascii_alphanumeric()) && format.len() <= NAME_BYTES;
    let ending = if named { format } else { "bin" };
    let file = format!(
        "name=\"file\"; filename=\"audio.{ending}\"\r\nContent-Type: {}",
        mime(None, Some(&format!("a.{ending}")))
    );
    editor.push(&head(&file), &mut out)?;
    let data = json.data.trim_end_matches('=').as_bytes();
    for piece in data.chunks(PIECE) {
        let sound = STANDARD_NO_PAD.decode(piece).map_err(|_| {
            let field = "input_audio.data";
            Failure::invalid(format!("`{field}` must be base64"), Some(field))
        })?;
        editor.push(&sound, &mut out)?;
    }
    editor.push(format!("\r\n--{boundary}--\r\n").as_bytes(), &mut out)?;
    editor.finish()?;
    losses.extend_from_slice(editor.losses());
    json.unknown.iter().for_each(|name| lose(&mut losses, name));
    let mut whole = Whole::json(out, losses);
    whole.content_type = format!("multipart/form-data; boundary={boundary}").into();
    Ok(whole)
}

const DISPOSITION: &str = "\r\nContent-Disposition: form-data; ";

impl Said {
    /// What is asked of routing was done here, unless the service knows it.
    fn goes(&self, quirks: &FormQuirks) -> bool {
        !self.wish || quirks.takes.is_some() && quirks.takes(&self.name)
    }
}

impl JsonRequest<'_> {
    /// How long the sound is, in base64.
    pub fn encoded_length(&self) -> usize {
        self.data.len()
    }

    /// Writes it as a `generateContent` request.
    ///
    /// # Errors
    /// The wire cannot do what is asked.
    pub fn render_generate(&self, task: Task) -> Result<Whole, Failure> {
        check(&self.request)?;
        let mut out = Vec::with_capacity(self.data.len() + 1024);
        out.extend_from_slice(BEFORE.as_bytes());
        writer::string(&mut out, mime(None, Some(&format!("a.{}", self.format))));
        out.extend_from_slice(DATA.as_bytes());
        writer::string(&mut out, &self.data);
        after(&self.request, task, &mut out);
        let known = |name: &str| Request::reads(name) && !is_granularity(name);
        let lost = self.fields.iter();
        let lost = lost.filter(|said| !said.wish && !known(&said.name));
        let mut losses = Vec::new();
        let lost = lost.map(|said| &said.name).chain(&self.unknown);
        lost.for_each(|name| lose(&mut losses, name));
        Ok(Whole::json(out, losses))
    }
}

/// A form on its way to become a `generateContent` request (ai.google.dev, "Audio understanding", 2026-11).
#[derive(Debug)]
pub struct Inline {
    reader: MultipartReader,
    task: Task,
    request: Request,
    seen: Vec<String>,
    losses: Vec<Loss>,
    open: Open,
    file: bool,
    ended: bool,
    /// Bytes that do not fill a group of base64 yet.
    left: Vec<u8>,
}

#[derive(Debug)]
enum Open {
    Dropped,
    File,
    Read(String, Vec<u8>),
}

const BEFORE: &str = r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"#;
const DATA: &str = r#","data":"#;

impl Inline {
    /// At the beginning of a form with that boundary.
    pub fn new(boundary: &str, task: Task) -> Self {
        Self {
            reader: MultipartReader::new(boundary, MultipartLimits::default()),
            task,
            request: Request::default(),
            seen: Vec::new(),
            losses: Vec::new(),
            open: Open::Dropped,
            file: false,
            ended: false,
            left: Vec::new(),
        }
    }

    /// Takes bytes of the consumer's, and appends what the service gets.
    ///
    /// # Errors
    /// It is no form, says a field twice, or asks what the service cannot do.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.reader.push(bytes);
        while let Some(piece) = self.reader.next() {
            match piece.map_err(malformed)? {
                Piece::Head(head) => {
                    self.close(out)?;
                    self.open(head, out)?;
                }
                Piece::Data(data) => self.data(&data, out)?,
                Piece::End(_) => {
                    self.close(out)?;
                    if !std::mem::replace(&mut self.ended, true) {
                        self.end(out)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The consumer's bytes ended.
    ///
    /// # Errors
    /// The form is not complete.
    pub fn finish(&self) -> Result<(), Failure> {
        self.reader.finish().map_err(malformed)
    }

    /// The form has come to its end. What may follow says nothing.
    pub fn is_over(&self) -> bool {
        self.reader.finish().is_ok()
    }

    /// What the form says, as far as it has passed.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What was lost so far.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    fn open(&mut self, head: PartHead, out: &mut Vec<u8>) -> Result<(), Failure> {
        let name = head.name;
        let reads = Request::reads(&name);
        if (reads && !is_granularity(&name) || name == "file") && self.seen.contains(&name) {
            let why = format!("the field `{name}` stands twice");
            return Err(Failure::invalid(why, Some(&name)));
        }
        if reads || name == "file" {
            self.seen.push(name.clone());
        }
        self.open = match name.as_str() {
            "file" => {
                self.file = true;
                out.extend_from_slice(BEFORE.as_bytes());
                let mime = mime(head.content_type.as_deref(), head.filename.as_deref());
                writer::string(out, mime);
                out.extend_from_slice(DATA.as_bytes());
                out.push(b'"');
                Open::File
            }
            _ if reads => Open::Read(name, Vec::new()),
            _ => {
                lose(&mut self.losses, &name);
                Open::Dropped
            }
        };
        Ok(())
    }

    fn data(&mut self, data: &Bytes, out: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.open {
            Open::Dropped => {}
            Open::File => encode(&mut self.left, data, out),
            Open::Read(name, value) => {
                if value.len().saturating_add(data.len()) > FIELD_BYTES {
                    let why = format!("`{name}` is longer than {FIELD_BYTES} bytes");
                    return Err(Failure::invalid(why, Some(name)));
                }
                value.extend_from_slice(data);
            }
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match std::mem::replace(&mut self.open, Open::Dropped) {
            Open::Dropped => {}
            Open::File => {
                out.extend_from_slice(STANDARD.encode(&self.left).as_bytes());
                self.left = Vec::new();
                out.push(b'"');
            }
            Open::Read(name, value) => {
                let Ok(text) = String::from_utf8(value) else {
                    let why = format!("the field `{name}` is not UTF-8");
                    return Err(Failure::invalid(why, Some(&name)));
                };
                self.request.field(&name, &text)?;
                if is_granularity(&name) {
                    lose(&mut self.losses, &name);
                }
                check(&self.request)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        if !self.file {
            let why = "the field `file` is missing";
            return Err(Failure::invalid(why, Some("file")));
        }
        after(&self.request, self.task, out);
        Ok(())
    }
}

/// Encodes what fills whole groups, and keeps the rest.
pub(crate) fn encode(left: &mut Vec<u8>, data: &[u8], out: &mut Vec<u8>) {
    let group = 3;
    let mut data = data;
    if !left.is_empty() {
        let (now, later) = data.split_at(data.len().min(group - left.len()));
        left.extend_from_slice(now);
        data = later;
        if left.len() < group {
            return;
        }
        out.extend_from_slice(STANDARD.encode(&*left).as_bytes());
        left.clear();
    }
    let (whole, rest) = data.split_at(data.len() - data.len() % group);
    out.reserve(whole.len() / group * 4);
    for chunk in whole.chunks(3 * 1024) {
        out.extend_from_slice(STANDARD.encode(chunk).as_bytes());
    }
    left.extend_from_slice(rest);
}

/// What stands behind the sound: what is asked of it.
fn after(request: &Request, task: Task, out: &mut Vec<u8>) {
    out.extend_from_slice(b"}},{\"text\":");
    let mut text = match task {
        Task::Transcribe => "Transcribe the speech in this audio. Answer with the words that are spoken, and nothing else.",
        Task::Translate => "Translate the speech in this audio to English. Answer with the translation, and nothing else.",
    }
    .to_owned();
    if let Some(language) = &request.language {
        text.push_str(" The language of the speech is: ");
        text.push_str(language);
    }
    if let Some(prompt) = &request.prompt {
        text.push('\n');
        text.push_str(prompt);
    }
    writer::string(out, &text);
    out.extend_from_slice(b"}]}]");
    if let Some(number) = request.temperature.as_deref() {
        out.extend_from_slice(b",\"generationConfig\":");
        let mut object = ObjectWriter::new(out);
        object.raw("temperature", number);
        object.end();
    }
    out.push(b'}');
}

fn check(request: &Request) -> Result<(), Failure> {
    let temperature = request.temperature.as_deref();
    if temperature.is_some_and(|text| serde_json::from_str::<f64>(text).is_err()) {
        let why = "`temperature` is to be a number";
        return Err(Failure::invalid(why, Some("temperature")));
    }
    match (&request.other_format, request.format) {
        (Some(other), _) => Err(unsupported(other)),
        (None, Format::Json | Format::Text) => Ok(()),
        (None, other) => Err(unsupported(other.as_str())),
    }
}

/// The type of a file, from what its part says, else from how its name ends.
fn mime<'a>(content_type: Option<&'a str>, filename: Option<&str>) -> &'a str {
    let told = content_type.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if let Some(kind) = told.filter(|k| k.starts_with("audio/") || k.starts_with("video/")) {
        return kind;
    }
    let ending = filename.and_then(|name| name.rsplit('.').next());
    match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
        "mp3" | "mpga" | "mpeg" => "audio/mp3",
        "m4a" | "mp4" => "audio/mp4",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "aiff" | "aif" => "audio/aiff",
        "webm" => "audio/webm",
        _ => "audio/wav",
    }
}
