//! A raw HTTP/1.1 consumer: it sends bytes, reads as far as it likes, and tells a clean end from a cut and from a
//! reset. Plain blocking sockets; every read has a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::json::{self, Value};
use crate::leaks::{self, Watch};
use crate::sse::{self, SseStream};
mod transcript;

use transcript::Keeper;
pub use transcript::Transcript;

use crate::wire::{Dechunker, Head, Progress, head, header, is_chunked};

/// How long any one read may take unless a test says otherwise.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer of so many bytes at most is searched for secrets whenever some of it is looked at, a longer one when it is over.
const LOOKED_AT_AGAIN: usize = 64 * 1024;

/// How a response ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// As its framing promised.
    Clean,
    /// FIN before that.
    Cut,
    /// RST before that.
    Reset,
    /// Not yet: the test stopped reading.
    #[default]
    Open,
    /// Not yet: nothing came within the read timeout.
    TimedOut,
    /// The framing itself was broken.
    Malformed,
}

/// A response as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Status code; 0 when no head came.
    pub status: u16,
    /// Headers in order, names as they were spelled.
    pub headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub body: Vec<u8>,
    /// How it ended.
    pub end: End,
    /// When bytes of the body came and how many there were by then, per read.
    pub arrivals: Vec<(Instant, usize)>,
}

impl Response {
    /// The first value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text; U+FFFD for what is no UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a tree.
    ///
    /// # Panics
    /// When it is no JSON; the message shows it.
    #[must_use]
    pub fn json(&self) -> Value {
        let text = self.text();
        json::parse(&text).unwrap_or_else(|error| panic!("status {}, {error}: {text}", self.status))
    }

    /// The body as an event stream.
    #[must_use]
    pub fn sse(&self) -> SseStream {
        sse::parse(&self.body)
    }
}

/// The bytes of a request with a body: `host` and `content-length` are added.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: llmleaf.test\r\n");
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        bytes.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Sends a JSON body on a connection of its own and reads the whole response.
#[must_use]
pub fn post(addr: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let mut connection = Connection::open(addr);
    connection.send(&request("POST", path, &all, body.as_bytes()));
    connection.response()
}

/// Asks on a connection of its own and reads the whole response.
#[must_use]
pub fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut connection = Connection::open(addr);
    connection.send(&request("GET", path, headers, b""));
    connection.response()
}

/// A consumer's connection. Dropping it hangs up: FIN, or RST where bytes were left unread, as the kernel does for any
/// program that goes.
pub struct Connection {
    /// First, so that the moment of going is noted before the socket closes.
    keeper: Keeper,
    stream: TcpStream,
    /// Bytes received and not yet taken.
    buffer: Vec<u8>,
    current: Option<Current>,
    /// A write was told of a reset: the system tells it once, and reads see a plain end then.
    was_reset: bool,
    /// What is searched for in what comes.
    watch: Option<Arc<Watch>>,
}

/// The response that is being read.
#[derive(Default)]
struct Current {
    response: Response,
    framing: Framing,
}

#[derive(Clone, Copy, Default)]
enum Framing {
    /// So many bytes are lacking.
    Length(usize),
    Chunked(Dechunker),
    #[default]
    UntilClose,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    pub fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the address accepts connections");
        stream.set_nodelay(true).expect("nodelay can be set");
        let mut connection = Connection {
            keeper: Keeper::default(),
            stream,
            buffer: Vec::new(),
            current: None,
            was_reset: false,
            watch: leaks::at(addr),
        };
        connection.read_timeout(READ_TIMEOUT);
        connection
    }

    /// Another limit for each read from here on.
    pub fn read_timeout(&mut self, timeout: Duration) {
        self.stream
            .set_read_timeout(Some(timeout))
            .expect("a read timeout can be set");
    }

    /// The same where an answer has a secret in it that the request told.
    #[must_use]
    pub fn open_unwatched(addr: SocketAddr) -> Self {
        let mut connection = Connection::open(addr);
        connection.watch = None;
        connection
    }

    /// Sends bytes. A peer that is gone is seen by the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(watch) = &self.watch {
            for (name, credential) in leaks::sent(bytes) {
                watch.add(&format!("what was sent as {name}"), &credential);
            }
        }
        let sent = self.stream.write_all(bytes);
        self.was_reset |= sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
    }

    /// Closes the sending side alone and goes on reading.
    pub fn half_close(&mut self) {
        // A peer that is gone is seen by the next read.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Hangs up with RST.
    ///
    /// # Panics
    /// When the socket cannot be told to.
    pub fn reset(self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .expect("a runtime can be built");
        let Connection { keeper, stream, .. } = self;
        drop(keeper);
        // The standard library cannot set SO_LINGER yet.
        let _inside = runtime.enter();
        stream
            .set_nonblocking(true)
            .expect("a socket can be made nonblocking");
        let stream = tokio::net::TcpStream::from_std(stream).expect("the socket is registered");
        stream.set_zero_linger().expect("linger can be set");
    }

    /// What this connection hears, also after it has gone.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.keeper.0.clone()
    }

    /// Reads a whole response.
    pub fn response(&mut self) -> Response {
        self.read_until(|_| false)
    }

    /// Reads until this response has so many bytes of body, or ended. Its end is [`End::Open`] when it goes on.
    pub fn read_body(&mut self, bytes: usize) -> Response {
        self.read_until(|response| response.body.len() >= bytes)
    }

    /// Reads until this response has the text in its body, or ended. Its end is [`End::Open`] when it goes on.
    pub fn read_to(&mut self, text: &str) -> Response {
        self.read_until(|response| {
            let needle = text.as_bytes();
            let mut windows = response.body.windows(needle.len().max(1));
            windows.any(|window| window == needle)
        })
    }

    /// Reads the head of the next response and as much of the body as came with it.
    pub fn read_head(&mut self) -> Response {
        self.read_until(|_| true)
    }

    /// Reads until the peer ends the connection: what it sent beyond the responses that were read, and how it ended
    /// ([`End::Clean`] for FIN).
    pub fn drain(&mut self) -> (Vec<u8>, End) {
        loop {
            let end = match self.fill() {
                None => continue,
                Some(End::Cut) => End::Clean,
                Some(end) => end,
            };
            return (std::mem::take(&mut self.buffer), end);
        }
    }

    /// What is there of bytes that are no response, at least one; nothing when the connection has ended.
    pub fn raw(&mut self) -> Vec<u8> {
        while self.buffer.is_empty() {
            if self.fill().is_some() {
                break;
            }
        }
        if let Some(watch) = &self.watch {
            watch.look("an answer", &self.buffer);
        }
        std::mem::take(&mut self.buffer)
    }

    fn read_until(&mut self, enough: impl Fn(&Response) -> bool) -> Response {
        loop {
            if self.current.is_none() {
                self.start();
            }
            let done = self
                .current
                .as_mut()
                .and_then(|current| current.take(&mut self.buffer));
            if let Some(end) = done {
                return self.finish(end);
            }
            if let Some(current) = &self.current
                && enough(&current.response)
            {
                if current.response.body.len() <= LOOKED_AT_AGAIN {
                    self.look(&current.response);
                }
                return current.response.clone();
            }
            if let Some(end) = self.fill() {
                return self.finish(end);
            }
        }
    }

    /// The response as it stands. After a timeout a later call reads on in the same one.
    fn finish(&mut self, end: End) -> Response {
        let mut current = self.current.take().unwrap_or_default();
        if end == End::TimedOut {
            let mut response = current.response.clone();
            response.end = end;
            self.current = (response.status > 0).then_some(current);
            return response;
        }
        let to_close =
            matches!(current.framing, Framing::UntilClose) && current.response.status > 0;
        current.response.end = match end {
            End::Cut if to_close => End::Clean,
            end => end,
        };
        self.look(&current.response);
        current.response
    }

    /// Searches an answer for secrets.
    fn look(&self, response: &Response) {
        let Some(watch) = &self.watch else { return };
        for (name, value) in &response.headers {
            watch.look(&format!("an answer's header {name}"), value.as_bytes());
        }
        watch.look("an answer", &response.body);
    }

    /// Begins to read the next response, when its head is there.
    fn start(&mut self) {
        self.current = Current::begin(&mut self.buffer);
    }

    /// Reads once; says how the peer's side ended when there was nothing to read.
    fn fill(&mut self) -> Option<End> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) if self.was_reset => Some(self.keeper.0.ended(End::Reset)),
            Ok(0) => Some(self.keeper.0.ended(End::Cut)),
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                self.keeper.0.heard(&piece[..count]);
                None
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => None,
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(End::TimedOut),
                _ => Some(self.keeper.0.ended(End::Reset)),
            },
        }
    }
}

impl Current {
    /// Takes the head of a response from the buffer, when it is there; interim ones are skipped.
    fn begin(buffer: &mut Vec<u8>) -> Option<Self> {
        while let Some(Head {
            line,
            headers,
            length,
        }) = head(buffer)
        {
            buffer.drain(..length);
            let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
            let status: u16 = status.unwrap_or(0);
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let length = header(&headers, "content-length").and_then(|text| text.parse().ok());
            let framing = match length {
                _ if matches!(status, 101 | 204 | 304) => Framing::Length(0),
                _ if is_chunked(&headers) => Framing::Chunked(Dechunker::default()),
                Some(length) => Framing::Length(length),
                None => Framing::UntilClose,
            };
            let response = Response {
                status,
                headers,
                ..Response::default()
            };
            return Some(Current { response, framing });
        }
        None
    }

    /// Moves what the buffer holds of the body into the response; says when that is its end.
    fn take(&mut self, buffer: &mut Vec<u8>) -> Option<End> {
        let body = &mut self.response.body;
        let before = body.len();
        let progress = match &mut self.framing {
            Framing::Length(lacking) => {
                let count = buffer.len().min(*lacking);
                body.extend(buffer.drain(..count));
                *lacking -= count;
                if *lacking == 0 {
                    Progress::Done
                } else {
                    Progress::More
                }
            }
            Framing::Chunked(dechunker) => dechunker.take(buffer, body),
            Framing::UntilClose => {
                body.append(buffer);
                Progress::More
            }
        };
        let now = body.len();
        if now > before {
            self.response.arrivals.push((Instant::now(), now));
        }
        match progress {
            Progress::More => None,
            Progress::Done => Some(End::Clean),
            Progress::Broken => Some(End::Malformed),
        }
    }
}
