//! A session that is held here, over a model that only chats: each answer is an exchange like any other, and so is whatever is written
//! down of what its consumer says, and each text that is said to it. All of them end with the session.

mod answers;

use super::keeper::Keeper;
use super::{MESSAGE_BYTES, PING, UNHEARD};
use crate::desk::Desk;
use crate::reply::Reply;
use crate::service::{self, Purpose};
use crate::socket::Caller;
use crate::socket::turn::{Heard, Running};
use crate::worker::Order;
use answers::Answers;
use bytes::Bytes;
use http::HeaderMap;
use llmleaf_dialects::realtime::Step;
use llmleaf_dialects::realtime::bridge::Bridge;
use llmleaf_dialects::transcription::Task;
use llmleaf_exchange::realtime::{Duplex, Warden as _};
use llmleaf_exchange::{Audio, SessionParts, Share};
use llmleaf_transport::{
    Bounds, Close, CloseCode, Fault, Leg, Message, Received, Role, WebSocket, closing,
};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// How often the verdict on a session is asked for.
const VERDICT: Duration = Duration::from_secs(2);
/// How long a good-bye waits for its answer.
const GOODBYE: Duration = Duration::from_secs(2);
/// Most events that may come of one of the consumer's: who sends nothing but what is refused is not served on.
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
        (id, older): (&str, bool),
        parts: SessionParts,
    ) -> Self {
        let name: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
        let bridge = Bridge::new(&keeper.model, &name, older, parts);
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
        share: desk.session(),
        desk,
        keeper,
        leg: Leg::new(WebSocket::new(stream, &begun, Role::Server, bounds).await),
        bridge,
        answers: Answers::new(),
        hearing: None,
        speech: 0,
        saying: None,
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
    session.stop();
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
    /// What it holds.
    share: Share,
    answers: Answers<Running>,
    /// What was said is written down; so many bytes are asked with.
    hearing: Option<Running>,
    speech: usize,
    /// A text is said.
    saying: Option<Running>,
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
            let mut moved = self.poll_turn(cx) | self.poll_hearing(cx) | self.poll_saying(cx);
            // It is told, whatever its connection has still to say, and cannot be cancelled.
            if !self.bridge.is_asked() {
                self.answers.told();
            }
            let answers = &mut self.answers;
            answers.go_on(|told| Self::poll_told(told, cx));
            // All of that came of what a provider said in one go.
            let before = self.leg.waiting();
            match self.leg.socket.poll_next(cx) {
                Poll::Pending => {}
                Poll::Ready(Received::Message(message)) => {
                    moved = true;
                    self.take(message);
                }
                Poll::Ready(Received::Closed(_)) => {
                    self.stop();
                    ready!(self.leg.socket.poll_flush(cx)).ok();
                    return Poll::Ready(None);
                }
                Poll::Ready(Received::Failed(Fault::Broken(why))) => {
                    return Poll::Ready(Some(why));
                }
                Poll::Ready(Received::Failed(_)) => return Poll::Ready(None),
            }
            if self.leg.waiting() > before + MOST_WAITING {
                return Poll::Ready(Some(closing(CloseCode::Policy, "too many events")));
            }
            let speech = self.hearing.as_ref().map_or(0, |_| self.speech);
            let asked = self.answers.bytes();
            self.share.hold(self.bridge.bytes() + speech + asked);
            if !moved {
                return Poll::Pending;
            }
        }
    }

    fn take(&mut self, message: Message) {
        let short = self.desk.worker().app.load.is_shedding();
        let room = if short { 0 } else { self.share.left() };
        self.bridge.has_room(room);
        let steps = match message {
            Message::Text(text) => self.bridge.take(&text),
            // Told as what it is not: an event.
            _ => self.bridge.take(""),
        };
        self.follow(steps);
    }

    /// Nothing that runs is wanted any more.
    fn stop(&mut self) {
        (self.hearing, self.saying) = (None, None);
        self.answers.clear();
    }

    /// Asks a model beside the one that chats.
    fn part(&self, audio: Audio, body: Vec<u8>) -> Pin<Box<dyn Future<Output = Reply>>> {
        let (worker, caller) = (self.desk.worker(), self.caller.clone());
        let session = Arc::clone(&self.keeper.model);
        Box::pin(service::part(worker, caller, session, audio, body.into()))
    }

    /// Does what is to be done; whether another answer is asked for.
    fn follow(&mut self, steps: Vec<Step>) -> bool {
        let mut asks = false;
        for step in steps {
            match step {
                Step::Say(text) => self.leg.push(Message::text(text)),
                Step::Cancel => {
                    self.answers.end();
                    self.saying = None;
                }
                Step::Unlisten => self.hearing = None,
                Step::Listen(body) => {
                    self.speech = body.len();
                    let asking = self.part(Audio::Transcription(Task::Transcribe), body);
                    self.hearing = Some(Running::new(asking));
                }
                Step::Speak(body) => {
                    let asking = self.part(Audio::Speech, body);
                    self.saying = Some(Running::sound(asking));
                }
                // There is no provider with a session, and a record is the exchange's.
                Step::Send(_) | Step::Count(_) => {}
                Step::Ask(body) => {
                    let worker = self.desk.worker();
                    let caller = self.caller.clone();
                    let bytes = body.len();
                    let asking = service::turn(worker, caller, body.into(), Purpose::Session);
                    self.answers.ask(Running::new(asking), bytes);
                    asks = true;
                }
            }
        }
        asks
    }

    /// Lets an answer come to its end of which nothing more is to be told; whether it has.
    fn poll_told(told: &mut Running, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(heard) = told.poll(cx) {
            if heard.is_none() {
                return true;
            }
        }
        false
    }

    /// Lets the answer go on; whether anything came of it. One that its speech does not keep up with is not read on.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> bool {
        let behind = self.bridge.is_behind();
        let Some(turn) = self.answers.now().filter(|_| !behind) else {
            return false;
        };
        let Poll::Ready(heard) = turn.poll(cx) else {
            return false;
        };
        let (events, last) = match heard {
            None => {
                self.answers.end();
                (Vec::new(), Some(self.bridge.ended()))
            }
            Some(Heard::Events(events)) => (events, None),
            Some(Heard::TooLong(events)) => (events, None),
            Some(Heard::Refused(_, _, body)) => (Vec::new(), Some(self.bridge.refused(&body))),
            Some(Heard::Bytes(_) | Heard::Cut) => (Vec::new(), None),
        };
        for event in events {
            let steps = self.bridge.hear(&event);
            if self.follow(steps) {
                // What came behind its end is no part of the next one.
                break;
            }
        }
        if let Some(steps) = last {
            self.follow(steps);
        }
        true
    }

    /// Lets what is written down go on; whether anything came of it.
    fn poll_hearing(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(hearing) = &mut self.hearing else {
            return false;
        };
        let Poll::Ready(heard) = hearing.poll(cx) else {
            return false;
        };
        match heard {
            None => {
                self.hearing = None;
                let steps = self.bridge.transcript_ended();
                self.follow(steps);
            }
            Some(Heard::Events(events) | Heard::TooLong(events)) => {
                for event in events {
                    let steps = self.bridge.transcribed(&event);
                    self.follow(steps);
                }
            }
            // Who writes all of it down at once answers in one piece.
            Some(Heard::Refused(status, _, body)) => {
                self.hearing = None;
                let steps = self.bridge.transcript(status.is_success(), &body);
                self.follow(steps);
            }
            Some(Heard::Bytes(_) | Heard::Cut) => {}
        }
        true
    }

    /// Lets what is said go on; whether anything came of it.
    fn poll_saying(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(saying) = &mut self.saying else {
            return false;
        };
        let Poll::Ready(heard) = saying.poll(cx) else {
            return false;
        };
        let steps = match heard {
            Some(Heard::Bytes(bytes)) => self.bridge.sound(&bytes),
            None => {
                self.saying = None;
                self.bridge.sound_ended()
            }
            Some(Heard::Refused(_, _, body)) => {
                self.saying = None;
                self.bridge.unspoken(&body)
            }
            Some(Heard::Cut | Heard::Events(_) | Heard::TooLong(_)) => {
                self.saying = None;
                self.bridge.sound_cut()
            }
        };
        self.follow(steps);
        true
    }
}
