//! A provider that holds sessions over a WebSocket, by hand: each connection comes to the test, which says what is said on it. It
//! shares no code with the product.

use crate::websocket::{Message, parse, written};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// How long anything is waited for.
const SOON: Duration = Duration::from_secs(20);

/// What the provider answers a request for a session with.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It agrees.
    Agree,
    /// It agrees, with the wrong proof.
    AgreeWrongly,
    /// It answers as these bytes.
    Bytes(Vec<u8>),
}

/// The provider.
pub struct Sessions {
    /// Where it listens.
    pub addr: SocketAddr,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    opened: Mutex<mpsc::Receiver<Session>>,
}

impl Sessions {
    /// Listens on a free port.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let answers = Arc::<Mutex<VecDeque<Answer>>>::default();
        let (sender, opened) = mpsc::channel();
        let queue = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = queue.lock().expect("no panic here").pop_front();
                let answer = answer.unwrap_or(Answer::Agree);
                let Some(session) = Session::open(stream, &answer) else {
                    continue;
                };
                if sender.send(session).is_err() {
                    return;
                }
            }
        });
        Self {
            addr,
            answers,
            opened: Mutex::new(opened),
        }
    }

    /// The base URL of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The next requests that have no other answer yet are answered so, one each.
    ///
    /// # Panics
    /// Its thread has.
    pub fn push(&self, answer: Answer) {
        self.answers
            .lock()
            .expect("no panic here")
            .push_back(answer);
    }

    /// The next session that was opened.
    ///
    /// # Panics
    /// None is, in time.
    #[must_use]
    pub fn next(&self) -> Session {
        let opened = self.opened.lock().expect("no panic here");
        opened.recv_timeout(SOON).expect("a session is opened")
    }

    /// Whether no session waits.
    ///
    /// # Panics
    /// Its thread has.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let opened = self.opened.lock().expect("no panic here");
        opened.try_recv().is_err()
    }
}

/// One session, at the provider's end.
pub struct Session {
    /// The request that opened it: its line and its headers.
    pub request: String,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Session {
    fn open(mut stream: TcpStream, answer: &Answer) -> Option<Self> {
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(SOON)).ok()?;
        let mut head = Vec::new();
        let mut byte = [0; 1];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.extend_from_slice(&byte);
        }
        let request = String::from_utf8_lossy(&head).into_owned();
        let key = header(&request, "sec-websocket-key").unwrap_or_default();
        let accept = match answer {
            Answer::Bytes(bytes) => {
                stream.write_all(bytes).ok()?;
                stream.shutdown(Shutdown::Write).ok()?;
                return None;
            }
            Answer::Agree => accept(&key),
            Answer::AgreeWrongly => accept("another"),
        };
        let agreed = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        stream.write_all(agreed.as_bytes()).ok()?;
        Some(Self {
            request,
            stream,
            buffer: Vec::new(),
        })
    }

    /// A header of the request.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.request, name)
    }

    /// The path and query that were asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.request.split(' ').nth(1).unwrap_or_default()
    }

    /// Says a text.
    pub fn send(&mut self, text: &str) {
        self.raw(&written(0x81, text.as_bytes(), None));
    }

    /// Writes bytes. A peer that is gone is seen by the next read.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says good-bye.
    pub fn close(&mut self, code: u16, why: &str) {
        let payload = [&code.to_be_bytes(), why.as_bytes()].concat();
        self.raw(&written(0x88, &payload, None));
    }

    /// Ends the connection without a word.
    pub fn cut(self) {
        drop(self);
    }

    /// The next message; pings are answered and passed over.
    ///
    /// # Panics
    /// A frame that is not masked, or nothing in time.
    pub fn message(&mut self) -> Message {
        loop {
            if let Some((first, payload, used)) = parse(&self.buffer, true) {
                self.buffer.drain(..used);
                match Message::of(first, payload) {
                    Message::Control(9, payload) => self.raw(&written(0x8a, &payload, None)),
                    Message::Control(..) => {}
                    other => return other,
                }
                continue;
            }
            let mut more = [0; 16 * 1024];
            match self.stream.read(&mut more) {
                Ok(0) => return Message::End,
                Ok(length) => self
                    .buffer
                    .extend_from_slice(more.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Message::End;
                }
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    /// The next text.
    ///
    /// # Panics
    /// Something else comes.
    pub fn text(&mut self) -> String {
        match self.message() {
            Message::Text(text) => text,
            other => panic!("a text was expected and not {other:?}"),
        }
    }

    /// How long it takes until the other end is closed, whatever is said before that.
    ///
    /// # Panics
    /// It is not, in time.
    #[must_use]
    pub fn closes_within(&mut self) -> Duration {
        let began = Instant::now();
        while self.message() != Message::End {}
        began.elapsed()
    }
}

fn header(request: &str, name: &str) -> Option<String> {
    let mut lines = request.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned())
}

/// The proof of RFC 6455, section 4.2.2.
fn accept(key: &str) -> String {
    let digest = sha1(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    base64(&digest)
}

/// RFC 3174.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words: Vec<u32> = block
            .chunks_exact(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        for at in 16..80 {
            let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words.push(mixed.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mixed, constant) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let sum = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
        }
        for (kept, new) in state.iter_mut().zip([a, b, c, d, e]) {
            *kept = kept.wrapping_add(new);
        }
    }
    let mut out = [0; 20];
    for (to, word) in out.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or_default());
        }
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) as usize & 63;
            out.push(if at <= chunk.len() {
                LETTERS[index] as char
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_proof_of_the_standard_s_example() {
        let accept = super::accept("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
