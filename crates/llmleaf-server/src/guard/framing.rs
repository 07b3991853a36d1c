//! Where requests begin and end in what an HTTP/1 consumer sends.
//!
//! hyper reads the requests. This reads beside it for one purpose: to refuse what hyper settles by a rule where other
//! readers, in front of us or behind, may settle it otherwise (RFC 9112, sections 2.2 and 6.3): a bare line feed as the
//! end of a line, `Content-Length` beside `Transfer-Encoding`, either of them twice, any coding but `chunked`. hyper's
//! header map does not tell of them any more.
//!
//! It can only refuse. What it finds doubtful it makes unreadable, at the last byte of the head, so that hyper answers
//! 400 and closes. If it loses its place it stops looking.

use memchr::memchr_iter;

/// The largest head that is followed; hyper refuses larger ones.
const LARGEST_HEAD: usize = 64 * 1024;

/// The place in the stream of bytes.
#[derive(Debug, Default)]
pub struct Framing {
    place: Place,
    /// The beginning of a head whose end has not come.
    carry: Vec<u8>,
}

#[derive(Debug, Default)]
enum Place {
    /// Before a request; line ends may stand here.
    #[default]
    Between,
    Head,
    /// In a body that lacks so many bytes.
    Body(u64),
    Chunked(Chunked),
    /// Not followed any more: the connection will not live long.
    Lost,
}

/// What a head says of its body.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
}

/// A whole head: its length, and what it says of its body if there is one way to read that.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    length: usize,
    body: Option<Body>,
}

impl Framing {
    /// Follows bytes that came, up to the end of a request, and returns how many those are; makes a doubtful head unreadable.
    pub fn follow(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            at += match &mut self.place {
                Place::Between => {
                    let ends = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
                    let skipped = ends.count();
                    if skipped < rest.len() {
                        self.place = Place::Head;
                    }
                    skipped
                }
                Place::Head => self.head(rest),
                Place::Body(lacking) => {
                    let taken = usize::try_from(*lacking).unwrap_or(usize::MAX);
                    let taken = taken.min(rest.len());
                    *lacking = lacking.saturating_sub(taken as u64);
                    if *lacking == 0 {
                        self.place = Place::Between;
                    }
                    taken
                }
                Place::Chunked(chunks) => {
                    let (taken, end) = chunks.follow(rest);
                    match end {
                        Some(End::Whole) => self.place = Place::Between,
                        Some(End::Lost) => self.place = Place::Lost,
                        None => {}
                    }
                    taken
                }
                Place::Lost => rest.len(),
            };
            if self.is_between() {
                break;
            }
        }
        at
    }

    /// Whether nothing lacks of the last request, and none has begun after it.
    pub fn is_between(&self) -> bool {
        matches!(self.place, Place::Between)
    }

    /// Whether a head has begun and not ended.
    pub fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Head)
    }

    /// Whether the consumer is in the middle of something that it may go on sending.
    pub fn is_midway(&self) -> bool {
        !self.is_between()
    }

    /// Takes the rest of a head, or all there is of it.
    fn head(&mut self, rest: &mut [u8]) -> usize {
        let found = if self.carry.is_empty() {
            Head::read(rest)
        } else if ends_head(&self.carry, rest) {
            let before = self.carry.len();
            self.carry.extend_from_slice(rest);
            Head::read(&self.carry).map(|mut head| {
                head.length = head.length.saturating_sub(before);
                head
            })
        } else {
            None
        };
        let Some(head) = found else {
            self.carry.extend_from_slice(rest);
            if self.carry.len() > LARGEST_HEAD {
                self.lose();
            }
            return rest.len();
        };
        self.carry = Vec::new();
        self.place = match head.body {
            Some(Body::Length(0)) => Place::Between,
            Some(Body::Length(length)) => Place::Body(length),
            Some(Body::Chunked) => Place::Chunked(Chunked::Start),
            None => {
                // No line of a head may hold this byte.
                if let Some(last) = rest.get_mut(head.length.saturating_sub(1)) {
                    *last = 0;
                }
                tracing::debug!("a head that can be read in two ways was refused");
                Place::Lost
            }
        };
        head.length
    }

    fn lose(&mut self) {
        self.carry = Vec::new();
        self.place = Place::Lost;
    }
}

/// Whether the empty line that ends a head is in `rest`, which comes after `before`.
fn ends_head(before: &[u8], rest: &[u8]) -> bool {
    let back = |at: usize, by: usize| match at.checked_sub(by) {
        Some(at) => rest.get(at),
        None => before.get((before.len() + at).wrapping_sub(by)),
    };
    memchr_iter(b'\n', rest).any(|at| match back(at, 1) {
        Some(b'\n') => true,
        Some(b'\r') => back(at, 2) == Some(&b'\n'),
        _ => false,
    })
}

impl Head {
    /// The head at the start of some bytes; `None` while it is not whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut start = 0;
        let mut fields = Fields::default();
        for end in memchr_iter(b'\n', bytes) {
            let line = bytes.get(start..end)?;
            start = end + 1;
            let line = match line.strip_suffix(b"\r") {
                Some(line) => line,
                None => {
                    fields.doubtful = true;
                    line
                }
            };
            if line.is_empty() {
                return Some(Self {
                    length: start,
                    body: fields.body(),
                });
            }
            fields.line(line);
        }
        None
    }
}

/// What the lines of a head say of its body.
#[derive(Debug, Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    doubtful: bool,
}

impl Fields {
    fn line(&mut self, line: &[u8]) {
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = value(line, b"content-length:") {
                    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                    let number = std::str::from_utf8(value).ok().and_then(|t| t.parse().ok());
                    self.doubtful |= !digits || self.length.is_some() || number.is_none();
                    self.length = number;
                }
            }
            Some(b't' | b'T') => {
                if let Some(value) = value(line, b"transfer-encoding:") {
                    self.doubtful |= self.chunked || !value.eq_ignore_ascii_case(b"chunked");
                    self.chunked = true;
                }
            }
            _ => {}
        }
    }

    fn body(&self) -> Option<Body> {
        match (self.doubtful, self.chunked, self.length) {
            (true, _, _) | (_, true, Some(_)) => None,
            (_, true, None) => Some(Body::Chunked),
            (_, false, length) => Some(Body::Length(length.unwrap_or_default())),
        }
    }
}

/// The value of a line, if it is of this field (given with its colon), without the white space around it.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, value) = line.split_at_checked(name.len())?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| is_blank(byte)).count();
    let value = value.get(start..)?;
    let end = value.iter().rev().take_while(|byte| is_blank(byte)).count();
    own.eq_ignore_ascii_case(name)
        .then(|| value.get(..value.len().saturating_sub(end)))
        .flatten()
}

/// The place in a chunked body (RFC 9112, section 7.1).
#[derive(Debug)]
enum Chunked {
    Start,
    Size(u64),
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Lost,
}

impl Chunked {
    /// Follows bytes: how many of them belong to the body, and whether it ended.
    fn follow(&mut self, bytes: &[u8]) -> (usize, Option<End>) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Self::Data(lacking) = self {
                let rest = bytes.len().saturating_sub(at);
                let taken = usize::try_from(*lacking).unwrap_or(usize::MAX).min(rest);
                *lacking = lacking.saturating_sub(taken as u64);
                at += taken;
                if *lacking == 0 {
                    *self = Self::DataCr;
                }
                continue;
            }
            at += 1;
            match self.next(*byte) {
                Ok(next) => *self = next,
                Err(end) => return (at, Some(end)),
            }
        }
        (at, None)
    }

    fn next(&self, byte: u8) -> Result<Self, End> {
        Ok(match (self, byte) {
            (Self::Start, _) if byte.is_ascii_hexdigit() => Self::Size(hex(0, byte)?),
            (Self::Size(size), _) if byte.is_ascii_hexdigit() => Self::Size(hex(*size, byte)?),
            (Self::Size(size), b' ' | b'\t' | b';') => Self::Extension(*size),
            (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeEnd(*size),
            (Self::Extension(size), _) if byte != b'\n' => Self::Extension(*size),
            (Self::SizeEnd(0), b'\n') => Self::TrailerStart,
            (Self::SizeEnd(size), b'\n') => Self::Data(*size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Start,
            (Self::TrailerStart, b'\r') => Self::LastLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::TrailerStart | Self::Trailer, _) => Self::Trailer,
            (Self::TrailerLf, b'\n') => Self::TrailerStart,
            (Self::LastLf, b'\n') => return Err(End::Whole),
            _ => return Err(End::Lost),
        })
    }
}

/// A size with one more digit.
fn hex(size: u64, digit: u8) -> Result<u64, End> {
    let digit = char::from(digit).to_digit(16).ok_or(End::Lost)?;
    size.checked_mul(16)
        .and_then(|size| size.checked_add(u64::from(digit)))
        .ok_or(End::Lost)
}

#[cfg(test)]
mod tests;
