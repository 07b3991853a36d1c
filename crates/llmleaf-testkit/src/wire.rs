//! The little HTTP/1.1 syntax that both the fake provider and the raw consumer need.

/// The first value of a header, whatever the case of its name.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

pub(crate) fn is_chunked(headers: &[(String, String)]) -> bool {
    header(headers, "transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

/// The first line and the headers of a request or a response, and the length of it all.
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) length: usize,
}

/// The head at the start of some bytes; `None` while it is not complete.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let length = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..length - 4]).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        })
        .collect();
    Some(Head {
        line,
        headers,
        length,
    })
}

/// How far a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
    Broken,
}

/// Takes the chunked coding off, as the bytes come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Dechunker {
    /// At the line with a size.
    #[default]
    Size,
    /// Within a chunk that lacks so many bytes.
    Data(usize),
    /// At the line end behind a chunk.
    DataEnd,
    /// Behind the last chunk: trailers, then an empty line.
    Trailers,
}

impl Dechunker {
    /// Moves what the input holds of the body into `body`.
    pub(crate) fn take(&mut self, input: &mut Vec<u8>, body: &mut Vec<u8>) -> Progress {
        loop {
            if let Dechunker::Data(lacking) = *self {
                let count = lacking.min(input.len());
                body.extend(input.drain(..count));
                if count < lacking {
                    *self = Dechunker::Data(lacking - count);
                    return Progress::More;
                }
                *self = Dechunker::DataEnd;
            }
            let Some(end) = input.windows(2).position(|two| two == b"\r\n") else {
                let wrong = matches!(self, Dechunker::DataEnd) && !b"\r".starts_with(input);
                return if wrong {
                    Progress::Broken
                } else {
                    Progress::More
                };
            };
            let line: Vec<u8> = input.drain(..end + 2).take(end).collect();
            *self = match self {
                Dechunker::DataEnd if !line.is_empty() => return Progress::Broken,
                Dechunker::DataEnd => Dechunker::Size,
                Dechunker::Trailers if line.is_empty() => return Progress::Done,
                Dechunker::Trailers => Dechunker::Trailers,
                Dechunker::Size | Dechunker::Data(_) => match chunk_size(&line) {
                    Some(0) => Dechunker::Trailers,
                    Some(size) => Dechunker::Data(size),
                    None => return Progress::Broken,
                },
            };
        }
    }
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.split(';').next()?.trim();
    usize::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{Dechunker, Progress, head, header};

    #[test]
    fn chunks_come_off_at_every_split() {
        let wire = b"3;x=y\r\nabc\r\nA\r\n0123\r\n6789\r\n0\r\nt: r\r\n\r\nrest";
        for split in 0..=wire.len() {
            let (mut reader, mut body) = (Dechunker::default(), Vec::new());
            let mut input = wire[..split].to_vec();
            let first = reader.take(&mut input, &mut body);
            assert_ne!(first, Progress::Broken, "{split}");
            input.extend_from_slice(&wire[split..]);
            if first == Progress::More {
                assert_eq!(reader.take(&mut input, &mut body), Progress::Done);
            }
            assert_eq!(body, b"abc0123\r\n6789");
            assert_eq!(input, b"rest");
        }
    }

    #[test]
    fn what_is_not_chunked_is_broken() {
        for wire in ["x\r\n", "3\r\nabcd\r\n", "3\r\nabcx", "-1\r\n"] {
            let mut reader = Dechunker::default();
            let mut input = wire.as_bytes().to_vec();
            assert_eq!(
                reader.take(&mut input, &mut Vec::new()),
                Progress::Broken,
                "{wire}"
            );
        }
    }

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        assert!(head(b"GET / HTTP/1.1\r\nA: b\r\n").is_none());
        let found = head(b"GET / HTTP/1.1\r\nA:  b:c \r\n\r\nbody").unwrap();
        assert_eq!(found.line, "GET / HTTP/1.1");
        assert_eq!(header(&found.headers, "a"), Some("b:c"));
        assert_eq!(found.length, 28);
    }
}
