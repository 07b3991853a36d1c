//! The head of a response: where it ends, what it says, how its body is delimited.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::header::{Entry, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use memchr::memchr;
use std::mem::MaybeUninit;

use crate::coding::Decoder;
use crate::error::TransportError;
use crate::pool::Limits;

/// Interim responses (1xx) that may come before the one that counts.
const MOST_INTERIM: u32 = 32;
/// The most header fields that can be allowed.
const MOST_FIELDS: usize = 256;

/// What every response begins with.
const BEGINNING: &[u8] = b"HTTP/1.";

/// What a response says before its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Decoder,
    /// The upstream keeps the connection for another request.
    pub keep_alive: bool,
}

/// Finds the head in what comes, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// Where the current line begins.
    line: usize,
    /// How far the current line has been looked at.
    seen: usize,
    interim: u32,
    /// Another protocol was asked for, so that 101 is an answer.
    switches: bool,
}

impl Finder {
    /// For the answer to a request to speak another protocol.
    pub fn switching() -> Self {
        Self {
            switches: true,
            ..Self::default()
        }
    }

    /// The head at the front of `buf`, once all of it is there; it is taken out. Interim responses are taken out and passed over.
    pub fn next(
        &mut self,
        buf: &mut BytesMut,
        limits: &Limits,
        method: &Method,
    ) -> Result<Option<Head>, TransportError> {
        // What does not begin so is not waited for.
        if !BEGINNING.iter().zip(buf.iter()).all(|(a, b)| a == b) {
            return Err(refuse("it does not begin as HTTP/1 does"));
        }
        while let Some(end) = self.end(buf)? {
            if end > limits.max_header_bytes {
                return Err(TransportError::HeadTooLarge);
            }
            *self = Self {
                interim: self.interim + 1,
                switches: self.switches,
                ..Self::default()
            };
            let head = read(&buf.split_to(end).freeze(), limits, method)?;
            let switches = self.switches && head.status == StatusCode::SWITCHING_PROTOCOLS;
            if !head.status.is_informational() || switches {
                return Ok(Some(head));
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(refuse("the upstream switched protocols unasked"));
            }
            if self.interim > MOST_INTERIM {
                return Err(TransportError::HeadTooLarge);
            }
        }
        if buf.len() > limits.max_header_bytes {
            return Err(TransportError::HeadTooLarge);
        }
        Ok(None)
    }

    /// Where the head ends. Lines end with CR LF: to take a bare LF for an end, as some do, lets two readers see two responses.
    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, TransportError> {
        while let Some(at) = memchr(b'\n', bytes.get(self.seen..).unwrap_or_default()) {
            let feed = self.seen + at;
            let line = bytes.get(self.line..feed).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\r") else {
                return Err(refuse("a line of the head ends without a carriage return"));
            };
            let first = self.line == 0;
            self.line = feed + 1;
            self.seen = self.line;
            match line.first() {
                None if first => return Err(refuse("the head has no status line")),
                None => return Ok(Some(self.line)),
                Some(b' ' | b'\t') => return Err(refuse("a folded header field")),
                Some(_) => {}
            }
        }
        self.seen = bytes.len();
        Ok(None)
    }
}

fn refuse(why: &str) -> TransportError {
    TransportError::Protocol(why.to_owned())
}

fn read(bytes: &Bytes, limits: &Limits, method: &Method) -> Result<Head, TransportError> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        fields.get_mut(..limits.max_headers).unwrap_or_default(),
    );
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(refuse("the head does not end where its lines say")),
        Err(httparse::Error::TooManyHeaders) => return Err(TransportError::HeadTooLarge),
        Err(error) => return Err(refuse(&error.to_string())),
    }
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| refuse("the status is no status"))?;
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| refuse("a header field's name is none"))?;
        // The value shares the head's bytes.
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
            .map_err(|_| refuse("a header field's value is none"))?;
        match headers.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
            Entry::Occupied(mut entry) => entry.append(value),
        }
    }
    let version = match response.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let body = body(status, &headers, version, method)?;
    let keep_alive = !matches!(body, Decoder::ToTheEnd)
        && match version {
            Version::HTTP_11 => !has_token(&headers, "close"),
            _ => has_token(&headers, "keep-alive") && !has_token(&headers, "close"),
        };
    Ok(Head {
        status,
        headers,
        body,
        keep_alive,
    })
}

/// How the body is delimited (RFC 9112, section 6.3). What another reader might see end elsewhere is refused.
fn body(
    status: StatusCode,
    headers: &HeaderMap,
    version: Version,
    method: &Method,
) -> Result<Decoder, TransportError> {
    let only = |name: HeaderName, twice: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next();
        match values.next() {
            Some(_) => Err(refuse(twice)),
            None => Ok(value),
        }
    };
    let coding = only(TRANSFER_ENCODING, "more than one Transfer-Encoding")?;
    let length = only(CONTENT_LENGTH, "more than one Content-Length")?;
    let length = length.map(digits).transpose()?;
    let decoder = match (coding, length) {
        (Some(_), Some(_)) => return Err(refuse("both Content-Length and Transfer-Encoding")),
        (Some(_), None) if version != Version::HTTP_11 => {
            return Err(refuse("a Transfer-Encoding in HTTP/1.0"));
        }
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Decoder::chunked()
        }
        (Some(_), None) => return Err(refuse("a transfer coding other than chunked")),
        (None, Some(length)) => Decoder::Exactly(length),
        (None, None) => Decoder::ToTheEnd,
    };
    let empty = status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || *method == Method::HEAD;
    Ok(if empty { Decoder::Exactly(0) } else { decoder })
}

fn digits(value: &HeaderValue) -> Result<u64, TransportError> {
    value
        .to_str()
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| refuse("a Content-Length that is no number"))
}

/// Whether `Connection` names an option.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests;
