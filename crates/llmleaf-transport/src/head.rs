//! The head of a response: where it ends, what it says, how its body is delimited.

use bytes::{Bytes, BytesMut};
use http::{StatusCode, Version};
use memchr::memchr;
use std::mem::MaybeUninit;

use crate::coding::Decoder;
use crate::error::TransportError;
use crate::headers::Headers;
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
    pub headers: Headers,
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
        to_head: bool,
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
            let mut head = read(&buf.split_to(end).freeze(), limits, to_head)?;
            let switches = self.switches && head.status == StatusCode::SWITCHING_PROTOCOLS;
            if !head.status.is_informational() || switches {
                if !head.body.ends_within(buf.len()) {
                    // It may be long until the answer ends, and its head would hold all that was read with it.
                    head.headers.settle();
                }
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

fn read(bytes: &Bytes, limits: &Limits, to_head: bool) -> Result<Head, TransportError> {
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
    // Where the status line ends; the lines of the fields follow it, up to the end.
    let lines = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    let said = Said::of(response.headers)?;
    let version = match response.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let body = said.body(status, version, to_head)?;
    let keep_alive = !matches!(body, Decoder::ToTheEnd)
        && match version {
            Version::HTTP_11 => !said.close,
            _ => said.keep_alive && !said.close,
        };
    Ok(Head {
        status,
        headers: Headers::new(bytes.slice(lines..)),
        body,
        keep_alive,
    })
}

/// What the fields say of the message itself.
#[derive(Default)]
struct Said<'h> {
    coding: Option<&'h [u8]>,
    length: Option<&'h [u8]>,
    /// Options of `Connection`.
    close: bool,
    keep_alive: bool,
}

impl<'h> Said<'h> {
    fn of(fields: &[httparse::Header<'h>]) -> Result<Self, TransportError> {
        let mut said = Self::default();
        for field in fields {
            // Few fields of a response are as long as one of these, and none but these is looked at.
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            match field.name.len() {
                10 if is("connection") => said.connection(field.value),
                14 if is("content-length") => {
                    only(&mut said.length, field.value, "Content-Length")?;
                }
                17 if is("transfer-encoding") => {
                    only(&mut said.coding, field.value, "Transfer-Encoding")?;
                }
                _ => {}
            }
        }
        Ok(said)
    }

    fn connection(&mut self, options: &[u8]) {
        for option in options.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// How the body is delimited (RFC 9112, section 6.3). What another reader might see end elsewhere is refused.
    fn body(
        &self,
        status: StatusCode,
        version: Version,
        to_head: bool,
    ) -> Result<Decoder, TransportError> {
        let length = self.length.map(digits).transpose()?;
        let decoder = match (self.coding, length) {
            (Some(_), Some(_)) => return Err(refuse("both Content-Length and Transfer-Encoding")),
            (Some(_), None) if version != Version::HTTP_11 => {
                return Err(refuse("a Transfer-Encoding in HTTP/1.0"));
            }
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Decoder::chunked(),
            (Some(_), None) => return Err(refuse("a transfer coding other than chunked")),
            (None, Some(length)) => Decoder::Exactly(length),
            (None, None) => Decoder::ToTheEnd,
        };
        let empty = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
            || to_head;
        Ok(if empty { Decoder::Exactly(0) } else { decoder })
    }
}

/// Takes note of a field that must not come twice.
fn only<'h>(
    place: &mut Option<&'h [u8]>,
    value: &'h [u8],
    name: &str,
) -> Result<(), TransportError> {
    match place.replace(value) {
        Some(_) => Err(refuse(&format!("more than one {name}"))),
        None => Ok(()),
    }
}

fn digits(value: &[u8]) -> Result<u64, TransportError> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| refuse("a Content-Length that is no number"))
}

#[cfg(test)]
mod tests;
