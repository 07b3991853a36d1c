//! Multipart forms (RFC 7578), piece by piece: what a body of any size says, without ever holding it.
//!
//! The pieces' bytes, put together, are the body. Whoever forwards a form writes those that stay and leaves out or replaces the
//! others; the boundary stays the same.
//!
//! Readers of forms differ in what they let pass. A gateway that reads a field otherwise than the service behind it lets through what
//! it has not seen, so what is doubtful is refused: text before the first boundary and after the last, lines that only begin with
//! the boundary, the boundary anywhere else in a part (some readers take it behind a bare line feed or carriage return, some wherever
//! it stands), folded and repeated headers, names that need decoding, transfer encodings that change bytes, lengths that are not true.

mod head;

use bytes::{Bytes, BytesMut};
use memchr::memchr2_iter;
use memchr::memmem::Finder;

pub use head::{PartHead, boundary};

/// Bounds on what a [`MultipartReader`] accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipartLimits {
    /// The longest head of a part, in bytes with the boundary before it.
    pub max_head_bytes: usize,
    /// The most parts.
    pub max_parts: usize,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        Self {
            max_head_bytes: 8 * 1024,
            max_parts: 1024,
        }
    }
}

/// Why a form cannot be read any further. Every error is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// It is not well-formed, or says something that others may read otherwise.
    #[error("the form is not well-formed: {0}")]
    Malformed(&'static str),
    /// The head of a part is longer than [`MultipartLimits::max_head_bytes`].
    #[error("the head of a part is longer than {limit} bytes")]
    HeadTooLarge { limit: usize },
    /// There are more than [`MultipartLimits::max_parts`].
    #[error("the form has more than {limit} parts")]
    TooManyParts { limit: usize },
    /// The body ended before its closing boundary.
    #[error("the form ended before its closing boundary")]
    Truncated,
}

/// A piece of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A part begins; the one before, if any, has ended.
    Head(PartHead),
    /// The next bytes of the open part, never empty.
    Data(Bytes),
    /// The closing boundary. Line ends behind it come as further pieces of this kind.
    End(Bytes),
}

impl Piece {
    /// The bytes of the body that this is.
    pub fn raw(&self) -> &Bytes {
        match self {
            Self::Head(head) => &head.raw,
            Self::Data(raw) | Self::End(raw) => raw,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Start,
    /// At a boundary, so many bytes long.
    Boundary(usize),
    /// In a part.
    Data,
    /// Behind the closing boundary.
    Ended,
    Failed(MultipartError),
}

/// Cuts a form into [`Piece`]s, however its bytes are cut.
#[derive(Debug)]
pub struct MultipartReader {
    limits: MultipartLimits,
    /// A line end, two dashes, and the boundary.
    delimiter: Vec<u8>,
    /// The same without the line end.
    bare: Finder<'static>,
    state: State,
    buf: BytesMut,
    /// How much of a head has been looked at.
    seen: usize,
    parts: usize,
    /// What the open part says of its length, and how much of it came.
    declared: Option<u64>,
    came: u64,
}

/// What ends the head of a part.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// A line end.
const LINE_END: &[u8] = b"\r\n";
const INSIDE: &str = "the boundary stands inside a part";
/// Most blanks behind a boundary: they are looked at anew with every push.
const MAX_BLANKS: usize = 64;

impl MultipartReader {
    /// A reader at the start of a form with that boundary (see [`boundary`]).
    pub fn new(boundary: &str, limits: MultipartLimits) -> Self {
        let bare = ["--", boundary].concat();
        Self {
            limits,
            delimiter: [LINE_END, bare.as_bytes()].concat(),
            bare: Finder::new(bare.as_bytes()).into_owned(),
            state: State::Start,
            buf: BytesMut::new(),
            seen: 0,
            parts: 0,
            declared: None,
            came: 0,
        }
    }

    /// Gives the next bytes of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        if !matches!(self.state, State::Failed(_)) {
            self.buf.extend_from_slice(chunk);
        }
    }

    /// The next piece; `None`: push more bytes, or [`finish`](Self::finish).
    #[expect(
        clippy::should_implement_trait,
        reason = "an Iterator may be dropped or fused after None; here more may follow the next push"
    )]
    pub fn next(&mut self) -> Option<Result<Piece, MultipartError>> {
        let piece = match self.state {
            State::Start => self.start(),
            State::Boundary(length) => self.boundary(length),
            State::Data => self.data(),
            State::Ended => self.epilogue(),
            State::Failed(error) => Err(error),
        };
        if let Err(error) = piece {
            self.state = State::Failed(error);
            self.buf = BytesMut::new();
        }
        piece.transpose()
    }

    /// At the end of the body.
    ///
    /// # Errors
    /// The form is not complete. Ask only when [`next`](Self::next) has no more.
    pub fn finish(&self) -> Result<(), MultipartError> {
        match self.state {
            State::Ended => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(MultipartError::Truncated),
        }
    }

    /// The first boundary may stand without a line end before it.
    fn start(&mut self) -> Result<Option<Piece>, MultipartError> {
        let expected = if self.buf.starts_with(b"\r") {
            &self.delimiter
        } else {
            self.bare.needle()
        };
        let length = self.buf.len().min(expected.len());
        if self.buf.get(..length) != expected.get(..length) {
            let why = "it does not begin with its boundary";
            return Err(MultipartError::Malformed(why));
        }
        if length < expected.len() {
            return Ok(None);
        }
        self.state = State::Boundary(length);
        self.boundary(length)
    }

    /// The closing boundary, or a boundary and the head of a part.
    fn boundary(&mut self, length: usize) -> Result<Option<Piece>, MultipartError> {
        let rest = self.buf.get(length..).unwrap_or_default();
        match (rest.first(), rest.get(1)) {
            (Some(b'-'), Some(b'-')) => {
                self.state = State::Ended;
                return Ok(Some(Piece::End(self.buf.split_to(length + 2).freeze())));
            }
            (None, _) | (Some(b'-'), None) => return Ok(None),
            (Some(b' ' | b'\t' | b'\r'), _) => {}
            _ => {
                let why = "a line begins with the boundary and is none";
                return Err(MultipartError::Malformed(why));
            }
        }
        let limit = self.limits.max_head_bytes;
        // Nothing but blanks stands in the boundary's own line, so that nobody takes it for data.
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        let blanks = rest.iter().take(MAX_BLANKS + 1).take_while(blank).count();
        match (rest.get(blanks), rest.get(blanks + 1)) {
            (None, _) | (Some(b'\r'), None | Some(b'\n')) if blanks <= MAX_BLANKS => {}
            _ => {
                let why = "a line begins with the boundary and is none";
                return Err(MultipartError::Malformed(why));
            }
        }
        // What ends a head may lie across what has been looked at.
        let from = self.seen.max(length).saturating_sub(HEAD_END.len() - 1);
        let unseen = self.buf.get(from..).unwrap_or_default();
        let Some(found) = memchr::memmem::find(unseen, HEAD_END) else {
            self.seen = self.buf.len();
            if self.seen > limit {
                return Err(MultipartError::HeadTooLarge { limit });
            }
            return Ok(None);
        };
        let end = from + found + HEAD_END.len();
        if end > limit {
            return Err(MultipartError::HeadTooLarge { limit });
        }
        self.parts += 1;
        if self.parts > self.limits.max_parts {
            let limit = self.limits.max_parts;
            return Err(MultipartError::TooManyParts { limit });
        }
        let raw = self.buf.split_to(end).freeze();
        let behind = raw.get(length..).unwrap_or_default();
        if self.bare.find(behind).is_some() {
            return Err(MultipartError::Malformed(INSIDE));
        }
        let head = PartHead::parse(raw, length)?;
        self.seen = 0;
        self.came = 0;
        self.declared = head.length;
        self.state = State::Data;
        Ok(Some(Piece::Head(head)))
    }

    fn data(&mut self) -> Result<Option<Piece>, MultipartError> {
        let found = self.bare.find(&self.buf);
        let before = found.and_then(|at| self.buf.get(..at));
        let ends = before.is_some_and(|before| before.ends_with(LINE_END));
        let length = match found {
            Some(at) if ends => at - LINE_END.len(),
            Some(at) => at,
            None => self.before_a_beginning(),
        };
        if length > 0 {
            self.came = self.came.saturating_add(length as u64);
            return Ok(Some(Piece::Data(self.buf.split_to(length).freeze())));
        }
        if found.is_none() {
            return Ok(None);
        }
        if !ends {
            return Err(MultipartError::Malformed(INSIDE));
        }
        if self.declared.is_some_and(|declared| declared != self.came) {
            let why = "a part is not as long as it says";
            return Err(MultipartError::Malformed(why));
        }
        let length = self.delimiter.len();
        self.state = State::Boundary(length);
        self.boundary(length)
    }

    /// How many bytes are data, whatever comes next: the last ones may be the beginning of a boundary.
    fn before_a_beginning(&self) -> usize {
        let from = self.buf.len().saturating_sub(self.delimiter.len() - 1);
        let tail = self.buf.get(from..).unwrap_or_default();
        let begins = |at: &usize| {
            let rest = tail.get(*at..).unwrap_or_default();
            self.delimiter.starts_with(rest) || self.bare.needle().starts_with(rest)
        };
        let beginning = memchr2_iter(b'\r', b'-', tail).find(begins);
        beginning.map_or(self.buf.len(), |at| from + at)
    }

    fn epilogue(&mut self) -> Result<Option<Piece>, MultipartError> {
        if self.buf.is_empty() {
            return Ok(None);
        }
        if !self.buf.iter().all(u8::is_ascii_whitespace) {
            let why = "something stands behind its closing boundary";
            return Err(MultipartError::Malformed(why));
        }
        Ok(Some(Piece::End(self.buf.split().freeze())))
    }
}
