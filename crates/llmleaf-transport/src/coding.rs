//! Where a body ends, and which bytes are its own.

use crate::error::TransportError;

/// Largest sum of what stands between chunks, beyond a byte for each of theirs and [`PADDING`], and of the trailers, in bytes. Nobody needs it; it is passed over.
const MOST_EXTRA: usize = 16 * 1024;

/// What a chunk may have beside its size: some servers write sizes into a field of eight characters.
const PADDING: usize = 16;
/// Most trailers. Those are passed over, too.
const MOST_TRAILERS: u8 = 100;

/// What is still to come of a body.
#[derive(Debug)]
pub enum Decoder {
    /// So many bytes.
    Exactly(u64),
    /// What comes until its sender closes.
    ToTheEnd,
    /// Chunks (RFC 9112, section 7.1).
    Chunked(Chunked),
}

/// What a look at some bytes gave: the body's own now lie in one piece at `start..end`, and `used` bytes are done with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub start: usize,
    pub end: usize,
    pub used: usize,
}

/// Between two bytes of a chunked body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// Bytes passed over, less those of data since.
    extra: usize,
    trailers: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a chunk's size; `None` before its first digit.
    Size(Option<u64>),
    /// White space behind the size.
    SizeSpace(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the empty line that ends the body.
    LineStart,
    TrailerName,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

impl Decoder {
    /// A chunked body before its first byte.
    pub fn chunked() -> Self {
        Self::Chunked(Chunked {
            state: State::Size(None),
            extra: 0,
            trailers: 0,
        })
    }

    /// All of the body has come.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Exactly(left) => *left == 0,
            Self::ToTheEnd => false,
            Self::Chunked(chunked) => chunked.state == State::Done,
        }
    }

    /// What is there of it, so many bytes, is known to be all.
    pub fn ends_within(&self, there: usize) -> bool {
        matches!(self, Self::Exactly(left) if *left <= there as u64)
    }

    /// Reads what came. Chunks that came together are moved together, so that they go on as one piece.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, TransportError> {
        let all = |length: usize| Decoded {
            start: 0,
            end: length,
            used: length,
        };
        match self {
            Self::Exactly(left) => {
                let length =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= length as u64;
                Ok(all(length))
            }
            Self::ToTheEnd => Ok(all(bytes.len())),
            Self::Chunked(chunked) => chunked
                .decode(bytes)
                .map_err(|why| TransportError::Protocol(why.to_owned())),
        }
    }
}

impl Chunked {
    fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, &'static str> {
        let mut found = Decoded::default();
        while self.state != State::Done {
            if let State::Data(left) = self.state {
                let there = bytes.len() - found.used;
                let length = usize::try_from(left).map_or(there, |left| left.min(there));
                if length == 0 {
                    break;
                }
                if found.end == 0 {
                    found.start = found.used;
                    found.end = found.used + length;
                } else {
                    bytes.copy_within(found.used..found.used + length, found.end);
                    found.end += length;
                }
                found.used += length;
                self.state = match left - length as u64 {
                    0 => State::DataCr,
                    left => State::Data(left),
                };
                continue;
            }
            let rest = bytes.get(found.used..).unwrap_or_default();
            if let Some((size, length)) = self.plain_size(rest) {
                self.begin(size);
                found.used += length;
                continue;
            }
            let Some(byte) = rest.first() else {
                break;
            };
            self.state = self.step(*byte)?;
            found.used += 1;
        }
        Ok(found)
    }

    /// The size of the next chunk and the length of what stands before its data, where all of that is there and has no
    /// ornaments, as almost always: what [`Self::step`] would read, sooner.
    fn plain_size(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        // No more digits than fit without a look at each sum.
        const DIGITS: usize = 8;
        let start = match (self.state, bytes) {
            (State::Size(None), _) => 0,
            (State::DataCr, [b'\r', b'\n', ..]) => 2,
            _ => return None,
        };
        let mut size = 0u64;
        let digits = bytes.get(start..)?;
        for (at, byte) in digits.iter().take(DIGITS + 1).enumerate() {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' | b'A'..=b'F' => (byte | 0x20) - b'a' + 10,
                b'\r' if size > 0 && digits.get(at + 1) == Some(&b'\n') => {
                    return Some((size, start + at + 2));
                }
                _ => return None,
            };
            size = size << 4 | u64::from(digit);
        }
        None
    }

    fn step(&mut self, byte: u8) -> Result<State, &'static str> {
        Ok(match (self.state, byte) {
            (State::Size(Some(size)), b'\r') | (State::SizeSpace(size), b'\r') => {
                State::SizeLf(size)
            }
            (State::Size(Some(size)), b' ' | b'\t') | (State::SizeSpace(size), b' ' | b'\t') => {
                self.pass()?;
                State::SizeSpace(size)
            }
            (State::Size(Some(size)), b';') | (State::SizeSpace(size), b';') => {
                State::Extension(size)
            }
            (State::Size(size), digit) => {
                let digit = (digit as char)
                    .to_digit(16)
                    .ok_or("a chunk's size is no number")?;
                if size == Some(0) {
                    // Zeros that lead have no end of their own.
                    self.pass()?;
                }
                let size = size.unwrap_or(0);
                if size > u64::MAX >> 4 {
                    return Err("a chunk's size is too large");
                }
                State::Size(Some(size << 4 | u64::from(digit)))
            }
            (State::SizeSpace(_), _) => return Err("a chunk's size is no number"),
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(_) | State::Trailer, b'\n' | 0) => {
                return Err("a line between chunks does not end as it must");
            }
            (State::Extension(size), _) => {
                self.pass()?;
                State::Extension(size)
            }
            (State::SizeLf(0), b'\n') => State::LineStart,
            (State::SizeLf(size), b'\n') => {
                self.begin(size);
                self.state
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(None),
            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart | State::TrailerName | State::Trailer, byte) => {
                self.pass()?;
                self.trailer(byte)?
            }
            (State::TrailerLf, b'\n') => {
                self.trailers += 1;
                if self.trailers > MOST_TRAILERS {
                    return Err("too many trailers");
                }
                State::LineStart
            }
            (State::EndLf, b'\n') => State::Done,
            (State::DataCr | State::DataLf, _) => return Err("a chunk is longer than its size"),
            _ => return Err("a line between chunks does not end as it must"),
        })
    }

    /// A chunk of so many bytes begins.
    fn begin(&mut self, size: u64) {
        let earned = usize::try_from(size).unwrap_or(usize::MAX);
        self.extra = self.extra.saturating_sub(earned.saturating_add(PADDING));
        self.state = State::Data(size);
    }

    /// Reads on in a trailer. Nobody needs one, but what is no field may be the next answer to another reader.
    fn trailer(&self, byte: u8) -> Result<State, &'static str> {
        match (self.state, byte) {
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::Trailer, _) | (State::TrailerName, b':') => Ok(State::Trailer),
            (_, name) if is_token(name) => Ok(State::TrailerName),
            _ => Err("a trailer is no field"),
        }
    }

    /// Passes over a byte that nobody needs.
    fn pass(&mut self) -> Result<(), &'static str> {
        self.extra += 1;
        if self.extra > MOST_EXTRA {
            return Err("too much between the chunks");
        }
        Ok(())
    }
}

/// Whether a field's name may have it (RFC 9110, section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
