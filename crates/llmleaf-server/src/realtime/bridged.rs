//! A session that is held here, over a model that only chats: each answer is an exchange like any other.

use super::keeper::Keeper;
use super::{MESSAGE_BYTES, PING, UNHEARD};
use crate::desk::Desk;
use crate::service::{self, Purpose};
use crate::socket::Caller;
use crate::socket::turn::{Heard, Running};
use crate::worker::Order;
use bytes::Bytes;
use http::HeaderMap;
use llmleaf_dialects::realtime::Step;
use llmleaf_dialects::realtime::bridge::Bridge;
use llmleaf_exchange::realtime::{Duplex, Warden as _};
use llmleaf_transport::{
    Bounds, Close, CloseCode, Fault, Leg, Message, Received, Role, WebSocket, closing,
};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// How often the verdict on a session is asked for.
const VERDICT: Duration = Duration::from_secs(2);
/// How long a good-bye waits for its answer.
const GOODBYE: Duration = Duration::from_secs(2);
/// Most events that wait to leave: who sends nothing but what is refused is not served on.
const MOST_WAITING: usize = 1024;

/// A session, before its connection is switched.
pub struct Bridged {
    keeper: Keeper,
    headers: HeaderMap,
    /// What is said for the consumer before it says anything.
    opening: Option<String>,
    bridge: Bridge,
}

impl Bridged {
    pub(super) fn new(
        keeper: Keeper,
        (headers, opening): (HeaderMap, Option<String>),
        id: &str,
        older: bool,
    ) -> Self {
        let name: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
        let bridge = Bridge::new(&keeper.model, &name, older);
        Self {
            keeper,
            headers,
            opening,
            bridge,
        }
    }
}

/// Runs a session on its consumer's connection.
pub async fn run_bridged<S: Duplex>(
    desk: Rc<Desk>,
    mut orders: watch::Receiver<Order>,
    bridged: Box<Bridged>,
    stream: S,
    begun: Bytes,
) {
    let Bridged {
        keeper,
        headers,
        opening,
        bridge,
    } = *bridged;
    let bounds = Bounds {
        message_bytes: desk.worker().app.max_body_bytes.min(MESSAGE_BYTES),
        ping: PING,
        unheard: UNHEARD,
    };
    let mut verdicts = tokio::time::interval(VERDICT);
    verdicts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let principal = keeper.principal().clone();
    let mut session = Session {
        caller: Caller { principal, headers },
        desk,
        keeper,
        leg: Leg::new(WebSocket::new(stream, &begun, Role::Server, bounds).await),
        bridge,
        turn: None,
        verdicts,
    };
    let greeting = session.bridge.greet();
    session.follow(greeting);
    if let Some(opening) = opening {
        session.take(Message::text(opening));
    }
    let why = loop {
        tokio::select! {
            biased;
            why = std::future::poll_fn(|cx| session.poll(cx)) => break why,
            // It looks at the node's state when it is polled.
            changed = orders.changed() => if changed.is_err() {
                break None;
            }
        }
    };
    // What runs ends here, whatever becomes of the words.
    session.turn = None;
    if let Some(why) = why {
        session.leg.end(Some(why), GOODBYE).await;
    }
}

struct Session<S> {
    desk: Rc<Desk>,
    keeper: Keeper,
    caller: Caller,
    /// While events wait there, nobody is read from.
    leg: Leg<S>,
    bridge: Bridge,
    turn: Option<Running>,
    verdicts: Interval,
}

impl<S: Duplex> Session<S> {
    /// Goes on; ready when it ends, with what the consumer is to be told of that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Close>> {
        if self.desk.worker().app.closing.load(Ordering::Relaxed) {
            let why = "this gateway is shutting down";
            return Poll::Ready(Some(closing(CloseCode::Away, why)));
        }
        while self.verdicts.poll_tick(cx).is_ready() {
            if self.keeper.verdict().is_err() {
                let why = closing(CloseCode::Policy, "this key may not go on");
                return Poll::Ready(Some(why));
            }
        }
        let listens = self.leg.waiting() == 0;
        if self.leg.socket.poll_clock(listens, cx).is_ready() {
            return Poll::Ready(Some(closing(CloseCode::Away, "nobody answers")));
        }
        loop {
            match self.leg.poll_send(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
            let mut moved = self.poll_turn(cx);
            match self.leg.socket.poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Received::Message(message)) => {
                    moved = true;
                    self.take(message);
                }
                Poll::Ready(Received::Closed(_)) => {
                    self.turn = None;
                    ready!(self.leg.socket.poll_flush(cx)).ok();
                    return Poll::Ready(None);
                }
                Poll::Ready(Received::Failed(Fault::Broken(why))) => {
                    return Poll::Ready(Some(why));
                }
                Poll::Ready(Received::Failed(_)) => return Poll::Ready(None),
            }
            if self.leg.waiting() > MOST_WAITING {
                return Poll::Ready(Some(closing(CloseCode::Policy, "too many events")));
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    fn take(&mut self, message: Message) {
        let steps = match message {
            Message::Text(text) => self.bridge.take(&text),
            // Told as what it is not: an event.
            _ => self.bridge.take(""),
        };
        self.follow(steps);
    }

    fn follow(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Say(text) => self.leg.push(Message::text(text)),
                Step::Cancel => self.turn = None,
                // There is no provider with a session, and a record is the exchange's.
                Step::Send(_) | Step::Count(_) => {}
                Step::Ask(body) => {
                    let worker = self.desk.worker();
                    let caller = self.caller.clone();
                    let asking = service::turn(worker, caller, body.into(), Purpose::Session);
                    self.turn = Some(Running::new(asking));
                }
            }
        }
    }

    /// Lets the answer go on; whether anything came of it.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(turn) = &mut self.turn else {
            return false;
        };
        let Poll::Ready(heard) = turn.poll(cx) else {
            return false;
        };
        let (events, last) = match heard {
            None => {
                self.turn = None;
                (Vec::new(), Some(self.bridge.ended()))
            }
            Some(Heard::Events(events)) => (events, None),
            Some(Heard::TooLong(events)) => (events, None),
            Some(Heard::Refused(_, _, body)) => (Vec::new(), Some(self.bridge.refused(&body))),
        };
        for event in events {
            let steps = self.bridge.hear(&event);
            self.follow(steps);
        }
        if let Some(steps) = last {
            self.follow(steps);
        }
        true
    }
}
