//! A session that goes on: what either end says is handed to the other, as long as both are there.

use super::heard::Heard;
use super::pair::{Came, Pair};
use super::{Consumer, Duplex, Talk};
use crate::attempt::Attempt;
use crate::drive::Run;
use crate::failure;
use crate::upstream::Upstream;
use llmleaf_dialects::realtime::consumer::{self, Asks};
use llmleaf_dialects::realtime::live::Live;
use llmleaf_dialects::realtime::{self, Counted, Listener, Step, Wrong};
use llmleaf_model::{Failure, FailureKind};
use llmleaf_providers::RealtimeWire;
use llmleaf_route::Candidate;
use llmleaf_transport::{
    Close, CloseCode, Fault, Leg, Message, Received, Stream, WebSocket, closing,
};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// How often the verdict on a session is asked for.
const VERDICT: Duration = Duration::from_secs(2);
/// How long a provider may take to answer a good-bye: it is to be closed soon.
const GOODBYE_UP: Duration = Duration::from_millis(50);
/// How long a consumer may take for what was said last.
const GOODBYE_DOWN: Duration = Duration::from_secs(2);

/// Why a session ends.
enum End {
    /// The consumer said good-bye, or broke off.
    ConsumerLeft(Option<Close>),
    /// The consumer broke the protocol.
    ConsumerBroke(Close),
    /// The provider said good-bye.
    UpstreamLeft(Option<Close>),
    /// The provider broke off, or broke the protocol.
    UpstreamBroke(Fault),
    /// It may not go on.
    Refused(Failure),
    /// The node's time is over.
    Closing,
}

/// How the provider is spoken with.
enum Tongue {
    /// As the consumer speaks: events go through.
    Same(Listener),
    /// On another wire.
    Live(Box<Live>),
}

/// The two ends of a session.
pub struct Relay<'a> {
    ends: Pair<Box<dyn Duplex>, Stream>,
    tongue: Tongue,
    verdicts: Interval,
    talk: &'a Rc<Talk>,
    candidate: &'a Candidate,
    upstream: &'a Upstream,
    /// Events that we said.
    said: u64,
    /// Speech is refused, and its consumer knows.
    hushed: bool,
    /// How much of what its consumer said may have been speech.
    heard: Heard,
    /// Something was used since what the session holds of its key's budget was taken.
    spent: bool,
}

impl<'a> Relay<'a> {
    pub fn new(
        run: &Run,
        (consumer, provider): (Consumer, WebSocket<Stream>),
        talk: &'a Rc<Talk>,
        (candidate, upstream): (&'a Candidate, &'a Upstream),
        wire: RealtimeWire,
    ) -> Self {
        let tongue = match wire {
            RealtimeWire::Events => Tongue::Same(Listener::default()),
            RealtimeWire::Live => {
                let name = run.job.id.chars().filter(char::is_ascii_alphanumeric);
                let name: String = name.collect();
                let model = upstream.named(&candidate.model);
                let live = Live::new(&run.job.head.model, model, &name, talk.older);
                Tongue::Live(Box::new(live))
            }
        };
        let mut verdicts = tokio::time::interval(VERDICT);
        verdicts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        verdicts.reset();
        Self {
            ends: Pair {
                consumer: Leg::new(consumer),
                provider: Leg::new(provider),
            },
            tongue,
            verdicts,
            talk,
            candidate,
            upstream,
            said: 0,
            heard: Heard::from(run.node.shared.now()),
            hushed: false,
            spent: false,
        }
    }

    /// Goes on until it ends, and tells both ends why it does.
    pub async fn run(mut self, run: &Run, attempt: &mut Attempt, first: Option<Message>) {
        if let Tongue::Live(live) = &mut self.tongue {
            let greeting = live.greet();
            self.follow(attempt, greeting);
        }
        if let Some(first) = first {
            self.hear(run, attempt, first);
        }
        if let Some(opening) = self.talk.opening.clone() {
            self.take(run, attempt, Message::text(opening));
        }
        let end = std::future::poll_fn(|cx| self.poll(run, attempt, cx)).await;
        self.left().iter().for_each(|left| attempt.part(left));
        let Pair {
            mut consumer,
            mut provider,
        } = self.ends;
        match end {
            End::ConsumerLeft(why) => {
                provider.end(told(why.as_ref()), GOODBYE_UP).await;
                // What the socket answers of itself.
                let flushed = std::future::poll_fn(|cx| consumer.socket.poll_flush(cx));
                let _ = tokio::time::timeout(GOODBYE_DOWN, flushed).await;
                attempt.complete(&[]);
            }
            End::ConsumerBroke(why) => {
                provider.socket.close(away(), GOODBYE_UP).await;
                drop(provider);
                consumer.socket.close(Some(why), GOODBYE_DOWN).await;
                attempt.complete(&[]);
            }
            End::UpstreamLeft(why) => {
                let why = of_provider(why);
                consumer.end(why, GOODBYE_DOWN).await;
                attempt.complete(&[]);
            }
            End::UpstreamBroke(fault) => {
                if let Fault::Broken(why) = &fault {
                    let why = Some(why.clone());
                    provider.socket.close(why, GOODBYE_UP).await;
                }
                drop(provider);
                let failure = broken(&fault);
                attempt.broke(&failure, &[]);
                run.common.ending.failed(&failure);
                let event = told_error(run, &mut self.said, &failure, None);
                let why = closing(CloseCode::Error, "the provider broke off");
                last_words(&mut consumer, event, why).await;
            }
            End::Refused(failure) => {
                provider.socket.close(away(), GOODBYE_UP).await;
                drop(provider);
                attempt.complete(&[]);
                let event = told_error(run, &mut self.said, &failure, None);
                let why = closing(CloseCode::Policy, "this key may not go on");
                last_words(&mut consumer, event, why).await;
            }
            End::Closing => {
                provider.socket.close(away(), GOODBYE_UP).await;
                drop(provider);
                attempt.complete(&[]);
                let failure = failure::shutdown();
                run.common.ending.failed(&failure);
                let event = told_error(run, &mut self.said, &failure, None);
                let why = closing(CloseCode::Away, "this gateway is shutting down");
                last_words(&mut consumer, event, why).await;
            }
        }
    }

    fn poll(&mut self, run: &Run, attempt: &mut Attempt, cx: &mut Context<'_>) -> Poll<End> {
        if run.closing() {
            return Poll::Ready(End::Closing);
        }
        while self.verdicts.poll_tick(cx).is_ready() {
            if let Err(refused) = self.talk.warden.verdict() {
                return Poll::Ready(End::Refused(refused));
            }
        }
        loop {
            match ready!(self.ends.poll_next(cx)) {
                Came::Consumer(Received::Message(message)) => self.take(run, attempt, message),
                Came::Provider(Received::Message(message)) => self.hear(run, attempt, message),
                Came::Consumer(end) => return Poll::Ready(of_consumer(end)),
                Came::Provider(Received::Closed(why)) => {
                    return Poll::Ready(End::UpstreamLeft(why));
                }
                Came::Provider(Received::Failed(fault)) => {
                    return Poll::Ready(End::UpstreamBroke(fault));
                }
            }
        }
    }

    /// Takes what the consumer says, and hands it on if it may be said.
    fn take(&mut self, run: &Run, attempt: &mut Attempt, message: Message) {
        let Message::Text(text) = message else {
            let failure = Failure::invalid("messages are JSON texts", None);
            return self.refuse(run, &failure, None);
        };
        let said = match consumer::read(&text) {
            Ok(said) => said,
            Err(failure) => return self.refuse(run, &failure, None),
        };
        let judged = self.judge(run, &said);
        let speech = said.asks == Asks::Speech;
        if let Err(failure) = judged {
            // Speech comes in many pieces: one refusal tells of all that follow.
            if !(speech && self.hushed) {
                self.refuse(run, &failure, said.event_id.as_deref());
            }
            self.hushed |= speech;
            return;
        }
        self.hushed &= !speech;
        self.heard.said(text.len());
        if let Tongue::Live(live) = &mut self.tongue {
            let steps = live.take(&text);
            return self.follow(attempt, steps);
        }
        let asked = &run.job.head.model;
        let renamed = consumer::renamed(&text, &said, |model| {
            (model.name == *asked).then(|| self.upstream.named(&self.candidate.model).to_owned())
        });
        self.ends.provider.push(match renamed {
            Some(renamed) => Message::text(renamed),
            None => Message::Text(text),
        });
    }

    /// Whether an event may be said: the models that it names, and what it asks for.
    fn judge(&mut self, run: &Run, said: &consumer::Said) -> Result<(), Failure> {
        let asked = &run.job.head.model;
        for model in &said.models {
            let own = model.name == *asked || model.name == *self.candidate.model;
            if own {
                continue;
            }
            self.talk.warden.permits(&model.name)?;
            if !model.writes && !self.talk.transcribes {
                let why = "the model of a session stays as it is; open another session";
                let mut failure = Failure::invalid(why, Some("session.model"));
                failure.code = Some("model_fixed".to_owned());
                return Err(failure);
            }
        }
        match said.asks {
            Asks::Nothing => return Ok(()),
            Asks::Answer => self.talk.warden.verdict()?,
            // Nothing comes of it by itself.
            Asks::Speech | Asks::SpeechEnd if !self.speech_uses() => return Ok(()),
            Asks::Speech | Asks::SpeechEnd => {}
        }
        self.talk.warden.admits()?;
        if self.spent
            && let Some(allowance) = &run.job.allowance
        {
            allowance.renew()?;
            self.spent = false;
        }
        Ok(())
    }

    /// Whether speech that ends uses something without being asked to.
    fn speech_uses(&self) -> bool {
        match &self.tongue {
            Tongue::Same(listener) => listener.speech_uses(),
            // Whoever says when it ends, it is answered then.
            Tongue::Live(_) => true,
        }
    }

    fn refuse(&mut self, run: &Run, failure: &Failure, about: Option<&str>) {
        let event = told_error(run, &mut self.said, failure, about);
        self.ends.consumer.push(event);
    }

    /// Takes what the provider says, and hands it on.
    fn hear(&mut self, run: &Run, attempt: &mut Attempt, message: Message) {
        let listener = match &mut self.tongue {
            Tongue::Same(listener) => listener,
            // That wire says its texts in binary messages too.
            Tongue::Live(live) => {
                let steps = live.hear(message.to_text().unwrap_or_default());
                return self.follow(attempt, steps);
            }
        };
        let Message::Text(text) = &message else {
            return self.ends.consumer.push(message);
        };
        if let Some(mut counted) = listener.hear(text) {
            self.spent = true;
            self.heard.bound(&mut counted, run.node.shared.now());
            attempt.part(&counted);
        }
        if let Some(wrong) = realtime::wrong_in(text) {
            let told = self.reworded(text, &wrong);
            return self.ends.consumer.push(Message::text(told));
        }
        self.ends.consumer.push(message);
    }

    /// An event that tells of a failure, in the words in which consumers are told of any other: none that quote a credential, or speak
    /// of the operator's account.
    fn reworded(&self, text: &str, wrong: &Wrong) -> String {
        let wire = self.upstream.error_wire(&self.candidate.model);
        let told = wire.and_then(|wire| {
            let body = wrong.body(text).into();
            let mut failure = wire.parse_error(wrong.status, &|_| None, &body);
            self.upstream.scrub(&mut failure);
            let public = crate::drive::public(&failure);
            let other = public.message != failure.message;
            other
                .then(|| wrong.reworded(text, &public.message))
                .flatten()
        });
        let told = told.unwrap_or_else(|| text.to_owned());
        let mut quoted = Failure::upstream(FailureKind::Server, told);
        self.upstream.scrub(&mut quoted);
        quoted.message
    }

    fn follow(&mut self, attempt: &mut Attempt, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Say(text) => self.ends.consumer.push(Message::text(text)),
                Step::Send(text) => self.ends.provider.push(Message::text(text)),
                Step::Count(counted) => {
                    self.spent = true;
                    attempt.part(&counted);
                }
                // Nobody who only chats is asked here.
                Step::Ask(_) | Step::Listen(_) | Step::Speak(_) => {}
                Step::Unlisten | Step::Cancel => {}
            }
        }
    }

    /// What runs, and nobody will say what it used.
    fn left(&mut self) -> Vec<Counted> {
        match &mut self.tongue {
            Tongue::Same(listener) => listener.left(),
            Tongue::Live(live) => live.left(),
        }
    }
}

/// How the consumer's end ends it.
fn of_consumer(received: Received) -> End {
    match received {
        Received::Closed(why) => End::ConsumerLeft(why),
        Received::Failed(Fault::Broken(why)) => End::ConsumerBroke(why),
        Received::Failed(_) | Received::Message(_) => End::ConsumerLeft(away()),
    }
}

/// Tells the consumer why, and says good-bye.
async fn last_words(consumer: &mut Leg<Box<dyn Duplex>>, event: Message, why: Close) {
    consumer.push(event);
    consumer.end(Some(why), GOODBYE_DOWN).await;
}

fn told_error(run: &Run, said: &mut u64, failure: &Failure, about: Option<&str>) -> Message {
    *said += 1;
    let id = format!("event_{}_{said}", run.job.id);
    let public = crate::drive::public(failure);
    Message::text(realtime::error(&public, &id, about))
}

fn broken(fault: &Fault) -> Failure {
    let (kind, why) = match fault {
        Fault::Broken(_) => (
            FailureKind::InvalidResponse,
            "the upstream's frames break RFC 6455",
        ),
        Fault::Gone => (
            FailureKind::Truncated,
            "the provider ended the session without a word",
        ),
        Fault::Silent => (
            FailureKind::Timeout,
            "the provider does not answer any more",
        ),
    };
    Failure::upstream(kind, why)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what sockets are closed with is optional"
)]
fn away() -> Option<Close> {
    Some(closing(CloseCode::Away, ""))
}

/// A consumer's good-bye, as the provider is told it: the code, and no words.
fn told(why: Option<&Close>) -> Option<Close> {
    why.map(|why| closing(why.code, ""))
}

/// A provider's good-bye, as the consumer is told it. Codes that speak of this gateway's own conduct are its matter; those
/// that say how the session ended are the consumer's.
fn of_provider(why: Option<Close>) -> Option<Close> {
    let why = why?;
    Some(match u16::from(why.code) {
        1000 | 1001 | 1009 | 1011..=1014 | 3000..=4999 => closing(why.code, ""),
        _ => closing(CloseCode::Error, "the provider ended the session"),
    })
}
