//! A file of requests while it comes: the form around it, and its lines one by one.
//!
//! Nothing is held but the line that is read. What is wrong is told by line, up to a few of them; behind the first one no request is given
//! any more, since the file is of no use but for what else is wrong with it.

use crate::upload::{Reader, Upload};
use bytes::Bytes;
use llmleaf_dialects::batches::{BatchForm, Item, Task, items};
use llmleaf_dialects::malformed;
use llmleaf_framing::{
    Frame, FramingError, MultipartLimits, MultipartReader, NdjsonFramer, NdjsonLimits, Piece,
};
use llmleaf_model::{Failure, FailureKind, Loss, Origin};
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

/// The one purpose that is served.
const PURPOSE: &str = "batch";
/// Longest purpose that is read.
const PURPOSE_BYTES: usize = 64;
/// Most fields that are told of as not heeded.
const OTHERS: usize = 8;
/// A file that is no longer than this is read to its end before it goes anywhere.
const AHEAD_BYTES: usize = 256 * 1024;

/// A file of requests under way, that can be read from its beginning.
#[derive(Clone, Debug)]
pub struct Filed {
    /// The form that it is in, or the file alone.
    pub upload: Upload,
    /// The form's boundary.
    pub boundary: Option<String>,
    /// Longest line, in bytes.
    pub longest: usize,
}

impl Filed {
    /// Reads up to the first request, which says where the file may go: to the end where it is short. What was read is held, so that
    /// whoever takes it can begin.
    ///
    /// # Errors
    /// It is none of requests, or the consumer's body ended.
    pub async fn ahead(&self) -> Result<Item, Failure> {
        // A line and what lies around it must fit.
        let most = self.longest.saturating_add(AHEAD_BYTES);
        self.upload.hold_up_to(most);
        let mut lines = Lines::new(self).ok_or_else(crate::upload::gone)?;
        lines.alone = true;
        let first = poll_fn(|cx| lines.poll_next(cx)).await;
        let first = first.unwrap_or_else(|| Err(Failure::invalid(EMPTY, Some("file"))))?;
        let mut reader = lines.reader;
        let little = |held: usize| held < AHEAD_BYTES;
        while self.upload.held().is_some_and(little) && reader.next().await?.is_some() {}
        if self.upload.held().is_none() {
            return Err(unheld(self.upload.is_crowded()));
        }
        self.upload.hold_up_to(0);
        Ok(first)
    }
}

/// What must be held until the first request is known may not be.
fn unheld(crowded: bool) -> Failure {
    if crowded {
        let why = "this gateway holds too much of other uploads now; try again shortly";
        let mut failure = Failure::gateway(FailureKind::Overloaded, why);
        failure.status = Some(503);
        return failure;
    }
    let why = "what stands before the file's first request is too long";
    let mut failure = Failure::new(Origin::Consumer, FailureKind::TooLarge, why);
    failure.param = Some("file".to_owned());
    failure
}

/// Requests that are looked at in a file that has a mistake: what is told of it is bounded as well.
const MOST_LOOKED_AT: usize = 100_000;
/// Most bytes that may stand around a line, where what comes is kept until a request is whole.
const MOST_AROUND: usize = 1024 * 1024;

/// What a form without requests is told.
const EMPTY: &str = "the form has no `file` with a request in it";

/// The requests of a file.
pub struct Lines {
    reader: Reader,
    form: Option<MultipartReader>,
    framer: NdjsonFramer,
    items: items::Reader,
    line: usize,
    part: Part,
    purpose: Option<Vec<u8>>,
    /// What the consumer calls the file; there is one.
    filename: Option<Option<String>>,
    others: Vec<String>,
    count: usize,
    /// What came of the file and was not taken, where that is asked for.
    raw: Option<Vec<Bytes>>,
    raw_bytes: usize,
    most_raw: usize,
    /// Nobody else reads.
    alone: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    File,
    Purpose,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The form comes.
    Form,
    /// The form is over.
    Over,
    /// The lines are over as well.
    Drained,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("line", &self.line).finish()
    }
}

impl Lines {
    /// From the beginning; `None` where that is gone.
    pub fn new(filed: &Filed) -> Option<Self> {
        let max_line_bytes = filed.longest;
        // All fields beside the two are told of.
        let limits = MultipartLimits {
            max_parts: 2 + OTHERS,
            ..MultipartLimits::default()
        };
        Some(Self {
            reader: filed.upload.reader()?,
            form: filed
                .boundary
                .as_ref()
                .map(|boundary| MultipartReader::new(boundary, limits)),
            framer: NdjsonFramer::new(NdjsonLimits { max_line_bytes }),
            items: items::Reader::new(BatchForm::Files, None, "line"),
            line: 0,
            part: Part::Other,
            purpose: None,
            filename: None,
            others: Vec::new(),
            count: 0,
            raw: None,
            raw_bytes: 0,
            most_raw: filed.longest.saturating_add(MOST_AROUND),
            alone: false,
            stage: Stage::Form,
        })
    }

    /// The same, that keeps what came of the file until it is taken with [`Self::raw`].
    pub fn with_raw(filed: &Filed) -> Option<Self> {
        let lines = Self::new(filed)?;
        let raw = Some(Vec::new());
        Some(Self { raw, ..lines })
    }

    /// What came of the file since this was asked, byte for byte.
    pub fn raw(&mut self) -> Vec<Bytes> {
        self.raw_bytes = 0;
        self.raw.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What the requests are for.
    pub fn task(&self) -> Task {
        self.items.task().unwrap_or(Task::Chat)
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the consumer calls the file, as far as that can be given on.
    pub fn filename(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
        let fits = |name: &&String| (1..=128).contains(&name.len()) && name.chars().all(plain);
        let name = self.filename.as_ref().and_then(Option::as_ref);
        let name = name.filter(fits).cloned();
        name.unwrap_or_else(|| "batch.jsonl".to_owned())
    }

    /// Fields of the form that nobody heeds, so far.
    pub fn losses(&self) -> Vec<Loss> {
        let each = self.others.iter();
        each.map(|name| Loss::dropped(name, "files of requests have no such field here"))
            .collect()
    }

    /// Notes what is wrong with a request that was given.
    pub fn object(&mut self, item: &Item, why: &str) {
        self.items.object(item.line, why);
    }

    /// The next request; `None` at the end of a good file.
    ///
    /// # Errors
    /// The file is none of requests, the form is none, or the consumer's body ended.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Item, Failure>>> {
        loop {
            let problems = &self.items.problems;
            // Of a file with a mistake there is no more to say than of so many lines.
            if problems.is_full() || self.count > MOST_LOOKED_AT && !problems.is_empty() {
                return Poll::Ready(Some(Err(self.verdict())));
            }
            match self.frame() {
                Ok(Some(frame)) => {
                    if let Some(item) = self.framed(&frame) {
                        return Poll::Ready(Some(Ok(item)));
                    }
                    continue;
                }
                Ok(None) if self.stage == Stage::Drained => return Poll::Ready(self.end()),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(self.unframed(&error)))),
            }
            if let Some(piece) = self.form.as_mut().and_then(MultipartReader::next) {
                let piece = piece.map_err(malformed);
                if let Err(failure) = piece.and_then(|piece| self.piece(piece)) {
                    return Poll::Ready(Some(Err(failure)));
                }
                continue;
            }
            let more = ready!(self.reader.poll_next(cx)).transpose();
            if let Err(failure) = more.and_then(|bytes| self.came(bytes)) {
                return Poll::Ready(Some(Err(failure)));
            }
        }
    }

    /// More of the body came, or its end.
    fn came(&mut self, bytes: Option<Bytes>) -> Result<(), Failure> {
        match (bytes, &mut self.form) {
            (Some(bytes), Some(form)) => form.push(&bytes),
            (Some(bytes), None) => self.framer.push(bytes),
            (None, form) => {
                self.stage = Stage::Over;
                let ended = form.as_ref().map_or(Ok(()), MultipartReader::finish);
                return ended.map_err(malformed);
            }
        }
        Ok(())
    }

    /// The next line that is there.
    fn frame(&mut self) -> Result<Option<Frame>, FramingError> {
        if let Some(frame) = self.framer.next() {
            return frame.map(Some);
        }
        if self.stage != Stage::Over {
            return Ok(None);
        }
        self.stage = Stage::Drained;
        let tail = self.framer.finish().transpose()?;
        Ok(tail.and_then(|tail| tail.frame))
    }

    fn framed(&mut self, frame: &Frame) -> Option<Item> {
        self.line += 1;
        if !frame.has_data {
            return None;
        }
        let read = match std::str::from_utf8(&frame.data) {
            Ok(text) => self.items.read(self.line, text, Some(&frame.data)),
            Err(_) => {
                self.items.object(self.line, "it is not UTF-8");
                None
            }
        };
        self.count += 1;
        let good = self.items.problems.is_empty();
        if !good && self.alone {
            // It goes nowhere.
            self.reader.upload().let_go();
        }
        read.filter(|_| good)
    }

    fn piece(&mut self, piece: Piece) -> Result<(), Failure> {
        match piece {
            Piece::Head(head) => {
                self.part = match &*head.name {
                    "file" => Part::File,
                    "purpose" => Part::Purpose,
                    _ => Part::Other,
                };
                let again = match self.part {
                    Part::File => self.filename.replace(head.filename).is_some(),
                    Part::Purpose => self.purpose.replace(Vec::new()).is_some(),
                    Part::Other => {
                        if !self.others.contains(&head.name) {
                            self.others.push(head.name.clone());
                        }
                        false
                    }
                };
                if again {
                    let why = format!("the form says `{}` twice", head.name);
                    return Err(Failure::invalid(why, Some(&head.name)));
                }
                if self.part == Part::File && self.purpose.is_some() {
                    self.purposeful()?;
                }
            }
            Piece::Data(bytes) => match (self.part, &mut self.purpose) {
                (Part::File, _) => {
                    // What is refused in the end is not kept meanwhile.
                    if let Some(raw) = self.raw.as_mut().filter(|_| self.items.problems.is_empty())
                    {
                        self.raw_bytes += bytes.len();
                        if self.raw_bytes > self.most_raw {
                            let why = "there is too much between two requests of the file";
                            return Err(Failure::invalid(why, Some("file")));
                        }
                        raw.push(bytes.clone());
                    }
                    self.framer.push(bytes);
                }
                (Part::Purpose, Some(purpose)) if purpose.len() <= PURPOSE_BYTES => {
                    purpose.extend_from_slice(&bytes);
                }
                _ => {}
            },
            Piece::End(_) => {}
        }
        Ok(())
    }

    fn purposeful(&self) -> Result<(), Failure> {
        let said = self.purpose.as_deref().map(<[u8]>::trim_ascii);
        if said == Some(PURPOSE.as_bytes()) || self.form.is_none() {
            return Ok(());
        }
        let message = "files are served for batches: `purpose` must be \"batch\"";
        Err(Failure::invalid(message, Some("purpose")))
    }

    fn end(&mut self) -> Option<Result<Item, Failure>> {
        if let Err(failure) = self.purposeful() {
            return Some(Err(failure));
        }
        if !self.items.problems.is_empty() {
            return Some(Err(self.verdict()));
        }
        (self.count == 0).then(|| Err(Failure::invalid(EMPTY, Some("file"))))
    }

    /// What is wrong, by line.
    fn verdict(&mut self) -> Failure {
        let problems = std::mem::take(&mut self.items.problems);
        let failure = problems.check("file").err();
        failure.unwrap_or_else(|| Failure::invalid("the file is not one of requests", Some("file")))
    }

    fn unframed(&mut self, error: &FramingError) -> Failure {
        self.items.object(self.line + 1, &error.to_string());
        self.verdict()
    }
}

#[cfg(test)]
mod tests;
