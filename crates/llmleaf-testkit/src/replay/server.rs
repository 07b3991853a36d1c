//! The socket side: one thread, one task to read and one to answer per connection.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::script::Step;
use super::{
    Answer, Closed, ClosedHow, Command, Connection, Ended, OnAccept, Request, Script, Shared,
    Written, canary_in, request,
};
use crate::wire;

pub(super) fn run(listener: TcpListener, shared: &Shared, stopped: oneshot::Receiver<()>) {
    shared.update(|state| state.thread = crate::queued::Thread::own());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        tokio::select! {
            _ = stopped => {}
            () = accept(listener, shared) => {}
        }
    });
}

async fn accept(listener: TcpListener, shared: &Shared) {
    listener
        .set_nonblocking(true)
        .expect("a socket can be made nonblocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is registered");
    let mut ignored = Vec::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection is accepted");
        stream.set_nodelay(true).expect("nodelay can be set");
        let (commands, receiver) = mpsc::unbounded_channel();
        let (number, action) = shared.update(|state| {
            state.commands.push(commands);
            state.connections.push(Connection {
                accepted_at: Instant::now(),
                requests: 0,
                writes: Vec::new(),
                closed: None,
            });
            (state.connections.len() - 1, state.accepts.pop_front())
        });
        match action {
            Some(OnAccept::Ignore) => ignored.push(stream),
            Some(OnAccept::Reset) => {
                stream.set_zero_linger().expect("linger can be set");
                drop(stream);
                closed(shared, number, ClosedHow::ByUs);
            }
            action => {
                let line = Line::open(stream, number, shared);
                let close_first = action == Some(OnAccept::Close);
                spawn_local(line.serve(receiver, close_first));
            }
        }
    }
}

fn closed(shared: &Shared, number: usize, how: ClosedHow) {
    let at = Instant::now();
    shared.update(|state| {
        state.connections[number]
            .closed
            .get_or_insert(Closed { at, how });
    });
}

/// What the reading task has for the answering task.
#[derive(Default)]
struct Inbox {
    bytes: RefCell<Vec<u8>>,
    head_at: Cell<Option<Instant>>,
    closed: Cell<bool>,
    changed: Notify,
}

impl Inbox {
    async fn closed(&self) {
        while !self.closed.get() {
            self.changed.notified().await;
        }
    }
}

/// Reads for as long as the connection lives, also while an answer is being written: so the moment of a close is
/// known in every phase.
async fn read_all(mut half: OwnedReadHalf, inbox: Rc<Inbox>, shared: Shared, number: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let how = loop {
        match half.read(&mut buffer).await {
            Ok(0) => break ClosedHow::Fin,
            Ok(count) => {
                inbox.bytes.borrow_mut().extend_from_slice(&buffer[..count]);
                inbox.changed.notify_one();
            }
            Err(_) => break ClosedHow::Reset,
        }
    };
    closed(&shared, number, how);
    inbox.closed.set(true);
    inbox.changed.notify_one();
}

/// How the work on one request ended.
enum After {
    /// The next request may come.
    Next,
    /// We send FIN and look on until the peer closes too.
    Close,
    /// We send RST.
    Reset,
    /// The peer went.
    Gone,
}

struct Line {
    number: usize,
    shared: Shared,
    inbox: Rc<Inbox>,
    write: OwnedWriteHalf,
    reader: JoinHandle<()>,
}

impl Line {
    fn open(stream: TcpStream, number: usize, shared: &Shared) -> Self {
        let (read, write) = stream.into_split();
        let inbox = Rc::new(Inbox::default());
        let reader = spawn_local(read_all(read, Rc::clone(&inbox), shared.clone(), number));
        Line {
            number,
            shared: shared.clone(),
            inbox,
            write,
            reader,
        }
    }

    async fn serve(mut self, mut commands: mpsc::UnboundedReceiver<Command>, close_first: bool) {
        let mut after = if close_first {
            After::Close
        } else {
            After::Next
        };
        while matches!(after, After::Next) {
            after = tokio::select! {
                biased;
                Some(command) = commands.recv() => self.obey(command).await,
                request = self.request() => match request {
                    Some(request) => self.answer(&request).await,
                    None => After::Gone,
                },
            };
        }
        match after {
            After::Reset => {
                // The halves must go without a shutdown, which would send FIN first.
                self.write
                    .as_ref()
                    .set_zero_linger()
                    .expect("linger can be set");
                self.write.forget();
                self.reader.abort();
                // An aborted task ends in an error, and by then its half is gone.
                let _ = self.reader.await;
                closed(&self.shared, self.number, ClosedHow::ByUs);
            }
            After::Close => {
                // The peer may be gone already.
                let _ = self.write.shutdown().await;
                self.inbox.closed().await;
            }
            After::Next | After::Gone => {}
        }
    }

    async fn obey(&mut self, command: Command) -> After {
        match command {
            Command::Close => After::Close,
            Command::Reset => After::Reset,
            Command::Write(bytes) => {
                self.write(&bytes).await;
                After::Next
            }
        }
    }

    /// The next request; `None` when the peer closed before it was complete. Nothing is lost when the future is
    /// dropped: the bytes stay in the inbox until the request is whole.
    async fn request(&self) -> Option<Request> {
        loop {
            let early = self.shared.read(|state| state.early);
            if let Some(request) = self.take_request(early) {
                return Some(request);
            }
            if self.inbox.closed.get() {
                return None;
            }
            self.inbox.changed.notified().await;
        }
    }

    fn take_request(&self, early: bool) -> Option<Request> {
        let mut bytes = self.inbox.bytes.borrow_mut();
        wire::head(&bytes)?;
        let head_at = self.inbox.head_at.get().unwrap_or_else(Instant::now);
        self.inbox.head_at.set(Some(head_at));
        let (request, taken) = request::read(&bytes, self.number, early, head_at)?;
        bytes.drain(..taken);
        self.inbox.head_at.set(None);
        Some(request)
    }

    async fn answer(&mut self, request: &Request) -> After {
        let (number, script, early) = self.script_for(request);
        let inbox = Rc::clone(&self.inbox);
        let steps = script.compile();
        let after = tokio::select! {
            biased;
            () = inbox.closed() => After::Gone,
            after = self.perform(steps, number) => after,
        };
        let ended = match after {
            After::Next => Ended::Complete,
            After::Close => Ended::Closed,
            After::Reset => Ended::Reset,
            After::Gone => Ended::Gone,
        };
        self.answer_log(number, |answer| answer.ended = ended);
        let asked = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        match after {
            After::Next if script.closes_after() || asked || early => After::Close,
            after => after,
        }
    }

    /// Changes what is noted of an answer, unless the test has taken it away meanwhile.
    fn answer_log(&self, number: usize, change: impl FnOnce(&mut Answer)) {
        self.shared.update(|state| {
            let found = state
                .answers
                .binary_search_by_key(&number, |answer| answer.number);
            if let Ok(at) = found {
                change(&mut state.answers[at]);
            }
        });
    }

    fn script_for(&self, request: &Request) -> (usize, Script, bool) {
        let canary = canary_in(&request.body);
        let (number, script, mut handler, early) = self.shared.update(|state| {
            state.requests.push(request.clone());
            let number = state.numbered;
            state.numbered += 1;
            state
                .answers
                .push(Answer::to(request.clone(), number, state.kept.0));
            state.connections[self.number].requests += 1;
            let own = canary.as_ref().and_then(|own| state.by_canary.remove(own));
            let script = own.or_else(|| state.scripts.pop_front());
            // Taken out for the call, so that it may look at the server it serves.
            let handler = script.is_none().then(|| state.handler.take()).flatten();
            (number, script, handler, state.early)
        });
        let script = script.or_else(|| handler.as_mut().map(|decide| decide(request)));
        self.shared.update(|state| {
            if handler.is_some() {
                state.handler = handler;
            }
            state.unscripted += usize::from(script.is_none());
        });
        let missing = || Script::body(500, "text/plain", "no script for this request");
        let script = script.unwrap_or_else(missing);
        let script = match &canary {
            Some(canary) => script.echoing(canary),
            None => script,
        };
        self.answer_log(number, |answer| {
            answer.status = script.status_code();
            script.content_type().clone_into(&mut answer.content_type);
        });
        (number, script, early)
    }

    async fn perform(&mut self, steps: Vec<Step>, number: usize) -> After {
        for step in steps {
            match step {
                Step::Write(bytes, body) => {
                    // Noted before: what the peer took of a write that failed cannot be known.
                    self.answer_log(number, |answer| answer.begin(&bytes, body));
                    self.write(&bytes).await;
                }
                Step::Hold(gate) => gate.pass().await,
                Step::Stall => std::future::pending().await,
                Step::Close => return After::Close,
                Step::Reset => return After::Reset,
            }
        }
        After::Next
    }

    /// A failed write is not reported here: the reading task sees the end of the connection.
    async fn write(&mut self, bytes: &[u8]) {
        if self.write.write_all(bytes).await.is_ok() {
            let written = Written {
                at: Instant::now(),
                bytes: bytes.len(),
            };
            self.shared
                .update(|state| state.connections[self.number].writes.push(written));
        }
    }
}
