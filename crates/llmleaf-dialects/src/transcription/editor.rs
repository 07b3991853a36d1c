//! A form on its way to a service: changed while it passes, and never held.
//!
//! What is not changed keeps its bytes, the boundary stays the consumer's, and it matters nowhere whether a field stands before the file
//! or behind it.

use super::request::{Request, is_granularity};
use super::{Ask, FormQuirks, Format, Streams, lose, unsupported};
use crate::broken::malformed;
use bytes::Bytes;
use llmleaf_framing::{MultipartLimits, MultipartReader, PartHead, Piece};
use llmleaf_model::{Failure, Loss};

/// Longest field that is looked at.
const FIELD_BYTES: usize = 64 * 1024;

/// What a service is asked in place of what the consumer asks.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The model's name there.
    pub model: &'a str,
    /// The service's form.
    pub quirks: &'a FormQuirks,
}

/// Changes a form.
#[derive(Debug)]
pub struct Editor {
    reader: MultipartReader,
    boundary: String,
    model: String,
    quirks: FormQuirks,
    open: Open,
    /// Something was written, so that a boundary needs its line end.
    begun: bool,
    ended: bool,
    files: usize,
    seen: Vec<String>,
    request: Request,
    losses: Vec<Loss>,
    /// Bytes that were dealt with, and what became of them.
    taken: u64,
    given: u64,
}

/// What becomes of the open part.
#[derive(Debug)]
enum Open {
    /// It goes on as it comes.
    Kept,
    /// It is left out.
    Dropped,
    /// It is looked at when it is complete.
    Read(PartHead, Vec<u8>),
}

impl Editor {
    /// An editor at the beginning of a form with that boundary.
    pub fn new(boundary: &str, change: &Change<'_>) -> Self {
        Self {
            reader: MultipartReader::new(boundary, MultipartLimits::default()),
            boundary: boundary.to_owned(),
            model: change.model.to_owned(),
            quirks: change.quirks.clone(),
            open: Open::Dropped,
            begun: false,
            ended: false,
            files: 0,
            seen: Vec::new(),
            request: Request::default(),
            losses: Vec::new(),
            taken: 0,
            given: 0,
        }
    }

    /// Takes bytes of the consumer's, and appends what the service gets.
    ///
    /// # Errors
    /// It is no form, says a field twice that decides something, or asks what the service cannot do.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        let before = out.len();
        let result = self.pieces(bytes, out);
        self.given = self.given.saturating_add((out.len() - before) as u64);
        result
    }

    fn pieces(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.reader.push(bytes);
        while let Some(piece) = self.reader.next() {
            let piece = piece.map_err(malformed)?;
            if matches!(piece, Piece::Data(_)) && matches!(self.open, Open::Read(..)) {
                // It counts when it is complete.
            } else if !matches!(&piece, Piece::Head(head) if self.is_read(head)) {
                self.taken = self.taken.saturating_add(piece.raw().len() as u64);
            }
            match piece {
                Piece::Head(head) => {
                    self.close(out)?;
                    self.open(head, out)?;
                }
                Piece::Data(data) => self.data(&data, out)?,
                Piece::End(raw) => {
                    self.close(out)?;
                    if !self.ended {
                        self.ended = true;
                        self.add(out)?;
                    }
                    self.write(&raw, out);
                }
            }
        }
        Ok(())
    }

    /// The consumer's bytes ended.
    ///
    /// # Errors
    /// The form is not complete, or holds no file.
    pub fn finish(&self) -> Result<(), Failure> {
        self.reader.finish().map_err(malformed)?;
        if self.files == 0 {
            let why = "the field `file` is missing";
            return Err(Failure::invalid(why, Some("file")));
        }
        Ok(())
    }

    /// The form has come to its end. What may follow says nothing.
    pub fn is_over(&self) -> bool {
        self.reader.finish().is_ok()
    }

    /// What the form says, as far as it has passed.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// How many bytes the service gets of a form of so many, where nothing is to come that may be changed. `whole`: all of the form has
    /// passed.
    pub fn length(&self, of: Option<u64>, whole: bool) -> Option<u64> {
        if whole {
            return Some(self.given);
        }
        let named = self.seen.iter().any(|name| name == "model");
        let settled = self.quirks.is_plain() && named && !matches!(self.open, Open::Read(..));
        let left = of.filter(|_| settled)?.checked_sub(self.taken)?;
        left.checked_add(self.given)
    }

    /// What was lost so far.
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    fn open(&mut self, head: PartHead, out: &mut Vec<u8>) -> Result<(), Failure> {
        let name = head.name.as_str();
        let decides = Request::reads(name) && !is_granularity(name) || name == "file";
        if decides && self.seen.iter().any(|seen| seen == name) {
            let why = format!("the field `{name}` stands twice");
            return Err(Failure::invalid(why, Some(name)));
        }
        if decides {
            self.seen.push(name.to_owned());
        }
        self.files += usize::from(name == "file");
        if self.is_read(&head) {
            self.open = Open::Read(head, Vec::new());
            return Ok(());
        }
        if name == "model" {
            let why = "`model` must be a text";
            return Err(Failure::invalid(why, Some("model")));
        }
        if self.quirks.takes(name) {
            self.write(&head.raw, out);
            self.open = Open::Kept;
        } else {
            lose(&mut self.losses, name);
            self.open = Open::Dropped;
        }
        Ok(())
    }

    fn is_read(&self, head: &PartHead) -> bool {
        Request::reads(&head.name) && head.filename.is_none()
    }

    fn data(&mut self, data: &Bytes, out: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.open {
            Open::Kept => out.extend_from_slice(data),
            Open::Dropped => {}
            Open::Read(head, value) => {
                if value.len().saturating_add(data.len()) > FIELD_BYTES {
                    let why = format!("`{}` is longer than {FIELD_BYTES} bytes", head.name);
                    return Err(Failure::invalid(why, Some(&head.name)));
                }
                value.extend_from_slice(data);
            }
        }
        Ok(())
    }

    /// The open part is complete.
    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Open::Read(head, value) = std::mem::replace(&mut self.open, Open::Dropped) else {
            return Ok(());
        };
        let length = head.raw.len() + value.len();
        self.taken = self.taken.saturating_add(length as u64);
        let name = head.name.as_str();
        let Ok(text) = std::str::from_utf8(&value) else {
            let why = format!("the field `{name}` is not UTF-8");
            return Err(Failure::invalid(why, Some(name)));
        };
        self.request.field(name, text)?;
        match name {
            "model" => self.field(&head, text, &self.model.clone(), out),
            "response_format" => self.format(&head, text, out)?,
            "stream" if self.quirks.streams == Streams::No => {}
            "stream" => self.field(&head, text, text, out),
            _ if self.quirks.takes(name) => self.field(&head, text, text, out),
            // Only where times are told anyway is nothing lost by not asking for them.
            _ if is_granularity(name) && self.request.format != Format::Verbose => {}
            _ => lose(&mut self.losses, name),
        }
        Ok(())
    }

    fn format(&mut self, head: &PartHead, text: &str, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Some(format) = Format::read(text) else {
            // Of a service whose answers are not the reference's nobody here knows what it makes of that.
            if !self.quirks.is_plain() && !text.is_empty() {
                return Err(unsupported(text));
            }
            // The service says what it thinks of it.
            self.field(head, text, text, out);
            return Ok(());
        };
        let asked = match self.quirks.ask(format)? {
            Ask::Same => text,
            Ask::Times | Ask::Speakers if self.quirks.segments.is_none() => "verbose_json",
            _ if self.quirks.formats.is_empty() => return Ok(()),
            _ => "json",
        };
        self.field(head, text, asked, out);
        Ok(())
    }

    /// What a service of another form is asked beside the consumer's fields.
    fn add(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let ask = self.quirks.ask(self.request.format)?;
        let timed = matches!(ask, Ask::Times | Ask::Speakers);
        if let Some(name) = self.quirks.segments.clone().filter(|_| timed)
            && !(self.request.words || self.request.segments)
        {
            self.part(&name, "segment", out);
        }
        if let Some(name) = self.quirks.diarize.clone().filter(|_| ask == Ask::Speakers) {
            self.part(&name, "true", out);
        }
        Ok(())
    }

    /// Writes a field with a value that may be another one. Only then is its head written anew: it may say a length.
    fn field(&mut self, head: &PartHead, before: &str, value: &str, out: &mut Vec<u8>) {
        if before == value || head.length.is_none() {
            self.write(&head.raw, out);
            out.extend_from_slice(value.as_bytes());
        } else {
            self.part(&head.name, value, out);
        }
    }

    fn part(&mut self, name: &str, value: &str, out: &mut Vec<u8>) {
        let line = if self.begun { "\r\n" } else { "" };
        self.begun = true;
        let head = [
            "Content-Disposition: form-data; name=\"",
            name,
            "\"\r\n\r\n",
        ]
        .concat();
        for text in [line, "--", &self.boundary, "\r\n", &head, value] {
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// Writes bytes that begin with a boundary.
    fn write(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let raw = match self.begun {
            false => raw.strip_prefix(b"\r\n").unwrap_or(raw),
            true => raw,
        };
        self.begun = true;
        out.extend_from_slice(raw);
    }
}
