//! A consumer of a WebSocket, by hand: it shares no code with the product.

use std::net::SocketAddr;

use crate::http::{self, Connection, Response};

/// What the other side sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(String),
    /// A question whether we are there, or the answer to ours.
    Control(u8, Vec<u8>),
    /// The end: its code and reason.
    Close(u16, String),
    /// The connection ended.
    End,
}

impl Message {
    /// By the first byte of its frame.
    pub(crate) fn of(first: u8, payload: Vec<u8>) -> Self {
        match first & 0x0f {
            TEXT => Self::Text(String::from_utf8_lossy(&payload).into_owned()),
            CLOSE => {
                let code = payload.first_chunk().copied().unwrap_or_default();
                let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                Self::Close(u16::from_be_bytes(code), reason.into_owned())
            }
            code => Self::Control(code, payload),
        }
    }
}

/// A frame as bytes: `first` is its first byte, `mask` what its payload is masked with.
#[must_use]
pub fn written(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => bytes.push(masked | short),
        _ => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    match mask {
        None => bytes.extend_from_slice(payload),
        Some(mask) => {
            bytes.extend_from_slice(&mask);
            let masked = payload.iter().zip(mask.iter().cycle());
            bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        }
    }
    bytes
}

/// The frame that stands whole at the front of a buffer: its first byte, its payload, and the bytes that it takes.
///
/// # Panics
/// It is masked where it may not be, or the other way.
#[must_use]
pub fn parse(buffer: &[u8], masked: bool) -> Option<(u8, Vec<u8>, usize)> {
    let (&[first, second], rest) = buffer.split_first_chunk()?;
    assert_eq!(second & 0x80 != 0, masked, "masks are the client's");
    let (length, rest) = match second & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, rest)
        }
        short => (usize::from(short), rest),
    };
    let (mask, rest) = match masked {
        true => rest.split_first_chunk()?,
        false => (&[0; 4], rest),
    };
    let payload = rest.get(..length)?;
    let payload = payload.iter().zip(mask.iter().cycle());
    let payload = payload.map(|(byte, mask)| byte ^ mask).collect();
    Some((first, payload, buffer.len() - rest.len() + length))
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
/// Op-code of a ping.
pub const PING: u8 = 9;
/// Op-code of a pong.
pub const PONG: u8 = 10;
/// Any four bytes will do.
const MASK: [u8; 4] = [0x5a, 0x01, 0xfe, 0x37];
/// The key of RFC 6455, section 1.3, and what it has to be answered with.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One WebSocket.
pub struct Socket {
    line: Connection,
    buffer: Vec<u8>,
}

impl Socket {
    /// Asks for one.
    ///
    /// # Errors
    /// The reply that it is refused with.
    ///
    /// # Panics
    /// When the upgrade is not a proper one.
    pub fn open(
        addr: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Box<Response>> {
        let mut line = Connection::open(addr);
        let mut all = vec![
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        all.extend_from_slice(headers);
        line.send(&http::request("GET", path, &all, b""));
        let reply = line.response();
        if reply.status != 101 {
            return Err(Box::new(reply));
        }
        assert_eq!(reply.header("sec-websocket-accept"), Some(ACCEPT));
        Ok(Self {
            line,
            buffer: Vec::new(),
        })
    }

    /// Sends a text.
    pub fn send(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes());
    }

    /// Sends one frame.
    pub fn frame(&mut self, code: u8, payload: &[u8]) {
        self.raw(&written(0x80 | code, payload, Some(MASK)));
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.line.send(bytes);
    }

    /// Another limit for each read from here on.
    pub fn read_timeout(&mut self, timeout: std::time::Duration) {
        self.line.read_timeout(timeout);
    }

    /// Goes away without a word.
    pub fn reset(self) {
        self.line.reset();
    }

    /// The next message, pings answered and passed over.
    pub fn message(&mut self) -> Message {
        loop {
            match self.next_frame() {
                Message::Control(PING, payload) => self.frame(PONG, &payload),
                other => return other,
            }
        }
    }

    /// The next text.
    ///
    /// # Panics
    /// When something else comes.
    pub fn text(&mut self) -> String {
        match self.message() {
            Message::Text(text) => text,
            other => panic!("a text was expected and not {other:?}"),
        }
    }

    fn next_frame(&mut self) -> Message {
        loop {
            if let Some((first, payload, used)) = parse(&self.buffer, false) {
                self.buffer.drain(..used);
                return Message::of(first, payload);
            }
            let more = self.line.raw();
            if more.is_empty() {
                return Message::End;
            }
            self.buffer.extend_from_slice(&more);
        }
    }
}
