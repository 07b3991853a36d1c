//! Connections that become WebSockets, and the Responses wire over one: one connection, many turns.
//!
//! The caller is proven before the upgrade. Each message is then a request like any other, made, limited, routed and recorded as
//! one that was posted; only its events leave as messages. A turn that goes on from an earlier one of the connection brings
//! what is new, and is made whole here from what was said, which dies with the connection. Everything lives in the task of the
//! connection: when the consumer goes, its exchanges are dropped, and so are their upstream calls.
//!
//! Reading order: [`accept`], [`Opened`] (the upgrade), [`run`], [`Session`] (what is polled), `socket/lane.rs` (turns, one after the other), `socket/turn.rs` (one of them).

mod lane;
pub mod turn;

use crate::desk::Desk;
use crate::realtime;
use crate::reply::Reply;
use crate::service::unix_now;
use crate::worker::Order;
use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use lane::{Lane, Passed};
use llmleaf_auth::{Principal, Recall};
use llmleaf_dialects::responses::socket as wire;
use llmleaf_model::{Failure, FailureKind, Origin};
use llmleaf_transport::{
    Bounds, Close, CloseCode, Fault, Leg, Message, Received, Role, WebSocket, closing,
};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Most messages that may wait to leave when another one is refused: who sends nothing but such is not served on.
const MOST_REFUSED: usize = 64;
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

/// What a connection becomes that is switched.
pub enum Opened {
    /// Turns of Responses.
    Turns(Caller),
    /// A session of speech and text.
    Session(Box<realtime::Session>),
    /// A session that is held here.
    Bridged(Box<realtime::Bridged>),
}

/// Where a request leaves what its connection becomes, and whom it has proven.
pub struct Upgrades {
    /// The worker's configuration, as it is at any time.
    pub desk: Rc<Desk>,
    /// Who showed the last credential on this connection.
    pub known: RefCell<Recall>,
    opened: RefCell<Option<Opened>>,
}

impl Upgrades {
    /// For one connection.
    pub fn new(desk: Rc<Desk>) -> Rc<Self> {
        let opened = RefCell::new(None);
        let known = RefCell::default();
        Rc::new(Self {
            desk,
            known,
            opened,
        })
    }

    /// The connection becomes this.
    pub fn open(&self, opened: Opened) {
        self.opened.replace(Some(opened));
    }

    /// What it becomes.
    pub fn take(&self) -> Option<Opened> {
        self.opened.take()
    }
}

/// Whose turns a connection carries.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who was proven.
    pub principal: Principal,
    /// The headers of its request: they count for every turn.
    pub headers: HeaderMap,
}

/// What a request for a WebSocket is to be answered with; `purpose` says what the path is for.
///
/// # Errors
/// It asks for none.
pub fn accept(parts: &Parts, purpose: &str) -> Result<HeaderValue, Failure> {
    let headers = &parts.headers;
    let has = |name, token: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut tokens = values.flat_map(|value| value.split(','));
        tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
    };
    let asks = parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && has(CONNECTION, "upgrade")
        && has(UPGRADE, "websocket");
    let key = headers.get("sec-websocket-key").filter(|_| asks);
    let Some(key) = key else {
        let mut failure = Failure::new(Origin::Consumer, FailureKind::InvalidRequest, purpose);
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
    accept.map_err(|_| Failure::invalid("the key of the WebSocket is none", None))
}

/// Makes a reply the one that switches its connection.
pub fn switch(reply: &mut Reply, accept: HeaderValue) {
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let told = reply.headers_mut();
    told.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    told.insert(UPGRADE, HeaderValue::from_static("websocket"));
    told.insert("sec-websocket-accept", accept);
}

/// Runs what a connection has become, until it ends.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    desk: Rc<Desk>,
    orders: watch::Receiver<Order>,
    opened: Opened,
    stream: S,
    begun: Bytes,
) {
    match opened {
        Opened::Turns(caller) => turns(desk, orders, caller, stream, begun).await,
        Opened::Session(session) => {
            realtime::run(desk, orders, session, stream, begun).await;
        }
        Opened::Bridged(bridged) => {
            realtime::run_bridged(desk, orders, bridged, stream, begun).await;
        }
    }
}

/// Serves turns until the connection ends.
async fn turns<S: AsyncRead + AsyncWrite + Unpin>(
    desk: Rc<Desk>,
    mut orders: watch::Receiver<Order>,
    opened: Caller,
    stream: S,
    begun: Bytes,
) {
    let bounds = Bounds {
        message_bytes: desk.worker().app.max_body_bytes,
        ping: PING,
        unheard: UNHEARD,
    };
    let socket = WebSocket::new(stream, &begun, Role::Server, bounds).await;
    let mut session = Session {
        desk,
        opened,
        leg: Leg::new(socket),
        lanes: Vec::new(),
        memory: wire::Memory::default(),
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
                    Err(fault) => session.give_up(fault).await,
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
    opened: Caller,
    /// While messages wait there, no turn is asked for more.
    leg: Leg<S>,
    lanes: Vec<Lane>,
    memory: wire::Memory,
    end: Pin<Box<Sleep>>,
    /// Why it ends, once that is so; what was said before leaves first.
    leaving: Option<Close>,
    draining: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if let Poll::Ready(fault) = self.leg.socket.poll_clock(true, cx) {
            return Poll::Ready(Err(fault));
        }
        self.poll_clocks(cx);
        while self.leaving.is_none() {
            match self.leg.socket.poll_next(cx) {
                Poll::Ready(Received::Message(message)) => self.take(message),
                // Dropping it all ends what runs.
                Poll::Ready(Received::Closed(_)) => {
                    self.lanes.clear();
                    ready!(self.leg.socket.poll_flush(cx))?;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Received::Failed(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => break,
            }
        }
        loop {
            ready!(self.leg.poll_send(cx))?;
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
        self.leaving.get_or_insert(closing(code, reason));
    }

    /// Takes a message of the consumer.
    fn take(&mut self, message: Message) {
        let Message::Text(text) = message else {
            let failure = Failure::invalid("messages are JSON texts", None);
            return self.refuse(&failure, None);
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
        if self.leg.waiting() >= MOST_REFUSED {
            return self.leave(CloseCode::Policy, "too many messages that cannot be meant");
        }
        let reply = llmleaf_dialects::Dialect::Responses.render_error(failure, "");
        let event = wire::refusal(reply.status, &[], &reply.body.into(), lane);
        self.leg.push(Message::text(event));
    }

    /// Says why it ends, where that is our doing.
    async fn say_goodbye(&mut self) {
        if let Some(why) = self.leaving.take() {
            self.leg.end(Some(why), GOODBYE).await;
        }
    }

    /// What runs ends with the connection; who broke it is told how.
    async fn give_up(&mut self, fault: Fault) {
        tracing::debug!(?fault, "a consumer's WebSocket ended");
        self.lanes.clear();
        let why = match fault {
            Fault::Broken(why) => why,
            Fault::Silent => closing(CloseCode::Away, "nobody answers"),
            Fault::Gone => return,
        };
        self.leg.socket.close(Some(why), GOODBYE).await;
    }

    /// Lets every lane go on; whether anything came of it.
    fn poll_turns(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        for lane in &mut self.lanes {
            let passed = lane.poll(&self.desk, &self.opened, &mut self.memory, cx);
            moved |= !matches!(passed, Passed::Nothing);
            if let Passed::Messages(messages) = passed {
                let messages = messages.into_iter().map(Message::text);
                messages.for_each(|message| self.leg.push(message));
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
