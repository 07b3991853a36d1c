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
        let mut bytes = vec![0x80 | code];
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => bytes.push(0x80 | short),
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&MASK);
        let masked = payload.iter().zip(MASK.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        self.line.send(&bytes);
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
            if let Some((code, payload)) = self.take() {
                return match code {
                    TEXT => Message::Text(String::from_utf8_lossy(&payload).into_owned()),
                    CLOSE => {
                        let code = payload.first_chunk().copied().unwrap_or_default();
                        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                        Message::Close(u16::from_be_bytes(code), reason.into_owned())
                    }
                    code => Message::Control(code, payload),
                };
            }
            let more = self.line.raw();
            if more.is_empty() {
                return Message::End;
            }
            self.buffer.extend_from_slice(&more);
        }
    }

    /// A whole frame of the buffer. A server's frames are not masked, and here never cut.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&[first, second], rest) = self.buffer.split_first_chunk()?;
        assert!(first & 0x80 != 0 && second & 0x80 == 0, "a plain frame");
        let (length, rest) = match second {
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
        let payload = rest.get(..length)?.to_vec();
        let taken = self.buffer.len() - rest.len() + length;
        self.buffer.drain(..taken);
        Some((first & 0x0f, payload))
    }
}
