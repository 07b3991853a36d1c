//! A session of speech and text over a WebSocket: one attempt that lives as long as both ends do.
//!
//! The walk along the chain is that of every exchange. An attempt connects, and waits for the provider's first event; until that, a
//! failure tries the next target, and the consumer's own connection still speaks HTTP. Then the consumer's connection is
//! switched, its socket comes to its [`Seat`], and the two are joined in this same task: dropping the exchange closes both.
//!
//! Reading order: this file (how a session begins), `realtime/relay.rs` (how it goes on), `realtime/pair.rs` (its two ends), `realtime/heard.rs` (how much speech there can have been).

mod heard;
mod pair;
mod relay;

use crate::attempt::{self, Attempt};
use crate::drive::Run;
use crate::upstream::Upstream;
use crate::{failure, minting};
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{Method, Request};
use llmleaf_dialects::realtime::names::OLDER_HEADER;
use llmleaf_model::{Failure, FailureKind};
use llmleaf_providers::{Realtime, RealtimeWire};
use llmleaf_route::{Candidate, Clock, Watch};
use llmleaf_transport::{
    Bounds, Fault, Handshake, Message, Received, Role, Stream, Upgraded, WebSocket,
};
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a provider's first event is waited for; one that says nothing until it is spoken to is taken as it is.
const GREETING: Duration = Duration::from_secs(5);
/// How often a provider is asked whether it is there, and how many of these may stay without a sign of it.
const PING: Duration = Duration::from_secs(15);
const UNHEARD: u32 = 3;

/// A connection as a stream of bytes.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// The consumer's end of a session.
pub type Consumer = WebSocket<Box<dyn Duplex>>;

/// What decides on a session while it lives: its key may be taken away, and so may a model.
pub trait Warden {
    /// Whether it may go on.
    ///
    /// # Errors
    /// It may not.
    fn verdict(&self) -> Result<(), Failure>;

    /// Whether a model that is named in the session may be used.
    ///
    /// # Errors
    /// It may not.
    fn permits(&self, model: &str) -> Result<(), Failure>;

    /// Whether there is room for another answer.
    ///
    /// # Errors
    /// There is none.
    fn admits(&self) -> Result<(), Failure>;
}

/// What a session is to be.
pub struct Talk {
    /// Who decides on it.
    pub warden: Box<dyn Warden>,
    /// The consumer speaks the form that stood before.
    pub older: bool,
    /// It only writes down what it hears.
    pub transcribes: bool,
    /// Longest message.
    pub message_bytes: usize,
    /// What is said for the consumer before it says anything.
    pub opening: Option<String>,
    seat: RefCell<Option<Consumer>>,
}

impl Talk {
    /// A session to be.
    pub fn new(warden: Box<dyn Warden>, message_bytes: usize) -> Self {
        Self {
            warden,
            older: false,
            transcribes: false,
            message_bytes,
            opening: None,
            seat: RefCell::new(None),
        }
    }

    /// The consumer's connection has been switched: here it is. The exchange is to be polled after this.
    pub fn seat(&self, consumer: Consumer) {
        self.seat.replace(Some(consumer));
    }
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Talk(…)")
    }
}

/// Holds a session with one target.
pub(crate) async fn run(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
) -> Result<(), Failure> {
    let talk = run.job.realtime.clone();
    let (Some(talk), Some(offered)) = (talk, upstream.realtime(&candidate.model)) else {
        return Err(unsupported());
    };
    let (watch, mut socket) = dial(run, attempt, candidate, upstream, (&talk, offered)).await?;
    // That wire says nothing until it is spoken to.
    let first = match offered.wire {
        RealtimeWire::Events => first(run, &watch, &mut socket, (upstream, candidate)).await?,
        RealtimeWire::Live => None,
    };
    let now = run.node.shared.now();
    run.content(attempt, now);
    run.switched();
    // The server polls us again when it has switched the connection.
    let consumer = poll_fn(|_| match talk.seat.take() {
        Some(consumer) => Poll::Ready(consumer),
        None => Poll::Pending,
    });
    let consumer = consumer.await;
    let ends = (consumer, socket);
    let relay = relay::Relay::new(run, ends, &talk, (candidate, upstream), offered.wire);
    Box::pin(relay.run(run, attempt, first)).await;
    Ok(())
}

/// Opens a session at the provider.
async fn dial(
    run: &mut Run,
    attempt: &mut Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    (talk, offered): (&Talk, &Realtime),
) -> Result<(Watch, WebSocket<Stream>), Failure> {
    run.out.kept(&run.node.begins).await;
    let clocks = attempt::clocks(run, candidate);
    let mut watch = attempt::watch(run, clocks);
    let minter = upstream.minter(attempt.credential());
    let mints = upstream.mint_pool;
    let mut token = match minter {
        Some(minter) => Some(Box::pin(minting::token(run, minter, mints, &watch)).await?),
        None => None,
    };
    let mut again = false;
    loop {
        let shown = token.as_ref().map(|token| token.value.clone());
        let mut request = request(run, attempt, candidate, upstream, (talk, offered, shown))?;
        let handshake = Handshake::begin(request.headers_mut());
        let (Some(origin), Some(pool)) = (upstream.origin(), run.node.pools.get(upstream.pool))
        else {
            return Err(unsupported());
        };
        let connect = watch.limit(Clock::Connect);
        let request = request.map(|()| bytes::Bytes::new());
        let mut call = pin!(pool.upgrade(origin, request, connect));
        attempt.sending();
        let answered = match run.wait(&watch, call.as_mut()).await {
            Err(clock) => return Err(failure::timeout(clock, &watch)),
            Ok(Err(error)) => return Err(not_billed(failure::transport(&error, false))),
            Ok(Ok(answered)) => answered,
        };
        let response = match answered {
            Upgraded::Switched(headers, stream, begun) => {
                watch.headers(run.node.shared.now());
                attempt.status(101);
                if !handshake.agrees(&headers) {
                    return Err(invalid("it agreed to another protocol than a WebSocket"));
                }
                let bounds = Bounds {
                    message_bytes: talk.message_bytes,
                    ping: PING,
                    unheard: UNHEARD,
                };
                let socket = WebSocket::new(stream, &begun, Role::Client, bounds).await;
                return Ok((watch, socket));
            }
            Upgraded::Refused(response) => response,
        };
        if let (401, false, Some(minter), Some(old)) =
            (response.status.as_u16(), again, minter, &token)
            && let Some(new) = Box::pin(minting::another(run, minter, old, mints, &watch)).await
        {
            token = Some(new?);
            again = true;
            continue;
        }
        watch.headers(run.node.shared.now());
        attempt.status(response.status.as_u16());
        if response.status.is_success() {
            return Err(invalid(
                "it answered a request for a WebSocket as any other",
            ));
        }
        let wire = upstream
            .error_wire(&candidate.model)
            .ok_or_else(unsupported)?;
        let refused = Box::pin(attempt::refused(run, &watch, wire, response)).await;
        return Err(not_billed(refused));
    }
}

fn request(
    run: &Run,
    attempt: &Attempt,
    candidate: &Candidate,
    upstream: &Upstream,
    (talk, offered, token): (&Talk, &Realtime, Option<HeaderValue>),
) -> Result<Request<()>, Failure> {
    let path = upstream.session_path(offered, &candidate.model, talk.transcribes);
    let credential = (attempt.credential(), token);
    let same = offered.wire == RealtimeWire::Events;
    let forwarded = &run.job.headers;
    let mut request = upstream
        .request(credential, Method::GET, &path, "*/*", same, forwarded)
        .map_err(|_| Failure::invalid("the model's name cannot be part of a URL", Some("model")))?;
    let headers = request.headers_mut();
    headers.remove(ACCEPT);
    if talk.older && same {
        let (name, value) = OLDER_HEADER;
        let value = HeaderValue::from_static(value);
        headers.insert(HeaderName::from_static(name), value);
    }
    if let Some(trace) = run.job.trace.as_ref().filter(|_| upstream.traces) {
        trace.tell(attempt.number(), headers);
    }
    Ok(request)
}

/// The provider's first event. An error in its place, or an end, is a failure like a refusal; nothing at all is none.
async fn first(
    run: &mut Run,
    watch: &Watch,
    socket: &mut WebSocket<Stream>,
    (upstream, candidate): (&Upstream, &Candidate),
) -> Result<Option<Message>, Failure> {
    let mut patience: Pin<Box<tokio::time::Sleep>> = Box::pin(tokio::time::sleep(GREETING));
    let mut greeting = pin!(poll_fn(|cx| {
        if let Poll::Ready(received) = socket.poll_next(cx) {
            return Poll::Ready(Some(received));
        }
        patience.as_mut().poll(cx).map(|()| None)
    }));
    let received = match run.wait(watch, greeting.as_mut()).await {
        Err(alarm) => return Err(not_billed(failure::timeout(alarm, watch))),
        Ok(None) => return Ok(None),
        Ok(Some(received)) => received,
    };
    match received {
        Received::Message(message) => {
            let text = message.to_text().unwrap_or_default();
            let Some(status) = llmleaf_dialects::realtime::error_of(text) else {
                return Ok(Some(message));
            };
            let wire = upstream
                .error_wire(&candidate.model)
                .ok_or_else(unsupported)?;
            let mut refused = wire.parse_error(
                status,
                &|_| None,
                &bytes::Bytes::copy_from_slice(text.as_bytes()),
            );
            refused.body = None;
            Err(not_billed(refused))
        }
        Received::Closed(close) => {
            let code = close.map_or(1005, |close| u16::from(close.code));
            let kind = match code {
                1013 => FailureKind::Overloaded,
                _ => FailureKind::Server,
            };
            let why = format!("the upstream ended the session before it began, with code {code}");
            Err(not_billed(Failure::upstream(kind, why)))
        }
        Received::Failed(Fault::Broken(_)) => Err(invalid("its first frame breaks RFC 6455")),
        Received::Failed(_) => {
            let why = "the upstream went before the session began";
            Err(not_billed(Failure::upstream(FailureKind::Connect, why)))
        }
    }
}

/// Opening a session costs nothing.
fn not_billed(mut failure: Failure) -> Failure {
    failure.possibly_billed = false;
    failure
}

fn invalid(why: &str) -> Failure {
    let why = format!("the upstream holds no session: {why}");
    not_billed(Failure::upstream(FailureKind::InvalidResponse, why))
}

fn unsupported() -> Failure {
    failure::unoffered("the target does not offer realtime sessions")
}
