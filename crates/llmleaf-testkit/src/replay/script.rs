//! What the server answers, and where it goes wrong.

use bytes::Bytes;

use super::{Gate, canary};
use crate::recordings::{Body, Recording};

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `content-length`.
    ContentLength,
    /// The chunked coding, one chunk a write.
    Chunked,
    /// The end of the connection.
    UntilClose,
    /// No HTTP at all is added: the body is all that is sent.
    Raw,
}

/// An answer to one request. Positions count bytes of the body, before any transfer coding; a position beyond the
/// end means the end.
#[derive(Clone)]
pub struct Script {
    status: u16,
    headers: Vec<(String, String)>,
    framing: Framing,
    writes: Vec<Bytes>,
    before_head: Vec<Action>,
    marks: Vec<(usize, Action)>,
    close_after: bool,
}

/// Something that happens between two writes.
#[derive(Clone)]
enum Action {
    Hold(Gate),
    Send(Bytes),
    Stall,
    Close,
    Reset,
    End,
}

/// One step of a compiled script.
pub(super) enum Step {
    /// Bytes on the wire, and what of the body they carry.
    Write(Bytes, Bytes),
    Hold(Gate),
    /// Nothing more, for good.
    Stall,
    Close,
    Reset,
}

impl Script {
    fn new(status: u16, framing: Framing, body: Bytes) -> Self {
        Script {
            status,
            headers: Vec::new(),
            framing,
            writes: vec![body],
            before_head: Vec::new(),
            marks: Vec::new(),
            close_after: framing == Framing::UntilClose || framing == Framing::Raw,
        }
    }

    /// A JSON body with `content-length`.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Script::new(status, Framing::ContentLength, body.into())
            .header("content-type", "application/json")
    }

    /// Any body with `content-length`.
    #[must_use]
    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Script::new(status, Framing::ContentLength, body.into())
            .header("content-type", content_type)
    }

    /// An event stream, chunked, one write an event.
    #[must_use]
    pub fn sse(body: impl Into<Bytes>) -> Self {
        Script::new(200, Framing::Chunked, body.into())
            .header("content-type", "text/event-stream")
            .write_each_event()
    }

    /// Exactly these bytes, then FIN: for answers that are no HTTP.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Script::new(0, Framing::Raw, bytes.into())
    }

    /// The request is read and never answered.
    #[must_use]
    pub fn silent() -> Self {
        Script::raw(Bytes::new()).stall_at(0)
    }

    /// What was recorded: status, the headers that were kept, the body; streams one write an event or line.
    ///
    /// # Panics
    /// When the recorded body is binary.
    #[must_use]
    pub fn recorded(recording: &Recording) -> Self {
        let text = recording.body.text().expect("the recorded body is text");
        let body = Bytes::from(text.to_owned());
        let mut script = match &recording.body {
            Body::Sse(_) => {
                Script::new(recording.status, Framing::Chunked, body).write_each_event()
            }
            Body::Ndjson(_) => {
                Script::new(recording.status, Framing::Chunked, body).write_each_line()
            }
            _ => Script::new(recording.status, Framing::ContentLength, body),
        };
        for (name, value) in &recording.response_headers {
            script = script.header(name, value);
        }
        if !recording.response_headers.contains_key("content-type") {
            let content_type = match &recording.body {
                Body::Sse(_) => "text/event-stream",
                Body::Ndjson(_) => "application/x-ndjson",
                Body::Text(_) | Body::Binary(_) => "text/plain",
                Body::Json(_) => "application/json",
            };
            script = script.header("content-type", content_type);
        }
        script
    }

    /// Another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another way to tell the end of the body.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self.close_after |= matches!(framing, Framing::UntilClose | Framing::Raw);
        self
    }

    /// The body as the writes given, instead of what it was.
    #[must_use]
    pub fn writes<T: Into<Bytes>>(mut self, writes: impl IntoIterator<Item = T>) -> Self {
        self.writes = writes.into_iter().map(Into::into).collect();
        self
    }

    /// The same body in one write.
    #[must_use]
    pub fn write_at_once(self) -> Self {
        let body = self.whole();
        self.writes([body])
    }

    /// The same body in writes of so many bytes.
    #[must_use]
    pub fn write_every(self, bytes: usize) -> Self {
        let body = self.whole();
        let pieces: Vec<Bytes> = body
            .chunks(bytes)
            .map(|piece| body.slice_ref(piece))
            .collect();
        self.writes(pieces)
    }

    /// The same body, one write an event: cut after each blank line.
    #[must_use]
    pub fn write_each_event(self) -> Self {
        self.cut_after(&[b"\r\n\r\n", b"\n\n", b"\r\r"])
    }

    /// The same body, one write a line.
    #[must_use]
    pub fn write_each_line(self) -> Self {
        self.cut_after(&[b"\n"])
    }

    fn cut_after(self, ends: &[&[u8]]) -> Self {
        let body = self.whole();
        let mut pieces = Vec::new();
        let (mut start, mut at) = (0, 0);
        while at < body.len() {
            match ends.iter().find(|end| body[at..].starts_with(end)) {
                Some(end) => {
                    at += end.len();
                    pieces.push(body.slice(start..at));
                    start = at;
                }
                None => at += 1,
            }
        }
        if start < body.len() {
            pieces.push(body.slice(start..));
        }
        self.writes(pieces)
    }

    /// Sends the head only when the gate is opened.
    #[must_use]
    pub fn hold_head(mut self, gate: &Gate) -> Self {
        self.before_head.push(Action::Hold(gate.clone()));
        self
    }

    /// Sends some bytes before the head, such as a `100 Continue`.
    #[must_use]
    pub fn before_head(mut self, bytes: impl Into<Bytes>) -> Self {
        self.before_head.push(Action::Send(bytes.into()));
        self
    }

    /// Goes on after so many bytes only when the gate is opened. The head goes out before a hold at 0.
    #[must_use]
    pub fn hold_at(self, byte: usize, gate: &Gate) -> Self {
        self.mark(byte, Action::Hold(gate.clone()))
    }

    /// Sends nothing more after so many bytes and keeps the connection open.
    #[must_use]
    pub fn stall_at(self, byte: usize) -> Self {
        self.mark(byte, Action::Stall)
    }

    /// FIN after so many bytes, without the end that the framing promised.
    #[must_use]
    pub fn close_at(self, byte: usize) -> Self {
        self.mark(byte, Action::Close)
    }

    /// RST after so many bytes. Bytes still on their way may be lost with it, as on any network.
    #[must_use]
    pub fn reset_at(self, byte: usize) -> Self {
        self.mark(byte, Action::Reset)
    }

    /// Ends the body early but cleanly after so many bytes: the terminating chunk, or a shorter `content-length`.
    #[must_use]
    pub fn end_at(self, byte: usize) -> Self {
        self.mark(byte, Action::End)
    }

    /// Says `connection: close` and closes after the answer.
    #[must_use]
    pub fn close_after(self) -> Self {
        let mut script = self.header("connection", "close");
        script.close_after = true;
        script
    }

    fn mark(mut self, byte: usize, action: Action) -> Self {
        self.marks.push((byte, action));
        self
    }

    /// The whole body.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match self.writes.as_slice() {
            [one] => one.clone(),
            many => Bytes::from(many.concat()),
        }
    }

    pub(super) fn closes_after(&self) -> bool {
        self.close_after
    }

    pub(super) fn status_code(&self) -> u16 {
        self.status
    }

    pub(super) fn content_type(&self) -> &str {
        crate::wire::header(&self.headers, "content-type").unwrap_or_default()
    }

    /// The same with a request's canary in every place that is kept for one.
    pub(super) fn echoing(mut self, canary: &str) -> Self {
        // A flood repeats one piece; it is looked through once.
        let mut plain = None;
        for write in &mut self.writes {
            if plain != Some(write.as_ptr()) && !canary::fill(write, canary) {
                plain = Some(write.as_ptr());
            }
        }
        self
    }

    /// The steps on the wire, head and transfer coding included.
    pub(super) fn compile(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for action in &self.before_head {
            perform(action, &mut steps);
        }
        let full: usize = self.writes.iter().map(Bytes::len).sum();
        let mut marks = self.marks.clone();
        marks.sort_by_key(|(byte, _)| *byte);
        let end = marks
            .iter()
            .find_map(|(byte, action)| matches!(action, Action::End).then_some(*byte))
            .map_or(full, |byte| byte.min(full));
        if self.framing != Framing::Raw {
            steps.push(Step::Write(self.head(end), Bytes::new()));
        }
        let mut marks = marks.into_iter().peekable();
        let mut sent = 0;
        for write in &self.writes {
            let mut rest = write.slice(..write.len().min(end - sent));
            while let Some((byte, action)) = marks.next_if(|(byte, _)| *byte < sent + rest.len()) {
                self.frame(&rest.split_to(byte - sent), &mut steps);
                sent = byte;
                if perform(&action, &mut steps) {
                    return steps;
                }
            }
            self.frame(&rest, &mut steps);
            sent += rest.len();
        }
        for (_, action) in marks {
            if perform(&action, &mut steps) {
                return steps;
            }
        }
        if self.framing == Framing::Chunked {
            steps.push(Step::Write(Bytes::from_static(b"0\r\n\r\n"), Bytes::new()));
        }
        steps
    }

    fn head(&self, length: usize) -> Bytes {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::ContentLength => head.push_str(&format!("content-length: {length}\r\n")),
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::UntilClose | Framing::Raw => {}
        }
        head.push_str("\r\n");
        Bytes::from(head)
    }

    fn frame(&self, piece: &Bytes, steps: &mut Vec<Step>) {
        if piece.is_empty() {
            return;
        }
        if self.framing == Framing::Chunked {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            steps.push(Step::Write(Bytes::from(chunk), piece.clone()));
        } else {
            steps.push(Step::Write(piece.clone(), piece.clone()));
        }
    }
}

/// Adds a step for an action; `true` when nothing follows it.
fn perform(action: &Action, steps: &mut Vec<Step>) -> bool {
    let (step, last) = match action {
        Action::Hold(gate) => (Step::Hold(gate.clone()), false),
        Action::Send(bytes) => (Step::Write(bytes.clone(), Bytes::new()), false),
        Action::Stall => (Step::Stall, true),
        Action::Close => (Step::Close, true),
        Action::Reset => (Step::Reset, true),
        // The body was cut to its length already.
        Action::End => return false,
    };
    steps.push(step);
    last
}
