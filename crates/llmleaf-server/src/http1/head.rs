//! A request's head: read in the one way there is to read it, or refused.
//!
//! Where other readers, in front of us or behind, may settle by a rule what is said twice or badly, nothing is settled here (RFC 9112,
//! sections 2.2, 5 and 6.3): a bare line feed as the end of a line, a folded field, white space before a colon, `Content-Length` beside
//! `Transfer-Encoding`, either of them twice, any coding but `chunked`.

use super::spares::Spares;
use crate::gate::MOST_FIELDS;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use llmleaf_model::Failure;
use llmleaf_transport::{Decoder, is_token};
use memchr::{memchr, memchr_iter};
use std::ops::Range;

/// The largest head, in bytes.
pub const LARGEST: usize = 64 * 1024;

/// What a request says before its body.
#[derive(Debug)]
pub struct Head {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    /// Bytes that it took of what it was read from.
    pub length: usize,
    /// What is to come of the body.
    pub body: Decoder,
    /// The connection is for another request after this one.
    pub keeps: bool,
    /// The body comes when it is asked for.
    pub waits: bool,
}

/// Why a head is not read, which is the last that is heard of its connection.
#[derive(Debug)]
pub struct Refused {
    /// The answer to it.
    pub failure: Failure,
    /// The path that it asked for, as far as that could be read: whoever asked is answered in its dialect.
    pub path: String,
}

/// The head at the start of some bytes; `None` while it is not whole. It keeps memory of its own, and no more than it needs: what was
/// read with it is let go of before its answer is done.
///
/// # Errors
/// It never becomes one that is read.
pub fn read(bytes: &[u8], spares: &Spares) -> Result<Option<Head>, Refused> {
    let Some(lines) = find(bytes)? else {
        return Ok(None);
    };
    let own = Bytes::copy_from_slice(bytes.get(..lines.length).unwrap_or_default());
    let read = lines.read(&own, spares.headers());
    read.map(Some).map_err(|why| refused(bytes, why))
}

/// The same where all of the body may be there, too: the two are kept in one piece then.
///
/// # Errors
/// Those of [`read`].
pub fn read_with_body(
    bytes: &[u8],
    spares: &Spares,
) -> Result<Option<(Head, Option<Bytes>)>, Refused> {
    let Some(lines) = find(bytes)? else {
        return Ok(None);
    };
    let own = Bytes::copy_from_slice(bytes);
    let mut head = (lines.read(&own, spares.headers())).map_err(|why| refused(bytes, why))?;
    if let Decoder::Exactly(length) = head.body
        && let Ok(length) = usize::try_from(length)
        && let Some(end) = head
            .length
            .checked_add(length)
            .filter(|end| *end <= own.len())
    {
        head.body = Decoder::Exactly(0);
        let body = own.slice(head.length..end);
        head.length = end;
        return Ok(Some((head, Some(body))));
    }
    // Values are shares of all of it. What more will come is much: to read the head again is little beside that.
    spares.leave_headers(std::mem::take(&mut head.headers));
    Ok(read(bytes, spares)?.map(|head| (head, None)))
}

/// Where its lines are.
fn find(bytes: &[u8]) -> Result<Option<Lines>, Refused> {
    if bytes == b"\r" {
        // Half of an empty line before a request, which is nothing.
        return Ok(None);
    }
    let refused = |why| refused(bytes, why);
    if !bytes.first().is_none_or(|byte| is_token(*byte)) {
        return Err(refused(Why::Malformed("a request begins with a method")));
    }
    match Lines::of(bytes).map_err(refused)? {
        Some(lines) => Ok(Some(lines)),
        None if bytes.len() > LARGEST && memchr(b'\n', bytes).is_none() => {
            Err(refused(Why::TargetTooLong))
        }
        None if bytes.len() > LARGEST => Err(refused(Why::TooLarge)),
        None => Ok(None),
    }
}

/// Whether the empty line that ends a head may be in what came from `from` on.
pub fn may_end(bytes: &[u8], from: usize) -> bool {
    let before = |at: usize, by: usize| at.checked_sub(by).and_then(|at| bytes.get(at));
    let new = bytes.get(from..).unwrap_or_default();
    memchr_iter(b'\n', new).any(|at| match before(from + at, 1) {
        Some(b'\n') => true,
        Some(b'\r') => before(from + at, 2) == Some(&b'\n'),
        _ => false,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Malformed(&'static str),
    TargetTooLong,
    TooLarge,
    TooMany,
    Version,
}

fn refused(bytes: &[u8], why: Why) -> Refused {
    let (status, message) = match why {
        Why::Malformed(message) => (StatusCode::BAD_REQUEST, message),
        Why::TargetTooLong => (
            StatusCode::URI_TOO_LONG,
            "the request's path and query are too long",
        ),
        Why::TooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the request's head is larger than 64 KiB",
        ),
        Why::TooMany => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the request has too many header fields",
        ),
        Why::Version => (
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this is not HTTP/1.1, and HTTP/2 begins otherwise",
        ),
    };
    let mut failure = Failure::invalid(message, None);
    failure.status = Some(status.as_u16());
    let target = bytes.split(|byte| *byte == b' ').nth(1);
    let path = target.and_then(|target| target.split(|b| matches!(b, b'?' | b'\r' | b'\n')).next());
    let path = path.filter(|path| path.len() <= 1024 && path.first() == Some(&b'/'));
    Refused {
        failure,
        path: String::from_utf8_lossy(path.unwrap_or(b"/")).into_owned(),
    }
}

/// Where the lines of a head end.
struct Lines {
    /// Of the request line and of each field, where its line feed is.
    ends: [usize; MOST_FIELDS + 1],
    count: usize,
    /// Bytes of the whole head.
    length: usize,
}

impl Lines {
    /// `None` while the empty line has not come.
    fn of(bytes: &[u8]) -> Result<Option<Self>, Why> {
        let mut lines = Self {
            ends: [0; MOST_FIELDS + 1],
            count: 0,
            length: 0,
        };
        let mut start = 0;
        for feed in memchr_iter(b'\n', bytes) {
            let line = bytes.get(start..feed).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else {
                let why = "a line of the head ends without a carriage return";
                return Err(Why::Malformed(why));
            };
            start = feed + 1;
            if line.is_empty() {
                lines.length = start;
                let fits = start <= LARGEST;
                return fits.then_some(Some(lines)).ok_or(Why::TooLarge);
            }
            *lines.ends.get_mut(lines.count).ok_or(Why::TooMany)? = feed;
            lines.count += 1;
        }
        Ok(None)
    }

    fn read(&self, head: &Bytes, mut headers: HeaderMap) -> Result<Head, Why> {
        let ends = self.ends.get(..self.count).unwrap_or_default();
        let (first, fields) = ends.split_first().ok_or(Why::Malformed("an empty head"))?;
        let (method, uri, version) = asked(head, 0..first.saturating_sub(1))?;
        let mut said = Said::default();
        headers.reserve(fields.len());
        let mut start = first + 1;
        for end in fields {
            let (name, value) = field(head, start..end.saturating_sub(1))?;
            said.hear(&name, &value)?;
            headers.append(name, value);
            start = end + 1;
        }
        Ok(Head {
            method,
            uri,
            version,
            headers,
            length: self.length,
            body: said.body(version)?,
            keeps: said.lasts.unwrap_or(version == Version::HTTP_11),
            waits: said.waits && version == Version::HTTP_11,
        })
    }
}

/// The request line.
fn asked(head: &Bytes, line: Range<usize>) -> Result<(Method, Uri, Version), Why> {
    const NONE: Why = Why::Malformed("the request line is none");
    let text = head.get(line).ok_or(NONE)?;
    let first = memchr(b' ', text).ok_or(NONE)?;
    let (method, rest) = text.split_at_checked(first).ok_or(NONE)?;
    let rest = rest.get(1..).ok_or(NONE)?;
    let (target, version) = rest
        .split_at_checked(memchr(b' ', rest).ok_or(NONE)?)
        .ok_or(NONE)?;
    let version = match version {
        b" HTTP/1.1" => Version::HTTP_11,
        b" HTTP/1.0" => Version::HTTP_10,
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Why::Version);
        }
        _ => return Err(NONE),
    };
    let method = Method::from_bytes(method).map_err(|_| NONE)?;
    let uri = Uri::from_maybe_shared(head.slice_ref(target));
    let uri = uri.map_err(|_| Why::Malformed("the request's target is none"))?;
    Ok((method, uri, version))
}

/// One field. Its value shares the head's bytes.
fn field(head: &Bytes, line: Range<usize>) -> Result<(HeaderName, HeaderValue), Why> {
    const NONE: Why = Why::Malformed("a line of the head is no field");
    let text = head.get(line).ok_or(NONE)?;
    let colon = memchr(b':', text).ok_or(NONE)?;
    let (name, value) = text.split_at_checked(colon).ok_or(NONE)?;
    let name = HeaderName::from_bytes(name).map_err(|_| NONE)?;
    let value = trimmed(value.get(1..).ok_or(NONE)?);
    let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| NONE)?;
    Ok((name, value))
}

/// Without the spaces and tabs around it, and nothing else (RFC 9110, section 5.5).
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What the fields say of the message itself.
#[derive(Debug, Default)]
struct Said {
    length: Option<u64>,
    chunked: bool,
    /// Whether the connection is to last, where something is said of that.
    lasts: Option<bool>,
    waits: bool,
}

impl Said {
    fn hear(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Why> {
        let value = value.as_bytes();
        if *name == CONTENT_LENGTH {
            const NONE: Why = Why::Malformed("a Content-Length that is not one number");
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(value).ok().filter(|_| digits);
            let length = text.and_then(|text| text.parse().ok()).ok_or(NONE)?;
            if self.length.replace(length).is_some() {
                return Err(NONE);
            }
        } else if *name == TRANSFER_ENCODING {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                let why = "a Transfer-Encoding that is not `chunked`, once";
                return Err(Why::Malformed(why));
            }
            self.chunked = true;
        } else if *name == CONNECTION {
            for option in value.split(|byte| *byte == b',') {
                let option = trimmed(option);
                if option.eq_ignore_ascii_case(b"close") {
                    self.lasts = Some(false);
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    self.lasts.get_or_insert(true);
                }
            }
        } else if *name == EXPECT {
            self.waits |= value.eq_ignore_ascii_case(b"100-continue");
        }
        Ok(())
    }

    fn body(&self, version: Version) -> Result<Decoder, Why> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Why::Malformed(
                "a Content-Length beside a Transfer-Encoding",
            )),
            (true, None) if version == Version::HTTP_10 => {
                Err(Why::Malformed("HTTP/1.0 knows no Transfer-Encoding"))
            }
            (true, None) => Ok(Decoder::chunked()),
            (false, length) => Ok(Decoder::Exactly(length.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests;
