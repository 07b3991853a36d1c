//! What a form says before its file: enough to find out where it is to go.

use super::{Upload, unheld};
use llmleaf_dialects::malformed;
use llmleaf_framing::{MultipartLimits, MultipartReader, Piece};
use llmleaf_model::Failure;
use std::rc::Rc;

/// A form that is no longer than this is read to its end before it goes anywhere, so that all of its fields count and any number of
/// targets can be tried.
const AHEAD_BYTES: usize = 256 * 1024;
/// Longest fields that are read, all together.
const FIELDS_BYTES: usize = 256 * 1024;

/// Which fields are read, and what is needed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Without this one nothing can be done.
    pub needed: &'a str,
    /// Whether a field's value is kept.
    pub keeps: fn(&str) -> bool,
    /// Most bytes that are held while the needed field does not come.
    pub most: usize,
}

/// A field that is no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: String,
}

/// What was read of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The fields that were asked for, in order.
    pub fields: Vec<Field>,
    /// The name of its first file.
    pub filename: Option<String>,
    /// The type of its first file.
    pub content_type: Option<String>,
    /// All of it was read: there are no other fields.
    pub whole: bool,
}

impl Form {
    /// What a field says.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|field| field.name == name)?;
        Some(&field.value)
    }
}

impl Upload {
    /// Reads a form until it is known where it may go: to its end where it is short, else up to the file behind the needed field.
    ///
    /// # Errors
    /// The body ends before the needed field, is no form, says a field twice, or would have to be held beyond the bound.
    pub async fn form(
        &self,
        boundary: &str,
        wanted: Wanted<'_>,
    ) -> Result<Rc<(String, Form)>, Failure> {
        self.hold_up_to(wanted.most);
        let mut reading = Reading::new(boundary);
        let mut reader =
            (self.reader()).ok_or_else(|| unheld(false, wanted.needed, wanted.most))?;
        while !reading.is_enough(wanted) {
            let Some(bytes) = reader.next().await? else {
                reading.reader.finish().map_err(malformed)?;
                break;
            };
            reading.push(&bytes, wanted)?;
            if !self.can_begin_again() {
                return Err(unheld(self.is_crowded(), wanted.needed, wanted.most));
            }
        }
        self.hold_up_to(0);
        let form = Rc::new((boundary.to_owned(), reading.finish(wanted)?));
        self.0.borrow_mut().form = Some(Rc::clone(&form));
        Ok(form)
    }
}

struct Reading {
    reader: MultipartReader,
    form: Form,
    read: usize,
    fields: usize,
    /// The needed field is complete.
    found: bool,
    /// A file began behind it.
    at_file: bool,
    /// The open part is a field that is kept.
    open: Option<(String, Vec<u8>)>,
}

impl Reading {
    fn new(boundary: &str) -> Self {
        Self {
            reader: MultipartReader::new(boundary, MultipartLimits::default()),
            form: Form::default(),
            read: 0,
            fields: 0,
            found: false,
            at_file: false,
            open: None,
        }
    }

    fn is_enough(&self, wanted: Wanted<'_>) -> bool {
        let ahead = self.read >= AHEAD_BYTES.min(wanted.most);
        // A form that is complete is read to the end of its body, so that its length is known.
        !self.form.whole && self.at_file && ahead
    }

    fn push(&mut self, bytes: &[u8], wanted: Wanted<'_>) -> Result<(), Failure> {
        self.read = self.read.saturating_add(bytes.len());
        self.reader.push(bytes);
        while let Some(piece) = self.reader.next() {
            match piece.map_err(malformed)? {
                Piece::Head(head) => {
                    self.close(wanted)?;
                    let is_file = head.filename.is_some();
                    self.at_file |= is_file && self.found;
                    if is_file && self.form.filename.is_none() {
                        self.form.filename = head.filename;
                        self.form.content_type = head.content_type;
                    } else if !is_file && (wanted.keeps)(&head.name) {
                        self.open = Some((head.name, Vec::new()));
                    }
                }
                Piece::Data(data) => {
                    let Some((name, value)) = &mut self.open else {
                        continue;
                    };
                    self.fields = self.fields.saturating_add(data.len());
                    if self.fields > FIELDS_BYTES {
                        let why = format!("the form's fields are longer than {FIELDS_BYTES} bytes");
                        return Err(Failure::invalid(why, Some(name)));
                    }
                    value.extend_from_slice(&data);
                }
                Piece::End(_) => {
                    self.close(wanted)?;
                    self.form.whole = true;
                }
            }
        }
        Ok(())
    }

    /// The open part has ended.
    fn close(&mut self, wanted: Wanted<'_>) -> Result<(), Failure> {
        let Some((name, value)) = self.open.take() else {
            return Ok(());
        };
        let Ok(value) = String::from_utf8(value) else {
            let why = format!("the field `{name}` is not UTF-8");
            return Err(Failure::invalid(why, Some(&name)));
        };
        self.found |= name == wanted.needed;
        if !name.ends_with("[]") && self.form.get(&name).is_some() {
            return Err(twice(&name));
        }
        self.form.fields.push(Field { name, value });
        Ok(())
    }

    fn finish(self, wanted: Wanted<'_>) -> Result<Form, Failure> {
        let needed = self.form.get(wanted.needed);
        if needed.is_none_or(str::is_empty) {
            let why = format!("the field `{}` is missing", wanted.needed);
            return Err(Failure::invalid(why, Some(wanted.needed)));
        }
        Ok(self.form)
    }
}

/// One field says two things: whoever reads the other one is told something else.
fn twice(name: &str) -> Failure {
    Failure::invalid(format!("the field `{name}` stands twice"), Some(name))
}
