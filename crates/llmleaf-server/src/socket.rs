//! The Responses wire over a WebSocket: one connection, many turns.
//!
//! The caller is proven before the upgrade. Each message is then a request like any other, made, limited, routed and recorded as
//! one that was posted; only its events leave as messages. A turn that goes on from an earlier one of the connection brings
//! what is new, and is made whole here from what was said, which dies with the connection. Everything lives in the task of the
//! connection: when the consumer goes, its exchanges are dropped, and so are their upstream calls.
//!
//! Reading order: [`Opened`] (the upgrade), [`run`], [`Session`] (what is polled), `socket/lane.rs` (turns, one after the other).

mod lane;

use crate::desk::Desk;
use crate::service::unix_now;
use crate::worker::Order;
use bytes::Bytes;
use futures_core::Stream as _;
use futures_sink::Sink as _;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use lane::{Lane, Passed};
use llmleaf_auth::Principal;
use llmleaf_dialects::responses::socket as wire;
use llmleaf_model::{Failure, FailureKind, Origin};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Most messages that may wait to leave when another one is refused: who sends nothing but such is not served on.
const MOST_REFUSED: usize = 64;
/// Most bytes that wait for the socket; more than the largest event.
const WRITE_BYTES: usize = 32 * 1024 * 1024;
/// How long a connection lives, as the reference has it (OpenAI's guide, read 2026-11). A turn that runs then is finished.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How often a consumer is asked whether it is there, which also keeps what lies between from forgetting the connection.
const PING: Duration = Duration::from_secs(15);
/// How many of these may stay without an answer: a quarter of an hour. Some clients read nothing while their tools run.
const UNHEARD: u32 = 60;
/// How long a good-bye waits for its answer.
const GOODBYE: Duration = Duration::from_secs(2);
/// Lanes of a connection, the nameless one included.
const LANES: usize = 8;
/// Messages of one lane that wait for their turn.
const WAITING: usize = 16;
/// Bytes read at once: many connections wait for their consumer's next turn.
const READ_BYTES: usize = 4 * 1024;

/// A connection that is to be one of messages from now on.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Who was proven.
    pub principal: Principal,
    /// The headers of its request: they count for every turn.
    pub headers: HeaderMap,
}

/// The reply that upgrades a connection; its session goes with it.
///
/// # Errors
/// The request asks for no WebSocket.
pub fn upgrade(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    principal: Principal,
) -> Result<Response<()>, Failure> {
    let has = |name, token: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut tokens = values.flat_map(|value| value.split(','));
        tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
    };
    let asks = *method == Method::GET
        && version == Version::HTTP_11
        && has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket");
    let key = headers.get("sec-websocket-key").filter(|_| asks);
    let Some(key) = key else {
        let message = "GET /v1/responses opens a WebSocket over HTTP/1.1; POST makes a response";
        let mut failure = Failure::new(Origin::Consumer, FailureKind::InvalidRequest, message);
        failure.status = Some(StatusCode::UPGRADE_REQUIRED.as_u16());
        return Err(failure);
    };
    if headers
        .get("sec-websocket-version")
        .is_none_or(|version| version != "13")
    {
        return Err(Failure::invalid(
            "only version 13 of WebSocket is spoken",
            None,
        ));
    }
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| Failure::invalid("the key of the WebSocket is none", None))?;
    let mut reply = Response::new(());
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let told = reply.headers_mut();
    told.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    told.insert(UPGRADE, HeaderValue::from_static("websocket"));
    told.insert("sec-websocket-accept", accept);
    reply.extensions_mut().insert(Opened {
        principal,
        headers: headers.clone(),
    });
    Ok(reply)
}

/// Serves a connection until it ends.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    desk: Rc<Desk>,
    mut orders: watch::Receiver<Order>,
    opened: Opened,
    stream: S,
    begun: Bytes,
) {
    let most = desk.worker().app.max_body_bytes;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    let socket =
        WebSocketStream::from_partially_read(stream, begun.to_vec(), Role::Server, Some(config))
            .await;
    let mut pings = tokio::time::interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    let mut session = Session {
        desk,
        opened,
        socket,
        lanes: Vec::new(),
        memory: wire::Memory::default(),
        outbox: VecDeque::new(),
        pings,
        unheard: 0,
        end: Box::pin(tokio::time::sleep_until(Instant::now() + LIFETIME)),
        leaving: None,
        draining: *orders.borrow_and_update() != Order::Run,
    };
    loop {
        tokio::select! {
            biased;
            result = std::future::poll_fn(|cx| session.poll(cx)) => {
                match result {
                    Ok(()) => session.say_goodbye().await,
                    Err(error) => tracing::debug!(%error, "a consumer's WebSocket ended"),
                }
                return;
            }
            changed = orders.changed() => {
                session.draining |= changed.is_err() || *orders.borrow_and_update() != Order::Run;
            }
        }
    }
}

/// A connection and its turns.
struct Session<S> {
    desk: Rc<Desk>,
    opened: Opened,
    socket: WebSocketStream<S>,
    lanes: Vec<Lane>,
    memory: wire::Memory,
    /// Messages on their way; no turn is asked for more while there are any.
    outbox: VecDeque<Message>,
    pings: Interval,
    unheard: u32,
    end: Pin<Box<Sleep>>,
    /// Why it ends, once that is so; what was said before leaves first.
    leaving: Option<CloseFrame>,
    draining: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_clocks(cx);
        while self.leaving.is_none() {
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(message)) => self.take(message?),
                // Dropping it all ends what runs.
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        loop {
            ready!(self.poll_send(cx))?;
            if self.leaving.is_some() && self.is_idle() {
                return Poll::Ready(Ok(()));
            }
            if !self.poll_turns(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Whether no turn runs or waits.
    fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    fn poll_clocks(&mut self, cx: &mut Context<'_>) {
        while self.pings.poll_tick(cx).is_ready() {
            self.unheard += 1;
            if self.unheard > UNHEARD {
                // It is gone, whatever its system says.
                self.lanes.clear();
                self.leave(CloseCode::Away, "nobody answers");
            } else if self.outbox.is_empty() {
                self.outbox.push_back(Message::Ping(Bytes::new()));
            }
        }
        if self.leaving.is_some() || !self.is_idle() {
            // A turn that runs is finished; it wakes us when it is.
            return;
        }
        if self.draining {
            self.leave(CloseCode::Restart, "this gateway is shutting down");
        } else if self.end.as_mut().poll(cx).is_ready() {
            let mut failure = Failure::invalid(
                "this connection has lived for 60 minutes; open a new one",
                None,
            );
            failure.code = Some("websocket_connection_limit_reached".to_owned());
            self.refuse(&failure, None);
            self.leave(CloseCode::Normal, "");
        }
    }

    fn leave(&mut self, code: CloseCode, reason: &'static str) {
        self.leaving.get_or_insert(CloseFrame {
            code,
            reason: reason.into(),
        });
    }

    /// Takes a message of the consumer.
    fn take(&mut self, message: Message) {
        self.unheard = 0;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let failure = Failure::invalid("messages are JSON texts", None);
                return self.refuse(&failure, None);
            }
            // Nobody reads on: what runs ends. The socket itself answers.
            Message::Close(_) => return self.lanes.clear(),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return,
        };
        let create = match wire::read(&text) {
            Ok(create) => create,
            Err(refused) => return self.refuse(&refused.failure, refused.lane.as_deref()),
        };
        let name = create.lane.clone();
        if self.draining {
            let mut failure =
                Failure::gateway(FailureKind::Overloaded, "this gateway is shutting down");
            failure.code = Some("server_shutdown".to_owned());
            return self.refuse(&failure, name.as_deref());
        }
        let known = self
            .lanes
            .iter()
            .position(|lane| lane.name() == name.as_deref());
        let place = known.unwrap_or_else(|| {
            // A lane that rests can be had again under its name.
            if self.lanes.len() >= LANES {
                self.lanes.retain(|lane| !lane.is_idle());
            }
            self.lanes.push(Lane::new(name.clone()));
            self.lanes.len() - 1
        });
        let bytes: usize = self.lanes.iter().map(Lane::waiting_bytes).sum();
        let fits = bytes + create.size() <= self.desk.worker().app.max_body_bytes;
        let lanes = self.lanes.len();
        let full = match self.lanes.get_mut(place) {
            _ if lanes > LANES => Some("websocket_stream_limit_reached"),
            Some(lane) if fits && lane.waiting() < WAITING => {
                lane.push(create);
                None
            }
            _ => Some("websocket_queue_limit_reached"),
        };
        if let Some(code) = full {
            self.lanes.truncate(LANES);
            let mut failure = Failure::invalid(
                "this connection has no room for another turn now",
                Some("stream_id"),
            );
            failure.code = Some(code.to_owned());
            self.refuse(&failure, name.as_deref());
        }
    }

    fn refuse(&mut self, failure: &Failure, lane: Option<&str>) {
        if self.outbox.len() >= MOST_REFUSED {
            return self.leave(CloseCode::Policy, "too many messages that cannot be meant");
        }
        let reply = llmleaf_dialects::Dialect::Responses.render_error(failure, "");
        let event = wire::refusal(reply.status, &[], &reply.body.into(), lane);
        self.outbox.push_back(Message::text(event));
    }

    /// Says why it ends, where that is our doing, and leaves the consumer a moment to answer: else it might find a reset.
    async fn say_goodbye(&mut self) {
        let Some(why) = self.leaving.take() else {
            return;
        };
        self.outbox.push_back(Message::Close(Some(why)));
        let mut socket = std::future::poll_fn(|cx| {
            ready!(self.poll_send(cx))?;
            loop {
                match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                    None => return Poll::Ready(Ok(())),
                }
            }
        });
        let _: Result<Result<(), Error>, _> = tokio::time::timeout(GOODBYE, &mut socket).await;
    }

    /// Sends what there is; ready when the socket has all of it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outbox.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            if let Some(message) = self.outbox.pop_front() {
                Pin::new(&mut self.socket).start_send(message)?;
            }
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Lets every lane go on; whether anything came of it.
    fn poll_turns(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        for lane in &mut self.lanes {
            let passed = lane.poll(&self.desk, &self.opened, &mut self.memory, cx);
            moved |= !matches!(passed, Passed::Nothing);
            if let Passed::Messages(messages) = passed {
                self.outbox.extend(messages.into_iter().map(Message::text));
            }
        }
        if moved && self.is_idle() {
            // What waits for the end of the last turn is looked at again.
            self.poll_clocks(cx);
        }
        moved
    }
}

/// Unix seconds.
fn now() -> u64 {
    unix_now().as_secs()
}
