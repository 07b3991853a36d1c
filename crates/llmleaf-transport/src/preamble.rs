//! What the requests to a target begin with: written once, and copied for each of them.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request};
use std::fmt;

use crate::error::TransportError;
use crate::origin::Origin;

/// The head of a request up to the length of its body: request line, headers and `Host`. Names and values were checked when they were
/// made, so that none of them can hold a line end.
#[derive(Clone)]
pub struct Preamble {
    text: Bytes,
    to_head: bool,
}

impl Preamble {
    /// Writes it. Scheme and host are the origin's, whatever the request says.
    ///
    /// # Errors
    /// A request for a tunnel, which no provider is sent.
    pub fn new<B>(request: &Request<B>, origin: &Origin) -> Result<Self, TransportError> {
        let mut text = Vec::with_capacity(512);
        begin(request.method(), request.uri(), &mut text)?;
        fields(request.headers(), &mut text);
        field(HOST.as_str(), origin.host_header(), &mut text);
        Ok(Self {
            text: text.into(),
            to_head: *request.method() == Method::HEAD,
        })
    }

    /// The head of a request with a body of this length, also where that is 0: servers answer 411 to a POST without one.
    pub(crate) fn with(&self, body: Bytes) -> Outbound {
        Outbound {
            head: self.text.clone(),
            end: HeadEnd::with_length(body.len() as u64),
            body,
            to_head: self.to_head,
        }
    }
}

/// It holds a credential.
impl fmt::Debug for Preamble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preamble(…)")
    }
}

/// A request as it goes out.
pub(crate) struct Outbound {
    pub head: Bytes,
    /// What is not the same for all requests that begin so.
    pub end: HeadEnd,
    pub body: Bytes,
    /// Its method is `HEAD`: whatever the answer says of a body, none comes.
    pub to_head: bool,
}

impl Outbound {
    /// Makes a request the origin's: path only in the request line, its `Host`, a known length.
    pub fn new(request: Request<Bytes>, origin: &Origin) -> Result<Self, TransportError> {
        let (parts, body) = request.into_parts();
        let takes_body = !matches!(parts.method, Method::GET | Method::HEAD);
        let told = takes_body || !body.is_empty();
        let length = Length::Known(body.len() as u64);
        Self::of(&parts, body, told.then_some(length), origin)
    }

    /// The same for one whose body is fed to it, and is so long if that is known.
    pub fn fed(
        request: Request<()>,
        length: Option<u64>,
        origin: &Origin,
    ) -> Result<Self, TransportError> {
        let length = length.map_or(Length::Chunked, Length::Known);
        let parts = request.into_parts().0;
        Self::of(&parts, Bytes::new(), Some(length), origin)
    }

    fn of(
        parts: &Parts,
        body: Bytes,
        length: Option<Length>,
        origin: &Origin,
    ) -> Result<Self, TransportError> {
        let mut head = Vec::with_capacity(512);
        begin(&parts.method, &parts.uri, &mut head)?;
        fields(&parts.headers, &mut head);
        field(HOST.as_str(), origin.host_header(), &mut head);
        if let Some(length) = length {
            length.write(&mut head);
        }
        head.extend_from_slice(b"\r\n");
        Ok(Self {
            head: head.into(),
            end: HeadEnd::default(),
            body,
            to_head: parts.method == Method::HEAD,
        })
    }
}

/// The end of a head that was written before, but for how long the body is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadEnd {
    text: [u8; Self::MOST],
    length: usize,
}

/// None: a head that is whole.
impl Default for HeadEnd {
    fn default() -> Self {
        let (text, length) = ([0; Self::MOST], 0);
        Self { text, length }
    }
}

impl HeadEnd {
    const NAME: &[u8] = b"content-length: ";
    /// The longest number has twenty digits, and two lines end.
    const MOST: usize = 40;

    fn with_length(length: u64) -> Self {
        let mut end = Self::default();
        end.push(Self::NAME);
        end.push(itoa::Buffer::new().format(length).as_bytes());
        end.push(b"\r\n\r\n");
        end
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.text.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// The bytes of it.
    pub fn bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

/// The request line.
fn begin(method: &Method, uri: &Uri, head: &mut Vec<u8>) -> Result<(), TransportError> {
    if *method == Method::CONNECT {
        return Err(TransportError::Request("CONNECT is not forwarded".into()));
    }
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

/// All headers but those that are told of origin and body.
fn fields(headers: &HeaderMap, head: &mut Vec<u8>) {
    // The length is what the body has, whatever a header says.
    let ours = [HOST, TRANSFER_ENCODING, CONTENT_LENGTH];
    for (name, value) in headers.iter().filter(|(name, _)| !ours.contains(name)) {
        field(name.as_str(), value, head);
    }
}

fn field(name: &str, value: &HeaderValue, head: &mut Vec<u8>) {
    for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        head.extend_from_slice(part);
    }
}

/// How a body is told to end.
enum Length {
    Known(u64),
    Chunked,
}

impl Length {
    fn write(&self, head: &mut Vec<u8>) {
        match self {
            Self::Known(bytes) => {
                head.extend_from_slice(HeadEnd::NAME);
                head.extend_from_slice(itoa::Buffer::new().format(*bytes).as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            Self::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_written_before_is_the_head_written_now() {
        let origin = Origin::parse("http://provider.example/v1")
            .expect("an origin")
            .0;
        for length in [0, 1, 1 << 20] {
            let body = Bytes::from(vec![b'x'; length]);
            let request = Request::post("/v1/chat/completions").header("authorization", "Bearer k");
            let request = request.body(body.clone()).expect("a request");
            let preamble = Preamble::new(&request, &origin).expect("a preamble");
            let before = preamble.with(body);
            let now = Outbound::new(request, &origin).expect("a request");
            assert_eq!([&before.head, before.end.bytes()].concat(), now.head);
            assert_eq!((before.body, before.to_head), (now.body, now.to_head));
        }
        let longest = HeadEnd::with_length(u64::MAX);
        assert!(longest.bytes().ends_with(b": 18446744073709551615\r\n\r\n"));
    }
}
