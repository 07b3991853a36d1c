//! Sound inside JSON: consumers that send it so, and the one wire that wants it so. A form on its way there is encoded while it passes.

use super::request::{Request, is_granularity};
use super::{Change, Editor, Format, Task, Whole, unsupported};
use crate::level::Level;
use crate::object::{items, string};
use crate::writer::{self, ObjectWriter};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use llmleaf_framing::{MultipartError, MultipartLimits, MultipartReader, PartHead, Piece};
use llmleaf_model::{Failure, Loss};
use serde_json::value::RawValue;

/// Longest field that is looked at.
const FIELD_BYTES: usize = 64 * 1024;

/// A consumer's request in JSON, as OpenRouter documents it (OpenAPI document 1.0.0, `/audio/transcriptions`).
#[derive(Clone, Debug)]
pub struct JsonRequest {
    /// What it says beside the sound.
    pub request: Request,
    /// Its fields as a form says them, in order, without the model.
    fields: Vec<(String, String)>,
    /// The sound, in base64.
    data: String,
    /// What the sound is written as.
    format: String,
}

/// Reads a consumer's JSON request.
///
/// # Errors
/// It does not say what is needed; the failure names the field.
pub fn parse_json(body: &str) -> Result<JsonRequest, Failure> {
    let mut top = Level::top(body)?;
    top.raw("model");
    let audio = top.object("input_audio")?;
    let mut audio = audio.ok_or_else(|| top.missing("input_audio"))?;
    let (data, format) = (audio.required("data")?, audio.required("format")?);
    let mut request = Request::default();
    let mut fields = Vec::new();
    for (name, value) in top.into_rest().iter() {
        for (name, value) in values(name, value.raw()) {
            request.field(&name, &value)?;
            fields.push((name, value));
        }
    }
    Ok(JsonRequest {
        request,
        fields,
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
    json: &JsonRequest,
    boundary: &str,
    change: &Change<'_>,
) -> Result<Whole, Failure> {
    let data = json.data.trim_end_matches('=');
    let sound = STANDARD_NO_PAD.decode(data).map_err(|_| {
        let field = "input_audio.data";
        Failure::invalid(format!("`{field}` must be base64"), Some(field))
    })?;
    let mut form = Vec::with_capacity(sound.len() + 1024);
    let mut part = |head: &str, value: &[u8]| {
        for piece in [
            b"--",
            boundary.as_bytes(),
            b"\r\nContent-Disposition: form-data; ",
            head.as_bytes(),
            b"\r\n\r\n",
            value,
            b"\r\n",
        ] {
            form.extend_from_slice(piece);
        }
    };
    part("name=\"model\"", change.model.as_bytes());
    // What is asked of routing was done here, unless the service knows it.
    let wish = |name: &str, value: &str| {
        change.quirks.takes.is_none() && crate::preferences::is_wish(name, value)
    };
    let fields = json.fields.iter();
    for (name, value) in fields.filter(|(name, value)| !wish(name, value)) {
        // What cannot stand in a head is no field of any service.
        if name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
        {
            part(&format!("name=\"{name}\""), value.as_bytes());
        }
    }
    let format = &json.format;
    let named = format.bytes().all(|b| b.is_ascii_alphanumeric());
    let ending = if named { format } else { "bin" };
    let head = format!(
        "name=\"file\"; filename=\"audio.{ending}\"\r\nContent-Type: {}",
        mime(None, Some(&format!("a.{ending}")))
    );
    part(&head, &sound);
    form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let mut editor = Editor::new(boundary, change);
    let mut out = Vec::with_capacity(form.len());
    editor.push(&form, &mut out)?;
    editor.finish()?;
    let mut whole = Whole::json(out, editor.losses().to_vec());
    whole.content_type = format!("multipart/form-data; boundary={boundary}").into();
    Ok(whole)
}

impl JsonRequest {
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
        let mut out = BEFORE.as_bytes().to_vec();
        writer::string(&mut out, mime(None, Some(&format!("a.{}", self.format))));
        out.extend_from_slice(DATA.as_bytes());
        writer::string(&mut out, &self.data);
        after(&self.request, task, &mut out);
        let known = |name: &str| Request::reads(name) && !is_granularity(name);
        let lost = self.fields.iter().filter(|(name, _)| !known(name));
        let losses = lost.map(|(name, _)| lost_field(name)).collect();
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
        self.seen.push(name.clone());
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
                self.losses.push(lost_field(&name));
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
                    self.losses.push(lost_field(&name));
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
    let temperature = request.temperature.as_deref();
    if let Some(number) = temperature.filter(|t| serde_json::from_str::<f64>(t).is_ok()) {
        out.extend_from_slice(b",\"generationConfig\":");
        let mut object = ObjectWriter::new(out);
        object.raw("temperature", number);
        object.end();
    }
    out.push(b'}');
}

fn check(request: &Request) -> Result<(), Failure> {
    match request.format {
        Format::Json | Format::Text => Ok(()),
        other => Err(unsupported(other)),
    }
}

fn lost_field(name: &str) -> Loss {
    Loss::dropped(name, "the target has no such field")
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

fn malformed(error: MultipartError) -> Failure {
    Failure::invalid(error.to_string(), None)
}
